package keycloak

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// RequestTicket serves POST /permission (FedAuthz §4).
func (f *Face) RequestTicket(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	permissions, err := parsePermissions(body)
	if err != nil {
		return err
	}
	ticket, err := f.Core.Protection.RequestTicket(x.Context(), c, permissions)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, ticketBody{ticket})
}

type ticketBody struct {
	Ticket string `json:"ticket"`
}

// parsePermissions reads an array of permissions, or a single one as UMA has it.
func parsePermissions(v wire.Value) ([]protection.TicketPermission, error) {
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
		var err error
		if permissions[i], err = parsePermission(e); err != nil {
			return nil, err
		}
	}
	return permissions, nil
}

func parsePermission(v wire.Value) (p protection.TicketPermission, err error) {
	if p.Resource, err = v.String("resource_id"); err != nil {
		return p, err
	}
	// An empty id is not the same as none, which would be any resource.
	if p.Resource == "" && v.Member("resource_id").Kind != wire.Absent {
		return p, uma.Reject(uma.InvalidResourceID, uma.Fault{Kind: uma.NoResourceNamed}, nil)
	}
	if p.Scopes, err = v.Scopes("resource_scopes"); err != nil {
		return p, err
	}
	p.Claims, err = v.Lists("claims")
	return p, err
}
