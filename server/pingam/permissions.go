package pingam

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// RequestTicket serves POST /permission_request: as FedAuthz §4 has it, with a
// ticket in the form of a JWT.
func (f *Face) RequestTicket(x *wire.Exchange) error {
	pat, err := f.Authority.PAT(x.Context(), x.Realm, &x.Caller, uma.WithScope)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	permissions, err := uma2.ParsePermissions(body)
	if err != nil {
		return err
	}
	ticket, err := f.Authority.RequestStrictTicket(x.Context(), pat, permissions)
	if err != nil {
		return err
	}
	jwt, err := f.Authority.TicketJWT(x.Realm, ticket, 0)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, uma2.Ticket{Ticket: jwt})
}
