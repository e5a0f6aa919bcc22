package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"example.com/umpire/uma"
)

// A conn is one connection with the statements it has prepared. It is for one
// goroutine at a time. It speaks to SQLite without database/sql, which would cost
// as much again as the short queries that there are here.
//
// While a connection is lent, its statements are interrupted when the borrower's
// context ends. Most take microseconds; longer reads are done in pages, each in a read
// transaction of its own.
//
// A parameter that is a LIMIT by itself has SQLite plan by its value, and prepare
// the statement anew at every call, which costs five times the query: LIMIT ? + 0
// has it not. TestLimitsArePreparedOnce sees to it.
type conn struct {
	db    *sqlite.Conn
	stmts map[string]*statement // the library keeps them too, but clears bindings at each use
	dirty bool                  // a row was changed since this was last set to false
	left  int                   // bytes that may still be read: see spend
	ended func() error          // why statements are interrupted; nil for none

	interrupt chan struct{} // see arm; nil until it is first needed
	release   func() bool   // ends what closes interrupt with the context

	damage *damage // told of every error; may be nil
}

const (
	// maxReading is how many bytes one view may read: ten times what the largest
	// request reads, for policy.max_permissions resources with as many attributes as
	// allowed.
	maxReading = 32 << 20

	// rowBytes is the cost of a row besides the data of a resource.
	rowBytes = 200
)

// lend makes statements fail once ctx ends, and reading once so many bytes were read.
func (c *conn) lend(ctx context.Context, bytes int) {
	c.left, c.ended = bytes, ctx.Err
	if ctx.Done() == nil {
		return
	}
	if c.interrupt == nil {
		c.arm()
	}
	interrupt := c.interrupt
	c.release = context.AfterFunc(ctx, func() { close(interrupt) })
}

// takeBack ends what lend began.
func (c *conn) takeBack() {
	if c.release != nil && !c.release() {
		<-c.interrupt // the context has ended: it is being closed
		c.arm()
	}
	c.release = nil
	c.left, c.ended = math.MaxInt, nil
}

// arm makes a channel that interrupts statements when it is closed. It is kept from
// one lending to the next: for each channel the library starts a goroutine and looks
// at all statements, which costs more than a look-up by key.
func (c *conn) arm() {
	c.interrupt = make(chan struct{})
	c.db.SetInterrupt(c.interrupt)
}

// spend counts bytes that are read into memory. It returns uma.ErrTooMuch beyond the
// bound of lend.
func (c *conn) spend(bytes int) error {
	if c.left -= bytes; c.left < 0 {
		return uma.ErrTooMuch
	}
	return nil
}

// step is Stmt.Step.
func (c *conn) step(s *statement) (bool, error) {
	more, err := s.Step()
	return more, c.checked(err)
}

// checked notes an error that says that the file is damaged, and adds the error of the
// context to that of a statement which it interrupted.
func (c *conn) checked(err error) error {
	c.damage.note(err)
	if err == nil || c.ended == nil || sqlite.ErrCode(err).ToPrimary() != sqlite.ResultInterrupt {
		return err
	}
	return fmt.Errorf("%w: %w", c.ended(), err)
}

// A statement is prepared, and busy while somebody steps through it.
type statement struct {
	*sqlite.Stmt
	busy bool
}

// openConn opens a connection to a file and sets it up with pragmas.
func openConn(path string, flags sqlite.OpenFlags, pragmas ...string) (*conn, error) {
	db, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, err
	}
	c := &conn{db: db, stmts: map[string]*statement{}, left: math.MaxInt}
	for _, pragma := range pragmas {
		if err := sqlitex.ExecuteTransient(db, `PRAGMA `+pragma, nil); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Finalize())
	}
	return errors.Join(append(errs, c.db.Close())...)
}

// bound returns the statement of a query, prepared at first use, with its
// parameters. Whoever steps through it ends it, whatever happens: a statement that
// is left half read would hold its connection to an old state of the database.
func (c *conn) bound(query string, args []any) (*statement, error) {
	if c.ended != nil && c.ended() != nil { // the interruption follows the end a moment later
		return nil, c.ended()
	}
	s, ok := c.stmts[query]
	if !ok {
		prepared, err := c.db.Prepare(query)
		if err != nil {
			return nil, c.checked(err)
		}
		s = &statement{Stmt: prepared}
		c.stmts[query] = s
	}
	if s.busy {
		return nil, fmt.Errorf("%q is being read", query)
	}
	if len(args) != s.BindParamCount() {
		return nil, fmt.Errorf("%q has %d parameters, not %d", query, s.BindParamCount(), len(args))
	}
	for i, arg := range args {
		if err := bind(s.Stmt, i+1, arg); err != nil {
			return nil, fmt.Errorf("%q: %w", query, err)
		}
	}
	s.busy = true
	return s, nil
}

// end makes a statement ready for its next use, and adds its error to err.
func (s *statement) end(err *error) {
	s.busy = false
	if failed := s.Reset(); failed != nil {
		*err = errors.Join(*err, failed)
	}
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (changed int, err error) {
	s, err := c.bound(query, args)
	if err != nil {
		return 0, err
	}
	defer s.end(&err)
	for more := true; more; {
		if more, err = c.step(s); err != nil {
			return 0, err
		}
	}
	changed = c.db.Changes()
	if changed > 0 {
		c.dirty = true
	}
	return changed, nil
}

// insert runs a statement that adds one row and returns its key. RETURNING would
// do that too, but has SQLite keep every page that the statement changes.
func (c *conn) insert(query string, args ...any) (uma.Key, error) {
	c.dirty = true
	if _, err := c.exec(query, args...); err != nil {
		return 0, err
	}
	return uma.Key(c.db.LastInsertRowID()), nil
}

// A scanFunc reads the columns of the row that a statement is at into dest: see scan.
type scanFunc func(dest ...any) error

// row reads the first row of a query into dest, or returns uma.ErrNotFound.
func (c *conn) row(query string, args []any, dest ...any) error {
	return c.first(query, args, func(s *statement) error { return scan(s.Stmt, dest) })
}

// first calls read at the first row of a query, which must not write.
func (c *conn) first(query string, args []any, read func(s *statement) error) (err error) {
	s, err := c.bound(query, args)
	if err != nil {
		return err
	}
	defer s.end(&err)
	switch found, err := c.step(s); {
	case err != nil:
		return err
	case !found:
		return uma.ErrNotFound
	}
	return read(s)
}

// rows calls each for every row of a query. It must not run the same query.
func (c *conn) rows(query string, args []any, each func(scan scanFunc) error) (err error) {
	s, err := c.bound(query, args)
	if err != nil {
		return err
	}
	defer s.end(&err)
	row := func(dest ...any) error { return scan(s.Stmt, dest) }
	for {
		more, err := c.step(s)
		if err != nil || !more {
			return err
		}
		if err := c.spend(rowBytes); err != nil {
			return err
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

// oneRow returns the first row of a query, or uma.ErrNotFound.
func oneRow[T any](c *conn, query string, args []any, read func(scan scanFunc) (T, error)) (v T, err error) {
	err = c.first(query, args, func(s *statement) (err error) {
		v, err = read(func(dest ...any) error { return scan(s.Stmt, dest) })
		return err
	})
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
func (c *conn) exists(query string, args ...any) (bool, error) {
	var one int64
	err := c.row(query, args, &one)
	if errors.Is(err, uma.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// isBusy reports whether another process holds the lock that err failed for.
func isBusy(err error) bool { return sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy }

// conflict turns the violation of a UNIQUE constraint into uma.ErrConflict.
func conflict(err error) error {
	if sqlite.ErrCode(err) == sqlite.ResultConstraintUnique {
		return uma.ErrConflict
	}
	return err
}
