package sqlite

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// A view is a read transaction on a connection of the pool.
type view struct {
	store *Store
	conn  *conn // nil once closed
}

// View implements uma.Store.
func (s *Store) View(ctx context.Context) (uma.View, error) {
	c, err := s.reader(ctx, maxReading)
	if err != nil {
		return nil, err
	}
	return &view{store: s, conn: c}, nil
}

// Close implements io.Closer. Closing twice is no error.
func (v *view) Close() error {
	if v.conn == nil {
		return nil
	}
	c := v.conn
	v.conn = nil
	return v.store.release(c)
}

// reader returns the connection of the view. If the view is closed or ctx has ended, it
// returns one whose every statement fails with that error.
func (v *view) reader(ctx context.Context) *conn {
	if v.conn == nil {
		return failing(errors.New("the view is closed"))
	}
	if err := ctx.Err(); err != nil {
		return failing(err)
	}
	return v.conn
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
