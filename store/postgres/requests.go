package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Whoever writes a request locks its resource first, FOR SHARE: so no request is made for a
// resource that is being deleted or loses the scope, and ShareResource, which locks the resource
// alone, decides upon all requests for it.

// CreateRequest implements uma.Sharing.
func (s *Store) CreateRequest(ctx context.Context, q *uma.Request) error {
	var made madeRequest
	if err := s.writeAll(ctx, made.command(q)); err != nil {
		return writing("request", err)
	}
	return made.set(q)
}

// createRequests is CreateRequest for several requests within a transaction, in one round trip. It
// returns an error or nil for each, and stores nothing for uma.ErrConflict and uma.ErrNotFound.
func createRequests(tx *conn, requests []*uma.Request) []error {
	made, errs := make([]madeRequest, len(requests)), make([]error, len(requests))
	commands := make([]command, len(requests))
	for i, q := range requests {
		commands[i] = made[i].command(q)
	}
	_, err := tx.all(commands...)
	for i, q := range requests {
		if errs[i] = writing("request", err); err == nil {
			errs[i] = made[i].set(q)
		}
	}
	return errs
}

// A madeRequest is what the statement that makes a request returns.
type madeRequest struct {
	found        bool // the resource and the scope
	key, version int64
}

// command returns the statement that stores a request with what it copies from its resource and
// its scope. It replaces a denied one: with another key, as if that had been deleted. A request
// for the resource as a whole needs one without scopes.
func (m *madeRequest) command(q *uma.Request) command {
	return command{query: `WITH target AS (
			SELECT r.id, r.name, r.owner, coalesce(s.id, '') AS scope_id
			FROM resource r LEFT JOIN scope s ON s.server = r.server AND s.name = $5::text
			WHERE r.key = $3 AND r.server = $2
				AND CASE WHEN $5 = '' THEN r.scopes = '{}' ELSE $5 = ANY (r.scopes) AND s.id IS NOT NULL END
			FOR SHARE OF r),
		stored AS (INSERT INTO request AS q (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id,
				state, created, decided, version)
			SELECT $1, $2, $3, t.id, t.name, t.owner, $4, $5, t.scope_id, $6, $7, $8, nextval('version') FROM target t
			ON CONFLICT (resource, requester, scope) DO UPDATE SET key = excluded.key, id = excluded.id, server = excluded.server,
				resource_id = excluded.resource_id, resource_name = excluded.resource_name, owner = excluded.owner,
				scope_id = excluded.scope_id, state = excluded.state, created = excluded.created, decided = excluded.decided,
				version = excluded.version
			WHERE q.state = 'denied'
			RETURNING key, version)
		SELECT EXISTS (SELECT 1 FROM target), coalesce(max(key), 0), coalesce(max(version), 0) FROM stored`,
		args:  []any{q.ID, q.Server, q.Resource, q.Requester, string(q.Scope), q.State, rows.Millis(q.Created), rows.Millis(q.Decided)},
		dest:  []any{&m.found, &m.key, &m.version},
		again: &command{query: `SELECT true, key, version FROM request q WHERE q.server = $1 AND q.id = $2` + byRequestID, args: []any{q.Server, q.ID}},
	}
}

// set sets the key and the version of the request, or returns why there is none.
func (m *madeRequest) set(q *uma.Request) error {
	switch {
	case !m.found:
		return reading("requested resource", uma.ErrNotFound)
	case m.key == 0:
		return writing("request", uma.ErrConflict)
	}
	q.Key, q.Version = uma.Key(m.key), m.version
	return nil
}

// lockedRequest is a CTE with the request $2 at the resource server $1. A request of a dropped
// resource has no resource.
const lockedRequest = `locked AS (SELECT q.key, q.state FROM request q JOIN resource r ON r.key = q.resource
	WHERE q.server = $1 AND q.id = $2` + byRequestID + ` FOR SHARE OF r FOR UPDATE OF q)`

// DecideRequest implements uma.Sharing. Granting a granted request changes nothing.
func (s *Store) DecideRequest(ctx context.Context, server uma.Key, id string, grant bool, now time.Time) error {
	state := uma.Refused
	var again *command // that a request was refused does not show: it may have been before
	if grant {
		state = uma.Granted
		again = &command{query: `SELECT true FROM request q JOIN resource r ON r.key = q.resource
			WHERE q.server = $1 AND q.id = $2 AND q.state = 'granted'` + byRequestID, args: []any{server, id}}
	}
	found := false
	err := s.writeAll(ctx, command{query: `WITH ` + lockedRequest + `,
		decided AS (UPDATE request SET state = $3, decided = $4, version = nextval('version') FROM locked
			WHERE request.key = locked.key AND locked.state = 'pending'),
		withdrawn AS (DELETE FROM request USING locked
			WHERE request.key = locked.key AND locked.state = 'granted' AND $3 = 'denied')
		SELECT count(*) > 0 FROM locked WHERE state <> 'denied'`,
		args: []any{server, id, state, rows.Millis(now)}, dest: []any{&found}, again: again})
	return foundRequest(found, err)
}

// DeleteRequest implements uma.Sharing.
func (s *Store) DeleteRequest(ctx context.Context, server uma.Key, id string) error {
	found := false
	err := s.writeAll(ctx, command{query: `WITH ` + lockedRequest + `,
		gone AS (DELETE FROM request USING locked WHERE request.key = locked.key)
		SELECT count(*) > 0 FROM locked`, args: []any{server, id}, dest: []any{&found}})
	return foundRequest(found, err)
}

// foundRequest is the error of a write that may not have found its request.
func foundRequest(found bool, err error) error {
	if err == nil && !found {
		return reading("request", uma.ErrNotFound)
	}
	return writing("request", err)
}

// submit makes the requests of a settlement. One that was requested before stays as it is. Requesters who are users are not
// removed until it is committed: who removes a user looks for requests.
func submit(tx *conn, realm uma.Key, requests []uma.Request) error {
	if len(requests) == 0 {
		return nil
	}
	var requesters []string
	for _, q := range requests {
		if !slices.Contains(requesters, q.Requester) {
			requesters = append(requesters, q.Requester)
		}
	}
	if _, err := tx.exec(`SELECT 1 FROM users WHERE realm = $1 AND id = ANY($2) ORDER BY key FOR SHARE`, realm, requesters); err != nil {
		return reading("requesters", err)
	}
	all := make([]*uma.Request, len(requests))
	for i := range requests {
		all[i] = &requests[i]
	}
	for _, err := range createRequests(tx, all) {
		switch {
		case errors.Is(err, uma.ErrNotFound):
			return &uma.MovedError{}
		case err != nil && !errors.Is(err, uma.ErrConflict):
			return err
		}
	}
	return nil
}

// refused is the condition that a request q was denied, for who has named it otherwise: written so, it
// is no reason to read the index of all that were.
const refused = `CASE WHEN q.state = 'denied' THEN true ELSE false END`
