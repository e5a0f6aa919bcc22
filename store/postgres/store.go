package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/umpire/recent"
	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// Config says where the database is, and how it is used.
type Config struct {
	// URL names the database: postgres://user@host/name, with parameters of libpq and of
	// pgxpool.
	URL string

	// Replica names a hot standby of the database, which Lists reads from; empty for none. Its user needs no
	// other rights.
	Replica string

	// ReadOnly changes nothing in the database.
	ReadOnly bool

	// Existing makes Open return ErrNoSchema if the database has no schema, instead of making
	// one. ReadOnly includes it.
	Existing bool

	// QueueLength is how many writes may wait; 0 stands for 1024.
	QueueLength int

	// Observe is called after every commit, with the number of its entries and the time that it
	// took. It may be nil.
	Observe func(batch int, took time.Duration)

	// Now is the clock that commits are timed by; nil stands for time.Now.
	Now func() time.Time

	// Caches are the rows that are kept in memory.
	Caches memory.Caches

	tracer, replicaTracer pgx.QueryTracer // of tests
	unwatchedReplica      bool            // of tests: only they look at it

	patience time.Duration // of tests; 0 stands for the constant

	connections int32 // of tests; 0 stands for what the URL has

	migrations fs.FS // of tests; nil stands for those of this binary

	spanRecords int64 // of each span; 0 stands for the usual number: tests have few records
}

// A Store is an uma.Store in a PostgreSQL database. It is safe for concurrent use.
type Store struct {
	cfg     Config
	pool    *pgxpool.Pool
	schema  schema
	memory  *memory.Memory // nil if no rows are kept
	changes changes
	slots   *slots   // nil when read only
	settler *settler // nil when read only
	months  months
	recent  memory.Recent
	looking sync.Mutex   // held by look
	others  int64        // see othersChanges
	trips   atomic.Int64 // of requests: see RoundTrips

	opened    time.Time
	committed atomic.Int64 // when the last commit was, in nanoseconds since opened
	probing   sync.Mutex
	probe     *probe // the last

	replica *replica // nil without one
	standby *replica // that this store reads from: see lists; nil: it is the database itself

	closed     chan struct{}
	close      sync.Once
	background sync.WaitGroup
}

// Open opens the store, and migrates its schema to that of this binary.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.QueueLength == 0 {
		cfg.QueueLength = 1024
	}
	if cfg.patience == 0 {
		cfg.patience = patience
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.spanRecords == 0 {
		cfg.spanRecords = spanRecords
	}
	if cfg.migrations == nil {
		cfg.migrations = migrations
	}
	s := &Store{cfg: cfg, opened: time.Now(), closed: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the PostgreSQL database %s: %w", Shown(cfg.URL), err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	cfg, err := parse(s.cfg.URL, maxConnections)
	if err != nil {
		return err
	}
	switch {
	case s.cfg.connections > 0:
		cfg.MaxConns = s.cfg.connections
	case !s.cfg.ReadOnly && cfg.MaxConns < minConnections:
		return fmt.Errorf("pool_max_conns=%d is too few: %d transactions may write at a time, and others read meanwhile; it is at least %d, and %d if it is left out",
			cfg.MaxConns, writers+1, minConnections, maxConnections)
	}
	if s.schema.version, err = lastVersion(s.cfg.migrations); err != nil {
		return err
	}
	if s.cfg.ReadOnly {
		if err := checkSchema(ctx, cfg.ConnConfig, s.schema.version, false); err != nil {
			return err
		}
		cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	} else if err := migrate(ctx, cfg.ConnConfig, s.cfg.migrations, s.cfg.Existing); err != nil {
		return err
	}
	if s.cfg.tracer != nil {
		cfg.ConnConfig.Tracer = s.cfg.tracer
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	if err := refuseUnfinished(ctx, s.pool); err != nil {
		return err
	}
	if s.cfg.Replica != "" {
		if err := s.openReplica(ctx); err != nil {
			return fmt.Errorf("the replica %s: %w", Shown(s.cfg.Replica), err)
		}
	}
	if s.cfg.ReadOnly {
		return nil
	}
	s.memory = memory.New(s.cfg.Caches, s.cfg.Now)
	if s.slots, err = newSlots(ctx, s, uuid.NewString()); err != nil {
		return err
	}
	s.settler = newSettler(s)
	s.look(ctx)
	s.background.Go(s.watch)
	return nil
}

// Close waits for the writes that are under way and closes the connections. A view that is still
// open keeps its connection until it is closed.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closed)
		if s.settler != nil {
			s.settler.close()
		}
		if s.slots != nil {
			s.slots.drain()
		}
		s.background.Wait()
		if s.replica != nil {
			s.replica.close()
		}
		if s.pool != nil {
			s.pool.Close()
		}
	})
	return nil
}

// CacheStats returns what each cache of rows that is on holds and how it was used, by its name.
func (s *Store) CacheStats() map[string]recent.Stats { return s.memory.Stats() }

// RoundTrips is how often views and writes have waited for an answer of the database so far. Lists, and
// what the server reads besides requests, are not counted.
func (s *Store) RoundTrips() int64 { return s.trips.Load() }

// Connections is how many connections are in use, and how many there may be.
func (s *Store) Connections() (used, most int) {
	stats := s.pool.Stat()
	return int(stats.AcquiredConns()), int(stats.MaxConns())
}

// Waits is how often all connections were in use when one was needed, and how long was waited for one then.
func (s *Store) Waits() (times int64, took time.Duration) {
	stats := s.pool.Stat()
	return stats.EmptyAcquireCount(), stats.EmptyAcquireWaitTime()
}

// isClosed reports whether Close was called.
func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// beginWrite begins a transaction that writes. Its statements must see what was committed while they waited for a
// lock: see docs/decisions/0013-postgresql.md.
const beginWrite = `BEGIN ISOLATION LEVEL READ COMMITTED`

// snapshot begins a transaction whose statements see one state of the database.
const snapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`

// reader takes a connection of the pool. Its statements see the database as of the first of them,
// fail once ctx ends, or after as long as a write may take, and read at most so many bytes.
func (s *Store) reader(ctx context.Context, bytes int) (*reader, error) {
	if s.standby != nil && !s.isClosed() {
		return s.standby.reader(ctx, bytes)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.patience)
	r, err := s.patientReader(ctx, bytes)
	if err != nil {
		cancel()
		return nil, err
	}
	r.cancel = cancel
	return r, nil
}

// patientReader is reader for what reads many pages: its statements together may take as long as ctx lasts. Each ends
// by statement_timeout.
func (s *Store) patientReader(ctx context.Context, bytes int) (*reader, error) {
	if s.isClosed() {
		return nil, errClosed
	}
	if err := s.schema.tooOld(); err != nil {
		return nil, err
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.acquiring(ctx, err)
	}
	c := newConn(ctx, pg.Conn(), snapshot)
	c.left = bytes
	return &reader{conn: c, pg: pg, cancel: func() {}}, nil
}

// acquiring is the error of a connection that could not be had.
func (s *Store) acquiring(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("wait for a connection: %w", ctx.Err())
	case s.isClosed():
		return errClosed
	}
	return &unavailable{err}
}

// A reader is a read transaction.
type reader struct {
	*conn
	pg     *pgxpool.Conn
	cancel context.CancelFunc
}

// release ends the transaction and gives the connection back, which the caller need not wait for.
func (r *reader) release() {
	if pg := r.conn.pg.PgConn(); pg.IsClosed() || pg.TxStatus() == noTransaction {
		r.end()
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
		defer cancel()
		_, _ = r.pg.Exec(ctx, `ROLLBACK`) // if it fails, the pool closes the connection
		r.end()
	}()
}

// noTransaction is the status of a connection without a transaction.
const noTransaction = 'I'

// end gives the connection back. Its transaction has ended, or the pool closes it.
func (r *reader) end() {
	r.pg.Release()
	r.cancel()
}

// read calls f with a connection for reading. f must bound how much it reads. For lists it may be called
// again.
func (s *Store) read(ctx context.Context, f func(c *conn) error) error {
	err := s.readOnce(ctx, f)
	if isLostRead(err) {
		s.standby.fromPrimary.Add(1)
		err = s.standby.primary.readOnce(ctx, f)
	}
	return err
}

func (s *Store) readOnce(ctx context.Context, f func(c *conn) error) error {
	r, err := s.reader(ctx, math.MaxInt)
	if err != nil {
		return err
	}
	defer r.release()
	return f(r.conn)
}

// readPatiently is read for a patientReader.
func (s *Store) readPatiently(ctx context.Context, f func(c *conn) error) error {
	r, err := s.patientReader(ctx, math.MaxInt)
	if err != nil {
		return err
	}
	defer r.release()
	return f(r.conn)
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

// fetchOnce is fetch for one statement, which needs no transaction.
func fetchOnce[T any](ctx context.Context, s *Store, what string, f func(c *conn) (T, error)) (T, error) {
	return fetch(ctx, s, what, func(c *conn) (T, error) {
		c.begin = ""
		return f(c)
	})
}

var _ uma.Store = (*Store)(nil)
