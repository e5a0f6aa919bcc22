package sqlite

import (
	"context"
	"fmt"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const adminTokenColumns = ` id, realm, name, access, note, author, hash, created, expires, revoked `

func scanAdminToken(scan scanFunc) (uma.AdminToken, error) {
	var t uma.AdminToken
	err := scan(&t.ID, &t.Realm, &t.Name, (*string)(&t.Right), &t.Note, &t.By, &t.Hash,
		(*moment)(&t.Created), (*moment)(&t.Expires), (*moment)(&t.Revoked))
	return t, err
}

// oneAdminToken returns the token that a query finds, or ErrNotFound.
func oneAdminToken(c *conn, query string, args ...any) (*uma.AdminToken, error) {
	t, err := oneRow(c, query, args, scanAdminToken)
	if err != nil {
		return nil, reading("admin token", err)
	}
	return &t, nil
}

// CreateAdminToken implements uma.AdminTokens.
func (s *Store) CreateAdminToken(ctx context.Context, t *uma.AdminToken) error {
	return s.write(ctx, func(tx *conn) error {
		switch there, err := tx.exists(`SELECT 1 FROM realm WHERE name = ?`, t.Realm); {
		case err != nil:
			return reading("realm "+t.Realm, err)
		case !there:
			return fmt.Errorf("realm %s: %w", t.Realm, uma.ErrNotFound)
		}
		_, err := tx.exec(`INSERT INTO admin_token (`+adminTokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.Realm, t.Name, string(t.Right), t.Note, t.By, t.Hash, rows.Millis(t.Created), rows.Millis(t.Expires), rows.Millis(t.Revoked))
		return writing("admin token "+t.Name, conflict(err))
	})
}

// AdminToken implements uma.AdminTokens.
func (s *Store) AdminToken(ctx context.Context, hash []byte) (*uma.AdminToken, error) {
	return fetch(ctx, s, "admin token", func(c *conn) (*uma.AdminToken, error) {
		return oneAdminToken(c, `SELECT`+adminTokenColumns+`FROM admin_token WHERE hash = ?`, hash)
	})
}

// ListAdminTokens implements uma.AdminTokens.
func (s *Store) ListAdminTokens(ctx context.Context, realm string) ([]uma.AdminToken, error) {
	return fetch(ctx, s, "admin tokens", func(c *conn) ([]uma.AdminToken, error) {
		return list(c, `SELECT`+adminTokenColumns+`FROM admin_token WHERE ?1 = '' OR realm = ?1 ORDER BY rowid`, []any{realm}, scanAdminToken)
	})
}

// RevokeAdminToken implements uma.AdminTokens. A token is revoked once: the time of the
// first revocation stays.
func (s *Store) RevokeAdminToken(ctx context.Context, realm, idOrName string, now time.Time) (*uma.AdminToken, error) {
	var t *uma.AdminToken
	err := s.write(ctx, func(tx *conn) (err error) {
		t, err = oneAdminToken(tx, `SELECT`+adminTokenColumns+`FROM admin_token WHERE id = ?1 AND realm = ?2
			UNION ALL SELECT`+adminTokenColumns+`FROM admin_token WHERE realm = ?2 AND name = ?1 AND revoked = 0 LIMIT 1`, idOrName, realm)
		if err != nil || !t.Revoked.IsZero() {
			return err
		}
		t.Revoked = now.UTC().Truncate(time.Millisecond)
		_, err = tx.exec(`UPDATE admin_token SET revoked = ? WHERE id = ?`, rows.Millis(now), t.ID)
		return writing("admin token "+t.Name, err)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// BeginAdminUse implements uma.AdminTokens.
func (s *Store) BeginAdminUse(ctx context.Context, u *uma.AdminUse) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`UPDATE admin_token SET uses = uses + 1 WHERE id = ? AND revoked = 0 AND (expires = 0 OR expires > ?)`,
			u.Token, rows.Millis(u.Time))
		switch {
		case err != nil:
			return writing("admin token "+u.Name, err)
		case n == 0:
			return fmt.Errorf("admin token %s: %w", u.Name, uma.ErrNotFound)
		}
		var nth int64
		if err := tx.row(`SELECT uses FROM admin_token WHERE id = ?`, []any{u.Token}, &nth); err != nil {
			return reading("admin token "+u.Name, err)
		}
		key, err := tx.insert(`INSERT INTO admin_use (token, nth, name, realm, time, ip, request, operation, detail, outcome)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')`, u.Token, nth, u.Name, u.Realm, rows.Millis(u.Time), u.IP, u.Request, u.Operation, u.Detail)
		if err != nil {
			return writing("use of admin token "+u.Name, err)
		}
		u.Seq = int64(key)
		_, err = tx.exec(`DELETE FROM admin_use WHERE token = ? AND nth <= ?`, u.Token, nth-uma.AdminUsesToken)
		return writing("old uses of admin token "+u.Name, err)
	})
}

// EndAdminUse implements uma.AdminTokens.
func (s *Store) EndAdminUse(ctx context.Context, u *uma.AdminUse) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`UPDATE admin_use SET detail = ?, outcome = ? WHERE seq = ?`, u.Detail, u.Outcome, u.Seq)
		return writing("use of admin token "+u.Name, err)
	})
}

// FindAdminUses implements uma.AdminTokens.
func (s *Store) FindAdminUses(ctx context.Context, f uma.AdminUseFilter, limit int) ([]uma.AdminUse, error) {
	query, args := `seq > 0`, []any{f.Before, limit}
	switch {
	case f.Token != "":
		query, args = `token = ?3 AND (?4 = '' OR realm = ?4)`, append(args, f.Token, f.Realm)
	case f.Realm != "":
		query, args = `realm = ?3`, append(args, f.Realm)
	}
	order := ` ORDER BY seq DESC`
	if f.Token != "" {
		order = ` ORDER BY nth DESC`
	}
	return fetch(ctx, s, "uses of admin tokens", func(c *conn) ([]uma.AdminUse, error) {
		return list(c, `SELECT seq, token, name, realm, time, ip, request, operation, detail, outcome FROM admin_use
			WHERE `+query+` AND (?1 = 0 OR seq < ?1)`+order+` LIMIT ?2 + 0`, args, scanAdminUse)
	})
}

func scanAdminUse(scan scanFunc) (uma.AdminUse, error) {
	var u uma.AdminUse
	err := scan(&u.Seq, &u.Token, &u.Name, &u.Realm, (*moment)(&u.Time), &u.IP, &u.Request, &u.Operation, &u.Detail, &u.Outcome)
	return u, err
}

// PruneAdminUses implements uma.AdminTokens. Uses are in the order of their times.
func (s *Store) PruneAdminUses(ctx context.Context, before time.Time, limit int) (int, error) {
	removed := 0
	err := s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`DELETE FROM admin_use WHERE seq IN (SELECT seq FROM
			(SELECT seq, time FROM admin_use WHERE seq > 0 ORDER BY seq LIMIT ? + 0) WHERE time < ?)`, limit, rows.Millis(before))
		removed = n
		return writing("old uses of admin tokens", err)
	})
	return removed, err
}
