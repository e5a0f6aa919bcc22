package wso2

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// RequestTicket serves POST …/permission: of an array, and nothing else.
func (f *Face) RequestTicket(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	if body.Kind != wire.Array {
		return uma.Refuse(uma.InvalidPermissionRequest, "", nil)
	}
	permissions, err := uma2.ParsePermissions(body)
	if err != nil {
		return err
	}
	ticket, err := f.Authority.RequestStrictTicket(x.Context(), pat, permissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, uma2.Ticket{Ticket: ticket})
}
