package sqlite

import (
	"errors"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Each of these steps deletes a leftover, with the rows that depend on it. Without Prune a
// leftover on which other rows depend is kept; a client or a user is disabled. Each step
// looks for such rows again, because others may have written since findLeftovers.

func (a *applier) dropResource(tx *conn, l leftover) error {
	inUse, err := haveRow(tx, resourceDependents(l))
	if err != nil {
		return reading("resource", err)
	}
	if inUse && !a.Prune {
		a.Kept(l.what)
		return nil
	}
	return a.removeResourceAt(tx, l.key, l.what)
}

func (a *applier) removeResourceAt(tx *conn, key uma.Key, what string) error {
	r, err := resourceRow(tx, `SELECT`+resourceColumns+`FROM resource r WHERE r.key = ?`, int64(key))
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.Removed(what)
	delete(a.parts, key)
	return removeResource(tx, r)
}

func (a *applier) dropScope(tx *conn, l leftover) error {
	inUse, err := haveRow(tx, scopeDependents(l))
	if err != nil {
		return reading("scope", err)
	}
	if inUse && !a.Prune {
		a.Kept(l.what)
		return nil
	}
	late, err := resourcesWithScope(tx, l)
	if err != nil {
		return reading("resources", err)
	}
	for _, key := range late {
		if err := a.removeScopeFromResource(tx, key, uma.Scope(l.id)); err != nil {
			return err
		}
	}
	a.Removed(l.what)
	_, err = tx.exec(`DELETE FROM scope WHERE server = ? AND name = ?`, int64(l.server), l.id)
	return writing("scope", err)
}

// removeScopeFromResource removes a scope from a resource, and the requests for it.
func (a *applier) removeScopeFromResource(tx *conn, key uma.Key, scope uma.Scope) error {
	r, err := resourceRow(tx, `SELECT`+resourceColumns+`FROM resource r WHERE r.key = ?`, int64(key))
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := *r
	next.Scopes = slices.DeleteFunc(slices.Clone(r.Scopes), func(s uma.Scope) bool { return s == scope })
	if len(next.Scopes) == len(r.Scopes) {
		return nil
	}
	a.Changed = true
	return updateResource(tx, r, &next, uma.FromOwner, r.Origin == uma.FromFile) // claims stay claims
}

func (a *applier) dropUser(tx *conn, l leftover) error {
	inUse, err := haveRow(tx, a.userDependents(l))
	if err != nil {
		return reading("user", err)
	}
	if inUse && !a.Prune {
		return a.disableUser(tx, l)
	}
	owned, err := list(tx, `SELECT r.key, r.name FROM client c JOIN resource r ON r.server = c.key AND r.owner = ?2
		WHERE c.realm = ?1`, []any{int64(a.realm), l.id}, scanNamed)
	if err != nil {
		return reading("resources of a user", err)
	}
	for _, r := range owned {
		if err := a.removeResourceAt(tx, r.key, "resource "+r.name); err != nil {
			return err
		}
	}
	late, err := sharesNaming(tx, a.realm, l.id)
	if err != nil {
		return reading("shares that name a user", err)
	}
	for _, key := range late {
		if err := removeUserFromShare(tx, key, l.id); err != nil {
			return err
		}
	}
	a.Removed(l.what)
	return runAll(tx, []command{
		{`DELETE FROM request WHERE server IN (SELECT key FROM client WHERE realm = ?) AND requester = ?`,
			[]any{int64(a.realm), l.id}},
		{`DELETE FROM session INDEXED BY session_user WHERE realm = ? AND user = ?`, []any{int64(a.realm), l.id}},
		{`DELETE FROM identity WHERE user = ?`, []any{int64(l.key)}},
		{`DELETE FROM user WHERE key = ?`, []any{int64(l.key)}},
	})
}

// removeUserFromShare removes a deleted user from the users of a share. The share must
// not become valid for anybody else by that. If the user was the last one: an
// AFFIRMATIVE share with other parties loses the user; a CONSENSUS share with other
// parties keeps the id, which is never used again; any other share is deleted.
func removeUserFromShare(tx *conn, key uma.Key, user string) error {
	s, err := shareRow(tx, `SELECT`+shareColumns+`FROM share s WHERE s.key = ?`, int64(key))
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := *s
	next.Users = slices.DeleteFunc(slices.Clone(s.Users), func(id string) bool { return id == user })
	others := len(s.Roles)+len(s.Groups)+len(s.Clients) > 0
	switch {
	case len(next.Users) == len(s.Users):
		return nil
	case len(next.Users) > 0, others && s.Strategy == rows.Affirmative:
		return updateShare(tx, s, &next)
	case others && s.Strategy != rows.Unanimous:
		return nil
	}
	_, err = tx.exec(`DELETE FROM share WHERE key = ?`, int64(key))
	return writing("share", err)
}

func (a *applier) disableUser(tx *conn, l leftover) error {
	enabled, err := tx.exists(`SELECT 1 FROM user WHERE key = ? AND enabled`, int64(l.key))
	if err != nil {
		return reading("user", err)
	}
	if !enabled {
		a.Kept(l.what)
		return nil
	}
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	a.Disabled(l.what)
	_, err = tx.exec(`UPDATE user SET enabled = 0, version = ? WHERE key = ?`, version, int64(l.key))
	return writing("user", err)
}

func (a *applier) dropClient(tx *conn, l leftover) error {
	inUse, err := haveRow(tx, a.clientDependents(l))
	if err != nil {
		return reading("client", err)
	}
	if inUse && !a.Prune {
		n, err := tx.exec(`UPDATE client SET enabled = 0 WHERE key = ? AND enabled`, int64(l.key))
		if n == 0 {
			a.Kept(l.what)
		} else {
			a.Disabled(l.what)
		}
		return writing("client", err)
	}
	held, err := list(tx, `SELECT key, name FROM resource WHERE server = ?`, []any{int64(l.key)}, scanNamed)
	if err != nil {
		return reading("resources of a client", err)
	}
	for _, r := range held {
		if err := a.removeResourceAt(tx, r.key, "resource "+r.name); err != nil {
			return err
		}
	}
	a.Removed(l.what)
	return runAll(tx, []command{
		{`DELETE FROM scope WHERE server = ?`, []any{int64(l.key)}},
		{`DELETE FROM session INDEXED BY session_client WHERE realm = ? AND client = ?`, []any{int64(a.realm), l.id}},
		{`DELETE FROM client WHERE key = ?`, []any{int64(l.key)}},
	})
}

type namedKey struct {
	key  uma.Key
	name string
}

func scanNamed(scan scanFunc) (namedKey, error) {
	var n namedKey
	err := scan((*integer)(&n.key), &n.name)
	return n, err
}
