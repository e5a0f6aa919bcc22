package pingam

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma/protection"
)

// RequestTicket serves POST /permission_request: as FedAuthz §4 has it, with a
// ticket in the form of a JWT.
func (f *Face) RequestTicket(x *wire.Exchange, c *protection.Caller) error {
	ticket, err := f.AskTicket(x, c, uma2.ParsePermissions)
	if err != nil {
		return err
	}
	jwt, err := f.Core.Protection.TicketJWT(x.Context(), x.Realm, ticket, 0)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, uma2.Ticket{Ticket: jwt})
}
