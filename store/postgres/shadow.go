package postgres

import (
	"context"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Shadow implements uma.Shadows.
func (s *Store) Shadow(ctx context.Context, realm string) (*uma.ShadowState, error) {
	return fetch(ctx, s, "shadow policy of realm "+realm, func(c *conn) (*uma.ShadowState, error) {
		st := &uma.ShadowState{Realm: realm}
		err := c.row(`SELECT revision, cursor, since, problem, counts, version FROM shadow WHERE realm = $1`, []any{realm},
			&st.Revision, &st.Cursor, (*moment)(&st.Since), &st.Problem, document{&st.ShadowCounts}, &st.Version)
		return st, err
	})
}

// SaveShadow implements uma.Shadows. Of several calls with one version, the first locks the row; the
// others find another version afterwards.
func (s *Store) SaveShadow(ctx context.Context, st *uma.ShadowState, changes []uma.ShadowChange) error {
	counts, err := rows.DocumentText(st.ShadowCounts)
	if err != nil {
		return err
	}
	var added columns
	for _, c := range changes {
		added.add(c.Revision, c.Change)
	}
	err = s.write(ctx, func(tx *conn) error {
		query := `UPDATE shadow SET revision = $1, cursor = $2, since = $3, problem = $4, counts = $5, version = version + 1
			WHERE realm = $6 AND version = $7`
		if st.Version == 0 {
			query = `INSERT INTO shadow (revision, cursor, since, problem, counts, realm, version)
				VALUES ($1, $2, $3, $4, $5, $6, $7 + 1) ON CONFLICT (realm) DO NOTHING`
		}
		changed, err := tx.exec(query, st.Revision, st.Cursor, millis(st.Since), st.Problem, counts, st.Realm, st.Version)
		if err != nil {
			return writing("shadow policy", err)
		}
		if changed == 0 {
			return uma.ErrMoved
		}
		if added.count == 0 {
			return nil
		}
		_, err = tx.all(
			command{query: `INSERT INTO shadow_change (realm, revision, change) SELECT $3, x.revision, x.change
				FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY x (revision, change, n) ORDER BY x.n`, args: append(added.args(), st.Realm)},
			command{query: `DELETE FROM shadow_change WHERE realm = $1 AND key <=
				(SELECT key FROM shadow_change WHERE realm = $1 ORDER BY key DESC LIMIT 1 OFFSET $2)`, args: []any{st.Realm, uma.KeepShadowChanges}})
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
		return list(c, `SELECT revision, change FROM shadow_change WHERE realm = $1 ORDER BY key DESC LIMIT $2`, []any{realm, limit},
			func(scan scanFunc) (uma.ShadowChange, error) {
				var change uma.ShadowChange
				return change, scan(&change.Revision, &change.Change)
			})
	})
}
