package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/store/sqlite"
)

// TestOpenSQLite: without a URL the store is the file.
func TestOpenSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.(*sqlite.Store); !ok {
		t.Errorf("got a %T", s)
	}
	if s, err := Open(t.Context(), Config{Path: path + ".other", ReadOnly: true}); err == nil || s != nil {
		t.Errorf("a file that is not there: got %v, %v, want an error and nil", s, err)
	}
}

// TestOpenRefusesURLs: what is not the URL of a PostgreSQL database is never taken for no URL,
// which would be SQLite, and no error has the password.
func TestOpenRefusesURLs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.db")
	for _, database := range []string{
		" ", "postgres", "postgres:", "postgres:/", "umpire:hunter2@db.example.com/umpire", "host=db.example.com password=hunter2",
		"mysql://umpire:hunter2@db.example.com/umpire", "file:hunter2", "hunter2://umpire", "POSTGRES://umpire:hunter2@db.example.com/umpire",
		" postgres://umpire:hunter2@db.example.com/umpire", "postgres://umpire:/hunter2@db.example.com/umpire", "postgres://umpire:1?hunter2@db.example.com/umpire",
		"postgres://umpire:hunter2%zz@db.example.com/umpire", "postgres://umpire:hunter2@db.example.com:port/umpire",
		"postgres://umpire:hunter2@db.example.com/umpire\n",
	} {
		s, err := Open(t.Context(), Config{Database: database, Path: path})
		if !errors.Is(err, errURL) || s != nil {
			t.Errorf("%q: got %v, %v, want that it is no URL of PostgreSQL", database, s, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error has the password: %v", database, err)
		}
	}
	for _, database := range []string{
		"postgres://umpire:hunter2@db.example.com:5432/umpire?sslmode=verify-full", "postgresql://db.example.com/umpire",
		"postgres:///umpire?host=/var/run/postgresql", "postgres://a.example.com:5432,b.example.com:5432/umpire",
	} {
		if err := CheckURL(database); err != nil {
			t.Errorf("%q: got %v", database, err)
		}
	}
}

// TestOpenRefusesReplicas: a replica of SQLite, or one whose URL is none, is refused. The error has no
// password.
func TestOpenRefusesReplicas(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		errNoReplica.Error(): {Path: filepath.Join(t.TempDir(), "umpire.db"), Replica: "postgres://umpire:hunter2@db.example.com/umpire"},
		"the replica: ":      {Database: "postgres://db.example.com/umpire", Replica: "umpire:hunter2@db.example.com"},
	} {
		s, err := Open(t.Context(), cfg)
		if s != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
