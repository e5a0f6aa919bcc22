package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// movedAt is how many pages of the write-ahead log are moved together in the
	// background.
	movedAt = 250

	// restartedAt is how many pages the log has when the writer moves the last of them,
	// once no more than lastPages are left, so that the log can start again.
	restartedAt = 4 * movedAt
	lastPages   = movedAt / 2

	// fullAt is how many pages the log has when the writer moves all that are left: it
	// writes more than is moved in the background.
	fullAt = 64 * movedAt

	// retried is the time after which pages are moved that a reader needed before, or
	// that could not be moved because of an error.
	retried = 250 * time.Millisecond

	// unseenEntries are committed before a writer that is not idle looks how long the log is: to
	// look costs as much as an entry.
	unseenEntries = 64
)

// A checkpointer moves pages from the write-ahead log into the database file while
// others commit. If a commit did it, as by default, whoever waits for that commit would
// wait some milliseconds longer.
//
// The log starts again from its beginning only when all of it was moved. Under load the
// writer always adds pages meanwhile. Therefore the writer moves the last few itself,
// between two batches.
type checkpointer struct {
	conn   *conn
	damage *damage
	wake   chan struct{}         // to move pages
	end    chan struct{}         // closed to end the goroutine
	done   chan struct{}         // closed when it has ended
	failed atomic.Pointer[error] // of the last checkpoint, about the file; nil without one

	// The writer's own:
	unseen  int       // entries that were committed since it looked how long the log is
	asked   int       // pages that the log had when the goroutine was last woken
	askedAt time.Time // when that was
	triedAt time.Time // when the writer moved pages itself
}

func openCheckpointer(path string, damage *damage) (*checkpointer, error) {
	c, err := openConn(path, sqlite.OpenReadWrite, busyTimeout, `synchronous = FULL`)
	if err != nil {
		return nil, err
	}
	c.damage = damage
	if err := checkDurable(c); err != nil { // else the file could be changed before the log is on disk
		return nil, errors.Join(err, c.close())
	}
	return newCheckpointer(c, damage), nil
}

// newCheckpointer starts a checkpointer that owns a connection.
func newCheckpointer(c *conn, damage *damage) *checkpointer {
	p := &checkpointer{
		conn: c, damage: damage,
		wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{}),
	}
	go p.loop()
	return p
}

// close waits for a checkpoint that runs. The writer must have ended.
func (p *checkpointer) close() error {
	close(p.end)
	<-p.done
	return p.conn.close()
}

func (p *checkpointer) loop() {
	defer close(p.done)
	for {
		select {
		case <-p.wake:
			p.move(p.conn)
		case <-p.end:
			return
		}
	}
}

// committed is called by the writer after each batch, with its own connection.
func (p *checkpointer) committed(writer *conn, entries int, idle bool, now time.Time) {
	if p.unseen += entries; p.unseen < unseenEntries && !idle {
		return
	}
	p.unseen = 0
	length, moved, err := checkpoint(writer, `PRAGMA wal_checkpoint(NOOP)`)
	if err != nil {
		p.note(err)
		return
	}
	if length < p.asked { // it has started again
		p.asked = 0
	}
	left := length - moved
	switch {
	case left == 0:
	case length >= restartedAt && left <= lastPages, length >= fullAt && now.Sub(p.triedAt) >= retried:
		if p.move(writer) {
			p.triedAt = now
		}
	case length >= fullAt: // the goroutine would be in the writer's way
	case left >= movedAt && (length-p.asked >= movedAt || now.Sub(p.askedAt) >= retried):
		p.asked, p.askedAt = length, now
		p.start()
	}
}

// start has pages moved in the background, soon.
func (p *checkpointer) start() {
	select {
	case p.wake <- struct{}{}:
	default: // it is about to start
	}
}

// move moves all pages that no reader needs in the log, and waits for nobody. It moves
// nothing into a damaged file: the log may have what is left of a page. It returns false if it did
// not try, because another connection was moving pages.
func (p *checkpointer) move(c *conn) bool {
	if p.damage.found() != nil {
		return true
	}
	_, _, err := checkpoint(c, `PRAGMA wal_checkpoint(PASSIVE)`)
	p.note(err)
	return !errors.Is(err, errMoving)
}

// note keeps an error about the file. Others pass by themselves. A checkpoint that another one
// kept from running says nothing about the file.
func (p *checkpointer) note(err error) {
	if errors.Is(err, errMoving) {
		return
	}
	if err != nil && isOfFile(err) {
		p.failed.Store(&err)
		return
	}
	p.failed.Store(nil)
}

// errMoving says that another connection is moving pages.
var errMoving = errors.New("another checkpoint runs")

// checkpoint runs a checkpoint that waits for nobody, and returns how many pages the log has, and
// how many of them were moved.
func checkpoint(c *conn, pragma string) (length, moved int, err error) {
	var busy, pages, done int64
	if err := c.row(pragma, nil, &busy, &pages, &done); err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if busy != 0 {
		return 0, 0, errMoving
	}
	return int(pages), int(done), nil
}
