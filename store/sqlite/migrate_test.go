package sqlite

import (
	"cmp"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

func TestSchemaOfALaterUmpire(t *testing.T) {
	t.Parallel()
	path := schemaAt(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	for _, readOnly := range []bool{false, true} {
		_, err := Open(t.Context(), Config{Path: path, ReadOnly: readOnly})
		if err == nil || !strings.Contains(err.Error(), "later umpire") {
			t.Errorf("read only %v: got error %v, want one that says so", readOnly, err)
		}
	}
}

func TestSchemaOfAnEarlierUmpire(t *testing.T) {
	t.Parallel()
	path := schemaAt(t, `DELETE FROM goose_db_version WHERE version_id > 0`)
	_, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
	if err == nil || !strings.Contains(err.Error(), "umpire serve") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

// The patterns of a database that has them under keys with case are found.
func TestKeysAreFolded(t *testing.T) {
	t.Parallel()
	path := schemaAt(t, `DELETE FROM goose_db_version WHERE version_id > 8`)
	wanted := map[string]string{"/Docs/{Id}": "/docs/{}", "/Ärger/*": "/ärger/*", "/ſ": "/s", "/a": "/a", "/ä": "/ä"}
	before := map[string]string{"/Docs/{Id}": "/Docs/{}"}
	db, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.exec(`INSERT INTO realm (key, name, settings, generation, applying) VALUES (1, 'r', '{}', 0, 0)`)
	if err == nil {
		_, err = db.exec(`INSERT INTO client (key, realm, id, uuid, enabled, details, origin) VALUES (7, 1, 'api', 'u', 1, '{}', 'file')`)
	}
	for uri := range wanted {
		if err == nil {
			_, err = db.exec(`INSERT INTO uri_pattern (server, key, uri, id) VALUES (7, ?, ?, 'x')`, cmp.Or(before[uri], uri), uri)
		}
	}
	if err := errors.Join(err, db.close()); err != nil {
		t.Fatal(err)
	}
	s := openTemp(t, func(c *Config) { c.Path = path })
	err = s.read(t.Context(), func(c *conn) error {
		return c.rows(`SELECT uri, key FROM uri_pattern`, nil, func(scan func(...any) error) error {
			var uri, key string
			if err := scan(&uri, &key); err != nil {
				return err
			}
			if key != wanted[uri] {
				t.Errorf("the key of %s is %s, want %s", uri, key, wanted[uri])
			}
			delete(wanted, uri)
			return nil
		})
	})
	if err != nil || len(wanted) > 0 {
		t.Errorf("got error %v, and these were not found: %v", err, wanted)
	}
}

// A store of the first schema has all that it had when it has been brought up to date.
func TestMigrationKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProvider(db)
	if err == nil {
		_, err = p.UpTo(t.Context(), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	insert := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	insert(
		`INSERT INTO realm (key, name, settings, generation, applying) VALUES (1, 'photoz', '{}', 1, 0)`,
		`INSERT INTO client (key, realm, id, uuid, enabled, details, origin) VALUES (2, 1, 'api', 'uuid', 1, '{"resource_server":true}', 'file')`,
		`INSERT INTO resource VALUES (3, 'r', 2, 'alice', 0, 'Album', 'album', '', '', '', '', '[]', '["view"]', 1, '{}', 'api', 0, 7)`,
		`INSERT INTO request VALUES (4, 'q', 2, 3, 'r', 'Album', 'alice', 'bob', 'view', 's', 'granted', 0, 0, 8)`,
		`INSERT INTO ticket VALUES (1, x'01', 2, '', '', '[]', '{}', 1, 0, 9000000000000)`,
	)
	if _, err := p.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	insert(
		`INSERT INTO share VALUES (5, 'p', 2, 3, 'r', 'alice', 'Friends', 'friends', '', '["view"]', '["carol"]', '[]', '[]', '[]',
			'AFFIRMATIVE', 9, 9)`,
		`INSERT INTO share_party VALUES (3, 'u:carol', 5)`,
	)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for what, f := range map[string]uma.GrantedFilter{"by alice": {Owner: "alice"}, "with bob": {Requester: "bob"}} {
		shared, err := v.SharedResources(t.Context(), 1, f, 0, 10)
		if err != nil || len(shared) != 1 || shared[0].Version != 7 || shared[0].Texts != nil {
			t.Errorf("shared %s: got %+v and error %v", what, shared, err)
		}
	}
	if shares, _, err := v.Between(t.Context(), &uma.Party{ID: "bob"}, []uma.Key{3}, at); err != nil || len(shares) != 1 {
		t.Errorf("got shares %+v and error %v", shares, err)
	}
	if ticket, err := v.Ticket(t.Context(), 1, []byte{1}, at); err != nil || ticket.Interval != 0 {
		t.Errorf("got ticket %+v and error %v", ticket, err)
	}
	err = s.read(t.Context(), func(c *conn) error {
		faults, err := texts[string](c, `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'
			UNION ALL SELECT "table" FROM pragma_foreign_key_check UNION ALL SELECT "from" FROM pragma_foreign_key_list('request')
			UNION ALL SELECT "from" FROM pragma_foreign_key_list('share_party')`)
		if len(faults) > 0 {
			t.Errorf("the schema has %q", faults)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.DeleteResource(t.Context(), 2, "r"); err != nil {
		t.Error(err)
	}
	if rows, dropped := left(t, s); rows+dropped > 0 {
		t.Errorf("%d rows and %d dropped resources are left of one resource", rows, dropped)
	}
	if shares, _, err := v.Between(t.Context(), &uma.Party{ID: "carol"}, []uma.Key{3}, at); err != nil || len(shares) != 1 {
		t.Errorf("got policies %+v and error %v", shares, err)
	}

	// What refers to a resource goes with it, whoever deletes it.
	err = s.write(t.Context(), func(tx *conn) error {
		if _, err := tx.exec(`DELETE FROM resource WHERE key = 3`); err != nil {
			return err
		}
		left, err := texts[string](tx, `SELECT 'request ' || id FROM request UNION ALL SELECT 'share ' || id FROM share
			UNION ALL SELECT 'party ' || party FROM share_party UNION ALL
			SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`)
		if len(left) > 0 {
			t.Errorf("what is left: %v", left)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// schemaAt makes a store and changes what it says of its schema.
func schemaAt(t *testing.T, statement string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "umpire.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), func(tx *conn) error { _, err := tx.exec(statement); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTablesAreStrict(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	err := s.read(t.Context(), func(c *conn) error {
		loose, err := texts[string](c, `SELECT name FROM pragma_table_list
			WHERE schema = 'main' AND type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`)
		if len(loose) > 0 {
			t.Errorf("tables that are not STRICT: %v", loose)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// With statistics the driver would prepare some statements anew at every call.
func TestThereAreNoStatistics(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	if _, err := s.Sweep(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	err := s.read(t.Context(), func(c *conn) error {
		there, err := c.exists(`SELECT 1 FROM sqlite_master WHERE name LIKE 'sqlite_stat%'`)
		if there {
			t.Error("the schema has statistics")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
