package lint

import (
	"maps"
	"slices"

	"example.com/umpire/uma"
)

// Names are those that a realm file has.
type Names struct {
	file    string
	issuers bool // others than the realm may say which roles and groups a user has

	users   bool // there are users: else their roles, groups and claims are unknown
	servers []string
	clients []string
	roles   []string // realm roles
	groups  []string

	clientRoles map[string][]string // by client
	scopes      map[string][]string // by type
	anyScope    []string            // `scopes` of the realm and of its clients: known for every type
	attributes  map[string][]string // of resources, by type
	claims      []string            // of users and service accounts
	resources   map[string]string   // the name of a resource of each type
}

// NamesOf returns the names in a realm file.
func NamesOf(file string, spec *uma.RealmSpec) *Names {
	n := &Names{
		file: file, issuers: len(spec.Realm.Issuers) > 0, users: len(spec.Users) > 0,
		roles:       []string{"uma_authorization", "uma_protection", "offline_access"},
		clientRoles: map[string][]string{}, scopes: map[string][]string{}, attributes: map[string][]string{}, resources: map[string]string{},
	}
	for i := range spec.Clients {
		c := &spec.Clients[i]
		n.clients = append(n.clients, c.ID)
		if c.ResourceServer {
			n.servers = append(n.servers, c.ID)
		}
		n.anyScope = append(n.anyScope, texts(c.Scopes)...)
		n.addParty(c.Roles, c.Groups, c.ClientRoles, c.Claims)
	}
	for i := range spec.Users {
		u := &spec.Users[i]
		n.addParty(u.Roles, u.Groups, u.ClientRoles, u.Claims)
	}
	for _, scopes := range spec.Scopes {
		n.anyScope = append(n.anyScope, texts(scopes)...)
	}
	for i := range spec.Resources {
		r := &spec.Resources[i]
		if n.resources[r.Type] == "" {
			n.resources[r.Type] = r.Name
		}
		n.scopes[r.Type] = append(n.scopes[r.Type], texts(r.Scopes)...)
		n.attributes[r.Type] = append(n.attributes[r.Type], slices.Sorted(maps.Keys(r.Attributes))...)
	}
	return n
}

func (n *Names) addParty(roles, groups []string, clientRoles map[string][]string, claims map[string]any) {
	n.roles = append(n.roles, roles...)
	n.groups = append(n.groups, groups...)
	for client, names := range clientRoles {
		n.clientRoles[client] = append(n.clientRoles[client], names...)
	}
	n.claims = append(n.claims, slices.Sorted(maps.Keys(claims))...)
}

func texts(scopes []uma.Scope) []string {
	all := make([]string, len(scopes))
	for i, s := range scopes {
		all[i] = string(s)
	}
	return all
}

// types are the types of the file's resources.
func (n *Names) types() []string {
	types := slices.Sorted(maps.Keys(n.resources))
	return slices.DeleteFunc(types, func(kind string) bool { return kind == "" })
}
