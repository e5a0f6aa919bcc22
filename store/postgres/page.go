package postgres

import (
	"context"
	"math"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A pageSpec is a part of a list: at most max rows after the first ones. A negative max
// is no limit.
type pageSpec struct{ first, max int }

// limit returns the argument of LIMIT: NULL for none.
func (p pageSpec) limit() any {
	if p.max < 0 {
		return nil
	}
	return p.max
}

// upTo returns the argument of LIMIT for the rows up to the end of the page.
func (p pageSpec) upTo() any {
	if p.max < 0 {
		return nil
	}
	return p.first + p.max
}

const (
	// maxMisses is how many rows that do not match a search reads before it gives up, where no
	// index leads to those that match.
	maxMisses = 5_000

	// fewMisses is how many it reads at first: most lists end before.
	fewMisses = 256
)

// A search finds the rows of a list that keep accepts, and for which no index is at hand.
type search[T any] struct {
	list func(limit int) (query string, args []any) // reads the first rows of the list, in its order
	scan func(scan scanFunc) (T, error)
	keep func(T) bool

	// indexed returns all rows that match, in the order of the list, if an index finds them and they
	// are few. It is called if the list is long. It may be nil.
	indexed func() (found []T, few bool, err error)
}

// page returns a page of what is found. After maxMisses other rows it returns uma.ErrVague: the page
// would be incomplete.
func (s *search[T]) page(c *conn, p pageSpec) ([]T, error) {
	limit, want := fewMisses, math.MaxInt
	if p.max >= 0 {
		want = p.first + p.max
		limit += want
	}
	for n := 0; ; n++ {
		found, misses, more, err := s.read(c, limit, want)
		switch {
		case err != nil:
			return nil, err
		case misses > maxMisses && (n > 0 || s.indexed == nil):
			return nil, uma.ErrVague
		case !more, len(found) == want:
			return rows.PageIn(found, p.first, p.max), nil
		}
		if n == 0 && s.indexed != nil {
			if all, few, err := s.indexed(); err != nil || few {
				return rows.PageIn(all, p.first, p.max), err
			}
		}
		limit += maxMisses
		if p.max < 0 {
			limit *= 2 // the list is read again each time, about twice in all
		}
	}
}

// read returns what is found among the first rows of the list, at most want, how many others were
// read before the last of them, and whether the list may have more rows.
func (s *search[T]) read(c *conn, limit, want int) (found []T, misses int, more bool, err error) {
	query, args := s.list(limit)
	read := 0
	err = c.rows(query, args, func(scan scanFunc) error {
		if len(found) == want {
			return errEnough
		}
		v, err := s.scan(scan)
		switch {
		case err != nil:
			return err
		case s.keep(v):
			found = append(found, v)
		default:
			misses++
		}
		read++
		return nil
	})
	return found, misses, read == limit, err
}

// eachPage calls each with the rows of one page after the other, as long as next reports
// that there may be more. Each page is read in a transaction of its own: a slow caller
// keeps none open.
func eachPage[T any](ctx context.Context, s *Store, next func(c *conn) (page []T, more bool, err error), each func(T) error) error {
	for more := true; more; {
		var page []T
		err := s.read(ctx, func(c *conn) (err error) {
			page, more, err = next(c)
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := each(row); err != nil {
				return err
			}
		}
	}
	return nil
}
