package sqlite

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// A view is a read transaction on a connection of the pool. A cached view also reads from memory,
// and begins the transaction only when it must.
type view struct {
	memory.View // of a cached view

	store  *Store
	conn   *conn // nil while there is no transaction
	closed bool
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
	return &view{View: s.memory.View(), store: s}, nil
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
	return errors.Join(err, v.End())
}

// Expect implements uma.View. Rows in the same process are read one by one.
func (v *view) Expect(context.Context, *uma.Expected) error { return nil }

// reader returns the connection of the view. If there can be none, it returns one whose every
// statement fails with the reason.
func (v *view) reader(ctx context.Context) *conn {
	if v.closed {
		return failing(errors.New("the view is closed"))
	}
	if err := v.Err(); err != nil {
		return failing(err)
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
	v.Begin()
	c, err := v.store.reader(ctx, maxReading)
	if err != nil {
		return err
	}
	v.conn = c
	if v.Epoch() != 0 {
		before := v.State()
		c.snapshot = func() error { return v.Match(before) }
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
