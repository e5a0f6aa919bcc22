package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// DecideRequests implements uma.Sharing. It locks all requests before it changes one, with their
// resources in one order.
func (s *Store) DecideRequests(ctx context.Context, realm uma.Key, owner string, granted map[string]bool, now time.Time) error {
	ids := slices.Sorted(maps.Keys(granted))
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *conn) error {
		found, err := lockRequests(tx, realm, ids)
		if err != nil {
			return reading("requests", err)
		}
		keys, states := make([]uma.Key, len(ids)), make([]string, len(ids))
		for i, id := range ids {
			q, err := pendingAmong(found, owner, id)
			if err != nil {
				return reading("request", err)
			}
			keys[i], states[i] = q.Key, uma.Refused
			if granted[id] {
				states[i] = uma.Granted
			}
		}
		_, err = tx.exec(`UPDATE request SET state = x.state, decided = $3, version = nextval('version')
			FROM unnest($1::bigint[], $2::text[]) x (key, state) WHERE request.key = x.key`, keys, states, rows.Millis(now))
		return writing("requests", err)
	})
}

// lockRequests returns the requests in a realm that have one of the ids.
func lockRequests(tx *conn, realm uma.Key, ids []string) ([]uma.Request, error) {
	return list(tx, `SELECT`+requestColumns+`FROM request q JOIN resource r ON r.key = q.resource
		WHERE q.key = ANY (ARRAY (SELECT k.key FROM client c CROSS JOIN unnest($2::text[]) x (id)
			CROSS JOIN LATERAL (SELECT q.key FROM request q WHERE q.server = c.key AND q.id = x.id`+byRequestID+` OFFSET 0) k
			WHERE `+realmServers+`)) AND q.id = ANY ($2)
		ORDER BY q.resource, q.key FOR SHARE OF r FOR UPDATE OF q`, []any{realm, ids}, scanRequest)
}

// pendingAmong returns the pending request of an owner with an id, or uma.ErrConflict if it was
// answered already.
func pendingAmong(found []uma.Request, owner, id string) (*uma.Request, error) {
	err := uma.ErrNotFound
	for i := range found {
		switch q := &found[i]; {
		case q.ID != id || q.Owner != owner:
		case q.State == uma.Pending:
			return q, nil
		default:
			err = uma.ErrConflict
		}
	}
	return nil, err
}

// ShareResource implements uma.Sharing. The transaction has three round trips: what the change
// depends on, what it writes, and the commit.
func (s *Store) ShareResource(ctx context.Context, c *uma.ShareChange) error {
	return s.write(ctx, func(tx *conn) error {
		r, now, err := lockShared(tx, c)
		if err != nil {
			return reading("resource to share", err)
		}
		if err := now.check(c, r); err != nil {
			return err
		}
		_, err = tx.all(append(grantExactly(c, r), invite(c, r)...)...)
		return writing("what is shared", err)
	})
}

// A sharedNow is what is shared of a resource before a change.
type sharedNow struct {
	any       bool             // a granted request, or an open invitation
	seen      map[string]int64 // all of them, as in uma.ShareChange; read if the change has Seen
	held      bool             // a user has an address that the change invites
	others    int64            // open invitations that the change keeps
	toAddress int64            // the most open invitations for an address that the change invites, others than these
	unknown   bool             // a scope has no row
}

// lockShared locks the addresses that are invited, then the resource, and returns it with what is
// shared of it. Until the commit, nobody changes a request or an invitation for it.
func lockShared(tx *conn, c *uma.ShareChange) (*uma.Resource, *sharedNow, error) {
	var r *uma.Resource
	now := &sharedNow{seen: map[string]int64{}}
	named, invited := array(slices.Sorted(maps.Keys(c.Invite))), invitedBy(c)
	questions := []question{
		{`SELECT` + resourceColumns + `FROM client c JOIN resource r ON r.server = c.key
			WHERE c.realm = $1 AND r.key = $2 AND r.owner = $3 FOR NO KEY UPDATE OF r`, []any{c.Realm, c.Resource, c.Owner},
			func(scan scanFunc) (err error) {
				r, err = scanResource(scan)
				return err
			}},
		{`SELECT EXISTS (SELECT 1 FROM request q WHERE q.resource = $2 AND q.state = 'granted'` + byResource + `)
				OR EXISTS (SELECT 1 FROM invitation v WHERE v.resource = $2 AND v.taken_by = ''),
			EXISTS (SELECT 1 FROM users u WHERE u.realm = $1 AND u.email = ANY ($3)),
			(SELECT count(*) FROM invitation v WHERE v.resource = $2 AND v.taken_by = '' AND v.email <> ALL ($4)),
			(SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM invitation v
				WHERE v.realm = $1 AND v.email = ANY ($3) AND v.taken_by = '' AND v.resource <> $2 GROUP BY v.email) a),
			EXISTS (SELECT 1 FROM resource r, unnest($5::text[]) x (name) WHERE r.key = $2
				AND NOT EXISTS (SELECT 1 FROM scope s WHERE s.server = r.server AND s.name = x.name))`,
			[]any{c.Realm, c.Resource, invited, named, grantedScopes(c)}, func(scan scanFunc) error {
				return scan(&now.any, &now.held, &now.others, &now.toAddress, &now.unknown)
			}},
	}
	if len(invited) > 0 {
		lock := lockAddresses(c.Realm, invited...)
		questions = append([]question{{lock.query, lock.args, func(scanFunc) error { return nil }}}, questions...)
	}
	if c.Seen != nil {
		questions = append(questions, question{`SELECT q.id, q.version FROM request q WHERE q.resource = $1 AND q.state = 'granted'` + byResource + `
			UNION ALL SELECT id, 0 FROM invitation WHERE resource = $1 AND taken_by = '' LIMIT $2`, []any{c.Resource, len(c.Seen) + 1}, func(scan scanFunc) error {
			var id string
			var version int64
			err := scan(&id, &version)
			now.seen[id] = version
			return err
		}})
	}
	err := tx.ask(questions...)
	if err == nil && r == nil {
		err = uma.ErrNotFound
	}
	return r, now, err
}

// grantedScopes are the scopes that a change grants.
func grantedScopes(c *uma.ShareChange) []string {
	all := []string{}
	for _, granted := range c.Grants {
		for _, scope := range granted {
			if scope != uma.Everything {
				all = append(all, string(scope))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// check checks whether the owner may share what the change says, and its conditions: the granted
// requests and invitations must be those of Seen; there must be none if New, and some if There;
// nobody may have an address that is invited, nor may that have too many invitations.
func (now *sharedNow) check(c *uma.ShareChange, r *uma.Resource) error {
	for _, to := range []map[string][]uma.Scope{c.Grants, c.Invite} {
		for _, granted := range to {
			if !rows.IsSharable(r, granted) {
				return reading("resource to share", uma.ErrNotFound)
			}
		}
	}
	if c.Only {
		now.others = 0
	}
	invited := int64(len(invitedBy(c)))
	switch {
	case c.Seen != nil && !maps.Equal(now.seen, c.Seen):
		return writing("granted requests", uma.ErrMoved)
	case c.New && now.any, c.There && !now.any:
		return writing("granted requests", uma.ErrConflict)
	case now.held:
		return reading("users with an e-mail address", uma.ErrMoved)
	case now.unknown:
		return reading("requested resource", uma.ErrNotFound)
	case invited > 0 && now.others+invited > uma.MaxInvitations, now.toAddress >= uma.MaxInvitationsTo:
		return writing("invitation", uma.ErrFull)
	}
	return nil
}

// grantExactly returns the commands that make the scopes of a change all that its users are granted,
// and, with Only, all that anybody is.
func grantExactly(c *uma.ShareChange, r *uma.Resource) []command {
	var cols columns
	users := slices.Sorted(maps.Keys(c.Grants))
	for _, user := range users {
		granted := map[uma.Scope]bool{}
		for _, scope := range c.Grants[user] {
			if scope == uma.Everything {
				scope = "" // as requests store it
			}
			granted[scope] = true
		}
		for _, scope := range slices.Sorted(maps.Keys(granted)) {
			cols.add(user, string(scope), c.NewID())
		}
	}
	if cols.count == 0 {
		cols.arrays = []any{[]string{}, []string{}, []string{}}
	}
	requesters, shared, ids := cols.arrays[0], cols.arrays[1], cols.arrays[2]
	const wanted = `(q.requester, q.scope) IN (SELECT * FROM unnest($3::text[], $4::text[]))`
	var commands []command
	if len(users) > 0 {
		commands = append(commands,
			command{query: `DELETE FROM request q WHERE q.resource = $1 AND q.requester = ANY ($2) AND q.state = 'granted' AND NOT ` + wanted,
				args: []any{r.Key, users, requesters, shared}},
			command{query: `UPDATE request q SET state = CASE WHEN ` + wanted + ` THEN 'granted' ELSE 'denied' END, decided = $5,
				version = nextval('version') WHERE q.resource = $1 AND q.requester = ANY ($2) AND q.state = 'pending'`,
				args: []any{r.Key, users, requesters, shared, rows.Millis(c.Now)}})
	}
	if cols.count > 0 {
		commands = append(commands, grantMissing(r.Key, requesters, shared, ids, c.Now))
	}
	if c.Only {
		commands = append(commands, command{query: `DELETE FROM request WHERE resource = $1 AND state = 'granted' AND requester <> ALL ($2)`,
			args: []any{r.Key, array(users)}})
	}
	return commands
}

// grantMissing returns the command that makes granted requests, except where there are any that were
// not denied. The resource is locked, and has the scopes. The arguments are lists of texts.
func grantMissing(resource uma.Key, requesters, shared, ids any, now time.Time) command {
	return command{query: `INSERT INTO request AS q (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id,
			state, created, decided, version)
		SELECT x.id, r.server, r.key, r.id, r.name, r.owner, x.requester, x.scope,
			coalesce((SELECT s.id FROM scope s WHERE s.server = r.server AND s.name = x.scope), ''), 'granted', $5, $5, nextval('version')
		FROM resource r, unnest($2::text[], $3::text[], $4::text[]) x (requester, scope, id) WHERE r.key = $1
		ON CONFLICT (resource, requester, scope) DO UPDATE SET key = excluded.key, id = excluded.id, server = excluded.server,
			resource_id = excluded.resource_id, resource_name = excluded.resource_name, owner = excluded.owner,
			scope_id = excluded.scope_id, state = excluded.state, created = excluded.created, decided = excluded.decided,
			version = excluded.version
		WHERE q.state = 'denied'`, args: []any{resource, requesters, shared, ids, rows.Millis(now)}}
}
