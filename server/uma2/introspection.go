package uma2

import (
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// An rpt is what introspection answers of an RPT (FedAuthz §5.1.1): what it
// permits and nothing about the requesting party.
type rpt struct {
	Active      bool         `json:"active"`
	Expires     int64        `json:"exp"`
	IssuedAt    int64        `json:"iat"`
	Issuer      string       `json:"iss"`
	Audience    uma.Audience `json:"aud"`
	ID          string       `json:"jti"`
	ClientID    string       `json:"client_id"`
	TokenType   string       `json:"token_type"`
	Permissions []Permission `json:"permissions"`
}

// A Permission is one of an RPT. Not every face says when it expires.
type Permission struct {
	ResourceID uma.ResourceID `json:"resource_id"`
	Scopes     []uma.Scope    `json:"resource_scopes"`
	Expires    int64          `json:"exp,omitempty"`
}

// ShowPermissions is the list of them, which all expire at once.
func ShowPermissions(granted []uma.Grant, expires int64) []Permission {
	shown := []Permission{}
	for _, g := range granted {
		if g.Resource != "" { // but for Keycloak's scopes without a resource: resource_id is required
			shown = append(shown, Permission{g.Resource, scopesOf(g.Scopes), expires})
		}
	}
	return shown
}

// A plain is what it answers of any other token (RFC 7662 §2.2).
type plain struct {
	Active    bool           `json:"active"`
	Scope     string         `json:"scope"`
	ClientID  string         `json:"client_id"`
	Username  string         `json:"username"`
	TokenType string         `json:"token_type"`
	Expires   int64          `json:"exp"`
	IssuedAt  int64          `json:"iat"`
	Subject   string         `json:"sub"`
	SubjectID *uma.SubjectID `json:"sub_id,omitempty"`
	Audience  uma.Audience   `json:"aud,omitempty"`
	Issuer    string         `json:"iss"`
	ID        string         `json:"jti"`
}

// ShowIntrospection is the answer to introspection (FedAuthz §5.1.1).
func ShowIntrospection(i *party.Introspection) any {
	if !i.Active || i.Permissions == nil {
		return ShowPlain(i)
	}
	c := i.Claims
	return rpt{
		Active: true, Expires: c.Expires, IssuedAt: c.IssuedAt, Issuer: c.Issuer, Audience: c.Audience, ID: c.ID,
		ClientID: c.AuthorizedParty, TokenType: c.Type, Permissions: ShowPermissions(i.Permissions, c.Expires),
	}
}

// ShowPlain is the answer about a token that is no RPT, or is no good.
func ShowPlain(i *party.Introspection) any {
	if !i.Active {
		return map[string]bool{"active": false}
	}
	c := i.Claims
	return plain{
		Active: true, Scope: c.Scope, ClientID: c.AuthorizedParty, Username: i.Username, TokenType: c.Type,
		Expires: c.Expires, IssuedAt: c.IssuedAt, Subject: c.Subject, SubjectID: c.SubjectID, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID,
	}
}
