package keycloak

import (
	"bytes"
	"encoding/json"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// An introspectedPermission has both the names of FedAuthz §5.1.1 and
// Keycloak's, and no others: clients assert the set of keys.
type introspectedPermission struct {
	ResourceID     uma.ResourceID `json:"resource_id"` // empty for scopes without a resource
	ResourceName   string         `json:"rsname"`
	ResourceScopes []uma.Scope    `json:"resource_scopes"`
	Scopes         []uma.Scope    `json:"scopes"`
	ID             uma.ResourceID `json:"rsid"`
}

// ShowIntrospection is what introspection answers. With the hint
// requesting_party_token it is about the permissions of an RPT, else about the
// token.
func ShowIntrospection(i *party.Introspection, hint string) (any, error) {
	if !i.Active {
		return map[string]bool{"active": false}, nil
	}
	if hint == "requesting_party_token" {
		return showRPT(i), nil
	}
	out := map[string]any{}
	raw, err := json.Marshal(i.Claims)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	for name, v := range i.Claims.Extra {
		if _, reserved := out[name]; !reserved {
			out[name] = v
		}
	}
	out["username"], out["token_type"], out["client_id"] = i.Username, i.Claims.Type, i.Claims.AuthorizedParty
	out["active"] = true
	delete(out, "handle")
	return out, nil
}

func showRPT(i *party.Introspection) any {
	c := i.Claims
	out := map[string]any{
		"active": true, "exp": c.Expires, "iat": c.IssuedAt, "jti": c.ID, "aud": c.Audience, "typ": c.Type, "acr": c.ACR,
	}
	var permissions []introspectedPermission
	for _, g := range i.Permissions {
		scopes := g.Scopes
		if scopes == nil {
			scopes = []uma.Scope{}
		}
		permissions = append(permissions, introspectedPermission{g.Resource, g.Name, scopes, scopes, g.Resource})
	}
	if permissions != nil {
		out["permissions"] = permissions
	}
	return out
}
