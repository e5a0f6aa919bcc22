package pingam

import "example.com/umpire/uma"

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

// A plain is what it answers of any other token (RFC 7662 §2.2).
type plain struct {
	Active    bool         `json:"active"`
	Scope     string       `json:"scope"`
	ClientID  string       `json:"client_id"`
	Username  string       `json:"username"`
	TokenType string       `json:"token_type"`
	Expires   int64        `json:"exp"`
	IssuedAt  int64        `json:"iat"`
	Subject   string       `json:"sub"`
	Audience  uma.Audience `json:"aud,omitempty"`
	Issuer    string       `json:"iss"`
	ID        string       `json:"jti"`
}

// ShowIntrospection is the answer to introspection (uma2.md §4.2).
func ShowIntrospection(i *uma.Introspection) any {
	c := i.Claims
	switch {
	case !i.Active:
		return map[string]bool{"active": false}
	case i.Permissions == nil:
		return plain{
			Active: true, Scope: c.Scope, ClientID: c.AuthorizedParty, Username: i.Username, TokenType: c.Type,
			Expires: c.Expires, IssuedAt: c.IssuedAt, Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID,
		}
	}
	permissions := []introspectedPermission{}
	for _, g := range i.Permissions {
		if g.Resource == "" {
			continue // Keycloak's scopes without a resource: resource_id is required
		}
		permissions = append(permissions, introspectedPermission{g.Resource, append([]uma.Scope{}, g.Scopes...), c.Expires})
	}
	return rpt{Active: true, Permissions: permissions, TokenType: "access_token", Expires: c.Expires, Issuer: c.Issuer}
}
