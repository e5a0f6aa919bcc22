package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

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
	conn    *conn
	queue   chan *entry
	done    chan struct{}
	observe func(batch int, took time.Duration)
	now     func() time.Time

	next *entry // taken from the queue for the batch to come

	lost   atomic.Bool           // the file is no longer where it was: see Store.Check
	damage *damage               // of the file
	failed atomic.Pointer[error] // what was wrong with the file at the last commit; nil when nothing was

	mu     sync.RWMutex // held for reading while something is queued
	closed bool
}

// An entry is one write: it happens whole or not at all.
type entry struct {
	// run writes. It may be called a second time, after all that it wrote was
	// undone, unless it is alone.
	run    func(tx *conn) error
	after  func() // called once it is committed, in the order of commits; may be nil
	alone  bool   // shares its batch with no other
	result chan error
	err    error // of run
}

func openWriter(cfg Config, damage *damage) (*writer, error) {
	c, err := openConn(cfg.Path, sqlite.OpenReadWrite|sqlite.OpenCreate, writerPragmas...)
	if err != nil {
		return nil, err
	}
	if err := checkDurable(c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.damage = damage
	w := &writer{
		conn:    c,
		damage:  damage,
		queue:   make(chan *entry, cfg.QueueLength),
		done:    make(chan struct{}),
		observe: cfg.Observe,
		now:     cfg.Now,
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
func (w *writer) submit(ctx context.Context, e *entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.result = make(chan error, 1)
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
	if w.lost.Load() {
		return errLost
	}
	if err := w.damage.found(); err != nil {
		return err
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
	return w.conn.close()
}

func (w *writer) loop() {
	defer close(w.done)
	batch := make([]*entry, 0, maxBatch)
	for {
		batch = w.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		start := w.now()
		err := w.commit(batch)
		took := w.now().Sub(start)
		for _, e := range batch {
			if e.err == nil {
				e.err = err
			}
			if e.err == nil && e.after != nil {
				e.after()
			}
		}
		w.note(batch)
		for _, e := range batch {
			e.result <- e.err
		}
		if w.observe != nil {
			w.observe(len(batch), took)
		}
		clear(batch)
	}
}

// note keeps the error of the file, if there was one, when a batch was committed.
func (w *writer) note(batch []*entry) {
	w.failed.Store(nil)
	for _, e := range batch {
		if e.err != nil && isOfFile(e.err) {
			err := e.err
			w.failed.Store(&err)
			return
		}
	}
}

// isOfFile reports whether an error is about the file or its disk, and not about the
// data or another process that writes.
func isOfFile(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultCorrupt, sqlite.ResultReadOnly, sqlite.ResultCantOpen,
		sqlite.ResultNotADB, sqlite.ResultPerm, sqlite.ResultNoMem:
		return true
	}
	return false
}

// take waits for an entry and adds what else is queued by then. It returns nothing
// when the queue is closed and empty.
func (w *writer) take(batch []*entry) []*entry {
	first := w.next
	w.next = nil
	if first == nil {
		if first = <-w.queue; first == nil {
			return nil
		}
	}
	batch = append(batch, first)
	for len(batch) < maxBatch && !first.alone {
		select {
		case e := <-w.queue:
			if e == nil {
				return batch
			}
			if e.alone {
				w.next = e
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// errUndo says that an entry failed after it had written.
var errUndo = errors.New("an entry is to be undone")

// commit runs a batch in one transaction. An error is that of the transaction:
// then no entry happened.
//
// A savepoint costs as much as a third of what is written within it, and most
// entries succeed or fail before they write. So the batch is tried without, and
// only if an entry leaves something to be undone is it run again with them.
func (w *writer) commit(batch []*entry) error {
	err := w.transaction(batch, w.plainly)
	if !errors.Is(err, errUndo) {
		return err
	}
	if len(batch) == 1 {
		return nil // undone with the transaction
	}
	return w.transaction(batch, w.withSavepoint)
}

func (w *writer) transaction(batch []*entry, run func(e *entry) error) error {
	for _, e := range batch {
		e.err = nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	for _, e := range batch {
		if err := run(e); err != nil {
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

// plainly runs an entry. The error is errUndo when it failed after it had written.
func (w *writer) plainly(e *entry) error {
	w.conn.dirty = false
	e.err = w.call(e)
	if e.err == nil {
		return nil
	}
	if err := w.stillOpen(e.err); err != nil {
		return err
	}
	if w.conn.dirty {
		return errUndo
	}
	return nil
}

// withSavepoint runs an entry so that, when it fails, its own changes are undone.
// An error is that of the savepoint.
func (w *writer) withSavepoint(e *entry) error {
	if _, err := w.conn.exec(`SAVEPOINT entry`); err != nil {
		return fmt.Errorf("begin an entry: %w", err)
	}
	e.err = w.call(e)
	if e.err != nil {
		if err := w.stillOpen(e.err); err != nil {
			return err
		}
		if _, err := w.conn.exec(`ROLLBACK TO entry`); err != nil {
			return fmt.Errorf("undo an entry: %w", err)
		}
	}
	if _, err := w.conn.exec(`RELEASE entry`); err != nil {
		return fmt.Errorf("end an entry: %w", err)
	}
	return nil
}

// stillOpen returns an error if the transaction is gone: a full disk and the like
// have SQLite roll back by itself, and each statement that followed would be one
// of its own.
func (w *writer) stillOpen(cause error) error {
	if !w.conn.db.AutocommitEnabled() {
		return nil
	}
	return fmt.Errorf("the transaction was given up: %w", cause)
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
