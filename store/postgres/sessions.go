package postgres

import (
	"context"
	"time"

	"example.com/umpire/uma"
)

// StartSession implements uma.Sessions.
func (s *Store) StartSession(ctx context.Context, realm uma.Key, session *uma.Session, t *uma.RefreshToken) error {
	var token columns
	token.addRefreshToken(realm, t)
	err := s.writeAll(ctx,
		command{query: `INSERT INTO session (realm, id, user_id, client, scope, started, expires, ended)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			args: []any{realm, session.ID, session.User, session.Client, session.Scope, millis(session.Started), millis(session.Expires), session.Ended}},
		command{query: insertRefreshTokens, args: token.args()})
	return writing("session", err)
}

// lockRefreshed waits for a DropRPT that the RPT of a refresh token belongs to: see removeRPT. What is
// dropped is then seen by the statements that follow.
const lockRefreshed = `SELECT 1 FROM session WHERE realm = $1 AND id = (SELECT session FROM refresh_token WHERE realm = $1 AND hash = $2)
	FOR KEY SHARE`

// rotate spends a refresh token and inserts what follows from it. It fails with a division by zero
// if there is no such token to be spent, or its RPT was dropped. One statement checks and spends it, so that one of several
// calls succeeds. The new RPT lives longer, and so does the row that says what its ticket was spent on.
const rotate = `WITH spent AS (UPDATE refresh_token t SET spent = true
		WHERE t.realm = $1 AND t.hash = $2 AND t.expires > $3 AND NOT t.spent AND EXISTS (
			SELECT 1 FROM session s WHERE s.realm = $1 AND s.id = t.session AND s.expires > $3 AND NOT s.ended)
			AND (t.rpt = '' OR EXISTS (SELECT 1 FROM rpt r WHERE r.realm = $1 AND r.jti = t.rpt))
		RETURNING 1),
	kept AS (UPDATE spent_ticket t SET expires = greatest(t.expires, $5) FROM spent WHERE t.realm = $1 AND t.hash = $4)
	SELECT 1 / count(*) FROM spent`

// Rotate implements uma.Sessions.
func (s *Store) Rotate(ctx context.Context, realm uma.Key, hash []byte, next *uma.RefreshToken, rpt *uma.RPT, now time.Time) error {
	var token, row columns
	var ticket []byte
	var keep int64
	if rpt != nil {
		if err := row.addRPT(realm, rpt); err != nil {
			return err
		}
		ticket, keep = rpt.Ticket, millis(rpt.Keep)
	}
	token.addRefreshToken(realm, next)
	commands := []command{
		{query: lockRefreshed, args: []any{realm, hash}},
		{query: rotate, args: []any{realm, hash, millis(now), ticket, keep}},
		{query: insertRefreshTokens, args: token.args()},
	}
	if rpt != nil {
		commands = append(commands, command{query: insertRPTs, args: row.args()})
	}
	err := s.writeAll(ctx, commands...)
	if stateOf(err) == divisionByZero && !isUnavailable(err) {
		return s.endReused(ctx, realm, hash, now)
	}
	return writing("refresh token", err)
}

// endReused ends the session of a refresh token that was spent before: somebody else than the client
// it was issued to has it. It returns uma.ErrSpent after that has reached the disk, or uma.ErrNotFound.
func (s *Store) endReused(ctx context.Context, realm uma.Key, hash []byte, now time.Time) error {
	var reused int
	err := s.writeAll(ctx, command{
		query: `WITH reused AS (SELECT session FROM refresh_token WHERE realm = $1 AND hash = $2 AND expires > $3 AND spent),
			ended AS (UPDATE session s SET ended = true FROM reused WHERE s.realm = $1 AND s.id = reused.session AND NOT s.ended)
			SELECT count(*) FROM reused`,
		args: []any{realm, hash, millis(now)}, dest: []any{&reused},
	})
	switch {
	case err != nil:
		return writing("session of a refresh token", err)
	case reused == 0:
		return uma.ErrNotFound
	}
	return uma.ErrSpent
}

// EndSession implements uma.Sessions. Tokens of a session are read together with its row, so it is
// enough to change that.
func (s *Store) EndSession(ctx context.Context, realm uma.Key, id string) error {
	err := s.writeAll(ctx, command{query: `UPDATE session SET ended = true WHERE realm = $1 AND id = $2 AND NOT ended`, args: []any{realm, id}})
	return writing("session", err)
}

// Revoke implements uma.Sessions.
func (s *Store) Revoke(ctx context.Context, realm uma.Key, jti string, expires time.Time) error {
	err := s.writeAll(ctx, command{query: `INSERT INTO revocation (realm, jti, expires) VALUES ($1, $2, $3)
		ON CONFLICT (realm, jti) DO UPDATE SET expires = greatest(revocation.expires, excluded.expires)`,
		args: []any{realm, jti, millis(expires)}})
	return writing("revocation", err)
}

// DropRPT implements uma.Sessions.
func (s *Store) DropRPT(ctx context.Context, realm uma.Key, jti string) error {
	return writing("RPT", s.writeAll(ctx, removeRPT(realm, jti)...))
}

func dropRPT(tx *conn, realm uma.Key, jti string) error {
	_, err := tx.all(removeRPT(realm, jti)...)
	return writing("RPT", err)
}

// removeRPT are the commands of DropRPT: they remove the first RPT of a family, and those that were
// refreshed from it. All of a family belong to one session, whose row both they and Rotate lock: so the second
// statement finds the copies of every refresh that was before, and a later refresh does not find its RPT. The
// first RPT would not do as the row to lock: the sweep may have deleted it.
func removeRPT(realm uma.Key, jti string) []command {
	return []command{
		{query: `SELECT 1 FROM session WHERE realm = $1 AND id = ANY (ARRAY (
				SELECT session FROM rpt WHERE realm = $1 AND jti = $2
				UNION SELECT session FROM rpt WHERE realm = $1 AND family = $2 AND family <> ''))
			ORDER BY id FOR UPDATE`, args: []any{realm, jti}},
		{query: `WITH first AS MATERIALIZED (
				SELECT coalesce((SELECT family FROM rpt WHERE realm = $1 AND jti = $2 AND family <> ''), $2) AS jti),
			gone AS (DELETE FROM rpt WHERE realm = $1 AND jti = (SELECT jti FROM first) RETURNING within, expires),
			copies AS (DELETE FROM rpt WHERE realm = $1 AND family = (SELECT jti FROM first) AND family <> '')
			INSERT INTO revocation (realm, jti, expires) SELECT $1, within, expires FROM gone WHERE within <> ''
			ON CONFLICT (realm, jti) DO NOTHING`, args: []any{realm, jti}},
	}
}
