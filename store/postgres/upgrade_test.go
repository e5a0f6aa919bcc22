package postgres

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"example.com/umpire/uma"
)

// later are the migrations of umpires that follow this one, which is version 1: version 2 adds a column and a table,
// version 3 removes what version 1 needs.
func later(t *testing.T, version int) fs.FS {
	t.Helper()
	first, err := migrations.ReadFile("migrations/00001_schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"migrations/00001_schema.sql": {Data: first}}
	for i, text := range []string{
		"-- +goose Up\nALTER TABLE resource ADD COLUMN colour text;\nCREATE TABLE colour (name text PRIMARY KEY);\n",
		"-- +goose Up\nALTER TABLE resource DROP COLUMN icon_uri;\nSELECT raise_minimum(2);\n",
	}[:version-1] {
		files[[]string{"migrations/00002_expand.sql", "migrations/00003_contract.sql"}[i]] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// queried is the answer of the database to a question with one answer.
func queried[T any](t *testing.T, s *Store, query string, args ...any) (answer T) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), query, args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

// TestRollingUpgrade: servers of the next version start at once on a database with sixteen writers of this one, and
// one of them migrates it. Servers of both versions go on, and more of this one start. After the migration that
// raises the minimum servers of this version commit nothing more; they and new ones say why. Those of the next version go on.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	this := open(t, Config{URL: url})
	w := startWriters(t, this)
	w.waitFor(t, 20)

	var next [6]*Store
	var wait sync.WaitGroup
	for i := range next {
		wait.Go(func() {
			var err error
			if next[i], err = Open(t.Context(), Config{URL: url, migrations: later(t, 2)}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, s := range next {
		if s != nil {
			defer mustClose(t, s.Close)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, reads := range []bool{false, true} {
		s := open(t, Config{URL: url, ReadOnly: reads})
		if _, err := s.RealmNames(t.Context()); err != nil {
			t.Errorf("this version on the schema of the next, read only %t: %v", reads, err)
		}
	}
	album := &uma.Resource{ID: "album", Server: smallRealm(t, this).Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"}}
	scope := func() string { return "scope" }
	if err := errors.Join(this.CreateResource(t.Context(), album, scope), this.ReplaceResource(t.Context(), album, scope)); err != nil {
		t.Errorf("this version on the schema of the next: %v", err)
	}
	after := startWritersAt(t, next[0], 1_000_000)
	w.waitFor(t, 50)
	after.waitFor(t, 50)
	const version = `SELECT string_agg(version_id::text, ' ' ORDER BY id) FROM goose_db_version`
	if got := queried[string](t, this, version); got != "0 1 2" {
		t.Errorf("got versions %s, want each once", got)
	}

	last := open(t, Config{URL: url, migrations: later(t, 3)})
	const commits = `SELECT sum(commits)::bigint FROM writer WHERE process = $1`
	had := queried[int64](t, last, commits, this.slots.process)
	after.waitFor(t, 50)
	w.mu.Lock()
	before := w.refused
	w.mu.Unlock()
	for refused := before; refused < before+32; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		refused = w.refused
		w.mu.Unlock()
	}
	if got := queried[int64](t, last, commits, this.slots.process); got != had {
		t.Errorf("a server that is too old made %d commits after the migration", got-had)
	}
	for what, err := range map[string]error{
		"a check": this.Check(t.Context()),
		"a write": this.Commit(t.Context(), record("too late")),
		"a read":  func() error { _, err := this.RealmNames(t.Context()); return err }(),
	} {
		if !isUnavailable(err) || !strings.Contains(err.Error(), "needs an umpire that knows version 2 or later; this one knows 1: replace this server") {
			t.Errorf("%s by a server that is too old: got %v", what, err)
		}
	}
	for _, cfg := range []Config{{URL: url}, {URL: url, ReadOnly: true}} {
		const want = "the schema has version 3, which needs an umpire that knows version 2 or later; this one knows 1: use a later umpire"
		if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a server that is too old starts, read only %t: got %v", cfg.ReadOnly, err)
		}
	}
	for _, writers := range []*writers16{w, after} {
		writers.stop.Store(true)
		writers.wg.Wait()
	}
	w.store = last // which reads what the writers have written
	w.check(t, patience)
	after.check(t, patience)
}

// TestCopyOfALaterSchema: an umpire that does not know all columns of a database copies neither from it nor to it.
func TestCopyOfALaterSchema(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	open(t, Config{URL: url, migrations: later(t, 2)})
	_, from := OpenSource(t.Context(), url)
	_, to := OpenTarget(t.Context(), url)
	for _, err := range []error{from, to} {
		if err == nil || !strings.Contains(err.Error(), "the schema has version 2 and this umpire copies version 1: use the umpire that made it") {
			t.Errorf("got %v", err)
		}
	}
}

// TestMinimumIsLowered: a server that was too old goes on after a recovery of the database to a time before.
func TestMinimumIsLowered(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	minimum := func(n int) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), `SELECT raise_minimum($1)`, n); err != nil {
			t.Fatal(err)
		}
	}
	minimum(99)
	s.look(t.Context())
	if err := s.Commit(t.Context(), record("refused")); !isUnavailable(err) {
		t.Errorf("got %v", err)
	}
	minimum(1)
	s.look(t.Context())
	if err := errors.Join(s.Commit(t.Context(), record("stored")), s.Check(t.Context())); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestManyStartOnANewDatabase: of servers that start at once on a database without a schema, one makes it.
func TestManyStartOnANewDatabase(t *testing.T) {
	t.Parallel()
	url := server.Database(t, "bare", func(string) error { return nil })
	var mu sync.Mutex
	var processes []string
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			s, err := Open(context.Background(), Config{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			defer mustClose(t, s.Close)
			mu.Lock()
			defer mu.Unlock()
			processes = append(processes, s.slots.process)
		})
	}
	wait.Wait()
	slices.Sort(processes)
	if n := len(slices.Compact(processes)); n != 8 {
		t.Errorf("%d servers have started, want 8", n)
	}
	if got := queried[string](t, open(t, Config{URL: url}), `SELECT string_agg(version_id::text, ' ' ORDER BY id) FROM goose_db_version`); got != "0 1" {
		t.Errorf("got versions %s, want each once", got)
	}
}
