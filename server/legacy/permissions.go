package legacy

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// RequestTicketOr serves POST /permission, where the shape of then and that of
// today share a path: an object with a member of then is of then.
func (f *Face) RequestTicketOr(today wire.Handler) wire.Handler {
	return func(x *wire.Exchange) error {
		body, err := x.Body()
		if err != nil || body.Kind != wire.Object || !has(body, "resource_set_id") && !has(body, "resource_set_name") {
			return today(x)
		}
		x.Speak(&Dialect)
		return f.requestTicket(x, func() (list []wire.Value, err error) { return []wire.Value{body}, nil })
	}
}

// RequestTickets serves POST /permissions: an array of them.
func (f *Face) RequestTickets(x *wire.Exchange) error {
	return f.requestTicket(x, func() ([]wire.Value, error) {
		body, err := x.Body()
		if err != nil {
			return nil, err
		}
		if body.Kind != wire.Array || len(body.List) == 0 {
			return nil, wire.Invalid("The body must be an array of permissions")
		}
		return body.List, nil
	})
}

type ticketBody struct {
	Ticket string `json:"ticket"`
}

func (f *Face) requestTicket(x *wire.Exchange, read func() ([]wire.Value, error)) error {
	if err := negotiate(x); err != nil {
		return err
	}
	id, err := f.Core.Bearer(x, uma.NoPAT)
	if err != nil {
		return err
	}
	pat, err := protection.LegacyPAT(x.Realm, id)
	if err != nil {
		return err
	}
	list, err := read()
	if err != nil {
		return err
	}
	permissions := make([]uma.LegacyPermission, len(list))
	for i, e := range list {
		if permissions[i], err = parsePermission(e); err != nil {
			return err
		}
	}
	ticket, err := f.Core.Protection.LegacyTicket(x.Context(), pat, permissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, ticketBody{ticket})
}
