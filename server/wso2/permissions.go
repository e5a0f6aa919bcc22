package wso2

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// RequestTicket serves POST …/permission.
func (f *Face) RequestTicket(x *wire.Exchange, c *protection.Caller) error {
	ticket, err := f.AskTicket(x, c, parsePermissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, uma2.Ticket{Ticket: ticket})
}

// parsePermissions reads an array, and nothing else.
func parsePermissions(v wire.Value) ([]protection.TicketPermission, error) {
	if v.Kind != wire.Array {
		return nil, uma.Reject(uma.InvalidPermissionRequest, uma.Fault{}, nil)
	}
	return uma2.ParsePermissions(v)
}
