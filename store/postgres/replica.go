package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/umpire/uma"
)

const (
	// replicaConnections is how many connections a process has to the replica, unless its URL has
	// pool_max_conns. One more looks at the replica.
	replicaConnections = 4

	// maxLag is how old what is read from the replica may be. A replica that was further behind is used
	// again once it is within half of that.
	maxLag = 10 * time.Second

	// replicaRest is how long the replica is not used after it has failed.
	replicaRest = 10 * time.Second
)

// A replica is a hot standby of the database: see lists for what is read from it. While it is not used,
// the same is read from the primary.
type replica struct {
	primary *Store
	pool    *pgxpool.Pool
	store   *Store // reads from the replica

	origin  origin    // of the primary
	looking *pgx.Conn // of look; nil if it is to be opened

	fromReplica, fromPrimary atomic.Int64 // reads

	mu        sync.Mutex
	used      bool
	problem   string          // why it is not used
	serving   context.Context // of reads; ends when the replica does not answer
	fails     context.CancelFunc
	rests     time.Time // until then it is not used
	lag       time.Duration
	positions []position // of the primary, within maxLag
}

// A ReplicaState is how the replica is used.
type ReplicaState struct {
	Used    bool
	Problem string        // why it is not used
	Lag     time.Duration // how far it was behind, while it is used

	FromReplica, FromPrimary int64 // what was read for lists so far
}

// Replica returns how the replica is used, if one is named.
func (s *Store) Replica() (state ReplicaState, named bool) {
	if s.replica == nil {
		return ReplicaState{}, false
	}
	return s.replica.state(), true
}

func (r *replica) state() ReplicaState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ReplicaState{
		Used: r.used, Problem: r.problem, Lag: r.lag, FromReplica: r.fromReplica.Load(), FromPrimary: r.fromPrimary.Load(),
	}
}

// openReplica opens the replica. One that does not answer is used later. Another database is an error.
func (s *Store) openReplica(ctx context.Context) error {
	r := &replica{primary: s}
	cfg, err := parse(s.cfg.Replica, replicaConnections)
	if err != nil {
		return err
	}
	cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	cfg.AfterConnect = r.checkOrigin
	if s.cfg.replicaTracer != nil {
		cfg.ConnConfig.Tracer = s.cfg.replicaTracer
	}
	if r.origin, err = originOf(ctx, s.pool); err != nil {
		return err
	}
	if r.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	s.replica = r
	r.serving, r.fails = context.WithCancel(context.Background())
	r.store = &Store{cfg: s.cfg, pool: r.pool, opened: s.opened, closed: s.closed, standby: r}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if !s.cfg.unwatchedReplica {
		s.background.Go(r.watch)
	}
	return nil
}

// close ends what is read from the replica. watch has ended.
func (r *replica) close() {
	r.fails()
	if r.looking != nil {
		ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
		defer cancel()
		_ = r.looking.Close(ctx)
	}
	r.pool.Close()
}

// An origin is what a database and its replicas have in common, and no other database.
type origin struct{ cluster, database, schema string }

func originOf(ctx context.Context, db interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}) (o origin, err error) {
	err = db.QueryRow(ctx, `SELECT (SELECT system_identifier::text FROM pg_control_system()),
		(SELECT oid::text FROM pg_database WHERE datname = current_database()), coalesce(current_schema(), '')`,
		pgx.QueryExecModeExec).Scan(&o.cluster, &o.database, &o.schema)
	if err != nil {
		return origin{}, fmt.Errorf("read by what a replica is recognized: %w", err)
	}
	return o, nil
}

// errNotReplica is the error of a database that is named as the replica and is another one.
var errNotReplica = errors.New("it is not a replica of the database: its cluster, database or schema is another one")

// checkOrigin refuses a connection to another database.
func (r *replica) checkOrigin(ctx context.Context, c *pgx.Conn) error {
	found, err := originOf(ctx, c)
	if err == nil && found != r.origin {
		err = errNotReplica
	}
	return err
}

// A lostRead is the error of a read from the replica that the primary is to be asked instead. To who reads
// a view it is a uma.ErrTorn, so that they read again.
type lostRead struct{ cause error }

func (e *lostRead) Error() string { return "the replica: " + e.cause.Error() }

func (e *lostRead) Unwrap() error { return e.cause }

// Is makes errors.Is(err, uma.ErrTorn) true.
func (e *lostRead) Is(target error) bool { return target == uma.ErrTorn }

// reader is Store.reader for lists: on the replica, or on the primary while that cannot be.
func (r *replica) reader(ctx context.Context, bytes int) (*reader, error) {
	r.mu.Lock()
	far, known := r.far(r.primary.cfg.Now())
	used, serving := r.used && known && r.primary.schema.tooOld() == nil, r.serving
	r.mu.Unlock()
	if used {
		found, err := r.open(ctx, serving, bytes, far)
		if err == nil {
			r.fromReplica.Add(1)
			return found, nil
		}
		if !isLostRead(err) {
			return nil, err
		}
	}
	r.fromPrimary.Add(1)
	return r.primary.reader(ctx, bytes)
}

func isLostRead(err error) bool {
	_, lost := errors.AsType[*lostRead](err)
	return lost
}

// open takes a connection to the replica, which must have come as far as the primary was at a position.
func (r *replica) open(caller, serving context.Context, bytes int, far int64) (*reader, error) {
	ctx, cancel := context.WithTimeout(caller, r.primary.cfg.patience)
	unwatch := context.AfterFunc(serving, cancel)
	end := func() {
		unwatch()
		cancel()
	}
	at := &onReplica{replica: r, caller: caller, serving: serving}
	pg, err := r.pool.Acquire(ctx)
	if err != nil {
		defer end()
		if ctx.Err() != nil && serving.Err() == nil {
			return nil, r.primary.acquiring(ctx, err)
		}
		return nil, at.lost(err)
	}
	c := newConn(ctx, pg.Conn(), snapshot)
	c.left, c.replica = bytes, at
	found := &reader{conn: c, pg: pg, cancel: end}
	come, err := comeTo(ctx, pg.Conn())
	switch {
	case err != nil:
		err = c.checked(err)
	case come < far: // the URL may name several replicas
		err = &lostRead{errBehind}
	}
	if err != nil {
		found.release()
		return nil, err
	}
	return found, nil
}

// onReplica is of a connection to the replica.
type onReplica struct {
	replica         *replica
	caller, serving context.Context
}

// checked is conn.checked for such a connection. A statement that has taken as long as it may would
// take as long on the primary.
func (o *onReplica) checked(ctx context.Context, err error) error {
	if isLostRead(err) {
		return err
	}
	answers := o.serving.Err() == nil
	switch {
	case answers && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case answers && stateOf(err) == queryCanceled:
		return &unavailable{err}
	}
	return o.lost(err)
}

// lost notes that the replica has failed, unless the caller has gone.
func (o *onReplica) lost(err error) error {
	switch {
	case o.caller.Err() != nil:
		return fmt.Errorf("%w: %w", o.caller.Err(), err)
	case o.serving.Err() == nil:
		o.replica.rest(err)
	}
	return &lostRead{err}
}

// hasRecords returns an error if the records up to a number are not all at the replica yet: the page of a
// list that ends there would have a gap.
func (c *conn) hasRecords(last int64) error {
	if c.replica == nil || last < 0 {
		return nil
	}
	switch come, err := lastRecord(c); {
	case err != nil:
		return err
	case come < last:
		return &lostRead{errBehind}
	}
	return nil
}
