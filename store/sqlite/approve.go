package sqlite

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// DecideRequests implements uma.Sharing. It reads all requests before it changes one.
func (s *Store) DecideRequests(ctx context.Context, realm uma.Key, owner string, granted map[string]bool, now time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		ids := slices.Sorted(maps.Keys(granted))
		requests := make([]*uma.Request, len(ids))
		for i, id := range ids {
			var err error
			if requests[i], err = pendingRequest(tx, realm, owner, id); err != nil {
				return err
			}
		}
		for i, id := range ids {
			state := uma.Refused
			if granted[id] {
				state = uma.Granted
			}
			if err := setState(tx, requests[i].Key, state, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// pendingRequest returns a pending request of an owner, or uma.ErrConflict if it was
// answered already.
func pendingRequest(tx *conn, realm uma.Key, owner, id string) (*uma.Request, error) {
	q, err := requestRow(tx, `SELECT`+requestColumns+`FROM live_request q WHERE q.owner = ? AND q.id = ? AND q.state = 'pending'
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = q.server AND c.realm = ?)`, owner, id, int64(realm))
	if !errors.Is(err, uma.ErrNotFound) {
		return q, err
	}
	answered, err := realmRequest(tx, realm, id)
	switch {
	case err != nil:
		return nil, err
	case answered.Owner != owner:
		return nil, reading("request", uma.ErrNotFound)
	}
	return nil, reading("request", uma.ErrConflict)
}

// ShareResource implements uma.Sharing.
func (s *Store) ShareResource(ctx context.Context, c *uma.ShareChange) error {
	return s.write(ctx, func(tx *conn) error {
		r, err := readSharableResource(tx, c)
		if err != nil {
			return reading("resource to share", err)
		}
		if err := checkShared(tx, c, r); err != nil {
			return err
		}
		if err := checkInvited(tx, c); err != nil {
			return err
		}
		for _, user := range slices.Sorted(maps.Keys(c.Grants)) {
			if err := grantExactly(tx, c, r, user); err != nil {
				return err
			}
		}
		if err := invite(tx, c, r); err != nil || !c.Only {
			return err
		}
		_, err = tx.exec(`DELETE FROM request WHERE resource = ? AND state = 'granted'
			AND requester NOT IN (SELECT value FROM json_each(?))`,
			int64(c.Resource), rows.ListText(slices.Collect(maps.Keys(c.Grants))))
		return writing("requests of others", err)
	})
}

// readSharableResource returns the resource of a change. It returns uma.ErrNotFound if the owner of
// the change may not share it, or one of the scopes.
func readSharableResource(tx *conn, c *uma.ShareChange) (*uma.Resource, error) {
	r, err := resourceRow(tx, `SELECT`+resourceColumns+`FROM resource r WHERE r.key = ? AND r.owner = ?
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = r.server AND c.realm = ?)`,
		int64(c.Resource), c.Owner, int64(c.Realm))
	if err != nil {
		return nil, err
	}
	for _, to := range []map[string][]uma.Scope{c.Grants, c.Invite} {
		for _, granted := range to {
			if !rows.IsSharable(r, granted) {
				return nil, uma.ErrNotFound
			}
		}
	}
	return r, nil
}

// checkShared checks the conditions of a change: the granted requests and invitations must be
// those of Seen; there must be none if New, and some if There.
func checkShared(tx *conn, c *uma.ShareChange, r *uma.Resource) error {
	if c.Seen != nil {
		now := map[string]int64{}
		err := tx.rows(`SELECT id, version FROM live_request WHERE server = ? AND owner = ? AND resource_name = ? AND resource_id = ?
			AND state = 'granted'`, []any{int64(r.Server), r.Owner, r.Name, string(r.ID)}, func(scan scanFunc) error {
			var id string
			var version int64
			err := scan(&id, &version)
			now[id] = version
			return err
		})
		if err == nil {
			err = tx.rows(`SELECT id FROM invitation WHERE resource = ? AND taken_by = ''`, []any{int64(r.Key)}, func(scan scanFunc) error {
				var id string
				err := scan(&id)
				now[id] = 0
				return err
			})
		}
		if err != nil {
			return reading("granted requests", err)
		}
		if !maps.Equal(now, c.Seen) {
			return writing("granted requests", uma.ErrMoved)
		}
	}
	if !c.New && !c.There {
		return nil
	}
	shared, err := anyRow(tx,
		command{`SELECT 1 FROM live_request WHERE server = ? AND owner = ? AND resource_name = ? AND resource_id = ?
			AND state = 'granted' LIMIT 1`, []any{int64(r.Server), r.Owner, r.Name, string(r.ID)}},
		command{`SELECT 1 FROM invitation WHERE resource = ? AND taken_by = '' LIMIT 1`, []any{int64(r.Key)}})
	if err != nil {
		return reading("granted requests", err)
	}
	if c.New && shared || c.There && !shared {
		return writing("granted requests", uma.ErrConflict)
	}
	return nil
}

// grantExactly makes the scopes of a change all that one user is granted: it revokes
// the others.
func grantExactly(tx *conn, c *uma.ShareChange, r *uma.Resource, user string) error {
	missing := map[uma.Scope]bool{}
	for _, scope := range c.Grants[user] {
		if scope == uma.Everything {
			scope = "" // as requests store it
		}
		missing[scope] = true
	}
	there, err := list(tx, `SELECT`+requestColumns+`FROM request q WHERE q.resource = ? AND q.requester = ?`,
		[]any{int64(r.Key), user}, scanRequest)
	if err != nil {
		return reading("requests of a user", err)
	}
	for _, q := range there {
		wanted := missing[q.Scope]
		switch {
		case q.State == uma.Pending && wanted:
			err = setState(tx, q.Key, uma.Granted, c.Now)
		case q.State == uma.Pending:
			err = setState(tx, q.Key, uma.Refused, c.Now)
		case q.State == uma.Granted && !wanted:
			err = deleteRequest(tx, q.Server, q.ID)
		}
		if err != nil {
			return err
		}
		if q.State != uma.Refused { // createRequest replaces a denied one
			delete(missing, q.Scope)
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(missing)) {
		q := &uma.Request{ID: c.NewID(), Server: r.Server, Resource: r.Key, Requester: user, Scope: scope,
			State: uma.Granted, Created: c.Now, Decided: c.Now}
		if err := createRequest(tx, q); err != nil {
			return err
		}
	}
	return nil
}
