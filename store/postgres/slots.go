package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

const (
	// writers is how many transactions of a process may write at a time, besides those of the
	// settler. It leaves connections for reading.
	writers = 4

	// tries is how often a transaction is run that another one was in the way of, or whose
	// connection was lost before it was to be committed.
	tries = 5

	// retryAfter is how long the second try waits; the next ones wait longer.
	retryAfter = 20 * time.Millisecond

	// patience is how long a write may take, whatever happens: afterwards it is refused. Tests have less.
	patience = 15 * time.Second
)

// slots are those that no transaction uses. A slot is a row of the table writer: it has the number
// of transactions that were committed with it, which each transaction raises. So when a connection
// is lost during a commit, the row says whether the transaction was committed.
type slots struct {
	store   *Store
	process string
	free    chan *slot
	waiting chan struct{} // has an element for each write that is under way or waits

	mu     sync.RWMutex // held for reading while a write is under way
	closed bool
}

// A slot is for one transaction at a time.
type slot struct {
	number  int
	fence   int64
	commits int64
	unsure  bool // the last transaction may still be under way: see fence

	// The rows in memory that it changes: until its fate is known, nothing is read from memory.
	doubted memory.Kinds
}

// settlerSlot is the number of the settler's slot; those of other writes follow.
const settlerSlot = 0

// newSlots adds the rows of a process.
func newSlots(ctx context.Context, s *Store, process string) (*slots, error) {
	all := &slots{store: s, process: process, free: make(chan *slot, writers), waiting: make(chan struct{}, s.cfg.QueueLength)}
	for n := range writers {
		all.free <- &slot{number: settlerSlot + 1 + n, unsure: true}
	}
	return all, all.register(ctx)
}

// register says that the process is alive, and adds its rows unless they are there. A row that was
// removed and added again has another fence.
func (s *slots) register(ctx context.Context) error {
	_, err := s.store.pool.Exec(ctx, `INSERT INTO writer (process, slot, fence, commits, changes, seen)
		SELECT $1, n, `+databaseClock+`, 0, 0, `+databaseClock+` FROM generate_series(0, $2::int) n
		ON CONFLICT (process, slot) DO UPDATE SET seen = excluded.seen`, s.process, settlerSlot+writers)
	if err != nil {
		return fmt.Errorf("register as a writer: %w", err)
	}
	return nil
}

// databaseClock is the time of the database, which all processes share, in milliseconds.
const databaseClock = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

// drain waits for the writes that are under way, and removes the rows of the process.
func (s *slots) drain() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = s.store.pool.Exec(ctx, forget(`process = $1`), s.process) // else the sweep removes them
}

// write runs f in a transaction, and returns when that has reached the disk. If f returns an error,
// its changes are undone. It may be called again after its changes were undone. Once it has begun, it
// goes on if ctx ends: the caller must learn whether it happened.
func (s *Store) write(ctx context.Context, f func(tx *conn) error) error {
	return s.withSlot(ctx, func(ctx context.Context, sl *slot) error {
		return s.retry(ctx, func() (again bool, err error) { return s.transact(ctx, sl, f) })
	})
}

// writeAll is write for statements that depend on nothing: it takes one round trip.
func (s *Store) writeAll(ctx context.Context, commands ...command) error {
	return s.withSlot(ctx, func(ctx context.Context, sl *slot) error {
		return s.retryAll(ctx, sl, commands)
	})
}

// retryAll commits commands with a slot, until that succeeds or fails for good.
func (s *Store) retryAll(ctx context.Context, sl *slot, commands []command) error {
	err := s.retry(ctx, func() (again bool, err error) {
		again, err = s.commitAll(ctx, sl, commands)
		return again, err
	})
	if errors.Is(err, errUnread) {
		err = s.readAgain(ctx, commands)
	}
	return err
}

// withSlot calls f with a slot, and a context that ends with patience. While it waits for a slot, nothing has
// begun: it returns if ctx ends.
func (s *Store) withSlot(ctx context.Context, f func(ctx context.Context, sl *slot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.slots == nil {
		return errReadOnly
	}
	s.slots.mu.RLock()
	defer s.slots.mu.RUnlock()
	if s.slots.closed {
		return errClosed
	}
	select {
	case s.slots.waiting <- struct{}{}:
		defer func() { <-s.slots.waiting }()
	default:
		return uma.ErrBusy
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.patience)
	defer cancel()
	var sl *slot
	select {
	case sl = <-s.slots.free:
		defer func() { s.slots.free <- sl }()
	case <-caller.Done():
		return caller.Err()
	case <-ctx.Done():
		return uma.ErrBusy
	}
	began := s.cfg.Now()
	err := f(ctx, sl)
	if err == nil && s.cfg.Observe != nil {
		s.cfg.Observe(1, s.cfg.Now().Sub(began))
	}
	return late(ctx, err)
}

// late makes the error of a write that took too long one of a database that is unavailable: the
// deadline is not that of the caller.
func late(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !isUnavailable(err) {
		return &unavailable{err}
	}
	return err
}

// retry calls try until it succeeds, fails for good, or was called often enough.
func (s *Store) retry(ctx context.Context, try func() (again bool, err error)) error {
	for n := time.Duration(1); ; n++ {
		again, err := try()
		if err == nil || !again || n == tries || s.schema.tooOld() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(n * n * retryAfter):
		}
	}
}

// transact runs f in a transaction. again reports whether nothing was committed and another try
// may succeed.
func (s *Store) transact(ctx context.Context, sl *slot, f func(tx *conn) error) (again bool, err error) {
	tx, err := s.begin(ctx, sl)
	if err != nil {
		return true, err
	}
	defer tx.release()
	if err := call(tx, f); err != nil {
		s.rollback(tx)
		var lost *unavailable
		return isRetried(err) || errors.As(err, &lost), err
	}
	if tx.begin != "" && len(tx.last) == 0 {
		return false, nil // f has written nothing
	}
	again, err = s.commit(ctx, sl, tx, tx.last...)
	return again, writing("transaction", err)
}

// commitAll runs commands in a transaction of their own, in one round trip: see commit.
func (s *Store) commitAll(ctx context.Context, sl *slot, commands []command) (again bool, err error) {
	tx, err := s.begin(ctx, sl)
	if err != nil {
		return true, err
	}
	defer tx.release()
	return s.commit(ctx, sl, tx, commands...)
}

// begin takes a connection for a transaction that writes.
func (s *Store) begin(ctx context.Context, sl *slot) (*conn, error) {
	if err := s.slots.fence(ctx, sl); err != nil {
		return nil, err
	}
	if err := s.schema.tooOld(); err != nil {
		return nil, err
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.acquiring(ctx, err)
	}
	tx := newConn(ctx, pg.Conn(), beginWrite)
	tx.changes, tx.trips = &s.changes, &s.trips
	tx.release = pg.Release // the pool closes a connection whose transaction has not ended
	return tx, nil
}

// call runs f. A panic is an error like others.
func call(tx *conn, f func(tx *conn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return f(tx)
}

func (s *Store) rollback(tx *conn) {
	if tx.begin == "" && !tx.pg.IsClosed() {
		_, _ = tx.pg.Exec(tx.ctx, `ROLLBACK`) // if it fails, the pool closes the connection
	}
}

// commit runs the last commands of a transaction and commits it with its slot, in one round trip. If it changes rows that
// grants rest on, it locks the numbers of records, and counts the change: see countRested.
// again reports whether nothing was committed and another try may succeed. The error is errUnread if all was committed,
// but what the commands returned was lost.
func (s *Store) commit(ctx context.Context, sl *slot, tx *conn, last ...command) (again bool, err error) {
	touched := tx.touched
	for _, cmd := range last {
		touched.add(s.changes.of(cmd.query))
	}
	changed := touched.kinds
	s.memory.Committing(changed)
	defer func() { s.memory.Settled(changed &^ sl.doubted) }()
	_ = unconfirmed(tx.pg) // of another transaction
	end := []command{s.slots.mark(sl, changed), {query: `COMMIT`}}
	if touched.rested {
		end = slices.Insert(end, 0, command{query: countRested})
	}
	ran, err := tx.all(slices.Concat(last, end)...)
	notReplicated := unconfirmed(tx.pg)
	switch {
	case err == nil && notReplicated == nil:
		sl.commits++
		s.committed.Store(int64(time.Since(s.opened)))
		return false, nil
	case err != nil && !tx.pg.IsClosed(): // the database has answered: nothing was committed
		_, _ = tx.pg.Exec(ctx, `ROLLBACK`)
		if len(ran) == len(last)+len(end)-2 && stateOf(err) == divisionByZero { // the row of the slot is another one
			sl.unsure = true
			return true, &unavailable{err}
		}
		return isRetried(err) || stateOf(err) == lockNotAvailable, err
	}
	tx.release() // the question needs a connection, too
	committed, unknown := s.slots.fate(ctx, sl)
	lost := slices.ContainsFunc(last, func(c command) bool { return c.dest != nil })
	switch {
	case unknown != nil:
		sl.doubted = changed
		return false, &unavailable{fmt.Errorf("it is unknown whether the write happened: %w, after: %w", unknown, cmp.Or(err, notReplicated))}
	case !committed:
		return true, &unavailable{cmp.Or(err, notReplicated)}
	case err != nil && lost:
		return false, errUnread
	}
	return false, nil
}

// mark is the statement that raises the number of commits of a slot. It fails if the transaction was
// given up: with a division by zero, because then the row has another fence.
func (s *slots) mark(sl *slot, changed memory.Kinds) command {
	changes := 0
	if changed != 0 {
		changes = 1
	}
	return command{query: `WITH mark AS (UPDATE writer SET commits = commits + 1, changes = changes + $4
		WHERE process = $1 AND slot = $2 AND fence = $3 RETURNING 1)
		SELECT 1 / count(*) FROM mark`, args: []any{s.process, sl.number, sl.fence, changes}}
}
