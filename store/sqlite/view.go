package sqlite

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// A view is a read transaction on a connection of the pool. A cached view also reads from memory,
// and begins the transaction only when it must.
//
// The rows from memory are those of the view's epoch. When the transaction begins, its snapshot
// must have the same rows of their kinds, or the view is torn.
type view struct {
	store  *Store
	conn   *conn // nil while there is no transaction
	closed bool

	// Of a cached view.
	caches
	memory   *memory
	begun    bool
	epoch    uint64 // 0: everything is read from the database
	recalled kinds  // of the rows that came from memory
	torn     bool
}

// View implements uma.Store.
func (s *Store) View(ctx context.Context) (uma.View, error) {
	c, err := s.reader(ctx, maxReading)
	if err != nil {
		return nil, err
	}
	return &view{store: s, conn: c}, nil
}

// CachedView implements uma.Store.
func (s *Store) CachedView(ctx context.Context) (uma.View, error) {
	if s.memory == nil {
		return s.View(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closed:
		return nil, errClosed
	default:
	}
	return &view{store: s, memory: s.memory, caches: s.memory.caches}, nil
}

// Close implements io.Closer. Closing twice is no error.
func (v *view) Close() error {
	if v.closed {
		return nil
	}
	v.closed = true
	var err error
	if v.conn != nil {
		err = v.store.release(v.conn)
		v.conn = nil
	}
	if v.torn {
		err = errors.Join(err, uma.ErrTorn)
	}
	return err
}

// Epoch implements uma.View.
func (v *view) Epoch() uma.Epoch {
	if v.torn {
		return 0
	}
	return uma.Epoch(v.epoch)
}

// reader returns the connection of the view. If there can be none, it returns one whose every
// statement fails with the reason.
func (v *view) reader(ctx context.Context) *conn {
	switch {
	case v.closed:
		return failing(errors.New("the view is closed"))
	case v.torn:
		return failing(uma.ErrTorn)
	}
	if err := ctx.Err(); err != nil {
		return failing(err)
	}
	if v.conn == nil {
		if err := v.open(ctx); err != nil {
			return failing(err)
		}
	}
	return v.conn
}

// open begins the transaction of a cached view. SQLite takes its snapshot at the first statement.
func (v *view) open(ctx context.Context) error {
	v.begin()
	c, err := v.store.reader(ctx, maxReading)
	if err != nil {
		return err
	}
	v.conn = c
	if v.epoch != 0 {
		before := v.memory.epoch.Load()
		c.snapshot = func() error { return v.match(before) }
	}
	return nil
}

// begin notes the epoch at the first read.
func (v *view) begin() {
	if !v.begun {
		v.begun, v.epoch = true, v.memory.current()
	}
}

// mayRecall reports whether rows may come from memory.
func (v *view) mayRecall() bool {
	v.begin()
	return v.epoch != 0 && !v.torn && !v.closed
}

// match is called when the snapshot was taken, with the epoch before that. It makes the epoch of
// the snapshot that of the view, or returns uma.ErrTorn.
func (v *view) match(before uint64) error {
	known := isSettled(before) && v.memory.epoch.Load() == before
	switch {
	case known && v.memory.unchanged(v.recalled, v.epoch):
		v.epoch = before
	case v.recalled == 0:
		v.epoch = 0 // the snapshot may be before or after the commit that is under way
	default:
		v.torn = true
		return uma.ErrTorn
	}
	return nil
}

// failing returns a connection whose statements fail with err.
func failing(err error) *conn { return &conn{ended: func() error { return err }} }

// reading adds what was being read to an error.
func reading(what string, err error) error {
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
