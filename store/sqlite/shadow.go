package sqlite

import (
	"context"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Shadow implements uma.Shadows.
func (s *Store) Shadow(ctx context.Context, realm string) (*uma.ShadowState, error) {
	return fetch(ctx, s, "shadow policy of realm "+realm, func(c *conn) (*uma.ShadowState, error) {
		st := &uma.ShadowState{Realm: realm}
		err := c.row(`SELECT revision, cursor, since, problem, counts, version FROM shadow WHERE realm = ?`, []any{realm},
			&st.Revision, &st.Cursor, (*moment)(&st.Since), &st.Problem, document{&st.ShadowCounts}, &st.Version)
		return st, err
	})
}

// SaveShadow implements uma.Shadows.
func (s *Store) SaveShadow(ctx context.Context, st *uma.ShadowState, changes []uma.ShadowChange) error {
	counts, err := rows.DocumentText(st.ShadowCounts)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *conn) error {
		query := `UPDATE shadow SET revision = ?, cursor = ?, since = ?, problem = ?, counts = ?, version = version + 1 WHERE realm = ? AND version = ?`
		args := []any{st.Revision, st.Cursor, rows.Millis(st.Since), st.Problem, counts, st.Realm, st.Version}
		if st.Version == 0 {
			query = `INSERT INTO shadow (revision, cursor, since, problem, counts, realm, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1) ON CONFLICT DO NOTHING`
		}
		changed, err := tx.exec(query, args...)
		if err != nil {
			return writing("shadow policy", err)
		}
		if changed == 0 {
			return uma.ErrMoved
		}
		for _, c := range changes {
			if _, err := tx.exec(`INSERT INTO shadow_change (realm, revision, change) VALUES (?, ?, ?)`, st.Realm, c.Revision, c.Change); err != nil {
				return writing("changes of a shadow policy", err)
			}
		}
		if len(changes) == 0 {
			return nil
		}
		_, err = tx.exec(`DELETE FROM shadow_change WHERE realm = ?1 AND key <=
			(SELECT key FROM shadow_change WHERE realm = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2 + 0)`, st.Realm, uma.KeepShadowChanges)
		return writing("changes of a shadow policy", err)
	})
	if err == nil {
		st.Version++
	}
	return err
}

// ShadowChanges implements uma.Shadows.
func (s *Store) ShadowChanges(ctx context.Context, realm string, limit int) ([]uma.ShadowChange, error) {
	return fetch(ctx, s, "changes of a shadow policy", func(c *conn) ([]uma.ShadowChange, error) {
		return list(c, `SELECT revision, change FROM shadow_change WHERE realm = ? ORDER BY key DESC LIMIT ? + 0`, []any{realm, limit},
			func(scan scanFunc) (uma.ShadowChange, error) {
				var change uma.ShadowChange
				return change, scan(&change.Revision, &change.Change)
			})
	})
}
