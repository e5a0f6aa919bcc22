package sqlite

import (
	"errors"

	"example.com/umpire/uma"
)

// leftovers are the rows that came from a realm file and that the change does not name
// and, with Prune, all resources that are deleted with them.
type leftovers struct {
	clients, users, resources, scopes []leftover
}

// A leftover is a row that is deleted, unless other rows depend on it.
type leftover struct {
	what    string // "client photoz-api"
	key     uma.Key
	server  uma.Key   // of a resource or a scope
	id      string    // client_id, subject id, resource id, name of the scope
	blocked bool      // other rows depend on it
	holders []uma.Key // with Prune: resources that have the scope, shares that name the user
}

func (l *leftovers) blocked() []string {
	var lines []string
	for _, kind := range [][]leftover{l.clients, l.users, l.resources, l.scopes} {
		for _, one := range kind {
			if one.blocked {
				lines = append(lines, one.what)
			}
		}
	}
	return lines
}

// findLeftovers compares the rows of the realm with what the change names.
func (a *applier) findLeftovers(c *conn) error {
	r, _, err := realmRow(c, a.Realm.Name)
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.realm = r.Key
	clients, err := list(c, `SELECT`+clientColumns+`FROM client WHERE realm = ?`, []any{int64(r.Key)}, scanClient)
	if err != nil {
		return reading("clients", err)
	}
	owners, err := a.leftUsers(c)
	if err != nil {
		return reading("users", err)
	}
	for _, client := range clients {
		if client.Origin == uma.FromFile && !a.named.clients[client.ID] {
			l := leftover{what: "client " + client.ID, key: client.Key, id: client.ID}
			if l.blocked, err = a.clientBlocked(c, l); err != nil {
				return reading("client", err)
			}
			a.gone.clients = append(a.gone.clients, l)
		}
		if err := a.leftScopes(c, client); err != nil {
			return reading("scopes", err)
		}
		if err := a.leftResources(c, client, owners); err != nil {
			return reading("resources", err)
		}
	}
	return nil
}

// An owner is a user who may own resources.
type owner struct {
	folded string // username
	remove bool
}

// leftUsers finds the users to delete, and returns all users by subject id.
func (a *applier) leftUsers(c *conn) (map[string]owner, error) {
	owners := map[string]owner{}
	err := c.rows(`SELECT key, id, username, folded, origin FROM user WHERE realm = ?`, []any{int64(a.realm)},
		func(scan scanFunc) error {
			var l leftover
			var username, folded, origin string
			if err := scan((*integer)(&l.key), &l.id, &username, &folded, &origin); err != nil {
				return err
			}
			remove := origin == string(uma.FromFile) && !a.named.users[folded]
			owners[l.id] = owner{folded, remove}
			if remove {
				l.what = "user " + username
				a.gone.users = append(a.gone.users, l)
			}
			return nil
		})
	for i := range a.gone.users {
		l := &a.gone.users[i]
		if err == nil {
			l.blocked, err = a.userBlocked(c, *l)
		}
		if err == nil && a.Prune {
			l.holders, err = a.sharesNaming(c, l.id)
		}
	}
	return owners, err
}

func (a *applier) leftScopes(c *conn, server *uma.Client) error {
	found, err := texts[string](c, `SELECT name FROM scope WHERE server = ? AND origin = ?`,
		int64(server.Key), string(uma.FromFile))
	if err != nil {
		return err
	}
	for _, name := range found {
		if a.named.scopes[server.ID][name] {
			continue
		}
		l := leftover{what: "scope " + name + " of " + server.ID, server: server.Key, id: name}
		if l.blocked, err = scopeBlocked(c, l); err != nil {
			return err
		}
		if a.Prune {
			if l.holders, err = holders(c, l); err != nil {
				return err
			}
		}
		a.gone.scopes = append(a.gone.scopes, l)
	}
	return nil
}

// holders returns the resources that have a scope.
func holders(c *conn, l leftover) ([]uma.Key, error) {
	return list(c, `SELECT resource FROM resource_scope WHERE server = ? AND scope = ?`,
		[]any{int64(l.server), l.id}, scanKey)
}

// sharesNaming returns the policies that have a user in their lists. A policy is always
// found by its users: see indexParties.
func (a *applier) sharesNaming(c *conn, user string) ([]uma.Key, error) {
	return list(c, `SELECT s.key FROM share_party x CROSS JOIN share s ON s.key = x.share
		CROSS JOIN client c ON c.key = s.server WHERE x.party = ? AND c.realm = ?`,
		[]any{userPrefix + user, int64(a.realm)}, scanKey)
}

func scanKey(scan scanFunc) (uma.Key, error) {
	var key uma.Key
	err := scan((*integer)(&key))
	return key, err
}

// leftResources finds the resources to delete, and those that were changed over an API.
func (a *applier) leftResources(c *conn, server *uma.Client, owners map[string]owner) error {
	removeServer := server.Origin == uma.FromFile && !a.named.clients[server.ID]
	var found []leftover
	err := c.rows(`SELECT key, id, owner, name, origin, drifted FROM resource WHERE server = ?`, []any{int64(server.Key)},
		func(scan scanFunc) error {
			l := leftover{server: server.Key}
			var ownerID, name, origin string
			var drifted bool
			if err := scan((*integer)(&l.key), &l.id, &ownerID, &name, &origin, &drifted); err != nil {
				return err
			}
			if drifted {
				a.drifted[l.key] = true
			}
			user, isUser := owners[ownerID]
			named := a.named.byID(server.ID, uma.ResourceID(l.id)) ||
				(isUser || ownerID == server.UUID) && a.named.names[resourceName{server.ID, user.folded, name}]
			follows := a.Prune && (removeServer || user.remove)
			if !named && (follows || origin == string(uma.FromFile)) {
				l.what = "resource " + name
				found = append(found, l)
			}
			return nil
		})
	for i := range found {
		l := &found[i]
		if err == nil {
			l.blocked, err = resourceBlocked(c, *l)
		}
	}
	a.gone.resources = append(a.gone.resources, found...)
	return err
}

// anyRow reports whether one of the queries has a row.
func anyRow(c *conn, queries ...command) (bool, error) {
	for _, q := range queries {
		there, err := c.exists(q.query, q.args...)
		if err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func (a *applier) clientBlocked(c *conn, l leftover) (bool, error) {
	return anyRow(c,
		command{`SELECT 1 FROM live_request WHERE server = ? LIMIT 1`, []any{int64(l.key)}},
		command{`SELECT 1 FROM share WHERE server = ? LIMIT 1`, []any{int64(l.key)}},
		command{`SELECT 1 FROM session INDEXED BY session_client WHERE realm = ? AND client = ? AND ended = 0 AND expires > ? LIMIT 1`,
			[]any{int64(a.realm), l.id, millis(a.Now)}},
		command{`SELECT 1 FROM resource WHERE server = ? AND origin <> ? LIMIT 1`,
			[]any{int64(l.key), string(uma.FromFile)}})
}

func (a *applier) userBlocked(c *conn, l leftover) (bool, error) {
	realm := int64(a.realm)
	return anyRow(c,
		command{`SELECT 1 FROM session INDEXED BY session_user WHERE realm = ? AND user = ? AND ended = 0 AND expires > ? LIMIT 1`,
			[]any{realm, l.id, millis(a.Now)}},
		command{`SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.requester = ?2
			WHERE c.realm = ?1 LIMIT 1`, []any{realm, l.id}},
		command{`SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.owner = ?2
			WHERE c.realm = ?1 LIMIT 1`, []any{realm, l.id}},
		command{`SELECT 1 FROM client c JOIN share s ON s.server = c.key AND s.owner = ?2
			WHERE c.realm = ?1 LIMIT 1`, []any{realm, l.id}},
		command{`SELECT 1 FROM share_party x CROSS JOIN share s ON s.key = x.share
			CROSS JOIN client c ON c.key = s.server WHERE x.party = ? AND c.realm = ? LIMIT 1`, []any{userPrefix + l.id, realm}},
		command{`SELECT 1 FROM client c JOIN resource r ON r.server = c.key AND r.owner = ?2
			WHERE c.realm = ?1 AND r.origin <> ?3 LIMIT 1`, []any{realm, l.id, string(uma.FromFile)}})
}

func resourceBlocked(c *conn, l leftover) (bool, error) {
	return anyRow(c,
		command{`SELECT 1 FROM live_request WHERE resource = ? LIMIT 1`, []any{int64(l.key)}},
		command{`SELECT 1 FROM share WHERE resource = ? LIMIT 1`, []any{int64(l.key)}})
}

// scopeBlocked reports whether requests, shares or resources of an API depend on a
// scope. Resources of the file do not count: other steps remove the scope from them.
func scopeBlocked(c *conn, l leftover) (bool, error) {
	args := []any{int64(l.server), l.id}
	return anyRow(c,
		command{`SELECT 1 FROM live_request WHERE server = ? AND scope = ? LIMIT 1`, args},
		command{`SELECT 1 FROM resource_scope x JOIN resource r ON r.key = x.resource
			WHERE x.server = ? AND x.scope = ? AND r.origin <> 'file' LIMIT 1`, args},
		command{`SELECT 1 FROM resource_scope x CROSS JOIN share s ON s.resource = x.resource
			WHERE x.server = ?1 AND x.scope = ?2 AND EXISTS (SELECT 1 FROM json_each(s.scopes) o WHERE o.value = ?2) LIMIT 1`, args})
}
