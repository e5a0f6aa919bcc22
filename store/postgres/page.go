package postgres

import (
	"context"

	"example.com/umpire/uma"
)

// A pageSpec is a part of a list: at most max rows after the first ones. A negative max
// is no limit.
type pageSpec struct{ first, max int }

var wholeList = pageSpec{0, -1}

// limit adds the arguments of LIMIT and OFFSET, in this order, to those of a query.
func (p pageSpec) limit(args []any) []any {
	if p.max < 0 {
		return append(args, nil, p.first)
	}
	return append(args, p.max, p.first)
}

const (
	// maxMisses is how many rows that do not match a search reads before it gives up, where
	// no index leads to those that match.
	maxMisses = 5_000

	// firstChunk is how many rows filterPage reads first.
	firstChunk = 512
)

// filterPage returns a page of those rows of a query that keep accepts, in the order of
// the query, whose last parameters are LIMIT and OFFSET. After maxMisses other rows it returns
// uma.ErrVague: the page would be incomplete. It reads twice as many rows each time, because those
// that are left of a result have to be read, too.
func filterPage[T any](c *conn, query string, args []any, read func(scan scanFunc) (T, error),
	keep func(T) bool, p pageSpec) ([]T, error) {
	var found []T
	misses := 0
	for offset, chunk := 0, firstChunk; len(found) != p.max; offset, chunk = offset+chunk, 2*chunk {
		n := 0
		err := c.rows(query, pageSpec{offset, chunk}.limit(args[:len(args):len(args)]), func(scan scanFunc) error {
			n++
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
		if err != nil || n < chunk {
			return found, err
		}
	}
	return found, nil
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
