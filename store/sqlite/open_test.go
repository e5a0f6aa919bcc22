package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"
)

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
	for i := range readers { // each is waited for: the indexer may read
		<-s.readers.free
		c := s.readers.get()
		defer s.readers.put(c)
		check(fmt.Sprint("reader ", i), c, reader)
	}
}

func TestConnectionThatIsNotDurableIsRefused(t *testing.T) {
	t.Parallel()
	c, err := openConn(filepath.Join(t.TempDir(), "umpire.db"), sqlite.OpenReadWrite|sqlite.OpenCreate,
		`journal_mode = WAL`, `synchronous = NORMAL`)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c.close)
	if err := checkDurable(c); err == nil {
		t.Error("synchronous NORMAL is accepted")
	}
}

// What was written before Close is read after the store is opened again.
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

func TestOpenRefuses(t *testing.T) {
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
			mustClose(t, s.Close)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("opening for reading made a file")
	}
}

func TestCloseEndsEverything(t *testing.T) {
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
