package sqlite

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

var at = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// smallRealm applies a realm with one resource server and one user.
func smallRealm(t testing.TB, s *Store) *uma.Snapshot {
	t.Helper()
	_, err := s.ApplyRealm(t.Context(), &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz", Enabled: true, Policy: uma.PolicySettings{ResubmitAfter: time.Hour}},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:   []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Now:     at,
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot(t.Context(), "photoz", at)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func ticket(value string) *uma.Ticket {
	return &uma.Ticket{Hash: uma.Digest(value), Issued: at, Expires: at.Add(time.Minute)}
}

// tickets counts those of values that are there.
func tickets(t testing.TB, s *Store, values ...string) (there []string) {
	t.Helper()
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, value := range values {
		_, err := v.Ticket(t.Context(), 1, uma.Digest(value), at)
		if err != nil && !errors.Is(err, uma.ErrNotFound) {
			t.Fatal(err)
		}
		if err == nil {
			there = append(there, value)
		}
	}
	return there
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	writer := map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0", "journal_size_limit": "67108864"}
	reader := map[string]string{"journal_mode": "wal", "busy_timeout": "5000", "query_only": "1"}
	check := func(what string, c *conn, want map[string]string) {
		for pragma, value := range want {
			stmt, err := c.db.Prepare(`PRAGMA ` + pragma)
			if err == nil {
				_, err = stmt.Step()
			}
			if err != nil {
				t.Error(err)
				continue
			}
			if got := stmt.ColumnText(0); got != value {
				t.Errorf("%s: got %s %s, want %s", what, pragma, got, value)
			}
			if err := stmt.Reset(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.write(t.Context(), func(tx *conn) error { check("writer", tx, writer); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(s.readers.conns) != readers {
		t.Fatalf("%d readers are here, want %d", len(s.readers.conns), readers)
	}
	for i, c := range s.readers.conns {
		check(fmt.Sprint("reader ", i), c, reader)
	}
}

func TestNothingButDurableIsOpened(t *testing.T) {
	t.Parallel()
	c, err := openConn(filepath.Join(t.TempDir(), "umpire.db"), sqlite.OpenReadWrite|sqlite.OpenCreate,
		`journal_mode = WAL`, `synchronous = NORMAL`)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := checkDurable(c); err == nil {
		t.Error("synchronous NORMAL is taken for durable")
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

// What was answered is there after the store is opened again.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a folder with % and ? and #", "umpire.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	smallRealm(t, s)
	if err := s.SaveTicket(t.Context(), 1, ticket("kept")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	s = openTemp(t, func(c *Config) { c.Path = path })
	if got := tickets(t, s, "kept"); len(got) != 1 {
		t.Error("the ticket is gone")
	}
	if names, err := s.RealmNames(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("got realms %v and error %v", names, err)
	}
}

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

func TestOpenWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, cfg := range map[string]Config{
		"no path":                {},
		"garbage":                {Path: garbage},
		"no such folder":         {Path: filepath.Join(dir, "none", "umpire.db")},
		"read only and no file":  {Path: filepath.Join(dir, "none.db"), ReadOnly: true},
		"read only, no database": {Path: garbage, ReadOnly: true},
	} {
		s, err := Open(t.Context(), cfg)
		if err == nil {
			t.Errorf("%s: opened", what)
			s.Close()
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("to open for reading made a file")
	}
}

// A read-only store lists what a running server writes, and writes nothing.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	path := filepath.Join(filepath.Dir(pathOf(t, s)), "umpire.db")
	for _, running := range []bool{true, false} {
		if !running {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ro, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatalf("running %v: %v", running, err)
		}
		if names, err := ro.RealmNames(t.Context()); err != nil || len(names) != 1 {
			t.Errorf("running %v: got realms %v and error %v", running, names, err)
		}
		if err := ro.SaveTicket(t.Context(), 1, ticket("t")); err == nil {
			t.Errorf("running %v: wrote", running)
		}
		if ro.QueueLen() != 0 {
			t.Error("a read-only store has a queue")
		}
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Where nothing can be written, and nobody writes, a copy of the folder is read whole,
// what is in the write-ahead log included, with or without its index.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s) // in the log
	closed, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	read := func(suffix string) []byte {
		t.Helper()
		text, err := os.ReadFile(s.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for what, tc := range map[string]struct {
		files  map[string][]byte
		realms int
	}{
		"closed":                 {map[string][]byte{"": closed}, 0},
		"with its log":           {map[string][]byte{"": read(""), "-wal": read("-wal")}, 1},
		"with its log and index": {map[string][]byte{"": read(""), "-wal": read("-wal"), "-shm": read("-shm")}, 1},
	} {
		dir := t.TempDir()
		for suffix, text := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, "umpire.db"+suffix), text, 0o400); err != nil {
				t.Fatal(err)
			}
		}
		readOnly(t, dir)
		ro, err := Open(t.Context(), Config{Path: filepath.Join(dir, "umpire.db"), ReadOnly: true})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		names, err := ro.RealmNames(t.Context())
		if err != nil || len(names) != tc.realms {
			t.Errorf("%s: got realms %v and error %v, want %d", what, names, err, tc.realms)
		}
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	}
}

// readOnly makes a folder one that nothing can be written to, until the test ends. Modes
// do not keep root from writing: then it is mounted so.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o700) }) //nolint:errcheck // else the folder stays
		return
	}
	for _, args := range [][]string{{"--bind", dir, dir}, {"-o", "remount,ro,bind", dir}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("root may write everywhere, and nothing can be mounted here: %v: %s", err, out)
		}
		if args[0] == "--bind" {
			t.Cleanup(func() { exec.Command("umount", dir).Run() }) //nolint:errcheck // else the folder stays
		}
	}
}

func pathOf(t *testing.T, s *Store) (path string) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) error {
		return c.row(`SELECT file FROM pragma_database_list WHERE name = 'main'`, nil, &path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCloseEndsAll(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "umpire.db")})
	if err != nil {
		t.Fatal(err)
	}
	late, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := s.View(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("view: got %v, want %v", err, errClosed)
	}
	if err := s.SaveTicket(t.Context(), 1, ticket("t")); !errors.Is(err, errClosed) {
		t.Errorf("write: got %v, want %v", err, errClosed)
	}
	if err := late.Close(); err != nil {
		t.Errorf("close a view afterwards: %v", err)
	}
}

// Rules are found by their own table.
func TestRulesOfRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	records := []uma.Record{
		{ID: "a", Rules: []string{"team/x", "team/y", "team/x"}, Event: []byte("{}")},
		{ID: "b", Rules: []string{"team/y"}, Event: []byte("{}")},
	}
	if err := s.Commit(t.Context(), &uma.Settlement{Now: at, Records: records}); err != nil {
		t.Fatal(err)
	}
	err := s.read(t.Context(), func(c *conn) error {
		got, err := texts[string](c, `SELECT x.rule || ' ' || d.id FROM decision_rule x JOIN decision d ON d.seq = x.seq ORDER BY 1`)
		if want := []string{"team/x a", "team/y a", "team/y b"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The last records come from memory and the others from the file, and nobody can
// tell which; what was undone comes from neither.
func TestRecentRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	for i := range len(s.recent.ring) + 50 {
		st := &uma.Settlement{Now: at, Records: []uma.Record{{ID: fmt.Sprint("d", i), Time: at, Event: []byte("{}")}}}
		if i == 200 {
			st.Records[0].Event = make([]byte, maxRecent+1)
		}
		if i == 20 {
			undone := &uma.Settlement{Now: at, Successor: ticket("once"), Records: []uma.Record{{ID: "undone", Event: []byte("{}")}}}
			if err := errors.Join(s.SaveTicket(t.Context(), 0, ticket("once")), s.Commit(t.Context(), undone)); err == nil {
				t.Fatal("the same ticket was stored twice")
			}
		}
		if err := s.Commit(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Open(t.Context(), Config{Path: pathOf(t, s), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, after := range []int64{-1, 0, 49, 50, 51, 100, 190, 191, 200, 201, 300, 305, 306, 400} {
		got, err1 := s.DecisionsAfter(t.Context(), after, 10)
		want, err2 := other.DecisionsAfter(t.Context(), after, 10)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if after >= 0 && len(want) != int(max(0, min(10, 306-after))) {
			t.Errorf("after %d: the file has %d", after, len(want))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("after %d: got and want\n%+v\n%+v", after, got, want)
		}
		tooLarge := after < 201 && after+10 >= 201
		if kept := len(s.recent.after(after, 10)) > 0; kept != (after >= 50 && after < 306 && !tooLarge) {
			t.Errorf("after %d: kept is %v", after, kept)
		}
	}
}

// A panic in the middle of a read leaves nothing behind: neither is the connection
// lost, nor does it go on to read what was there at the time.
func TestPanicInTheMiddleOfARead(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if err := errors.Join(s.SaveTicket(t.Context(), 1, ticket("a")), s.SaveTicket(t.Context(), 1, ticket("b"))); err != nil {
		t.Fatal(err)
	}
	for range 2 * readers {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = s.read(t.Context(), func(c *conn) error {
				return c.rows(`SELECT hash FROM ticket`, nil, func(func(dest ...any) error) error { panic("on purpose") })
			})
		}()
	}
	if err := s.SaveTicket(t.Context(), 1, ticket("c")); err != nil {
		t.Fatal(err)
	}
	if got := tickets(t, s, "a", "b", "c"); len(got) != 3 {
		t.Errorf("got %v, want all three", got)
	}
}

// A statement that is being read is not begun again, which would have no end.
func TestStatementsAreNotNested(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	err := s.read(t.Context(), func(c *conn) error {
		const query = `SELECT name FROM sqlite_schema`
		return c.rows(query, nil, func(func(dest ...any) error) error {
			_, err := texts[string](c, query)
			return err
		})
	})
	if err == nil || !strings.Contains(err.Error(), "is being read") {
		t.Errorf("got %v", err)
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
