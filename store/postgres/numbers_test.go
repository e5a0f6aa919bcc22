package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
)

// lockNumbers locks the numbers of decision records, as commits do.
const lockNumbers = `SELECT 1 FROM counter WHERE name = 'decision' FOR NO KEY UPDATE`

// requireNumbers makes the commits of a database fail that change rows that grants rest on, and have not changed the row that
// numbers decision records: see countRested. It knows nothing of what isRested says of a statement.
const requireNumbers = `
CREATE FUNCTION require_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM counter WHERE name = 'decision' AND xmin = pg_current_xact_id()::xid) THEN
		RAISE EXCEPTION 'a row of % is changed and not counted', TG_TABLE_NAME;
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER numbers AFTER UPDATE OR DELETE ON realm DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();
CREATE CONSTRAINT TRIGGER numbers AFTER UPDATE OR DELETE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();
CREATE CONSTRAINT TRIGGER numbers AFTER UPDATE OR DELETE ON resource DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();
CREATE CONSTRAINT TRIGGER numbers AFTER UPDATE OR DELETE ON request DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();
CREATE CONSTRAINT TRIGGER numbers AFTER UPDATE OR DELETE ON share DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();
CREATE CONSTRAINT TRIGGER numbers AFTER INSERT ON dropped DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_numbers();`

// newCheckedDatabase is newDatabase with requireNumbers.
func newCheckedDatabase(t testing.TB) string {
	t.Helper()
	return server.Database(t, "checked", func(url string) error {
		ctx := context.Background()
		s, err := Open(ctx, Config{URL: url})
		if err != nil {
			return err
		}
		_, err = s.pool.Exec(ctx, requireNumbers)
		return errors.Join(err, s.Close())
	})
}

// The check refuses a change that is not counted.
func TestRequireNumbers(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: newCheckedDatabase(t)})
	smallRealm(t, s)
	for _, end := range []string{`SELECT 1`, lockNumbers, countRested} {
		err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE users SET enabled = false`)
			if err == nil {
				_, err = tx.Exec(t.Context(), end)
			}
			return err
		})
		if (err == nil) != (end == countRested) {
			t.Errorf("%s: got error %v", end, err)
		}
	}
}
