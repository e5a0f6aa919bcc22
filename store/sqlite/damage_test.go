package sqlite

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

// A database that is cut or overwritten in place refuses writes, whether Check or a
// read finds the damage.
func TestFileIsDamaged(t *testing.T) {
	t.Parallel()
	overwrite := func(path string, from, to int64) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(bytes.Repeat([]byte("x"), int(to-from)), from)
		return errors.Join(err, f.Close())
	}
	for what, damage := range map[string]func(path string, size int64) error{
		"emptied":                        func(path string, _ int64) error { return os.Truncate(path, 0) },
		"its end cut off":                func(path string, size int64) error { return os.Truncate(path, size-8192) },
		"overwritten":                    func(path string, size int64) error { return overwrite(path, 0, size) },
		"overwritten but the first page": func(path string, size int64) error { return overwrite(path, 4096, size) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := openForDamage(t)
			info, err := os.Stat(s.path)
			if err := errors.Join(err, s.SaveTicket(t.Context(), 1, ticket("before")), s.Check(t.Context())); err != nil {
				t.Fatal(err)
			}
			if err := damage(s.path, info.Size()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Check(t.Context()); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), s.path) {
					t.Errorf("got %v, want that %s is damaged", err, s.path)
				}
			}
			if err := s.SaveTicket(t.Context(), 1, ticket("after")); !errors.Is(err, errDamaged) {
				t.Errorf("a write: got %v, want %v", err, errDamaged)
			}
		})
	}
	t.Run("seen by a read", func(t *testing.T) {
		t.Parallel()
		s := openForDamage(t)
		seen := sqlite.ResultCorrupt.ToError()
		if err := s.read(t.Context(), func(c *conn) error { return c.checked(seen) }); !errors.Is(err, seen) {
			t.Errorf("got %v, want the error as it is", err)
		}
		if err := s.SaveTicket(t.Context(), 1, ticket("after")); !errors.Is(err, errDamaged) {
			t.Errorf("a write: got %v, want %v", err, errDamaged)
		}
		if err := s.Check(t.Context()); !errors.Is(err, errDamaged) {
			t.Errorf("got %v, want %v", err, errDamaged)
		}
	})
}

// openForDamage is openTemp for a file that will be damaged: errors of Close are
// ignored.
func openForDamage(t *testing.T) *Store {
	t.Helper()
	made, err := empty()
	path := filepath.Join(t.TempDir(), "umpire.db")
	if err := errors.Join(err, os.WriteFile(path, made, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A file that grows, or becomes smaller by VACUUM, is not damaged.
func TestFileIsVacuumed(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	other, err := openConn(s.path, sqlite.OpenReadWrite, busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO sealed (name, value) VALUES ('large', zeroblob(1000000))`, `PRAGMA wal_checkpoint(TRUNCATE)`,
		`DELETE FROM sealed`, `VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := other.exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if err := errors.Join(s.Check(t.Context()), s.SaveTicket(t.Context(), 1, ticket(rand.Text()))); err != nil {
			t.Errorf("after %s: %v", statement, err)
		}
	}
	if err := other.close(); err != nil {
		t.Fatal(err)
	}
}
