package copier

import (
	"context"
	"errors"
)

// A reader reads the pages of a table, one of them while the caller uses the one before.
type reader struct {
	pages  chan page
	ended  func() error // the error of the caller's context
	cancel context.CancelFunc
	rows   []Row // of the last page, that next has not returned yet
}

type page struct {
	rows []Row
	err  error
}

// read begins to read the rows after a key. The caller must call close before anything else is
// read from the source.
func read(ctx context.Context, s Source, t *Table, after Row) *reader {
	r := &reader{pages: make(chan page), ended: ctx.Err}
	ctx, r.cancel = context.WithCancel(ctx)
	go r.run(ctx, s, t, after)
	return r
}

func (r *reader) run(ctx context.Context, s Source, t *Table, after Row) {
	defer close(r.pages)
	for limit := firstPage; ; {
		rows, err := s.Page(ctx, t, after, limit)
		if err == nil && len(rows) == 0 {
			return
		}
		select {
		case r.pages <- page{rows, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		after = rows[len(rows)-1][:t.Key]
		limit = nextLimit(rows)
	}
}

// nextLimit returns how many rows have about PageBytes, if they are as large as these.
func nextLimit(rows []Row) int {
	size := 0
	for _, row := range rows {
		size += row.Size()
	}
	return max(1, min(maxPage, PageBytes*len(rows)/size))
}

// close ends the reading.
func (r *reader) close() {
	r.cancel()
	for range r.pages { // until nothing is read any more
	}
}

// nextPage returns the next rows; none after the last.
func (r *reader) nextPage() ([]Row, error) {
	p, more := <-r.pages
	if !more {
		return nil, r.ended()
	}
	return p.rows, p.err
}

// next returns the next row, nil after the last.
func (r *reader) next() (Row, error) {
	if len(r.rows) == 0 {
		rows, err := r.nextPage()
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		r.rows = rows
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, nil
}

// eachPage calls do with the pages of a table after a key.
func eachPage(ctx context.Context, s Source, t *Table, after Row, do func(rows []Row) error) error {
	r := read(ctx, s, t, after)
	defer r.close()
	for {
		rows, err := r.nextPage()
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		if err := do(rows); err != nil {
			return err
		}
	}
}

// both returns the next row of two readers.
func both(a, b *reader) (x, y Row, err error) {
	x, errA := a.next()
	y, errB := b.next()
	return x, y, errors.Join(errA, errB)
}
