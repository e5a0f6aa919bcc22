package sqlite

import (
	"bytes"
	"errors"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

func (a *applier) applyClient(tx *conn, c *uma.Client) error {
	next := *c
	next.Origin = uma.FromFile
	text, err := rows.DetailsText(&next)
	if err != nil {
		return writing("client", err)
	}
	old, err := clientRow(tx, a.realm, c.ID)
	if errors.Is(err, uma.ErrNotFound) {
		a.servers[c.ID] = &next
		a.created("client %s", c.ID)
		next.Key, err = tx.insert(`INSERT INTO client (realm, id, uuid, secret, enabled, details, origin)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			int64(a.realm), next.ID, next.UUID, next.Secret, next.Enabled, text, string(next.Origin))
		return writing("client", err)
	}
	if err != nil {
		return err
	}
	next.Key, next.UUID = old.Key, old.UUID
	a.servers[c.ID] = &next
	had, err := rows.DetailsText(old)
	if err != nil {
		return writing("client", err)
	}
	switch {
	case old.Origin != uma.FromFile:
		a.adopted("client %s", c.ID)
	case had == text && bytes.Equal(old.Secret, next.Secret) && old.Enabled == next.Enabled:
		return nil
	default:
		a.updated("client %s", c.ID)
	}
	_, err = tx.exec(`UPDATE client SET secret = ?, enabled = ?, details = ?, origin = ? WHERE key = ?`,
		next.Secret, next.Enabled, text, string(next.Origin), int64(next.Key))
	if err != nil || old.Enabled || !next.Enabled {
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
	next, err := rows.TextsOf(u)
	if err != nil {
		return writing("user", err)
	}
	old, err := userByName(tx, a.realm, u.Username)
	if errors.Is(err, uma.ErrNotFound) {
		a.owners[rows.Fold(u.Username)] = u.ID
		a.created("user %s", u.Username)
		local := *u
		local.Origin = uma.FromFile
		_, _, err = insertUser(tx, a.realm, &local, next)
		return err
	}
	if err != nil {
		return err
	}
	a.owners[rows.Fold(u.Username)] = old.ID
	had, err := rows.TextsOf(old)
	if err != nil {
		return writing("user", err)
	}
	switch {
	case old.Origin != uma.FromFile:
		a.adopted("user %s", u.Username)
	case had == next && old.Password == u.Password:
		return nil
	default:
		a.updated("user %s", u.Username)
	}
	version := old.Version
	if had != next {
		if version, err = nextVersion(tx); err != nil {
			return err
		}
	}
	_, err = tx.exec(`UPDATE user SET username = ?, folded = ?, password = ?, enabled = ?, roles = ?, client_roles = ?,
		groups = ?, claims = ?, origin = ?, version = ? WHERE key = ?`,
		next.Username, rows.Fold(next.Username), u.Password, next.Enabled, next.Roles, next.ClientRoles,
		next.Groups, next.Claims, string(uma.FromFile), version, int64(old.Key))
	if err != nil || old.Password == u.Password && (old.Enabled || !next.Enabled) {
		return writing("user", err)
	}
	return endUserSessions(tx, a.realm, old.ID)
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
	var origin string
	err = tx.row(`SELECT origin FROM scope WHERE server = ? AND name = ?`,
		[]any{int64(server.Key), string(row.Name)}, &origin)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		a.created("scope %s of %s", row.Name, serverID)
		return insertScope(tx, server.Key, row, uma.FromFile)
	case err != nil:
		return reading("scope", err)
	case origin == string(uma.FromFile):
		return nil
	}
	a.adopted("scope %s of %s", row.Name, serverID)
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
	drifted := false
	if old != nil {
		next.Key, next.ID, next.Version = old.Key, old.ID, old.Version
		drifted = a.drifted[old.Key]
		if rows.SameResource(old, &next) {
			return a.forgetDrift(tx, old.Key)
		}
	}
	if err := a.makeRoom(tx, c, other); err != nil {
		return err
	}
	if err := a.addScopes(tx, server.Key, c); err != nil {
		return err
	}
	if old == nil {
		a.created("resource %s", next.Name)
		a.fresh = append(a.fresh, &next)
		return insertResource(tx, &next)
	}
	a.parts[next.Key] = &next
	switch {
	case old.Origin != uma.FromFile:
		a.adopted("resource %s", next.Name)
	case drifted:
		a.changed = true
		a.report.Drifted = append(a.report.Drifted, "resource "+next.Name)
	default:
		a.updated("resource %s", next.Name)
	}
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
