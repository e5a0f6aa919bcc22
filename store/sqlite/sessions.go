package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// writing adds what was being written to an error.
func writing(what string, err error) error {
	if err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// StartSession implements uma.Sessions.
func (s *Store) StartSession(ctx context.Context, realm uma.Key, session *uma.Session, t *uma.RefreshToken) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO session (realm, id, user, client, scope, started, expires, ended)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			int64(realm), session.ID, session.User, session.Client, session.Scope,
			rows.Millis(session.Started), rows.Millis(session.Expires), session.Ended)
		if err != nil {
			return writing("session", err)
		}
		return saveRefreshToken(tx, realm, t)
	})
}

func saveRefreshToken(tx *conn, realm uma.Key, t *uma.RefreshToken) error {
	_, err := tx.exec(`INSERT INTO refresh_token (realm, hash, session, client, scope, rpt, expires, spent)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
		int64(realm), t.Hash, t.SessionID, t.Client, t.Scope, t.RPT, rows.Millis(t.Expires))
	return writing("refresh token", err)
}

// Rotate implements uma.Sessions.
func (s *Store) Rotate(ctx context.Context, realm uma.Key, hash []byte, next *uma.RefreshToken, rpt *uma.RPT, now time.Time) error {
	var reused bool
	err := s.write(ctx, func(tx *conn) error {
		reused = false
		// One statement checks and spends the token, so that one of several calls succeeds.
		n, err := tx.exec(`UPDATE refresh_token SET spent = 1
			WHERE realm = ?1 AND hash = ?2 AND expires > ?3 AND spent = 0 AND EXISTS (
				SELECT 1 FROM session WHERE realm = ?1 AND id = refresh_token.session AND expires > ?3 AND ended = 0)
				AND (rpt = '' OR EXISTS (SELECT 1 FROM rpt r WHERE r.realm = ?1 AND r.jti = refresh_token.rpt))`,
			int64(realm), hash, rows.Millis(now))
		if err != nil {
			return writing("refresh token", err)
		}
		if n == 0 {
			reused, err = endReused(tx, realm, hash, now)
			return err
		}
		if err := saveRefreshToken(tx, realm, next); err != nil || rpt == nil {
			return err
		}
		if err := saveRPT(tx, realm, rpt); err != nil || rpt.Ticket == nil {
			return err
		}
		// The new RPT lives longer, and so does what the ticket was spent on.
		_, err = tx.exec(`UPDATE spent_ticket SET expires = max(expires, ?) WHERE realm = ? AND hash = ?`,
			rows.Millis(rpt.Keep), int64(realm), rpt.Ticket)
		return writing("spent ticket", err)
	})
	if err == nil && reused {
		return uma.ErrSpent // after the end of the session has reached the disk
	}
	return err
}

// endReused ends the session of a refresh token that was spent before: somebody else
// than the client it was issued to has it.
func endReused(tx *conn, realm uma.Key, hash []byte, now time.Time) (bool, error) {
	var session string
	err := tx.row(`SELECT session FROM refresh_token WHERE realm = ? AND hash = ? AND expires > ? AND spent = 1`,
		[]any{int64(realm), hash, rows.Millis(now)}, &session)
	if err != nil {
		return false, reading("refresh token", err)
	}
	return true, endSession(tx, realm, session)
}

// EndSession implements uma.Sessions. Tokens of a session are read together with its
// row, so it is enough to change that.
func (s *Store) EndSession(ctx context.Context, realm uma.Key, id string) error {
	return s.write(ctx, func(tx *conn) error { return endSession(tx, realm, id) })
}

func endSession(tx *conn, realm uma.Key, id string) error {
	_, err := tx.exec(`UPDATE session SET ended = 1 WHERE realm = ? AND id = ? AND ended = 0`, int64(realm), id)
	return writing("session", err)
}

// endUserSessions ends every session of a user.
func endUserSessions(tx *conn, realm uma.Key, user string) error {
	_, err := tx.exec(`UPDATE session INDEXED BY session_user SET ended = 1 WHERE realm = ? AND user = ? AND ended = 0`, int64(realm), user)
	return writing("sessions of a user", err)
}

// endClientSessions ends every session through a client.
func endClientSessions(tx *conn, realm uma.Key, client string) error {
	_, err := tx.exec(`UPDATE session INDEXED BY session_client SET ended = 1 WHERE realm = ? AND client = ? AND ended = 0`, int64(realm), client)
	return writing("sessions through a client", err)
}

// Revoke implements uma.Sessions.
func (s *Store) Revoke(ctx context.Context, realm uma.Key, jti string, expires time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO revocation (realm, jti, expires) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)`, int64(realm), jti, rows.Millis(expires))
		return writing("revocation", err)
	})
}

// DropRPT implements uma.Sessions.
func (s *Store) DropRPT(ctx context.Context, realm uma.Key, jti string) error {
	return s.write(ctx, func(tx *conn) error { return dropRPT(tx, realm, jti) })
}

func dropRPT(tx *conn, realm uma.Key, jti string) error {
	first := jti
	err := tx.row(`SELECT family FROM rpt WHERE realm = ? AND jti = ? AND family <> ''`, []any{int64(realm), jti}, &first)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return reading("RPT", err)
	}
	for _, statement := range []string{
		`INSERT INTO revocation (realm, jti, expires) SELECT realm, within, expires FROM rpt
			WHERE realm = ? AND jti = ? AND within <> '' ON CONFLICT DO NOTHING`,
		`DELETE FROM rpt WHERE realm = ? AND jti = ?`,
		`DELETE FROM rpt WHERE +realm = ? AND family = ? AND family <> ''`,
	} {
		if _, err := tx.exec(statement, int64(realm), first); err != nil {
			return writing("RPT", err)
		}
	}
	return nil
}

func saveRPT(tx *conn, realm uma.Key, r *uma.RPT) error {
	permissions, err := rows.DocumentText(r.Permissions)
	if err != nil {
		return writing("RPT", err)
	}
	_, err = tx.exec(`INSERT INTO rpt
		(realm, jti, family, within, ticket, session, subject, client, server, permissions, revision, generation, user_version, expires, keep)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(realm), r.JTI, r.Family, r.Within, r.Ticket, r.SessionID, r.Subject, r.Client, int64(r.Server), permissions, r.Revision,
		r.Generation, r.UserVersion, rows.Millis(r.Expires), rows.Millis(r.Keep))
	return writing("RPT", err)
}
