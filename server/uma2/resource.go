package uma2

import (
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// ParseResource reads a resource description (FedAuthz §3.1). Unknown members are ignored
// (UMA Grant §1.1). The member `owner` is Umpire's own: it names the user, or the party of a
// trusted issuer, for whom a resource server registers the resource.
func ParseResource(v wire.Value) (*protection.ResourceInput, error) {
	if v.Kind != wire.Object {
		return nil, wire.Invalid("a resource must be a JSON object")
	}
	in := &protection.ResourceInput{}
	err := v.Texts(map[string]*string{
		"name":     &in.Name,
		"type":     &in.Type,
		"icon_uri": &in.IconURI,
	})
	if err != nil {
		return nil, err
	}
	if in.OwnerID, err = v.Member("owner").SubjectID("owner"); err != nil {
		return nil, err
	}
	if in.OwnerID == nil {
		if in.Owner, err = v.String("owner"); err != nil {
			return nil, err
		}
	}
	if in.Scopes, err = parseScopes(v); err != nil {
		return nil, err
	}
	in.Texts, err = parseTexts(v)
	return in, err
}

// parseScopes reads resource_scopes, which must be there and may be empty.
func parseScopes(v wire.Value) ([]uma.Scope, error) {
	scopes, err := v.Scopes("resource_scopes")
	if err == nil && scopes == nil {
		err = wire.Invalid("resource_scopes is missing")
	}
	return scopes, err
}

// parseTexts reads the description, and names and descriptions in other
// languages: their members have the language's tag behind a # (RFC 7591 §2.2).
func parseTexts(v wire.Value) (map[string]string, error) {
	texts := map[string]string{}
	for _, m := range v.Members {
		what, tag, tagged := strings.Cut(m.Name, "#")
		if m.Name != "description" && !(tagged && tag != "" && (what == "name" || what == "description")) {
			continue
		}
		if m.Value.Kind == wire.Absent {
			continue
		}
		text, err := v.String(m.Name)
		if err != nil {
			return nil, err
		}
		texts[m.Name] = text
	}
	return texts, nil
}

// ShowResource returns the representation of a resource: what was registered, and its id.
// It has no name if none was registered.
func ShowResource(r *uma.Resource) any {
	shown := map[string]any{"_id": r.ID, "resource_scopes": scopesOf(r.Scopes)}
	for member, text := range r.Texts {
		shown[member] = text
	}
	name := r.Name
	if name == string(r.ID) {
		name = ""
	}
	for member, text := range map[string]string{"name": name, "type": r.Type, "icon_uri": r.IconURI} {
		if text != "" {
			shown[member] = text
		}
	}
	return shown
}

// scopesOf is a list that is never null.
func scopesOf(scopes []uma.Scope) []uma.Scope {
	return append([]uma.Scope{}, scopes...)
}

// checkID refuses a description with another id than that of the path.
func checkID(v wire.Value, id string) error {
	switch said, err := v.String("_id"); {
	case err != nil:
		return err
	case said != "" && said != id:
		return wire.Invalid("_id is not that of the path")
	}
	return nil
}
