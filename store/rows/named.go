package rows

import "example.com/umpire/uma"

// Named are the rows that a realm file names.
type Named struct {
	clients, users map[string]bool            // by client_id, by folded username
	scopes         map[string]map[string]bool // by client_id and name
	ids            map[resourceName]bool      // resources for which the file gives an id
	names          map[resourceName]bool
}

// A resourceName is a server by client_id and an id, or an owner by folded
// username and a name.
type resourceName struct{ server, owner, name string }

// NamedBy returns the rows that a change names.
func NamedBy(c *uma.RealmChange) *Named {
	n := &Named{
		clients: map[string]bool{}, users: map[string]bool{}, scopes: map[string]map[string]bool{},
		ids: map[resourceName]bool{}, names: map[resourceName]bool{},
	}
	scope := func(server string, name uma.Scope) {
		if n.scopes[server] == nil {
			n.scopes[server] = map[string]bool{}
		}
		n.scopes[server][string(name)] = true
	}
	for _, client := range c.Clients {
		n.clients[client.ID] = true
	}
	for _, u := range c.Users {
		n.users[Fold(u.Username)] = true
	}
	for server, scopes := range c.Scopes {
		for _, row := range scopes {
			scope(server, row.Name)
		}
	}
	for i := range c.Resources {
		r := &c.Resources[i]
		for _, name := range r.Scopes {
			scope(r.ServerID, name)
		}
		n.names[resourceName{r.ServerID, Fold(r.OwnerName), r.Name}] = true
		if !r.GeneratedID {
			n.ids[resourceName{server: r.ServerID, name: string(r.ID)}] = true
		}
	}
	return n
}

// Client reports whether a client is named, by its client_id.
func (n *Named) Client(id string) bool { return n.clients[id] }

// User reports whether a user is named, by the folded username.
func (n *Named) User(folded string) bool { return n.users[folded] }

// Scope reports whether a scope of a resource server is named, also by a resource.
func (n *Named) Scope(server, name string) bool { return n.scopes[server][name] }

// ResourceID reports whether the file gives a resource this id.
func (n *Named) ResourceID(server string, id uma.ResourceID) bool {
	return n.ids[resourceName{server: server, name: string(id)}]
}

// ResourceName reports whether a resource of an owner, by the folded username, is named; without
// an owner, one of the resource server itself.
func (n *Named) ResourceName(server, owner, name string) bool {
	return n.names[resourceName{server, owner, name}]
}
