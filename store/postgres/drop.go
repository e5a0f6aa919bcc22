package postgres

import (
	"errors"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Each of these steps deletes leftovers, with the rows that depend on them. Without Prune a
// leftover on which other rows depend is kept; a client or a user is disabled. Each step locks
// the row and looks for such rows again, because others may have written since findLeftovers.

// droppedAtOnce is how many resources are locked and deleted together.
const droppedAtOnce = 20

// dropResources is the part for resources.
func (a *applier) dropResources(tx *conn, from, to int) (done int, err error) {
	for done < to-from && tx.wrote < applyRows {
		some := a.gone.resources[from+done : min(to, from+done+droppedAtOnce)]
		if err := a.dropSome(tx, some, !a.Prune); err != nil {
			return 0, err
		}
		done += len(some)
	}
	return done, nil
}

// dropSome deletes those resources that are still there and, if careful, that are not in use.
func (a *applier) dropSome(tx *conn, some []leftover, careful bool) error {
	keys := make([]uma.Key, len(some))
	for i, l := range some {
		keys[i] = l.key
	}
	locked, err := lockResources(tx, keys)
	if err != nil {
		return err
	}
	used := make([]bool, len(some))
	if careful {
		if used, err = a.inUse(tx, some, resourceDependents()); err != nil {
			return reading("resources", err)
		}
	}
	var commands []command
	for i, l := range some {
		at := slices.IndexFunc(locked, func(r lockedResource) bool { return r.Key == l.key })
		switch {
		case used[i]:
			a.Kept(l.what)
		case at >= 0:
			a.Removed(l.what)
			commands = append(commands, removal(locked[at].Resource, locked[at].self)...)
		}
	}
	_, err = tx.all(commands...)
	return writing("resources", err)
}

// dropAll deletes the resources that a query finds, by key and name.
func (a *applier) dropAll(tx *conn, query string, args ...any) error {
	found, err := list(tx, query, args, func(scan scanFunc) (l leftover, err error) {
		err = scan(&l.key, &l.what)
		l.what = "resource " + l.what
		return l, err
	})
	if err != nil {
		return reading("resources", err)
	}
	for some := range slices.Chunk(found, droppedAtOnce) {
		if err := a.dropSome(tx, some, false); err != nil {
			return err
		}
	}
	return nil
}

// dropScope deletes a scope. Who gives the scope to a resource locks the resource server, too.
func (a *applier) dropScope(tx *conn, l leftover) error {
	if _, err := tx.exec(`SELECT 1 FROM client WHERE key = $1 FOR UPDATE`, l.server); err != nil {
		return reading("resource server", err)
	}
	used, err := a.inUse(tx, []leftover{l}, scopeDependents())
	if err != nil {
		return reading("scope", err)
	}
	if used[0] && !a.Prune {
		a.Kept(l.what)
		return nil
	}
	late, err := list(tx, `SELECT resource FROM resource_scope WHERE server = $1 AND scope = $2`, []any{l.server, l.id}, scanKey)
	if err != nil {
		return reading("resources", err)
	}
	for _, key := range late {
		if err := a.removeScopeFromResource(tx, key, uma.Scope(l.id)); err != nil {
			return err
		}
	}
	a.Removed(l.what)
	_, err = tx.exec(`DELETE FROM scope WHERE server = $1 AND name = $2`, l.server, l.id)
	return writing("scope", err)
}

// removeScopeFromResource removes a scope from a resource, and the requests for it.
func (a *applier) removeScopeFromResource(tx *conn, key uma.Key, scope uma.Scope) error {
	old, self, err := lockResourceAt(tx, key)
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := *old
	next.Scopes = slices.DeleteFunc(slices.Clone(old.Scopes), func(s uma.Scope) bool { return s == scope })
	if len(next.Scopes) == len(old.Scopes) {
		return nil
	}
	had, err := claimsOf(tx, old)
	if err != nil {
		return err
	}
	a.Changed = true
	u := replacement{old: old, next: &next, self: self, had: had, by: uma.FromOwner, drifted: old.Origin == uma.FromFile} // claims stay claims
	return u.write(tx)
}

// dropUser deletes a user, or some of the many rows that depend on it: then more is true.
func (a *applier) dropUser(tx *conn, l leftover) (more bool, err error) {
	enabled := false
	err = tx.row(`SELECT enabled FROM users WHERE key = $1 FOR UPDATE`, []any{l.key}, &enabled)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return false, reading("user", err)
	}
	used, err := a.inUse(tx, []leftover{l}, userDependents())
	if err != nil {
		return false, reading("user", err)
	}
	if used[0] && !a.Prune {
		return false, a.disableUser(tx, l, enabled)
	}
	if err := a.dropAll(tx, `SELECT r.key, r.name FROM client c JOIN resource r ON r.server = c.key AND r.owner = $2
		WHERE c.realm = $1 ORDER BY r.key`, a.realm, l.id); err != nil {
		return false, err
	}
	if n, err := removeUserFromShares(tx, a.realm, l.id, &a.policy); err != nil || n > 0 {
		return true, err
	}
	n, err := tx.exec(`DELETE FROM request WHERE key = ANY(ARRAY(SELECT q.key FROM client c JOIN request q
		ON q.server = c.key AND q.requester = $2`+byRequester+` WHERE c.realm = $1 LIMIT $3)) AND requester = $2`, a.realm, l.id, applyRows)
	if err != nil || n == applyRows {
		return true, writing("requests of a user", err)
	}
	if n, err := deleteSessions(tx, `user_id`, a.realm, l.id); err != nil || n == applyRows {
		return true, writing("sessions of a user", err)
	}
	a.policy = 0
	a.Removed(l.what)
	_, err = tx.all(
		command{query: `DELETE FROM identity WHERE user_key = $1`, args: []any{l.key}},
		command{query: `DELETE FROM users WHERE key = $1`, args: []any{l.key}})
	return false, writing("user", err)
}

// deleteSessions deletes sessions by a column, at most applyRows, and returns how many.
func deleteSessions(tx *conn, column string, realm uma.Key, of string) (int, error) {
	return tx.exec(`DELETE FROM session WHERE realm = $1 AND id = ANY(ARRAY(
		SELECT id FROM session WHERE realm = $1 AND `+column+` = $2 LIMIT $3))`, realm, of, applyRows)
}

// disableUser disables a user that is locked.
func (a *applier) disableUser(tx *conn, l leftover, enabled bool) error {
	if !enabled {
		a.Kept(l.what)
		return nil
	}
	a.Disabled(l.what)
	_, err := tx.exec(`UPDATE users SET enabled = false, version = nextval('version') WHERE key = $1`, l.key)
	return writing("user", err)
}

// removeUserFromShares removes a deleted user from some of the policies after a key, which it raises, and returns how
// many it has found.
func removeUserFromShares(tx *conn, realm uma.Key, user string, after *uma.Key) (int, error) {
	keys, err := sharesNaming(tx, realm, user, *after)
	if err != nil {
		return 0, reading("shares that name a user", err)
	}
	for _, key := range keys {
		if err := removeUserFromShare(tx, key, user); err != nil {
			return 0, err
		}
		*after = key
	}
	return len(keys), nil
}

// removeUserFromShare removes a deleted user from the users of a share. The share must
// not become valid for anybody else by that. If the user was the last one: an
// AFFIRMATIVE share with other parties loses the user; a CONSENSUS share with other
// parties keeps the id, which is never used again; any other share is deleted.
func removeUserFromShare(tx *conn, key uma.Key, user string) error {
	s, err := lockShare(tx, key)
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
	_, err = tx.all(deleteShare(key))
	return writing("share", err)
}

// dropClient is dropUser for a client.
func (a *applier) dropClient(tx *conn, l leftover) (more bool, err error) {
	enabled := false
	err = tx.row(`SELECT enabled FROM client WHERE key = $1 FOR UPDATE`, []any{l.key}, &enabled)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return false, reading("client", err)
	}
	used, err := a.inUse(tx, []leftover{l}, clientDependents())
	if err != nil {
		return false, reading("client", err)
	}
	switch {
	case used[0] && !a.Prune && !enabled:
		a.Kept(l.what)
		return false, nil
	case used[0] && !a.Prune:
		a.Disabled(l.what)
		_, err := tx.exec(`UPDATE client SET enabled = false WHERE key = $1`, l.key)
		return false, writing("client", err)
	}
	if err := a.dropAll(tx, `SELECT key, name FROM resource WHERE server = $1 ORDER BY key`, l.key); err != nil {
		return false, err
	}
	if n, err := deleteSessions(tx, `client`, a.realm, l.id); err != nil || n == applyRows {
		return true, writing("sessions of a client", err)
	}
	n, err := tx.exec(`DELETE FROM scope WHERE server = $1 AND name = ANY(ARRAY(SELECT name FROM scope WHERE server = $1 LIMIT $2))`, l.key, applyRows)
	if err != nil || n == applyRows {
		return true, writing("scopes of a client", err)
	}
	a.Removed(l.what)
	_, err = tx.exec(`DELETE FROM client WHERE key = $1`, l.key)
	return false, writing("client", err)
}
