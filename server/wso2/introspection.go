package wso2

import (
	"example.com/umpire/server/uma2"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// An introspected is what introspection answers of an active token: of an RPT with
// its permissions, of any other with its scope (FedAuthz §5.1.1, RFC 7662 §2.2).
type introspected struct {
	UserType    string            `json:"aut"` // whose token it is
	NotBefore   int64             `json:"nbf"`
	Permissions []uma2.Permission `json:"permissions,omitempty"`
	Scope       string            `json:"scope,omitempty"`
	Active      bool              `json:"active"`
	TokenType   string            `json:"token_type"`
	Expires     int64             `json:"exp"`
	IssuedAt    int64             `json:"iat"`
	ClientID    string            `json:"client_id"`
	Username    string            `json:"username"`
	SubjectID   *uma.SubjectID    `json:"sub_id,omitempty"` // of a party of a trusted issuer
}

// ShowIntrospection is the answer to introspection. Users are called with their
// realm, as WSO2 has them with their tenant.
func ShowIntrospection(i *party.Introspection) any {
	if !i.Active {
		return map[string]bool{"active": false}
	}
	c := i.Claims
	out := introspected{
		UserType: "APPLICATION", NotBefore: c.IssuedAt, Active: true, TokenType: c.Type, Expires: c.Expires, IssuedAt: c.IssuedAt,
		ClientID: c.AuthorizedParty, Username: i.Username + "@" + i.Realm, SubjectID: c.SubjectID,
	}
	if c.SessionID != "" || c.SubjectID != nil && !c.Application {
		out.UserType = "APPLICATION_USER"
	}
	if i.Permissions == nil {
		out.Scope = c.Scope
		return out
	}
	out.Permissions = uma2.ShowPermissions(i.Permissions, 0)
	return out
}
