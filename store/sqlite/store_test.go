package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

var at = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// empty is a database with its schema and nothing in it. It is made once, because
// making one takes half a second with the race detector.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "umpire-store-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder that stays does no harm
	path := filepath.Join(dir, "umpire.db")
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil { // which leaves no write-ahead log behind
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("the store was closed and has a write-ahead log")
	}
	return os.ReadFile(path)
})

func openTemp(t testing.TB, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{Path: filepath.Join(t.TempDir(), "umpire.db")}
	made, err := empty()
	if err == nil {
		err = os.WriteFile(cfg.Path, made, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

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

// tickets returns those of values that are stored.
func tickets(t testing.TB, s *Store, values ...string) (there []string) {
	t.Helper()
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, v.Close)
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

// rowsOf returns the rows of a query that has one column of text.
func rowsOf(t testing.TB, s *Store, query string) (rows []string) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) (err error) {
		rows, err = texts[string](c, query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// mustClose closes something and checks the error. It is for defer.
func mustClose(t testing.TB, close func() error) {
	t.Helper()
	if err := close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
