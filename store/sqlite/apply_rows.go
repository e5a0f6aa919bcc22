package sqlite

import (
	"errors"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

func (a *applier) applyClient(tx *conn, c *uma.Client) error {
	next := *c
	old, err := clientRow(tx, a.realm, c.ID)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return err
	}
	w, err := a.Client(old, &next)
	a.servers[c.ID] = &next
	switch {
	case err != nil || !w.Write:
		return writing("client", err)
	case old == nil:
		next.Key, err = tx.insert(`INSERT INTO client (realm, id, uuid, secret, enabled, details, origin)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			int64(a.realm), next.ID, next.UUID, next.Secret, next.Enabled, w.Details, string(next.Origin))
		return writing("client", err)
	}
	_, err = tx.exec(`UPDATE client SET secret = ?, enabled = ?, details = ?, origin = ? WHERE key = ?`,
		next.Secret, next.Enabled, w.Details, string(next.Origin), int64(next.Key))
	if err != nil || !w.EndSessions {
		return writing("client", err)
	}
	return endClientSessions(tx, a.realm, c.ID)
}

func clientRow(c *conn, realm uma.Key, id string) (*uma.Client, error) {
	found, err := oneRow(c, `SELECT`+clientColumns+`FROM client WHERE realm = ? AND id = ?`,
		[]any{int64(realm), id}, scanClient)
	return found, reading("client", err)
}

func (a *applier) applyUser(tx *conn, u *uma.User) error {
	next := *u
	old, err := userByName(tx, a.realm, u.Username)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return err
	}
	w, err := a.User(old, &next)
	a.owners[rows.Fold(u.Username)] = next.ID
	switch {
	case err != nil || !w.Write:
		return writing("user", err)
	case old == nil:
		_, _, err = insertUser(tx, a.realm, &next, w.Texts)
		return err
	}
	if w.NewVersion {
		if next.Version, err = nextVersion(tx); err != nil {
			return err
		}
	}
	t := w.Texts
	_, err = tx.exec(`UPDATE user SET username = ?, folded = ?, password = ?, enabled = ?, roles = ?, client_roles = ?,
		groups = ?, claims = ?, origin = ?, version = ? WHERE key = ?`,
		t.Username, rows.Fold(t.Username), next.Password, t.Enabled, t.Roles, t.ClientRoles,
		t.Groups, t.Claims, string(next.Origin), next.Version, int64(next.Key))
	if err != nil || !w.EndSessions {
		return writing("user", err)
	}
	return endUserSessions(tx, a.realm, next.ID)
}

func insertUser(tx *conn, realm uma.Key, u *uma.User, t rows.UserTexts) (key uma.Key, version int64, err error) {
	if version, err = nextVersion(tx); err != nil {
		return 0, 0, err
	}
	key, err = tx.insert(`INSERT INTO user
		(realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, origin, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(realm), u.ID, t.Username, rows.Fold(t.Username), u.Password, t.Enabled, t.Roles, t.ClientRoles,
		t.Groups, t.Claims, string(u.Origin), version)
	return key, version, writing("user", err)
}

func (a *applier) applyScope(tx *conn, serverID string, row uma.ScopeRow) error {
	server, err := a.server(serverID)
	if err != nil {
		return err
	}
	var had uma.Origin
	err = tx.row(`SELECT origin FROM scope WHERE server = ? AND name = ?`,
		[]any{int64(server.Key), string(row.Name)}, (*namedText)(&had))
	switch {
	case err != nil && !errors.Is(err, uma.ErrNotFound):
		return reading("scope", err)
	case !a.Scope(had, row.Name, serverID):
		return nil
	case had == "":
		return insertScope(tx, server.Key, row, uma.FromFile)
	}
	_, err = tx.exec(`UPDATE scope SET origin = ? WHERE server = ? AND name = ?`,
		string(uma.FromFile), int64(server.Key), string(row.Name))
	return writing("scope", err)
}

func (a *applier) server(id string) (*uma.Client, error) {
	if c, ok := a.servers[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("the realm file has no client %s: %w", id, uma.ErrNotFound)
}

func (a *applier) applyResource(tx *conn, c *uma.ResourceChange) error {
	server, err := a.server(c.ServerID)
	if err != nil {
		return err
	}
	next := c.Resource
	next.Server, next.Owner, next.Origin = server.Key, server.UUID, uma.FromFile
	if c.OwnerName != "" {
		owner, ok := a.owners[rows.Fold(c.OwnerName)]
		if !ok {
			return fmt.Errorf("the realm file has no user %s: %w", c.OwnerName, uma.ErrNotFound)
		}
		next.Owner = owner
	}
	old, other, err := a.findResource(tx, c, &next)
	if err != nil {
		return err
	}
	if !a.Resource(old, &next, old != nil && a.drifted[old.Key]) {
		return a.forgetDrift(tx, old.Key)
	}
	if err := a.makeRoom(tx, c, other); err != nil {
		return err
	}
	if err := a.addScopes(tx, server.Key, c); err != nil {
		return err
	}
	if old == nil {
		a.fresh = append(a.fresh, &next)
		return insertResource(tx, &next)
	}
	a.parts[next.Key] = &next
	return updateResource(tx, old, &next, uma.FromFile, false)
}

// forgetDrift is for a resource that was changed over an API, and is as the file says
// again.
func (a *applier) forgetDrift(tx *conn, key uma.Key) error {
	if !a.drifted[key] {
		return nil
	}
	_, err := tx.exec(`UPDATE resource SET drifted = 0 WHERE key = ?`, int64(key))
	return writing("resource", err)
}

// addScopes stores the scopes of a resource that the resource server does not know,
// with the ids of the change.
func (a *applier) addScopes(tx *conn, server uma.Key, c *uma.ResourceChange) error {
	for i, name := range c.Scopes {
		if a.known[knownScope{server, name}] {
			continue
		}
		a.known[knownScope{server, name}] = true
		row := uma.ScopeRow{ID: c.ScopeIDs[i], Name: name}
		if err := insertScope(tx, server, row, uma.FromAPI); err != nil {
			return err
		}
	}
	return nil
}

// findResource returns the row of a resource of the file, nil for a new one, and
// another row that has its name and owner, if there is one.
func (a *applier) findResource(tx *conn, c *uma.ResourceChange, next *uma.Resource) (old, other *uma.Resource, err error) {
	if !c.GeneratedID {
		old, err = resourceByID(tx, next.Server, next.ID)
		if err != nil && !errors.Is(err, uma.ErrNotFound) {
			return nil, nil, err
		}
	}
	other, err = resourceByName(tx, next.Server, next.Owner, next.Name)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return old, nil, nil
	case err != nil:
		return nil, nil, err
	case old != nil && old.Key == other.Key:
		return old, nil, nil
	case old == nil && !a.named.ResourceID(c.ServerID, other.ID):
		return other, nil, nil
	}
	return old, other, nil
}

// makeRoom renames another row that has the name of a resource of the file, if a later
// step gives that row a name: two resources of a file may swap their names.
func (a *applier) makeRoom(tx *conn, c *uma.ResourceChange, other *uma.Resource) error {
	if other == nil {
		return nil
	}
	if !a.named.ResourceID(c.ServerID, other.ID) {
		return fmt.Errorf("resource %s: another resource has that name and owner: %w", c.Name, uma.ErrConflict)
	}
	aside := *other
	aside.Name = "\x00" + string(other.ID)
	a.parts[aside.Key] = &aside
	return updateResource(tx, other, &aside, uma.FromOwner, false) // its own step decides on its claims
}
