package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/umpire/uma"
)

// A conn runs the statements of one transaction on a connection. It is for one goroutine at a
// time. The statement that begins the transaction is sent together with the first that follows:
// it takes no round trip of its own.
type conn struct {
	ctx   context.Context // of the transaction
	pg    *pgx.Conn
	begin string       // the statement that begins the transaction; empty once it was sent
	taken func() error // called once, when the first result has come: the snapshot was taken; may be nil

	left    int           // bytes that may still be read: see spend
	failure error         // of every statement; nil without one
	release func()        // of a transaction that writes: gives the connection back, once
	changes *changes      // nil for reading only
	trips   *atomic.Int64 // counts round trips; may be nil
	replica *onReplica    // nil: it is to the primary

	last    []command // that are sent together with the COMMIT
	touched effect    // of the statements until now
	wrote   int       // rows that statements without results have changed
}

const (
	// maxReading is how many bytes one view may read: ten times what the largest
	// request reads, for policy.max_permissions resources with as many attributes as
	// allowed.
	maxReading = 32 << 20

	// rowBytes is what a row counts, besides the data of a resource.
	rowBytes = 200
)

func newConn(ctx context.Context, pg *pgx.Conn, begin string) *conn {
	return &conn{ctx: ctx, pg: pg, begin: begin, left: math.MaxInt}
}

// failing returns a connection whose statements fail with err.
func failing(err error) *conn { return &conn{failure: err} }

// spend counts bytes that are read into memory. It returns uma.ErrTooMuch beyond left.
func (c *conn) spend(bytes int) error {
	if c.left -= bytes; c.left < 0 {
		return uma.ErrTooMuch
	}
	return nil
}

// A command is a statement and its arguments.
type command struct {
	query string
	args  []any
	dest  []any // that the columns of its only row are read into; nil: it is not read

	// again reads into dest what the statement has returned, if that was lost after the commit: see
	// readAgain. It finds no row if that is not known. It is nil if it never is.
	again *command
}

// send sends statements in one round trip: that which begins the transaction, if it was not sent
// before, then commands. The caller reads their results and closes them.
func (c *conn) send(commands ...command) (pgx.BatchResults, error) {
	if c.failure != nil {
		return nil, c.failure
	}
	var batch pgx.Batch
	begin := c.begin
	if begin != "" {
		batch.Queue(begin)
		c.begin = ""
	}
	for _, cmd := range commands {
		batch.Queue(cmd.query, cmd.args...)
	}
	if c.trips != nil {
		c.trips.Add(1)
	}
	results := c.pg.SendBatch(c.ctx, &batch)
	if begin != "" {
		if _, err := results.Exec(); err != nil {
			return nil, errors.Join(c.checked(err), results.Close())
		}
	}
	return results, nil
}

// all runs commands in one round trip and returns how many rows each changed. If one fails, the
// transaction can only be rolled back, and the list ends before it.
func (c *conn) all(commands ...command) (changed []int, err error) {
	if len(commands) == 0 {
		return nil, nil
	}
	results, err := c.send(commands...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.checked(results.Close())) }()
	for _, cmd := range commands {
		n, err := c.result(results, cmd)
		if err != nil {
			return changed, c.checked(err)
		}
		changed = append(changed, n)
	}
	return changed, nil
}

// result reads the result of a command.
func (c *conn) result(results pgx.BatchResults, cmd command) (changed int, err error) {
	if cmd.dest != nil {
		c.noteChanged(cmd.query)
		return 1, results.QueryRow().Scan(cmd.dest...)
	}
	tag, err := results.Exec()
	c.note(cmd.query, tag)
	if !tag.Select() {
		c.wrote += int(tag.RowsAffected())
	}
	return int(tag.RowsAffected()), err
}

// note notes what a statement has changed: also a SELECT, by its WITH.
func (c *conn) note(query string, tag pgconn.CommandTag) {
	if tag.RowsAffected() > 0 || tag.Select() {
		c.noteChanged(query)
	}
}

func (c *conn) noteChanged(query string) {
	if c.changes != nil {
		c.touched.add(c.changes.of(query))
	}
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (changed int, err error) {
	n, err := c.all(command{query: query, args: args})
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// insert runs a statement that adds one row and ends with RETURNING key. It returns the key.
func (c *conn) insert(query string, args ...any) (key uma.Key, err error) {
	err = c.row(query, args, &key)
	return key, err
}

// A scanFunc reads the columns of the row that a statement is at into dest.
type scanFunc func(dest ...any) error

// errEnough ends the reading of rows without an error of the caller.
var errEnough = errors.New("enough rows")

// rows calls each for every row of a query. each must not use the connection. If each returns
// errEnough, no more rows are read, and that is no error.
func (c *conn) rows(query string, args []any, each func(scan scanFunc) error) (err error) {
	return c.ask(question{query, args, each})
}

// A question is a query, and what is called for each of its rows: see rows.
type question struct {
	query string
	args  []any
	each  func(scan scanFunc) error
}

// ask is rows for several queries, in one round trip.
func (c *conn) ask(questions ...question) (err error) {
	if len(questions) == 0 {
		return nil
	}
	commands := make([]command, len(questions))
	for i, q := range questions {
		commands[i] = command{query: q.query, args: q.args}
	}
	results, err := c.send(commands...)
	if err != nil {
		return err
	}
	defer func() {
		if closed := c.checked(results.Close()); err == nil {
			err = closed // the rest of the rows could not be read
		}
	}()
	for _, q := range questions {
		if err := c.answer(results, q); err != nil {
			return err
		}
	}
	return nil
}

// answer reads the rows of the next query.
func (c *conn) answer(results pgx.BatchResults, q question) error {
	rows, err := results.Query()
	if err != nil {
		return c.checked(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := c.took(); err != nil {
			return err
		}
		if err := c.spend(rowBytes); err != nil {
			return err
		}
		switch err := q.each(rows.Scan); {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return c.checked(err)
	}
	if err := c.took(); err != nil {
		return err
	}
	c.note(q.query, rows.CommandTag())
	return nil
}

// took calls taken, once.
func (c *conn) took() error {
	if c.taken == nil {
		return nil
	}
	taken := c.taken
	c.taken = nil
	return taken()
}

// row reads the first row of a query into dest, or returns uma.ErrNotFound.
func (c *conn) row(query string, args []any, dest ...any) error {
	_, err := oneRow(c, query, args, func(scan scanFunc) (struct{}, error) { return struct{}{}, scan(dest...) })
	return err
}

// oneRow returns the first row of a query, or uma.ErrNotFound.
func oneRow[T any](c *conn, query string, args []any, read func(scan scanFunc) (T, error)) (v T, err error) {
	found := false
	err = c.rows(query, args, func(scan scanFunc) (err error) {
		if found {
			return nil
		}
		found = true
		v, err = read(scan)
		return err
	})
	if err == nil && !found {
		err = uma.ErrNotFound
	}
	return v, err
}

// list collects the rows of a query.
func list[T any](c *conn, query string, args []any, read func(scan scanFunc) (T, error)) ([]T, error) {
	var all []T
	err := c.rows(query, args, func(scan scanFunc) error {
		v, err := read(scan)
		if err == nil {
			all = append(all, v)
		}
		return err
	})
	return all, err
}

// texts collects the rows of a query that has one column.
func texts[T ~string](c *conn, query string, args ...any) ([]T, error) {
	return list(c, query, args, func(scan scanFunc) (T, error) {
		var s string
		err := scan(&s)
		return T(s), err
	})
}

// exists reports whether a query has a row.
func (c *conn) exists(query string, args ...any) (found bool, err error) {
	err = c.rows(query, args, func(scanFunc) error {
		found = true
		return nil
	})
	return found, err
}

// reading adds what was being read to an error.
func reading(what string, err error) error {
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// writing adds what was being written to an error.
func writing(what string, err error) error {
	if err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}
