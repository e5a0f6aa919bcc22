package sqlite

import (
	"errors"
	"fmt"

	"example.com/umpire/store/rows"
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
	holders []uma.Key // with Prune: resources that have the scope, shares that name the user
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
	if err := a.findDistrusted(c, r.Issuers); err != nil {
		return err
	}
	clients, err := list(c, `SELECT`+clientColumns+`FROM client WHERE realm = ?`, []any{int64(r.Key)}, scanClient)
	if err != nil {
		return reading("clients", err)
	}
	owners, err := a.findLeftoverUsers(c)
	if err != nil {
		return reading("users", err)
	}
	for _, client := range clients {
		if client.Origin == uma.FromFile && !a.named.Client(client.ID) {
			a.gone.clients = append(a.gone.clients, leftover{what: "client " + client.ID, key: client.Key, id: client.ID})
		}
		if err := a.findLeftoverScopes(c, client); err != nil {
			return reading("scopes", err)
		}
		if err := a.findLeftoverResources(c, client, owners); err != nil {
			return reading("resources", err)
		}
	}
	if a.Prune || a.Lenient {
		return nil
	}
	return a.countDependents(c)
}

// countLimit bounds the rows that a refusal counts, to uma.MaxDependents.
var countLimit = fmt.Sprint(` LIMIT `, uma.MaxDependents)

// countDependents reports the leftovers on which other rows depend, with the number of
// those rows.
func (a *applier) countDependents(c *conn) error {
	for _, kind := range []struct {
		gone []leftover
		of   func(leftover) []dependents
	}{
		{a.gone.clients, a.clientDependents}, {a.gone.users, a.userDependents},
		{a.gone.resources, resourceDependents}, {a.gone.scopes, scopeDependents},
	} {
		for _, l := range kind.gone {
			counts := map[string]int{}
			for _, d := range kind.of(l) {
				var n int64
				if err := c.row(`SELECT count(*) FROM (`+d.query+countLimit+`)`, d.args, &n); err != nil {
					return reading("number of "+d.kind, err)
				}
				if n > 0 {
					counts[d.kind] += int(n)
				}
			}
			if len(counts) > 0 {
				a.Kept(l.what)
				a.Report.Dependents = append(a.Report.Dependents, counts)
			}
		}
	}
	return nil
}

// An owner is a user who may own resources.
type owner struct {
	folded string // username
	remove bool
}

// findLeftoverUsers finds the users to delete, and returns all users by subject id.
func (a *applier) findLeftoverUsers(c *conn) (map[string]owner, error) {
	owners := map[string]owner{}
	err := c.rows(`SELECT key, id, username, folded, origin FROM user WHERE realm = ?`, []any{int64(a.realm)},
		func(scan scanFunc) error {
			var l leftover
			var username, folded, origin string
			if err := scan((*integer)(&l.key), &l.id, &username, &folded, &origin); err != nil {
				return err
			}
			remove := origin == string(uma.FromFile) && !a.named.User(folded)
			owners[l.id] = owner{folded, remove}
			if remove {
				l.what = "user " + username
				a.gone.users = append(a.gone.users, l)
			}
			return nil
		})
	for i := range a.gone.users {
		l := &a.gone.users[i]
		if err == nil && a.Prune {
			l.holders, err = sharesNaming(c, a.realm, l.id)
		}
	}
	return owners, err
}

// findLeftoverScopes finds the scopes of a resource server to delete.
func (a *applier) findLeftoverScopes(c *conn, server *uma.Client) error {
	found, err := texts[string](c, `SELECT name FROM scope WHERE server = ? AND origin = ?`,
		int64(server.Key), string(uma.FromFile))
	if err != nil {
		return err
	}
	for _, name := range found {
		if a.named.Scope(server.ID, name) {
			continue
		}
		l := leftover{what: "scope " + name + " of " + server.ID, server: server.Key, id: name}
		if a.Prune {
			if l.holders, err = resourcesWithScope(c, l); err != nil {
				return err
			}
		}
		a.gone.scopes = append(a.gone.scopes, l)
	}
	return nil
}

// resourcesWithScope returns the resources that have a scope.
func resourcesWithScope(c *conn, l leftover) ([]uma.Key, error) {
	return list(c, `SELECT resource FROM resource_scope WHERE server = ? AND scope = ?`,
		[]any{int64(l.server), l.id}, scanKey)
}

// sharesNaming returns the policies that have a user in their lists. A policy is always
// found by its users: see rows.IndexedParties.
func sharesNaming(c *conn, realm uma.Key, user string) ([]uma.Key, error) {
	return list(c, `SELECT s.key FROM share_party x CROSS JOIN share s ON s.key = x.share
		CROSS JOIN client c ON c.key = s.server WHERE x.party = ? AND c.realm = ?`,
		[]any{rows.UserPrefix + user, int64(realm)}, scanKey)
}

func scanKey(scan scanFunc) (uma.Key, error) {
	var key uma.Key
	err := scan((*integer)(&key))
	return key, err
}

// findLeftoverResources finds the resources to delete, and those that were changed over an API.
func (a *applier) findLeftoverResources(c *conn, server *uma.Client, owners map[string]owner) error {
	removeServer := server.Origin == uma.FromFile && !a.named.Client(server.ID)
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
			named := a.named.ResourceID(server.ID, uma.ResourceID(l.id)) ||
				(isUser || ownerID == server.UUID) && a.named.ResourceName(server.ID, user.folded, name)
			follows := a.Prune && (removeServer || user.remove)
			if !named && (follows || origin == string(uma.FromFile)) {
				l.what = "resource " + name
				found = append(found, l)
			}
			return nil
		})
	a.gone.resources = append(a.gone.resources, found...)
	return err
}

// dependents are a query for rows of a kind that depend on a leftover.
type dependents struct {
	kind string // as in uma.RealmReport
	command
}

// haveRow reports whether there are any dependents.
func haveRow(c *conn, all []dependents) (bool, error) {
	for _, d := range all {
		if there, err := c.exists(d.query+` LIMIT 1`, d.args...); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func (a *applier) clientDependents(l leftover) []dependents {
	return []dependents{
		{"requests", command{`SELECT 1 FROM live_request WHERE server = ?`, []any{int64(l.key)}}},
		{"policies", command{`SELECT 1 FROM share WHERE server = ?`, []any{int64(l.key)}}},
		{"sessions", command{`SELECT 1 FROM session INDEXED BY session_client WHERE realm = ? AND client = ? AND ended = 0 AND expires > ?`,
			[]any{int64(a.realm), l.id, rows.Millis(a.Now)}}},
		{"resources", command{`SELECT 1 FROM resource WHERE server = ? AND origin <> ?`, []any{int64(l.key), string(uma.FromFile)}}},
	}
}

func (a *applier) userDependents(l leftover) []dependents {
	realm := int64(a.realm)
	return []dependents{
		{"sessions", command{`SELECT 1 FROM session INDEXED BY session_user WHERE realm = ? AND user = ? AND ended = 0 AND expires > ?`,
			[]any{realm, l.id, rows.Millis(a.Now)}}},
		{"requests", command{`SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.requester = ?2
			WHERE c.realm = ?1`, []any{realm, l.id}}},
		{"requests", command{`SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.owner = ?2
			WHERE c.realm = ?1`, []any{realm, l.id}}},
		{"policies", command{`SELECT 1 FROM client c JOIN share s ON s.server = c.key AND s.owner = ?2
			WHERE c.realm = ?1`, []any{realm, l.id}}},
		{"policies", command{`SELECT 1 FROM share_party x CROSS JOIN share s ON s.key = x.share
			CROSS JOIN client c ON c.key = s.server WHERE x.party = ? AND c.realm = ?`, []any{rows.UserPrefix + l.id, realm}}},
		{"resources", command{`SELECT 1 FROM client c JOIN resource r ON r.server = c.key AND r.owner = ?2
			WHERE c.realm = ?1 AND r.origin <> ?3`, []any{realm, l.id, string(uma.FromFile)}}},
	}
}

func resourceDependents(l leftover) []dependents {
	return []dependents{
		{"requests", command{`SELECT 1 FROM live_request WHERE resource = ?`, []any{int64(l.key)}}},
		{"policies", command{`SELECT 1 FROM share WHERE resource = ?`, []any{int64(l.key)}}},
	}
}

// scopeDependents are requests, policies and resources of an API. Resources of the file do
// not count: other steps remove the scope from them.
func scopeDependents(l leftover) []dependents {
	args := []any{int64(l.server), l.id}
	return []dependents{
		{"requests", command{`SELECT 1 FROM live_request WHERE server = ? AND scope = ?`, args}},
		{"resources", command{`SELECT 1 FROM resource_scope x JOIN resource r ON r.key = x.resource
			WHERE x.server = ? AND x.scope = ? AND r.origin <> 'file'`, args}},
		{"policies", command{`SELECT 1 FROM resource_scope x CROSS JOIN share s ON s.resource = x.resource
			WHERE x.server = ?1 AND x.scope = ?2 AND EXISTS (SELECT 1 FROM json_each(s.scopes) o WHERE o.value = ?2)`, args}},
	}
}
