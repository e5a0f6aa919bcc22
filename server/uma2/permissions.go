package uma2

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// A Ticket is the answer to a permission request (FedAuthz §4.2).
type Ticket struct {
	Ticket string `json:"ticket"`
}

// RequestTicket serves POST /permission (FedAuthz §4.1).
func (f *Face) RequestTicket(x *wire.Exchange, c *protection.Caller) error {
	ticket, err := f.AskTicket(x, c, ParsePermissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, Ticket{ticket})
}

// AskTicket makes a ticket for the permissions of the body, as a face reads them.
func (f *Face) AskTicket(x *wire.Exchange, c *protection.Caller, parse func(wire.Value) ([]protection.TicketPermission, error)) (string, error) {
	body, err := x.Body()
	if err != nil {
		return "", err
	}
	permissions, err := parse(body)
	if err != nil {
		return "", err
	}
	return f.Core.Protection.RequestTicket(x.Context(), c, permissions)
}

// ParsePermissions reads a permission, or an array of them. resource_scopes must be there
// and may be empty.
func ParsePermissions(v wire.Value) ([]protection.TicketPermission, error) {
	list := v.List
	if v.Kind == wire.Object {
		list = []wire.Value{v}
	}
	if len(list) == 0 {
		return nil, uma.Reject(uma.InvalidPermissionRequest, uma.Fault{}, nil)
	}
	permissions := make([]protection.TicketPermission, len(list))
	for i, e := range list {
		if e.Kind != wire.Object {
			return nil, uma.Reject(uma.InvalidPermissionRequest, uma.Fault{}, nil)
		}
		id, err := e.String("resource_id")
		switch {
		case err != nil:
			return nil, err
		case e.Member("resource_id").Kind == wire.Absent:
			return nil, wire.Invalid("resource_id is missing")
		}
		scopes, err := parseScopes(e)
		if err != nil {
			return nil, err
		}
		permissions[i] = protection.TicketPermission{By: protection.ByID, Resource: id, Scopes: scopes}
	}
	return permissions, nil
}
