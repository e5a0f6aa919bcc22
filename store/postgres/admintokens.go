package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

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

// CreateAdminToken implements uma.AdminTokens. The realm is locked, so that it is there when the
// token is.
func (s *Store) CreateAdminToken(ctx context.Context, t *uma.AdminToken) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`INSERT INTO admin_token (`+adminTokenColumns+`, uses)
			SELECT $1, r.name, $3, $4, $5, $6, $7, $8, $9, $10, 0 FROM (SELECT name FROM realm WHERE name = $2 FOR KEY SHARE) r`,
			t.ID, t.Realm, t.Name, string(t.Right), t.Note, t.By, t.Hash, millis(t.Created), millis(t.Expires), millis(t.Revoked))
		if err == nil && n == 0 {
			return fmt.Errorf("realm %s: %w", t.Realm, uma.ErrNotFound)
		}
		return writing("admin token "+t.Name, conflict(err))
	})
}

// AdminToken implements uma.AdminTokens.
func (s *Store) AdminToken(ctx context.Context, hash []byte) (*uma.AdminToken, error) {
	return fetch(ctx, s, "admin token", func(c *conn) (*uma.AdminToken, error) {
		return oneAdminToken(c, `SELECT`+adminTokenColumns+`FROM admin_token WHERE hash = $1`, hash)
	})
}

// ListAdminTokens implements uma.AdminTokens.
func (s *Store) ListAdminTokens(ctx context.Context, realm string) ([]uma.AdminToken, error) {
	return fetch(ctx, s, "admin tokens", func(c *conn) ([]uma.AdminToken, error) {
		return list(c, `SELECT`+adminTokenColumns+`FROM admin_token WHERE $1 = '' OR realm = $1 ORDER BY key`, []any{realm}, scanAdminToken)
	})
}

// RevokeAdminToken implements uma.AdminTokens. A token is revoked once: the time of the first
// revocation stays.
func (s *Store) RevokeAdminToken(ctx context.Context, realm, idOrName string, now time.Time) (*uma.AdminToken, error) {
	var t *uma.AdminToken
	err := s.write(ctx, func(tx *conn) (err error) {
		t, err = oneAdminToken(tx, `SELECT`+adminTokenColumns+`FROM admin_token WHERE id = $1 AND realm = $2 FOR NO KEY UPDATE`, idOrName, realm)
		if errors.Is(err, uma.ErrNotFound) {
			t, err = oneAdminToken(tx, `SELECT`+adminTokenColumns+`FROM admin_token WHERE realm = $2 AND name = $1 AND revoked = 0
				FOR NO KEY UPDATE`, idOrName, realm)
		}
		if err != nil || !t.Revoked.IsZero() {
			return err
		}
		t.Revoked = now.UTC().Truncate(time.Millisecond)
		_, err = tx.exec(`UPDATE admin_token SET revoked = $1 WHERE id = $2`, millis(now), t.ID)
		return writing("admin token "+t.Name, err)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// BeginAdminUse implements uma.AdminTokens. The row of the token stays locked until the commit, so
// that its uses are numbered in the order of their commits.
func (s *Store) BeginAdminUse(ctx context.Context, u *uma.AdminUse) error {
	return s.write(ctx, func(tx *conn) error {
		var nth int64
		u.Seq = 0
		err := tx.row(`WITH used AS (UPDATE admin_token SET uses = uses + 1
				WHERE id = $1 AND revoked = 0 AND (expires = 0 OR expires > $4) RETURNING id, uses)
			INSERT INTO admin_use (token, nth, name, realm, time, ip, request, operation, detail, outcome)
			SELECT id, uses, $2, $3, $4, $5, $6, $7, $8, '' FROM used RETURNING seq, nth`,
			[]any{u.Token, u.Name, u.Realm, millis(u.Time), u.IP, u.Request, u.Operation, u.Detail}, &u.Seq, &nth)
		if err != nil {
			return writing("use of admin token "+u.Name, err)
		}
		_, err = tx.exec(`DELETE FROM admin_use WHERE token = $1 AND nth <= $2`, u.Token, nth-uma.AdminUsesToken)
		return writing("old uses of admin token "+u.Name, err)
	})
}

// EndAdminUse implements uma.AdminTokens.
func (s *Store) EndAdminUse(ctx context.Context, u *uma.AdminUse) error {
	err := s.writeAll(ctx, command{query: `UPDATE admin_use SET detail = $1, outcome = $2 WHERE seq = $3`, args: []any{u.Detail, u.Outcome, u.Seq}})
	return writing("use of admin token "+u.Name, err)
}

// FindAdminUses implements uma.AdminTokens.
func (s *Store) FindAdminUses(ctx context.Context, f uma.AdminUseFilter, limit int) ([]uma.AdminUse, error) {
	query, args := ``, []any{cmp.Or(f.Before, math.MaxInt64), limit}
	switch {
	case f.Token != "":
		query, args = ` AND token = $3 AND ($4 = '' OR realm = $4)`, append(args, f.Token, f.Realm)
	case f.Realm != "":
		query, args = ` AND realm = $3`, append(args, f.Realm)
	}
	order := ` ORDER BY seq DESC`
	if f.Token != "" {
		order = ` ORDER BY nth DESC`
	}
	return fetch(ctx, s, "uses of admin tokens", func(c *conn) ([]uma.AdminUse, error) {
		return list(c, `SELECT seq, token, name, realm, time, ip, request, operation, detail, outcome FROM admin_use
			WHERE seq < $1`+query+order+` LIMIT $2`, args, scanAdminUse)
	})
}

func scanAdminUse(scan scanFunc) (uma.AdminUse, error) {
	var u uma.AdminUse
	err := scan(&u.Seq, &u.Token, &u.Name, &u.Realm, (*moment)(&u.Time), &u.IP, &u.Request, &u.Operation, &u.Detail, &u.Outcome)
	return u, err
}

// PruneAdminUses implements uma.AdminTokens. Uses are in the order of their times. Rows that another
// server is removing are left to it.
func (s *Store) PruneAdminUses(ctx context.Context, before time.Time, limit int) (int, error) {
	var removed int
	err := s.writeAll(ctx, command{query: `WITH old AS (SELECT seq, time FROM admin_use ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED),
		gone AS (DELETE FROM admin_use u USING old WHERE u.seq = old.seq AND old.time < $2 RETURNING 1)
		SELECT count(*) FROM gone`, args: []any{limit, millis(before)}, dest: []any{&removed}})
	return removed, writing("old uses of admin tokens", err)
}
