package pingam

import (
	"example.com/umpire/server/uma2"
	"example.com/umpire/uma/party"
)

// An rpt is what introspection answers of an RPT: no `scope` (FedAuthz §5.1.1).
type rpt struct {
	Active      bool              `json:"active"`
	Permissions []uma2.Permission `json:"permissions"`
	TokenType   string            `json:"token_type"`
	Expires     int64             `json:"exp"`
	Issuer      string            `json:"iss"`
}

// ShowIntrospection is the answer to introspection, as PingAM documents it.
func ShowIntrospection(i *party.Introspection) any {
	if !i.Active || i.Permissions == nil {
		return uma2.ShowPlain(i)
	}
	c := i.Claims
	permissions := uma2.ShowPermissions(i.Permissions, c.Expires)
	return rpt{Active: true, Permissions: permissions, TokenType: "access_token", Expires: c.Expires, Issuer: c.Issuer}
}
