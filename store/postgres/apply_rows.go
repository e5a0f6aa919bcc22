package postgres

import (
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// applyClients reads the clients of some rows of the change together, and writes them together.
func (a *applier) applyClients(tx *conn, from, to int) (done int, err error) {
	change := a.Clients[from:to]
	ids := make([]string, len(change))
	for i, c := range change {
		ids[i] = c.ID
	}
	found, err := list(tx, `SELECT`+clientColumns+`FROM client WHERE realm = $1 AND id = ANY($2) ORDER BY key`+a.locking(` FOR NO KEY UPDATE`),
		[]any{a.realm, ids}, scanClient)
	if err != nil {
		return 0, reading("clients", err)
	}
	had := make(map[string]*uma.Client, len(found))
	for _, c := range found {
		had[c.ID] = c
	}
	var all steps
	for _, c := range change {
		if err := a.applyClient(had[c.ID], c, &all); err != nil {
			return 0, writing("client", err)
		}
	}
	return len(change), writing("clients", all.run(tx))
}

// applyClient adds the commands that make a client what the change says. old is nil for a new one.
func (a *applier) applyClient(old, c *uma.Client, to *steps) error {
	next := *c
	w, err := a.Client(old, &next)
	a.servers[c.ID] = &next
	switch {
	case err != nil || !w.Write:
		return err
	case old == nil:
		to.add(command{query: `INSERT INTO client (realm, id, uuid, secret, enabled, resource_server, details, origin)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key`,
			args: []any{a.realm, next.ID, next.UUID, next.Secret, next.Enabled, next.ResourceServer, w.Details, next.Origin}, dest: []any{&next.Key}})
		return nil
	}
	to.add(command{query: `UPDATE client SET secret = $1, enabled = $2, resource_server = $3, details = $4, origin = $5 WHERE key = $6`,
		args: []any{next.Secret, next.Enabled, next.ResourceServer, w.Details, next.Origin, next.Key}})
	if w.EndSessions {
		to.walk(endClientSessions(a.realm, c.ID))
	}
	return nil
}

// applyUsers reads the users of some rows of the change together, and writes them together.
func (a *applier) applyUsers(tx *conn, from, to int) (done int, err error) {
	change := a.Users[from:to]
	folded := make([]string, len(change))
	for i, u := range change {
		folded[i] = rows.Fold(u.Username)
	}
	found, err := list(tx, `SELECT`+userColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.folded = ANY($2)
		ORDER BY u.key`+a.locking(` FOR NO KEY UPDATE OF u`), []any{a.realm, folded}, scanUser)
	if err != nil {
		return 0, reading("users", err)
	}
	had := make(map[string]*uma.User, len(found))
	for _, u := range found {
		had[rows.Fold(u.Username)] = u
	}
	var all steps
	for i, u := range change {
		if err := a.applyUser(had[folded[i]], u, &all); err != nil {
			return 0, writing("user", err)
		}
	}
	return len(change), writing("users", all.run(tx))
}

// applyUser adds the commands that make a user what the change says. old is nil for a new one.
func (a *applier) applyUser(old, u *uma.User, to *steps) error {
	next := *u
	w, err := a.User(old, &next)
	a.owners[rows.Fold(u.Username)] = next.ID
	switch {
	case err != nil || !w.Write:
		return err
	case old == nil:
		to.add(insertUser(a.realm, &next, w.Texts, new(uma.Key), new(int64)))
		return nil
	}
	to.add(command{query: `UPDATE users SET username = $1, folded = $2, password = $3, enabled = $4, roles = $5, client_roles = $6,
		groups = $7, claims = $8, email = $9, origin = $10, version = CASE WHEN $11 THEN nextval('version') ELSE version END WHERE key = $12`,
		args: []any{next.Username, rows.Fold(next.Username), next.Password, next.Enabled, array(next.Roles), w.Texts.ClientRoles,
			array(next.Groups), w.Texts.Claims, emailOf(next.Claims), next.Origin, w.NewVersion, next.Key}})
	if w.EndSessions {
		to.walk(endUserSessions(a.realm, next.ID))
	}
	return nil
}

// insertUser is the command that stores a new user, without an identity, and reads the key and the
// version of its row.
func insertUser(realm uma.Key, u *uma.User, t rows.UserTexts, key *uma.Key, version *int64) command {
	return command{query: `INSERT INTO users
		(realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, email, origin, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, nextval('version')) RETURNING key, version`,
		args: []any{realm, u.ID, u.Username, rows.Fold(u.Username), u.Password, u.Enabled, array(u.Roles), t.ClientRoles,
			array(u.Groups), t.Claims, emailOf(u.Claims), u.Origin},
		dest: []any{key, version}}
}

func (a *applier) server(id string) (*uma.Client, error) {
	if c, ok := a.servers[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("the realm file has no client %s: %w", id, uma.ErrNotFound)
}

// applyScopes reads the scopes of a resource server that the change names together, and writes them
// together.
func (a *applier) applyScopes(serverID string, all []uma.ScopeRow) func(tx *conn, from, to int) (int, error) {
	return func(tx *conn, from, to int) (done int, err error) {
		server, err := a.server(serverID)
		if err != nil {
			return 0, err
		}
		change := all[from:to]
		var cols columns
		for _, row := range change {
			cols.add(string(row.Name), row.ID)
		}
		origins, err := pairs(tx, "scopes", `SELECT name, origin FROM scope WHERE server = $1 AND name = ANY($2) ORDER BY name`+a.locking(` FOR UPDATE`),
			server.Key, cols.arrays[0])
		if err != nil {
			return 0, err
		}
		for _, row := range change {
			a.Scope(uma.Origin(origins[string(row.Name)]), row.Name, serverID)
			origins[string(row.Name)] = string(uma.FromFile)
		}
		_, err = tx.exec(`INSERT INTO scope AS s (server, name, id, origin)
			SELECT DISTINCT ON (name COLLATE "C") $1::bigint, name, id, 'file' FROM unnest($2::text[], $3::text[]) x (name, id)
			ORDER BY name COLLATE "C"
			ON CONFLICT (server, name) DO UPDATE SET origin = 'file' WHERE s.origin <> 'file'`, append([]any{server.Key}, cols.args()...)...)
		return len(change), writing("scopes", err)
	}
}
