package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"example.com/umpire/folder"
)

// minFree is how many bytes a commit of a full batch may need.
const minFree = 16 << 20

// errLost is the answer to every write once the file is gone. The open file would still
// accept writes, but nobody could read them later.
var errLost = errors.New("the database file was deleted or replaced while it was open: " +
	"put it back, or stop the server and restore a backup")

// Check reports why the store cannot be written: its file is no longer the one at its
// path, it is damaged, the last commit or checkpoint failed, or the disk is nearly full. It
// writes nothing, unless the last commit or checkpoint failed. Then it tries another, so
// that a load balancer that stopped sending requests learns when to resume.
func (s *Store) Check(ctx context.Context) error {
	if s.writer == nil {
		return nil
	}
	lost, err := s.isLost()
	if err != nil {
		return err
	}
	s.writer.lost.Store(lost)
	if lost {
		return fmt.Errorf("%s: %w", s.path, errLost)
	}
	free, err := folder.Free(s.path)
	if err != nil {
		return err
	}
	if err := s.inspect(ctx); err != nil {
		return err
	}
	if free < minFree {
		return fmt.Errorf("the disk of %s is full: %d bytes are free, want %d", s.path, free, minFree)
	}
	if failed := s.writer.checkpoints.failed.Load(); failed != nil {
		s.writer.checkpoints.start()
		return fmt.Errorf("pages of the write-ahead log cannot be moved into %s: %w", s.path, *failed)
	}
	failed := s.writer.failed.Load()
	if failed == nil {
		return nil
	}
	if err := s.write(ctx, probe); err != nil {
		return fmt.Errorf("the last commit failed: %w", *failed)
	}
	return nil
}

// probe changes a row, which is a commit like others. SQLite would write nothing if the
// new value were the old one.
func probe(tx *conn) error {
	_, err := tx.exec(`INSERT INTO counter (name, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1`)
	return writing("probe", err)
}

// files are the open files: the database, and the write-ahead log once it exists.
type files struct {
	mu      sync.Mutex
	db, wal os.FileInfo
}

// isLost reports whether the files at the path are not those that are open. The
// write-ahead log stays the same as long as any connection is open.
func (s *Store) isLost() (bool, error) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	for _, f := range []struct {
		path   string
		opened *os.FileInfo
	}{{s.path, &s.files.db}, {s.path + "-wal", &s.files.wal}} {
		now, err := os.Stat(f.path)
		gone := errors.Is(err, fs.ErrNotExist)
		switch {
		case err != nil && !gone:
			return false, err
		case *f.opened == nil:
			*f.opened = now // nil if it does not exist yet
		case gone || !os.SameFile(*f.opened, now):
			return true, nil
		}
	}
	return false, nil
}

// WALSize is the size of the write-ahead log in bytes.
func (s *Store) WALSize() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
