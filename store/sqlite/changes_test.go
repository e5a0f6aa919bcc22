package sqlite

import (
	"testing"

	"example.com/umpire/store/memory"
)

// Every table is listed in kindsOf: whoever adds one must say what is kept of its rows.
func TestKindsOfAllTables(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	tables, err := fetch(t.Context(), s, "tables", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	})
	if err != nil || len(tables) < 30 {
		t.Fatalf("tables %q, %v", tables, err)
	}
	for _, table := range tables {
		if _, known := kindsOf(table, false); !known {
			t.Errorf("kindsOf does not list the table %s", table)
		}
	}
	if of, known := kindsOf("no_such_table", true); known || of != memory.AllKinds {
		t.Errorf("an unknown table: got %b, %v", of, known)
	}
}

// A statement changes what its triggers and cascades change.
func TestKindsOfStatements(t *testing.T) {
	t.Parallel()
	s := openTemp(t, cached)
	for query, want := range map[string]memory.Kinds{
		`DELETE FROM resource WHERE key = ?`:                                                     memory.ResourceRows | memory.ShareRows, // a trigger deletes requests, a cascade policies
		`DELETE FROM share WHERE key = ?`:                                                        memory.ShareRows,
		`UPDATE share SET name_folded = '' WHERE key = ?`:                                        memory.ShareRows,
		`UPDATE session SET ended = 1 WHERE id = ?`:                                              memory.SessionRows,
		`INSERT INTO session SELECT * FROM session WHERE id = ?`:                                 0,
		`INSERT INTO revocation SELECT * FROM revocation WHERE jti = ?`:                          memory.SessionRows,
		`INSERT INTO user SELECT * FROM user WHERE id = ? ON CONFLICT DO NOTHING`:                0,
		`INSERT INTO user SELECT * FROM user WHERE id = ? ON CONFLICT DO UPDATE SET enabled = 0`: memory.UserRows,
		`UPDATE realm SET generation = generation + 1 WHERE key = ?`:                             memory.RealmRows,
		`DELETE FROM ticket WHERE hash = ?`:                                                      0,
		`INSERT INTO counter SELECT * FROM counter WHERE name = ?`:                               0,
		`DELETE FROM resource_part WHERE rowid = ?`:                                              0,
		`SELECT 1 FROM resource WHERE key = ?`:                                                   0,
	} {
		err := s.write(t.Context(), func(tx *conn) error {
			st, err := tx.bound(query, []any{int64(0)})
			if err != nil {
				return err
			}
			if st.changes != want {
				t.Errorf("%s: got %05b, want %05b", query, st.changes, want)
			}
			st.end(&err)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}
