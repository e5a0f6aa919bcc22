package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

const (
	// maxBatch is how many entries share a commit.
	maxBatch = 256

	// beginTries is how often a batch asks for the lock that another process
	// holds; each try waits for the busy timeout.
	beginTries = 2
)

// A writer owns the only connection that writes. It commits all that is queued
// together: an fsync costs the same for one entry and for many. No entry waits for
// a time.
type writer struct {
	conn    *conn
	queue   chan *entry
	done    chan struct{}
	observe func(batch int, took time.Duration)
	now     func() time.Time

	checkpoints *checkpointer
	memory      *watch       // nil if no rows are kept
	looks       *time.Ticker // for changes of other processes

	next *entry // taken from the queue for the next batch

	lost   atomic.Bool           // the file is no longer the one at its path: see Store.Check
	damage *damage               // of the file
	failed atomic.Pointer[error] // error of the file at the last commit; nil without one

	mu     sync.RWMutex // held for reading while an entry is being queued
	closed bool
}

// An entry is one write, which happens as a whole or not at all.
type entry struct {
	// run writes. Unless alone, it may be called a second time, after all that it
	// wrote was undone.
	run    func(tx *conn) error
	after  func() // called once it is committed, in the order of commits; may be nil
	alone  bool   // shares its batch with no other
	result chan error
	err    error // of run
}

func openWriter(cfg Config, damage *damage, kept *memory.Memory) (*writer, error) {
	c, err := openConn(cfg.Path, sqlite.OpenReadWrite|sqlite.OpenCreate, writerPragmas...)
	if err != nil {
		return nil, err
	}
	if err := checkDurable(c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.damage = damage
	checkpoints, err := openCheckpointer(cfg.Path, damage)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	w := &writer{
		conn:        c,
		damage:      damage,
		queue:       make(chan *entry, cfg.QueueLength),
		done:        make(chan struct{}),
		observe:     cfg.Observe,
		now:         cfg.Now,
		checkpoints: checkpoints,
		memory:      newWatch(kept),
		looks:       time.NewTicker(memory.LookEvery),
	}
	if err := w.remember(); err != nil {
		return nil, errors.Join(err, checkpoints.close(), c.close())
	}
	go w.loop()
	return w, nil
}

// remember makes the connection note what its statements change, if rows are kept in memory.
func (w *writer) remember() error {
	if w.memory == nil {
		w.looks.Stop()
		return nil
	}
	w.conn.memory = w.memory
	w.memory.look(w.conn)
	return w.conn.noteChanges()
}

// checkDurable refuses a connection whose commits could be lost in a power failure.
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

// submit queues an entry and waits for its outcome, also if ctx ends meanwhile: the
// caller must learn whether it happened.
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

// close waits until the queue is empty and ends the writer.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
	w.looks.Stop()
	return errors.Join(w.checkpoints.close(), w.conn.close())
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
		w.checkpoints.committed(w.conn, len(batch), len(w.queue) == 0, w.now())
		clear(batch)
	}
}

// note keeps the error of the file, if there was one, after a batch.
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
	for first == nil {
		var open bool
		select {
		case first, open = <-w.queue:
			if !open {
				return nil
			}
		case <-w.looks.C:
			w.memory.look(w.conn)
		}
	}
	// Those that the last commit was for may queue more before this batch is full, as long as
	// each turn of theirs adds some: an fsync costs more than their turns.
	for queued := -1; len(w.queue) > queued && queued < maxBatch; {
		queued = len(w.queue)
		runtime.Gosched()
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

// commit runs a batch in one transaction. If it returns an error, no entry happened.
//
// A savepoint costs up to a third of what is written within it, and most entries
// succeed, or fail before they write. So the batch is run without savepoints first.
// Only if an entry failed after it had written, the batch is run again with them.
func (w *writer) commit(batch []*entry) error {
	err := w.transaction(batch, w.withoutSavepoint)
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
	changed := w.conn.touched
	w.memory.committing(changed)
	defer w.memory.settled(changed)
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
			w.memory.look(w.conn)
			w.conn.touched = 0
			return nil
		}
		if !isBusy(err) {
			return fmt.Errorf("begin to write: %w", err)
		}
	}
	return fmt.Errorf("%w: another process is writing: %v", uma.ErrBusy, err)
}

// rollback ends a transaction that failed. Its error says nothing new: SQLite may have
// rolled back by itself.
func (w *writer) rollback() { _, _ = w.conn.exec(`ROLLBACK`) }

// withoutSavepoint runs an entry. It returns errUndo if the entry failed after it had
// written.
func (w *writer) withoutSavepoint(e *entry) error {
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

// withSavepoint runs an entry so that its changes are undone when it fails. It returns
// an error of the savepoint, not of the entry.
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

// stillOpen returns an error if the transaction has ended: SQLite rolls back by itself
// if the disk is full, for example. Each statement that followed would be a transaction
// of its own.
func (w *writer) stillOpen(cause error) error {
	if !w.conn.db.AutocommitEnabled() {
		return nil
	}
	return fmt.Errorf("SQLite rolled the transaction back: %w", cause)
}

// call runs an entry. A panic is an error like others: the writer must go on for
// everybody else.
func (w *writer) call(e *entry) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return e.run(w.conn)
}
