package uma

import (
	"maps"
	"slices"
)

// FileNames are the names in a realm file that policies refer to: each list sorted, without
// repetitions.
type FileNames struct {
	Users   bool     `json:"users"` // it has users: else their roles, groups and claims are unknown
	Servers []string `json:"servers,omitempty"`
	Clients []string `json:"clients,omitempty"`
	Roles   []string `json:"roles,omitempty"` // of the realm
	Groups  []string `json:"groups,omitempty"`

	ClientRoles map[string][]string `json:"client_roles,omitempty"` // by client
	Scopes      map[string][]string `json:"scopes,omitempty"`       // of resources, by type
	AnyScope    []string            `json:"any_scope,omitempty"`    // `scopes` of the realm and of its clients: known for every type
	Attributes  map[string][]string `json:"attributes,omitempty"`   // of resources, by type
	Claims      []string            `json:"claims,omitempty"`       // of users and service accounts
	Resources   map[string]string   `json:"resources,omitempty"`    // the name of a resource of each type
}

// NamesOf returns the names in a realm file.
func NamesOf(spec *RealmSpec) *FileNames {
	n := &FileNames{
		Users:       len(spec.Users) > 0,
		ClientRoles: map[string][]string{}, Scopes: map[string][]string{}, Attributes: map[string][]string{}, Resources: map[string]string{},
	}
	for i := range spec.Clients {
		c := &spec.Clients[i]
		n.Clients = append(n.Clients, c.ID)
		if c.ResourceServer {
			n.Servers = append(n.Servers, c.ID)
		}
		n.AnyScope = addScopes(n.AnyScope, c.Scopes)
		n.addParty(c.Roles, c.Groups, c.ClientRoles, c.Claims)
	}
	for i := range spec.Users {
		u := &spec.Users[i]
		n.addParty(u.Roles, u.Groups, u.ClientRoles, u.Claims)
	}
	for _, scopes := range spec.Scopes {
		n.AnyScope = addScopes(n.AnyScope, scopes)
	}
	for i := range spec.Resources {
		r := &spec.Resources[i]
		if n.Resources[r.Type] == "" {
			n.Resources[r.Type] = r.Name
		}
		n.Scopes[r.Type] = addScopes(n.Scopes[r.Type], r.Scopes)
		for name := range r.Attributes {
			n.Attributes[r.Type] = append(n.Attributes[r.Type], name)
		}
	}
	n.sort()
	return n
}

func (n *FileNames) addParty(roles, groups []string, clientRoles map[string][]string, claims map[string]any) {
	n.Roles = append(n.Roles, roles...)
	n.Groups = append(n.Groups, groups...)
	for client, names := range clientRoles {
		n.ClientRoles[client] = append(n.ClientRoles[client], names...)
	}
	for name := range claims {
		n.Claims = append(n.Claims, name)
	}
}

// sort sorts all lists, and removes repetitions.
func (n *FileNames) sort() {
	for _, list := range []*[]string{&n.Servers, &n.Clients, &n.Roles, &n.Groups, &n.AnyScope, &n.Claims} {
		*list = unique(*list)
	}
	for _, lists := range []map[string][]string{n.ClientRoles, n.Scopes, n.Attributes} {
		for key, list := range maps.All(lists) {
			lists[key] = unique(list)
		}
	}
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Clip(slices.Compact(list))
}

func addScopes(names []string, scopes []Scope) []string {
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return names
}

// PolicyNames are the names that a server compares a policy with. What users register is not
// among them.
type PolicyNames struct {
	File *FileNames // nil: they are not kept
	Own  []TypeScope
	More bool // Own is cut off
}

// A TypeScope is a type of resources that a resource server owns, and one of their scopes.
type TypeScope struct {
	Type  string
	Scope string // empty for a type that was asked for, whose resources may have no scopes
}

// MaxOwnNames bounds PolicyNames.Own.
const MaxOwnNames = 5000

// MaxFileNames bounds the names of a realm file that are kept, as JSON, in bytes. Those of a
// larger file are not kept.
const MaxFileNames = 1 << 20
