package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// CreateRequest implements uma.Sharing.
func (s *Store) CreateRequest(ctx context.Context, q *uma.Request) error {
	return s.write(ctx, func(tx *conn) error { return createRequest(tx, q) })
}

// createRequest stores a request, with the fields that readTarget reads. It changes
// nothing when it returns uma.ErrConflict or uma.ErrNotFound.
func createRequest(tx *conn, q *uma.Request) error {
	row := *q
	if err := readTarget(tx, &row); err != nil {
		return reading("requested resource", err)
	}
	there, err := requestRow(tx, `SELECT`+requestColumns+`FROM request q
		WHERE q.resource = ? AND q.requester = ? AND q.scope = ?`, int64(q.Resource), q.Requester, string(q.Scope))
	switch {
	case errors.Is(err, uma.ErrNotFound):
	case err != nil:
		return err
	case there.State != uma.Refused:
		return writing("request", uma.ErrConflict)
	default:
		if _, err := tx.exec(`DELETE FROM request WHERE key = ?`, int64(there.Key)); err != nil {
			return writing("request", err)
		}
	}
	if row.Version, err = nextVersion(tx); err != nil {
		return err
	}
	key, err := tx.insert(`INSERT INTO request
		(id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state, created, decided, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, int64(row.Server), int64(row.Resource), string(row.ResourceID), row.ResourceName, row.Owner,
		row.Requester, string(row.Scope), row.ScopeID, row.State, rows.Millis(row.Created), rows.Millis(row.Decided), row.Version)
	if err != nil {
		return writing("request", err)
	}
	q.Key, q.Version = key, row.Version
	return nil
}

// readTarget sets the fields of a request that are copied from its resource and its
// scope. It returns uma.ErrNotFound if one of them does not exist, or if the request is
// for the resource as a whole and that has scopes.
func readTarget(tx *conn, q *uma.Request) error {
	var has []uma.Scope
	err := tx.row(`SELECT id, name, owner, scopes FROM resource WHERE key = ? AND server = ?`,
		[]any{int64(q.Resource), int64(q.Server)},
		(*namedText)(&q.ResourceID), &q.ResourceName, &q.Owner, (*scopes)(&has))
	if err != nil {
		return err
	}
	if q.Scope == "" {
		if len(has) > 0 {
			return uma.ErrNotFound
		}
		q.ScopeID = ""
		return nil
	}
	if !slices.Contains(has, q.Scope) {
		return uma.ErrNotFound
	}
	return tx.row(`SELECT id FROM scope WHERE server = ? AND name = ?`, []any{int64(q.Server), string(q.Scope)}, &q.ScopeID)
}

// DecideRequest implements uma.Sharing. Granting a granted request changes nothing.
func (s *Store) DecideRequest(ctx context.Context, server uma.Key, id string, grant bool, now time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		q, err := requestRow(tx, `SELECT`+requestColumns+`FROM live_request q WHERE q.server = ? AND q.id = ?`, int64(server), id)
		if err != nil {
			return err
		}
		switch {
		case q.State == uma.Refused:
			return reading("request", uma.ErrNotFound)
		case q.State == uma.Granted && grant:
			return nil
		case q.State == uma.Granted:
			return deleteRequest(tx, server, id)
		case grant:
			return setState(tx, q.Key, uma.Granted, now)
		}
		return setState(tx, q.Key, uma.Refused, now)
	})
}

func setState(tx *conn, key uma.Key, state string, now time.Time) error {
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE request SET state = ?, decided = ?, version = ? WHERE key = ?`,
		state, rows.Millis(now), version, int64(key))
	return writing("request", err)
}

// DeleteRequest implements uma.Sharing.
func (s *Store) DeleteRequest(ctx context.Context, server uma.Key, id string) error {
	return s.write(ctx, func(tx *conn) error { return deleteRequest(tx, server, id) })
}

func deleteRequest(tx *conn, server uma.Key, id string) error {
	n, err := tx.exec(`DELETE FROM request WHERE key IN (SELECT key FROM live_request WHERE server = ? AND id = ?)`, int64(server), id)
	if err == nil && n == 0 {
		return writing("request", uma.ErrNotFound)
	}
	return writing("request", err)
}
