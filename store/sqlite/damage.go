package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
)

// errDamaged is the answer to every write once the file was found damaged.
var errDamaged = errors.New("the database file is damaged, it was cut or overwritten: stop the server and restore a backup")

// damage keeps the first error that said that the file is damaged. It stays until the
// server is restarted: that one page can be read again says nothing about the others.
type damage struct{ err atomic.Pointer[error] }

// note keeps err if it says that the file is damaged. A full-text index does not count:
// only searches for parts of names use it.
func (d *damage) note(err error) {
	if d == nil || err == nil {
		return
	}
	switch code := sqlite.ErrCode(err); code.ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		if code != sqlite.ResultCorruptVTab {
			d.err.CompareAndSwap(nil, &err)
		}
	}
}

// found is errDamaged with what was noted, or nil.
func (d *damage) found() error {
	if cause := d.err.Load(); cause != nil {
		return fmt.Errorf("%w (%w)", errDamaged, *cause)
	}
	return nil
}

// An inspector reads the file through a connection of its own, whose cache it empties
// first: other connections may have pages in their caches that the file no longer has.
type inspector struct {
	mu   sync.Mutex
	conn *conn
	size int64 // of the file, when it was last inspected
}

func (i *inspector) close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.conn.close()
}

// inspect reports damage that a statement met before, or that it finds itself: the
// pages of the schema cannot be read, or the file was cut. It reads the schema because
// its pages are hardly ever in the write-ahead log. A file that was cut is shorter than
// it was, and shorter than the database. One of the two is normal: VACUUM makes the
// file shorter, and it is shorter than the database as long as pages are in the log.
func (s *Store) inspect(ctx context.Context) error {
	i := s.inspector
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-s.closed:
		return errClosed
	default:
	}
	bytes, err := i.read(ctx)
	if damaged := s.damage.found(); damaged != nil {
		return fmt.Errorf("%s: %w", s.path, damaged)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) { // since isLost looked
		return fmt.Errorf("%s: %w", s.path, errLost)
	}
	if err != nil {
		return err
	}
	if info.Size() < min(i.size, bytes) {
		s.damage.note(fmt.Errorf("%w: the file has %d bytes, the database %d", sqlite.ResultCorrupt.ToError(), info.Size(), bytes))
		return fmt.Errorf("%s: %w", s.path, s.damage.found())
	}
	i.size = info.Size()
	return nil
}

// read reads the schema, and returns how many bytes the database has.
func (i *inspector) read(ctx context.Context) (bytes int64, err error) {
	i.conn.limit(ctx, math.MaxInt)
	defer i.conn.unlimit()
	if _, err := i.conn.exec(`PRAGMA shrink_memory`); err != nil { // empties the cache
		return 0, err
	}
	var entries int64
	if err := i.conn.row(`SELECT count(*) FROM sqlite_schema WHERE length(sql) > 0`, nil, &entries); err != nil {
		return 0, err
	}
	err = i.conn.row(`SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`, nil, &bytes)
	return bytes, err
}
