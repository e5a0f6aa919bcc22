package pingam

import (
	"example.com/umpire/server/uma2"
	"example.com/umpire/uma"
)

// An rpt is what introspection answers of an RPT: no `scope` (FedAuthz §5.1.1).
type rpt struct {
	Active      bool                     `json:"active"`
	Permissions []introspectedPermission `json:"permissions"`
	TokenType   string                   `json:"token_type"`
	Expires     int64                    `json:"exp"`
	Issuer      string                   `json:"iss"`
}

type introspectedPermission struct {
	ResourceID uma.ResourceID `json:"resource_id"`
	Scopes     []uma.Scope    `json:"resource_scopes"`
	Expires    int64          `json:"exp"`
}

// ShowIntrospection is the answer to introspection (uma2.md §4.2).
func ShowIntrospection(i *uma.Introspection) any {
	if !i.Active || i.Permissions == nil {
		return uma2.ShowPlain(i)
	}
	c := i.Claims
	out := rpt{Active: true, Permissions: []introspectedPermission{}, TokenType: "access_token", Expires: c.Expires, Issuer: c.Issuer}
	for _, g := range i.Permissions {
		if g.Resource == "" {
			continue // Keycloak's scopes without a resource: resource_id is required
		}
		out.Permissions = append(out.Permissions, introspectedPermission{g.Resource, append([]uma.Scope{}, g.Scopes...), c.Expires})
	}
	return out
}
