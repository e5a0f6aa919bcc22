package legacy

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/protection"
)

// RequestTicketOr serves POST /permission, which is the path of today's permission
// requests, too. An object with a member of the old format is one of the old format.
func (f *Face) RequestTicketOr(today wire.Handler) wire.Handler {
	return func(x *wire.Exchange) error {
		body, err := x.Body()
		if err != nil || body.Kind != wire.Object || !has(body, "resource_set_id") && !has(body, "resource_set_name") {
			return today(x)
		}
		x.SetDialect(&Dialect)
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

// requestTicket answers with a ticket for the permissions that read returns.
func (f *Face) requestTicket(x *wire.Exchange, read func() ([]wire.Value, error)) error {
	if err := negotiate(x); err != nil {
		return err
	}
	c, err := f.Core.PAT(x, ProtectionRules)
	if err != nil {
		return err
	}
	list, err := read()
	if err != nil {
		return err
	}
	permissions := make([]protection.TicketPermission, len(list))
	for i, e := range list {
		p, err := parsePermission(e)
		if err != nil {
			return err
		}
		permissions[i] = protection.TicketPermission{By: by[p.By], Resource: p.Resource, Scopes: p.Scopes}
	}
	ticket, err := f.Core.Protection.RequestTicket(x.Context(), c, permissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, ticketBody{ticket})
}

// by says to the protection API how a permission names its resource. One that names none
// is for scopes alone.
var by = map[grant.By]protection.By{
	grant.NoResource: protection.ByIDOrName, grant.ByID: protection.ByID, grant.ByName: protection.ByName,
}
