package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"example.com/umpire/uma"
)

func TestSchemaOfALaterUmpire(t *testing.T) {
	t.Parallel()
	path := schemaAt(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	for _, readOnly := range []bool{false, true} {
		_, err := Open(t.Context(), Config{Path: path, ReadOnly: readOnly})
		if err == nil || !strings.Contains(err.Error(), "later umpire") {
			t.Errorf("read only %v: got error %v, want one that names a later umpire", readOnly, err)
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

// schemaAt makes a store, runs statements that change what it says about its schema,
// and returns its path.
func schemaAt(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "umpire.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if err := s.write(t.Context(), func(tx *conn) error { _, err := tx.exec(statement); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTablesAreStrict(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	loose := rowsOf(t, s, `SELECT name FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`)
	if len(loose) > 0 {
		t.Errorf("tables that are not STRICT: %v", loose)
	}
}

// With statistics SQLite would prepare some statements anew at every call.
func TestThereAreNoStatistics(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	if _, err := s.Sweep(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if found := rowsOf(t, s, `SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'`); len(found) > 0 {
		t.Errorf("the schema has statistics: %v", found)
	}
}

// The versions of unreleased builds, 1 to 9, are not taken for those of a later umpire.
func TestSchemaOfAnUnreleasedBuild(t *testing.T) {
	t.Parallel()
	for what, statements := range map[string][]string{
		"the first version": {`PRAGMA application_id = 0`},
		"the last version":  {`PRAGMA application_id = 0`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9, 1)`},
	} {
		path := schemaAt(t, statements...)
		for _, readOnly := range []bool{false, true} {
			_, err := Open(t.Context(), Config{Path: path, ReadOnly: readOnly})
			if !errors.Is(err, errUnreleased) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, read only %v: got %v, want %v with the path", what, readOnly, err, errUnreleased)
			}
		}
	}
}

// SQLite deletes the rows that refer to a resource, whichever statement deletes it.
func TestRowsOfAResourceAreDeletedWithIt(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	insert := []string{
		`INSERT INTO realm (key, name, settings, generation, applying) VALUES (1, 'photoz', '{}', 1, 0)`,
		`INSERT INTO client (key, realm, id, uuid, enabled, details, origin) VALUES (2, 1, 'api', 'uuid', 1, '{"resource_server":true}', 'file')`,
		`INSERT INTO resource VALUES (3, 'r', 2, 'alice', 0, 'Album', 'album', '', '', '', '', '[]', '["view"]', 1, '{}', 'api', 0, 7, '')`,
		`INSERT INTO request VALUES (4, 'q', 2, 3, 'r', 'Album', 'alice', 'bob', 'view', 's', 'granted', 0, 0, 8)`,
		`INSERT INTO share VALUES (5, 'p', 2, 3, 'r', 'alice', 'Friends', 'friends', '', '["view"]', '["carol"]', '[]', '[]', '[]',
			'AFFIRMATIVE', 9, 9)`,
		`INSERT INTO share_party VALUES (3, 'u:carol', 5)`,
	}
	const rows = `SELECT 'request ' || id FROM request UNION ALL SELECT 'share ' || id FROM share
		UNION ALL SELECT 'party ' || party FROM share_party`
	err := s.write(t.Context(), func(tx *conn) error {
		for _, statement := range insert {
			if _, err := tx.exec(statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		if before, err := texts[string](tx, rows); err != nil || len(before) != 3 {
			return fmt.Errorf("got rows %v and error %w", before, err)
		}
		if _, err := tx.exec(`DELETE FROM resource WHERE key = 3`); err != nil {
			return err
		}
		left, err := texts[string](tx, rows+` UNION ALL
			SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'
			UNION ALL SELECT "table" FROM pragma_foreign_key_check`)
		if len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Rows of request and share_party may outlive their resource: see removeResource.
func TestRowsOfDroppedResourcesHaveNoForeignKeys(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	keys := rowsOf(t, s, `SELECT "from" FROM pragma_foreign_key_list('request')
		UNION ALL SELECT "from" FROM pragma_foreign_key_list('share_party')`)
	if len(keys) > 0 {
		t.Errorf("got %q", keys)
	}
}

// schemaOf makes a database of an earlier version of the schema, with rows.
func schemaOf(t *testing.T, version int64, rows string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "umpire.db")
	db, err := sql.Open("sqlite", fileURI(path, ""))
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), rows)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// openAt opens the store of a database until the test ends.
func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// The policies that were in force before there were periods are so afterwards.
func TestPoliciesOfTheFirstSchema(t *testing.T) {
	t.Parallel()
	s := openAt(t, schemaOf(t, 1, `INSERT INTO revision VALUES ('old', 'photoz', '{}', 1000, 2000), ('now', 'photoz', '{"a.rego":"package a"}', 2000, 0);
		INSERT INTO policy_in_force VALUES ('photoz', 'now')`))
	rev, err := s.RevisionInForce(t.Context(), "photoz")
	if err != nil || rev.Hash != "now" || rev.Sources["a.rego"] != "package a" {
		t.Errorf("got %+v, %v", rev, err)
	}
	state, err := s.PolicyState(t.Context(), "photoz")
	if err != nil || state.Active == nil || state.Active.Revision != "now" || state.Active.Since.Unix() != 2 || state.Active.Pinned || state.Taken != "" {
		t.Errorf("got %+v, %v", state, err)
	}
	if _, err := s.Revision(t.Context(), "photoz", "old"); err != nil {
		t.Error(err)
	}
}

// Revisions of a schema that had each as one document are read, by every realm whose records
// name them, activated again and removed.
func TestRevisionsOfTheSchemaBefore(t *testing.T) {
	t.Parallel()
	library, text := "package uma.authz\n", "package a\n\n# \u00fcber \"all\"\n"
	s := openAt(t, schemaOf(t, 4, `INSERT INTO realm (name, settings, generation, applying) VALUES ('photoz', '{}', 1, 0), ('bank', '{}', 1, 0);
		INSERT INTO revision VALUES ('one', 'photoz', json_object('a.rego', 'package a' || char(10), '/umpire/authz.rego', 'package uma.authz' || char(10)), 1000),
			('two', 'photoz', json_object('a.rego', 'package a' || char(10,10) || '# über "all"' || char(10), '/umpire/authz.rego', 'package uma.authz' || char(10)), 2000);
		INSERT INTO policy_period (realm, revision, content, since, until, author, source, note, pinned) VALUES
			('photoz', 'one', 'c1', 1000, 2000, 'server', '/p', '', 0), ('photoz', 'two', 'c2', 2000, 0, 'carol', '/p', 'reviewed', 1),
			('bank', 'two', 'c2', 2500, 0, 'server', '/p', '', 0);
		INSERT INTO decision (id, batch, realm, time, kind, outcome, subject, client, server, resource, revision, rules, encoding, event)
			VALUES ('d', '', 'bank', 0, '', '', '', '', '', '', 'one', '', 0, x'7b7d')`))
	want := func(realm, hash, a string) {
		t.Helper()
		r, err := s.Revision(t.Context(), realm, hash)
		if err != nil {
			t.Fatalf("%s of %s: %v", hash, realm, err)
		}
		if r.Sources["a.rego"] != a || r.Sources["/umpire/authz.rego"] != library || len(r.Sources) != 2 || len(r.Beside) != 0 || r.OPA+r.Umpire != "" || r.Since.IsZero() {
			t.Errorf("%s of %s: got %+v", hash, realm, r)
		}
	}
	want("photoz", "one", "package a\n")
	want("photoz", "two", text)
	want("bank", "two", text)
	want("bank", "one", "package a\n")
	state, err := s.PolicyState(t.Context(), "photoz")
	if err != nil || state.Active.Revision != "two" || !state.Active.ConfirmBy.IsZero() || state.Active.Note != "reviewed" {
		t.Errorf("got %+v, %v", state.Active, err)
	}
	again := &uma.Revision{Hash: "one", Realm: "photoz", Sources: map[string]string{"a.rego": "package a\n", "/umpire/authz.rego": library},
		Beside: map[string]string{"a_test.rego": "package a_test\n"}, OPA: "1", Umpire: "1", Since: state.Active.Since.Add(time.Hour)}
	if _, err := s.ActivatePolicy(t.Context(), &uma.Activation{Revision: again, Content: "c1", Over: state.Active.Key}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.RevisionInForce(t.Context(), "photoz"); err != nil || !maps.Equal(r.Sources, again.Sources) || !maps.Equal(r.Beside, again.Beside) {
		t.Errorf("got %+v, %v", r, err)
	}
	if left := rowsOf(t, s, `SELECT "table" FROM pragma_foreign_key_check`); len(left) > 0 {
		t.Errorf("got %v", left)
	}
}

// A file is stored once for each realm, and compressed; it goes with the last revision that
// names it.
func TestPolicyFilesAreShared(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	shared := strings.Repeat("package a\n", 1000)
	var over uma.Key
	for i := range uma.KeepRevisions + 2 {
		r := &uma.Revision{Hash: fmt.Sprint("r", i), Realm: "photoz", Since: at.Add(time.Duration(i) * time.Second),
			Sources: map[string]string{"a.rego": shared, "b.rego": fmt.Sprint("package b", i)}, Beside: map[string]string{"a_test.rego": fmt.Sprint("test ", i)}}
		key, err := s.ActivatePolicy(t.Context(), &uma.Activation{Revision: r, Content: r.Hash, Over: over})
		if err != nil {
			t.Fatal(err)
		}
		over = key
	}
	const counts = `SELECT count(*) || ' files, ' || (sum(length(content)) < 10000) FROM policy_file`
	if got, want := rowsOf(t, s, counts)[0], fmt.Sprintf("%d files, 1", 1+2*(uma.KeepRevisions+2)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n, err := s.PruneRevisions(t.Context(), at.Add(time.Hour)); err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	if got, want := rowsOf(t, s, counts)[0], fmt.Sprintf("%d files, 1", 1+2*uma.KeepRevisions); got != want {
		t.Errorf("after the removal: got %s, want %s", got, want)
	}
	if r, err := s.Revision(t.Context(), "photoz", "r5"); err != nil || r.Sources["a.rego"] != shared {
		t.Errorf("got %v, %v", r, err)
	}
}

// Records that the ninth schema indexed are found after the migration at once, and indexed anew.
func TestIndexOfTheSchemaBefore(t *testing.T) {
	t.Parallel()
	rows := `INSERT INTO decision_chunk VALUES (1, 20, 0, 0);`
	want := map[string][]int64{}
	for i := range 30 {
		r := variedRecord(i)
		rows += fmt.Sprintf(`INSERT INTO decision_log (fields, encoding, event) VALUES (x'%x', %d, x'%x');`, packRecord(&r), plainEvent, r.Event)
		for _, term := range termsOf(&r) {
			want[term] = append(want[term], int64(i+1))
			if i < 20 {
				rows += fmt.Sprintf(`INSERT INTO decision_term VALUES ('%s', %d, %[2]d, x'');`, term, i+1)
			}
		}
	}
	s, err := Open(t.Context(), Config{Path: schemaOf(t, 9, rows), holdIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s.Close)
	checkSearches(t, s, want)
	indexAll(t, s, 20)
	checkSearches(t, s, want)
	if got := allTerms(t, s); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}
