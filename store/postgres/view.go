package postgres

import (
	"context"
	"errors"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// A view is a read transaction. A cached view also reads from memory, and begins the transaction
// only when it must. Without memory it begins it at its first read, too.
type view struct {
	rows   memory.View
	store  *Store
	reader *reader // nil while there is no transaction
	closed bool
	ahead  ahead // see Expect
}

// View implements uma.Store.
func (s *Store) View(ctx context.Context) (uma.View, error) {
	return s.view(ctx, memory.View{})
}

// CachedView implements uma.Store.
func (s *Store) CachedView(ctx context.Context) (uma.View, error) {
	return s.view(ctx, s.memory.View())
}

func (s *Store) view(ctx context.Context, rows memory.View) (uma.View, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.isClosed() {
		return nil, errClosed
	}
	return &view{rows: rows, store: s}, nil
}

// Close implements io.Closer. Closing twice is no error.
func (v *view) Close() error {
	if v.closed {
		return nil
	}
	v.closed = true
	if v.reader != nil {
		v.reader.release()
		v.reader = nil
	}
	return v.rows.End()
}

// conn returns the connection of the view. If there can be none, it returns one whose every
// statement fails with the reason.
func (v *view) conn(ctx context.Context) *conn {
	if v.closed {
		return failing(errors.New("the view is closed"))
	}
	if err := errors.Join(ctx.Err(), v.rows.Err()); err != nil {
		return failing(err)
	}
	if v.reader == nil {
		if err := v.open(ctx); err != nil {
			return failing(err)
		}
	}
	return v.reader.conn
}

// open begins the transaction of a view. PostgreSQL takes its snapshot at the first statement.
func (v *view) open(ctx context.Context) error {
	v.rows.Begin()
	r, err := v.store.reader(ctx, maxReading)
	if err != nil {
		return err
	}
	v.reader, r.trips = r, &v.store.trips
	before := v.rows.State()
	r.taken = func() error { return v.rows.Match(before) }
	return nil
}

// Epoch implements uma.View.
func (v *view) Epoch() uma.Epoch { return v.rows.Epoch() }
