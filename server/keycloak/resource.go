package keycloak

import (
	"slices"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// A resource is the representation of a resource. It has only members that clients know
// which refuse unknown ones.
type resource struct {
	ID             uma.ResourceID `json:"_id"`
	Name           string         `json:"name"`
	DisplayName    string         `json:"displayName,omitempty"`
	Type           string         `json:"type,omitempty"`
	IconURI        string         `json:"icon_uri,omitempty"`
	URIs           []string       `json:"uris"`
	Owner          owner          `json:"owner"`
	OwnerManaged   bool           `json:"ownerManagedAccess"`
	ResourceScopes []scope        `json:"resource_scopes"`
	Scopes         []scope        `json:"scopes,omitempty"`

	// Attributes are in every representation except that of a new resource.
	Attributes map[string][]string `json:"attributes,omitzero"`
}

type owner struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type scope struct {
	ID   string    `json:"id,omitempty"`
	Name uma.Scope `json:"name"`
}

// showResource returns the answer to reading a resource.
func showResource(r *uma.Resource) *resource {
	scopes := make([]scope, len(r.Scopes))
	for i, name := range r.Scopes {
		scopes[i].Name = name
	}
	return withAttributes(represent(r, scopes), r)
}

// describedResource returns an element of a list of representations. It has the owner's
// name, which reading one resource does not show, because the Java client prints it.
func describedResource(v *protection.ResourceView) *resource {
	return withAttributes(createdResource(v), v.Resource)
}

func withAttributes(out *resource, r *uma.Resource) *resource {
	if out.Attributes = r.Attributes; out.Attributes == nil {
		out.Attributes = map[string][]string{}
	}
	return out
}

// createdResource returns the answer to creating a resource.
func createdResource(v *protection.ResourceView) *resource {
	scopes := make([]scope, len(v.ScopeRows))
	for i, row := range v.ScopeRows {
		scopes[i] = scope{row.ID, row.Name}
	}
	out := represent(v.Resource, scopes)
	out.Owner.Name = v.OwnerName
	return out
}

func represent(r *uma.Resource, scopes []scope) *resource {
	uris := r.URIs
	if uris == nil {
		uris = []string{}
	}
	return &resource{
		ID: r.ID, Name: r.Name, DisplayName: r.DisplayName, Type: r.Type, IconURI: r.IconURI, URIs: uris,
		Owner: owner{ID: r.Owner}, OwnerManaged: r.OwnerManaged, ResourceScopes: scopes, Scopes: scopes,
	}
}

// parseResource reads a representation with the member names of FedAuthz or of Keycloak.
// Unknown members are ignored (UMA Grant §1.1).
func parseResource(v wire.Value) (*protection.ResourceInput, error) {
	if v.Kind != wire.Object {
		return nil, wire.Invalid("a resource must be a JSON object")
	}
	in := &protection.ResourceInput{}
	err := v.Texts(map[string]*string{
		"name":        &in.Name,
		"displayName": &in.DisplayName,
		"type":        &in.Type,
		"icon_uri":    &in.IconURI,
	})
	if err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, wire.Invalid("name is missing")
	}
	if in.URIs, err = parseURIs(v); err != nil {
		return nil, err
	}
	if in.Scopes, err = parseScopes(v); err != nil {
		return nil, err
	}
	if in.OwnerID, err = v.Member("owner").SubjectID("owner"); err != nil {
		return nil, err
	}
	if in.OwnerID == nil {
		if in.Owner, err = parseOwner(v.Member("owner")); err != nil {
			return nil, err
		}
	}
	if in.OwnerManaged, _, err = v.Bool("ownerManagedAccess"); err != nil {
		return nil, err
	}
	in.Attributes, err = v.Lists("attributes")
	return in, err
}

// parseURIs reads `uris`, and `uri` as one more.
func parseURIs(v wire.Value) ([]string, error) {
	uris, err := v.Strings("uris")
	if err != nil {
		return nil, err
	}
	if v.Member("uri").Kind != wire.Absent {
		uri, err := v.String("uri")
		if err != nil {
			return nil, err
		}
		uris = append(uris, uri)
	}
	if slices.Contains(uris, "") {
		return nil, wire.Invalid("uris must not hold an empty string")
	}
	return uris, nil
}

// parseScopes reads `resource_scopes`, or without it `scopes`. A representation that this
// server wrote has both; `resource_scopes`, of the specification, takes precedence.
func parseScopes(v wire.Value) ([]uma.Scope, error) {
	name := "resource_scopes"
	if v.Member(name).Kind == wire.Absent {
		name = "scopes"
	}
	list := v.Member(name)
	if list.Kind != wire.Array && list.Kind != wire.Absent {
		return nil, wire.Invalid(name + " must be an array")
	}
	var scopes []uma.Scope
	for _, e := range list.List {
		s := e.Text
		if e.Kind == wire.Object {
			var err error
			if s, err = e.String("name"); err != nil || e.Member("name").Kind == wire.Absent {
				return nil, wire.Invalid("each of " + name + " must have a name that is a string")
			}
		} else if e.Kind != wire.String {
			return nil, wire.Invalid("each of " + name + " must be a string, or an object with a name")
		}
		if !slices.Contains(scopes, uma.Scope(s)) {
			scopes = append(scopes, uma.Scope(s))
		}
	}
	return scopes, nil
}

// parseOwner reads an owner: its id, its name, or an object with one of them.
func parseOwner(v wire.Value) (string, error) {
	switch v.Kind {
	case wire.Absent:
		return "", nil
	case wire.Object:
		for _, member := range []string{"id", "name"} {
			if s, err := v.String(member); err != nil || s != "" {
				return s, err
			}
		}
	case wire.String:
		if v.Text != "" {
			return v.Text, nil
		}
	}
	return "", wire.Invalid("owner must be a string, or an object with an id or a name")
}
