package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// A conn is one connection with the statements that it has prepared. It is for one
// goroutine at a time. It does not use database/sql, which would double the cost of a
// short query.
//
// Statements of a connection that is limited are interrupted when the context ends.
// Most take microseconds; longer reads are done in pages, each in a read transaction of
// its own.
//
// SQLite plans a statement by the value of a parameter that is the whole LIMIT. It
// therefore prepares the statement anew at every call, which costs five times the
// query. All statements have LIMIT ? + 0 instead: see TestLimitsArePreparedOnce.
type conn struct {
	db    *sqlite.Conn
	stmts map[string]*statement // the library keeps them too, but clears bindings at each use
	dirty bool                  // a row was changed since this was last set to false
	left  int                   // bytes that may still be read: see spend
	ended func() error          // error of the context that interrupts statements; nil without one

	interrupt chan struct{} // see arm; nil until it is needed
	release   func() bool   // keeps the end of the context from closing interrupt

	damage *damage // told of every error; may be nil

	snapshot func() error // called once, when the next statement has begun to read; may be nil

	// Of the writer's connection.
	memory  *watch
	noted   memory.Kinds // of the rows that the statement changes which is being prepared: see noteChanges
	touched memory.Kinds // of the rows that were changed since this was last set to 0
}

const (
	// maxReading is how many bytes one view may read: ten times what the largest
	// request reads, for policy.max_permissions resources with as many attributes as
	// allowed.
	maxReading = 32 << 20

	// rowBytes is what a row counts, besides the data of a resource.
	rowBytes = 200
)

// limit makes statements fail once ctx ends, and spend fail once so many bytes were
// read.
func (c *conn) limit(ctx context.Context, bytes int) {
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

// unlimit ends what limit began.
func (c *conn) unlimit() {
	if c.release != nil && !c.release() {
		<-c.interrupt // the context has ended: it is being closed
		c.arm()
	}
	c.release = nil
	c.left, c.ended = math.MaxInt, nil
}

// arm makes a channel that interrupts statements when it is closed. It is used again by
// the next call of limit: for each channel the library starts a goroutine and looks at
// all statements, which costs more than a look-up by key.
func (c *conn) arm() {
	c.interrupt = make(chan struct{})
	c.db.SetInterrupt(c.interrupt)
}

// spend counts bytes that are read into memory. It returns uma.ErrTooMuch beyond the
// bound of limit.
func (c *conn) spend(bytes int) error {
	if c.left -= bytes; c.left < 0 {
		return uma.ErrTooMuch
	}
	return nil
}

// step is Stmt.Step, with the error checked.
func (c *conn) step(s *statement) (bool, error) {
	more, err := s.Step()
	if taken := c.snapshot; taken != nil && err == nil {
		c.snapshot = nil
		err = taken()
	}
	return more, c.checked(err)
}

// checked notes an error that says that the file is damaged. To the error of a
// statement that was interrupted it adds the error of the context.
func (c *conn) checked(err error) error {
	c.damage.note(err)
	if err == nil || c.ended == nil || sqlite.ErrCode(err).ToPrimary() != sqlite.ResultInterrupt {
		return err
	}
	return fmt.Errorf("%w: %w", c.ended(), err)
}

// A statement is a prepared statement. It is busy while its rows are read.
type statement struct {
	*sqlite.Stmt
	busy    bool
	changes memory.Kinds // the kinds of rows that it changes: see noteChanges
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

// bound returns the statement of a query, prepared at its first use, with its
// parameters bound. The caller must call end, also after an error: a statement that is
// not reset keeps its connection reading an old state of the database.
func (c *conn) bound(query string, args []any) (*statement, error) {
	if c.ended != nil && c.ended() != nil { // the interrupt comes a moment after the end of the context
		return nil, c.ended()
	}
	s, ok := c.stmts[query]
	if !ok {
		c.noted = 0
		prepared, err := c.db.Prepare(query)
		if err != nil {
			return nil, c.checked(err)
		}
		s = &statement{Stmt: prepared, changes: c.noted}
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

// end resets a statement for its next use, and adds the error of that to err.
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
		c.touched |= s.changes
	}
	return changed, nil
}

// insert runs a statement that adds one row and returns its key. RETURNING would return
// it too, but makes SQLite keep every page that the statement changes.
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

// isBusy reports whether err says that another process holds the lock.
func isBusy(err error) bool { return sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy }

// conflict turns the violation of a UNIQUE constraint into uma.ErrConflict.
func conflict(err error) error {
	if sqlite.ErrCode(err) == sqlite.ResultConstraintUnique {
		return uma.ErrConflict
	}
	return err
}
