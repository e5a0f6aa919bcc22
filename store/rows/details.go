package rows

import (
	"encoding/json"

	"example.com/umpire/uma"
)

// details are the fields of a client that have no column.
type details struct {
	Public             bool                `json:"public,omitempty"`
	ResourceServer     bool                `json:"resource_server,omitempty"`
	ServiceAccount     bool                `json:"service_account,omitempty"`
	PasswordGrant      bool                `json:"password_grant,omitempty"`
	Roles              []string            `json:"roles,omitempty"`
	ClientRoles        map[string][]string `json:"client_roles,omitempty"`
	Groups             []string            `json:"groups,omitempty"`
	Claims             map[string]any      `json:"claims,omitempty"`
	WebOrigins         []string            `json:"web_origins,omitempty"`
	ClaimsRedirectURIs []string            `json:"claims_redirect_uris,omitempty"`
	Scopes             []uma.Scope         `json:"scopes,omitempty"`
	TokenExchange      bool                `json:"token_exchange,omitempty"`
	JWKS               []byte              `json:"jwks,omitempty"`
	JWKSURI            string              `json:"jwks_uri,omitempty"`
}

// DetailsText is the JSON of the details of a client: all but its key, id, UUID, secret, origin and
// whether it is enabled.
func DetailsText(c *uma.Client) (string, error) {
	b, err := json.Marshal(details{
		Public: c.Public, ResourceServer: c.ResourceServer, ServiceAccount: c.ServiceAccount,
		PasswordGrant: c.PasswordGrant, Roles: c.Roles, ClientRoles: c.ClientRoles, Groups: c.Groups, Claims: c.Claims,
		WebOrigins: c.WebOrigins, ClaimsRedirectURIs: c.ClaimsRedirectURIs, Scopes: c.Scopes,
		TokenExchange: c.TokenExchange, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
	})
	return string(b), err
}

// ReadDetails sets the details of a client to those of a text.
func ReadDetails(text string, c *uma.Client) error {
	var d details
	if err := ReadDocument(text, &d); err != nil {
		return err
	}
	d.fill(c)
	return nil
}

func (d *details) fill(c *uma.Client) {
	c.Public, c.ResourceServer, c.ServiceAccount, c.PasswordGrant = d.Public, d.ResourceServer, d.ServiceAccount, d.PasswordGrant
	c.Roles, c.ClientRoles, c.Groups, c.Claims = d.Roles, d.ClientRoles, d.Groups, d.Claims
	c.WebOrigins, c.ClaimsRedirectURIs, c.Scopes = d.WebOrigins, d.ClaimsRedirectURIs, d.Scopes
	c.TokenExchange, c.JWKS, c.JWKSURI = d.TokenExchange, d.JWKS, d.JWKSURI
}
