package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
)

// A database that is deleted or replaced under the server refuses writes: they would be
// lost when the process ends.
func TestFileIsDeletedOrReplaced(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(path string) error{
		"deleted": os.Remove,
		"replaced": func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.Remove(path), os.WriteFile(path, text, 0o600))
		},
		"without its log": func(path string) error { return os.Remove(path + "-wal") },
		"with its log anew": func(path string) error {
			return errors.Join(os.Rename(path+"-wal", path+".w"), os.WriteFile(path+"-wal", nil, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := openTemp(t, nil)
			if err := errors.Join(s.Check(t.Context()), s.SaveTicket(t.Context(), 1, ticket("before")), s.Check(t.Context())); err != nil {
				t.Fatal(err)
			}
			if err := lose(s.path); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); !errors.Is(err, errLost) || !strings.Contains(err.Error(), s.path) {
				t.Errorf("got %v, want that %s is lost", err, s.path)
			}
			if err := s.SaveTicket(t.Context(), 1, ticket("after")); !errors.Is(err, errLost) {
				t.Errorf("a write: got %v, want %v", err, errLost)
			}
		})
	}
}

// A database that is put back is used again.
func TestFileIsPutBack(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("got %v, want %v", err, errLost)
	}
	if err := os.Rename(s.path+".away", s.path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Check(t.Context()), s.SaveTicket(t.Context(), 1, ticket("t"))); err != nil {
		t.Error(err)
	}
}

// After a full disk the store stays unready until a commit succeeds. Check tries one
// itself: no request is needed.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	// limit is how many pages the file may have; it has more than one.
	limit := func(pages int) {
		t.Helper()
		err := s.write(t.Context(), func(tx *conn) error {
			var n int64
			return tx.row(fmt.Sprint(`PRAGMA max_page_count = `, pages), nil, &n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO sealed (name, value) VALUES ('large', zeroblob(1000000))`)
		return err
	}
	limit(1)
	if err := s.write(t.Context(), fill); sqlite.ErrCode(err) != sqlite.ResultFull {
		t.Fatalf("got %v, want a full disk", err)
	}
	if failed := s.writer.failed.Load(); failed == nil || sqlite.ErrCode(*failed) != sqlite.ResultFull {
		t.Errorf("a full disk is not noted")
	}
	before := s.WALSize()
	if err := s.Check(t.Context()); err != nil { // its own commit needs no page
		t.Errorf("a commit succeeds: got %v", err)
	}
	if s.WALSize() <= before {
		t.Error("Check tried no commit")
	}
	if before = s.WALSize(); s.Check(t.Context()) != nil || s.WALSize() != before {
		t.Error("Check writes to a store without a fault")
	}
	if s.writer.failed.Load() != nil {
		t.Error("a commit succeeded, and the failure is still noted")
	}
	if err := s.write(t.Context(), func(tx *conn) error { _, err := tx.exec(`PRAGMA query_only = ON`); return err }); err != nil {
		t.Fatal(err)
	}
	cause := sqlite.ResultIOErr.ToError()
	s.writer.failed.Store(&cause)
	if err := s.Check(t.Context()); !errors.Is(err, cause) {
		t.Errorf("no commit succeeds: got %v, want %v", err, cause)
	}
}

// Several processes start on a new folder at once: each finds the whole schema.
func TestNewFolderOpenedByMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.db")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			s, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Generation(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The database, its log and its index have mode 0600, whatever they had before.
func TestOnlyTheOwnerReadsTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.db")
	for _, before := range []fs.FileMode{0, 0o644, 0o666} {
		if before != 0 {
			if err := os.Chmod(path, before); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%04o before: umpire.db%s has mode %04o, want 0600", before, suffix, info.Mode().Perm())
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
