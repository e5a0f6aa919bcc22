package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/folder"
	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// readers is how many views may be open at a time. More are not faster.
const readers = 4

var errClosed = errors.New("the store is closed")

// Config says where the store is, and how it is used.
type Config struct {
	// Path is the database file, which is made if it does not exist.
	Path string

	// ReadOnly changes nothing in the file, which another process may be writing.
	ReadOnly bool

	// QueueLength is how many writes may wait; 0 stands for 1024.
	QueueLength int

	// Observe is called after every commit, with the number of its entries and the
	// time that it took. It may be nil.
	Observe func(batch int, took time.Duration)

	// Now is the clock that commits are timed by; nil stands for time.Now.
	Now func() time.Time

	// Caches are the rows that are kept in memory.
	Caches memory.Caches

	holdIndex bool // only tests index records
}

// A Store is an uma.Store in one SQLite file. It is safe for concurrent use.
type Store struct {
	readers *pool
	closed  chan struct{}
	close   sync.Once

	writer    *writer    // nil when read only
	inspector *inspector // nil when read only
	indexer   *indexer   // nil when read only
	damage    damage     // that was found in the file
	path      string
	files     files          // that are open, unless read only
	memory    *memory.Memory // nil if no rows are kept
	recent    memory.Recent
}

var _ uma.Store = (*Store)(nil)

// Open opens the store, and migrates its schema to that of this binary.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{readers: &pool{free: make(chan struct{}, readers)}, closed: make(chan struct{})}
	if cfg.QueueLength == 0 {
		cfg.QueueLength = 1024
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	err := s.open(ctx, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, cfg Config) error {
	if cfg.Path == "" {
		return errors.New("no path")
	}
	s.path = cfg.Path
	if cfg.ReadOnly {
		if err := s.openReaders(openStill(cfg.Path)); err != nil {
			return err
		}
		return s.read(ctx, refuseUnfinished)
	}
	if err := folder.Keep(cfg.Path, "-wal", "-shm"); err != nil {
		return err
	}
	if err := prepareSchema(ctx, cfg.Path); err != nil {
		return err
	}
	var err error
	s.memory = memory.New(cfg.Caches, cfg.Now)
	if s.writer, err = openWriter(cfg, &s.damage, s.memory); err != nil {
		return err
	}
	if _, err = s.isLost(); err != nil { // notes which files are open
		return err
	}
	// A reader may have to recover the write-ahead log, so it opens the file for writing.
	open := func() (*conn, error) {
		c, err := openConn(cfg.Path, sqlite.OpenReadWrite, busyTimeout, queryOnly)
		if err == nil {
			c.damage = &s.damage
		}
		return c, err
	}
	c, err := open()
	if err != nil {
		return err
	}
	s.inspector = &inspector{conn: c}
	if err := s.openReaders(open, nil); err != nil {
		return err
	}
	if err := s.read(ctx, refuseUnfinished); err != nil {
		return err
	}
	if err := s.continueNumbers(ctx); err != nil {
		return err
	}
	s.startIndexer(cfg.holdIndex)
	return nil
}

func (s *Store) openReaders(open func() (*conn, error), err error) error {
	for n := 0; err == nil && n < readers; n++ {
		var c *conn
		if c, err = open(); err == nil {
			s.readers.put(c)
		}
	}
	return err
}

// openStill returns a function that opens a file for reading only. In a read-only
// folder SQLite cannot make the index of the write-ahead log, which readers and writers
// share. Nobody can write there, so no locks are needed. Without a log the file is
// opened as immutable. With one each connection makes an index of its own: of an
// immutable file the log would not be read.
func openStill(path string) (func() (*conn, error), error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	beside := func() (*conn, error) { return openConn(path, sqlite.OpenReadOnly, busyTimeout, queryOnly) }
	err := tryOpen(beside)
	if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultCantOpen {
		return beside, err
	}
	uri, pragmas := fileURI(path, "mode=ro&vfs=unix-none"), []string{`locking_mode = EXCLUSIVE`, queryOnly}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		uri, pragmas = fileURI(path, "mode=ro&immutable=1"), []string{queryOnly}
	}
	alone := func() (*conn, error) { return openConn(uri, sqlite.OpenReadOnly|sqlite.OpenURI, pragmas...) }
	return alone, tryOpen(alone)
}

// tryOpen opens a connection and checks that its schema is that of this binary.
func tryOpen(open func() (*conn, error)) error {
	c, err := open()
	if err != nil {
		return err
	}
	return errors.Join(checkSchema(c), c.close())
}

// busyTimeout comes first of a connection's pragmas, since the others may have to wait.
const (
	busyTimeout = `busy_timeout = 5000`
	queryOnly   = `query_only = ON`
)

// walKept is the size, in bytes, to which SQLite cuts a write-ahead log that grew
// larger during a long read transaction.
const walKept = 64 << 20

// writerPragmas are those of the connection that writes.
var writerPragmas = []string{
	busyTimeout, `journal_mode = WAL`, `synchronous = FULL`, `foreign_keys = ON`,
	fmt.Sprint(`journal_size_limit = `, walKept), `wal_autocheckpoint = 0`,
}

// Close waits for the writes that are queued and releases the file. A view that is
// still open keeps its connection until it is closed.
func (s *Store) Close() error {
	var errs []error
	s.close.Do(func() {
		close(s.closed)
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		if s.indexer != nil {
			<-s.indexer.ended
		}
		if s.inspector != nil {
			errs = append(errs, s.inspector.close())
		}
		errs = append(errs, s.readers.drain())
	})
	return errors.Join(errs...)
}

// QueueLen is how many writes are waiting.
func (s *Store) QueueLen() int {
	if s.writer == nil {
		return 0
	}
	return len(s.writer.queue)
}

// reader takes a connection of the pool and begins a read transaction. Its statements
// see the database as of the first of them, fail once ctx ends, and read at most so
// many bytes.
func (s *Store) reader(ctx context.Context, bytes int) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closed:
		return nil, errClosed
	default:
	}
	select {
	case <-s.readers.free:
		c := s.readers.get()
		c.limit(ctx, bytes)
		if _, err := c.exec(`BEGIN`); err != nil {
			return nil, errors.Join(fmt.Errorf("begin to read: %w", err), s.release(c))
		}
		return c, nil
	case <-s.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a reader: %w", ctx.Err())
	}
}

// release ends the read transaction and gives the connection back.
func (s *Store) release(c *conn) error {
	c.snapshot = nil
	c.unlimit()
	_, err := c.exec(`ROLLBACK`)
	s.readers.put(c)
	select {
	case <-s.closed:
		return errors.Join(err, s.readers.drain())
	default:
		return err
	}
}

// A pool has the idle connections for reading. The one that was used last is taken
// first: its page cache is valid if nothing was committed since.
type pool struct {
	free  chan struct{} // one for each idle connection
	mu    sync.Mutex
	conns []*conn
}

// get takes a connection. The caller has received from free.
func (p *pool) get() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conns[len(p.conns)-1]
	p.conns = p.conns[:len(p.conns)-1]
	return c
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.mu.Unlock()
	p.free <- struct{}{}
}

// drain closes the idle connections.
func (p *pool) drain() error {
	var errs []error
	for {
		select {
		case <-p.free:
			errs = append(errs, p.get().close())
		default:
			return errors.Join(errs...)
		}
	}
}

// read calls f with a connection for reading. f must bound how much it reads.
func (s *Store) read(ctx context.Context, f func(c *conn) error) (err error) {
	c, err := s.reader(ctx, math.MaxInt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.release(c)) }()
	return f(c)
}

// fetch returns what f reads, in a read transaction of its own.
func fetch[T any](ctx context.Context, s *Store, what string, f func(c *conn) (T, error)) (v T, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		v, err = f(c)
		return reading(what, err)
	})
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// write queues f for the writer, and returns when the commit with it has reached the
// disk. If f returns an error, its changes are undone. It may be called a second time,
// after its changes were undone.
func (s *Store) write(ctx context.Context, f func(tx *conn) error) error {
	return s.submit(ctx, &entry{run: f})
}

// writeAlone is write for an f that must not be called twice.
func (s *Store) writeAlone(ctx context.Context, f func(tx *conn) error) error {
	return s.submit(ctx, &entry{run: f, alone: true})
}

func (s *Store) submit(ctx context.Context, e *entry) error {
	if s.writer == nil {
		return errors.New("the store is open for reading only")
	}
	return s.writer.submit(ctx, e)
}
