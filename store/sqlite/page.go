package sqlite

import (
	"context"
	"errors"

	"example.com/umpire/uma"
)

// A pageSpec is a part of a list: at most max rows after the first ones. A negative max
// is no limit, as in SQL.
type pageSpec struct{ first, max int }

var wholeList = pageSpec{0, -1}

// limit adds the arguments of LIMIT ? + 0 OFFSET ? to those of a query.
func (p pageSpec) limit(args []any) []any { return append(args, p.max, p.first) }

// errEnough ends reading when the page is full.
var errEnough = errors.New("the page is full")

// maxMisses is how many rows that do not match a search reads before it gives up, where
// no index leads to those that match.
const maxMisses = 5_000

// filterPage returns a page of those rows of a query that keep accepts, in the order of
// the query. After maxMisses other rows it returns uma.ErrVague: the page would be
// incomplete.
func filterPage[T any](c *conn, query string, args []any, read func(scan scanFunc) (T, error),
	keep func(T) bool, p pageSpec) ([]T, error) {
	var found []T
	misses := 0
	err := c.rows(query, args, func(scan scanFunc) error {
		v, err := read(scan)
		switch {
		case err != nil:
			return err
		case len(found) == p.max:
			return errEnough
		case !keep(v):
			if misses++; misses > maxMisses {
				return uma.ErrVague
			}
		case p.first > 0:
			p.first--
		default:
			found = append(found, v)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return found, nil
	}
	return found, err
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
