package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"example.com/umpire/uma"
)

const (
	// maxBatch is how many entries share a commit.
	maxBatch = 256

	// beginTries is how often a batch asks for the lock that another process
	// holds; each try waits for the busy timeout.
	beginTries = 2
)

// A writer owns the only connection that writes. It commits what is queued
// together: an fsync costs the same for one entry and for many, and no entry
// waits for others to come.
type writer struct {
	db      *sql.DB
	conn    *conn
	queue   chan *entry
	done    chan struct{}
	observe func(batch int, took time.Duration)
	now     func() time.Time

	mu     sync.RWMutex // held for reading while something is queued
	closed bool
}

// An entry is one write: it happens whole or not at all.
type entry struct {
	run    func(tx *conn) error
	result chan error
	err    error // of run
}

func openWriter(ctx context.Context, cfg Config) (*writer, error) {
	db, err := sql.Open("sqlite", writerDSN(cfg.Path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	w := &writer{
		db:      db,
		queue:   make(chan *entry, cfg.QueueLength),
		done:    make(chan struct{}),
		observe: cfg.Observe,
		now:     cfg.Now,
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if w.conn, err = newConn(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := checkDurable(w.conn); err != nil {
		return nil, errors.Join(err, w.conn.close(), db.Close())
	}
	go w.loop()
	return w, nil
}

// checkDurable refuses a connection whose commits could be lost with the power.
func checkDurable(c *conn) error {
	var synchronous int64
	var journal string
	if err := c.row(`PRAGMA synchronous`, nil, &synchronous); err != nil {
		return err
	}
	if err := c.row(`PRAGMA journal_mode`, nil, &journal); err != nil {
		return err
	}
	if synchronous != 2 || journal != "wal" {
		return fmt.Errorf("the file cannot be written durably: synchronous is %d (want 2), journal_mode %s (want wal)",
			synchronous, journal)
	}
	return nil
}

// submit queues an entry and waits for its outcome. Once it is queued it waits
// even if ctx ends: whoever asked must learn whether it happened.
func (w *writer) submit(ctx context.Context, run func(tx *conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := &entry{run: run, result: make(chan error, 1)}
	if err := w.enqueue(e); err != nil {
		return err
	}
	return <-e.result
}

func (w *writer) enqueue(e *entry) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- e:
		return nil
	default:
		return uma.ErrBusy
	}
}

// close lets the queue run dry and ends the writer.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
	return errors.Join(w.conn.close(), w.db.Close())
}

func (w *writer) loop() {
	defer close(w.done)
	batch := make([]*entry, 0, maxBatch)
	for e := range w.queue {
		batch = append(batch[:0], e)
		batch = w.take(batch)
		start := w.now()
		err := w.commit(batch)
		took := w.now().Sub(start)
		for _, e := range batch {
			if e.err == nil {
				e.err = err
			}
			e.result <- e.err
		}
		if w.observe != nil {
			w.observe(len(batch), took)
		}
		clear(batch)
	}
}

// take adds what else is queued by now.
func (w *writer) take(batch []*entry) []*entry {
	for len(batch) < maxBatch {
		select {
		case e, ok := <-w.queue:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. An error is that of the transaction:
// then no entry happened.
func (w *writer) commit(batch []*entry) error {
	if err := w.begin(); err != nil {
		return err
	}
	for _, e := range batch {
		if err := w.runEntry(e); err != nil {
			w.rollback()
			return err
		}
	}
	if _, err := w.conn.exec(`COMMIT`); err != nil {
		w.rollback()
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *writer) begin() error {
	var err error
	for range beginTries {
		if _, err = w.conn.exec(`BEGIN IMMEDIATE`); err == nil {
			return nil
		}
		if !isBusy(err) {
			return fmt.Errorf("begin to write: %w", err)
		}
	}
	return fmt.Errorf("%w: another process is writing: %v", uma.ErrBusy, err)
}

// rollback ends a transaction that failed. SQLite may have done so itself, then
// this is an error that says nothing new.
func (w *writer) rollback() { _, _ = w.conn.exec(`ROLLBACK`) }

// runEntry runs an entry within a savepoint, so that one that fails undoes only
// its own changes. An error is that of the savepoint.
func (w *writer) runEntry(e *entry) error {
	if _, err := w.conn.exec(`SAVEPOINT entry`); err != nil {
		return fmt.Errorf("begin an entry: %w", err)
	}
	e.err = w.call(e)
	if e.err != nil {
		if _, err := w.conn.exec(`ROLLBACK TO entry`); err != nil {
			return fmt.Errorf("undo an entry: %w", err)
		}
	}
	if _, err := w.conn.exec(`RELEASE entry`); err != nil {
		return fmt.Errorf("end an entry: %w", err)
	}
	return nil
}

// call runs the entry's function. A panic is an error like others: the writer
// serves everybody and must go on.
func (w *writer) call(e *entry) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return e.run(w.conn)
}
