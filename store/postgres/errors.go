package postgres

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/umpire/uma"
)

// The errors of PostgreSQL that the store tells apart, by SQLSTATE.
const (
	uniqueViolation   = "23505"
	divisionByZero    = "22012" // of a statement that does not find what it needs
	noPartition       = "23514" // check_violation: no partition takes the row
	serialization     = "40001"
	deadlock          = "40P01"
	lockNotAvailable  = "55P03"
	idleInTransaction = "25P03"
	queryCanceled     = "57014" // by statement_timeout, or by us
	readOnly          = "25006" // the database has become a standby
)

var (
	errClosed   = errors.New("the store is closed")
	errReadOnly = errors.New("the store is open for reading only")
)

// An unavailable is the error of a database that cannot be reached, or that ended the connection.
// It is a uma.ErrBusy: the same request may succeed soon.
type unavailable struct{ cause error }

func (e *unavailable) Error() string { return "the database is unavailable: " + e.cause.Error() }

func (e *unavailable) Unwrap() error { return e.cause }

// Is makes errors.Is(err, uma.ErrBusy) true.
func (e *unavailable) Is(target error) bool { return target == uma.ErrBusy }

func isUnavailable(err error) bool {
	var e *unavailable
	return errors.As(err, &e)
}

// stateOf is the SQLSTATE of an error, empty for others.
func stateOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// isConstraint reports whether err is the violation of a unique constraint or index of that name.
func isConstraint(err error, name string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == uniqueViolation && pg.ConstraintName == name
}

// conflict turns the violation of a unique constraint into uma.ErrConflict.
func conflict(err error) error {
	if stateOf(err) == uniqueViolation {
		return uma.ErrConflict
	}
	return err
}

// checked makes an error unavailable that is about the connection or the state of the database, and
// not about the statement. To that of a statement that was canceled it adds the error of the context.
func (c *conn) checked(err error) error {
	var already *unavailable
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case c.replica != nil:
		return c.replica.checked(c.ctx, err)
	case c.ctx.Err() != nil:
		return fmt.Errorf("%w: %w", c.ctx.Err(), err)
	case isLost(err), c.pg.IsClosed():
		return &unavailable{err}
	}
	return err
}

// isLost reports whether PostgreSQL said that it takes no such statements now.
func isLost(err error) bool {
	state := stateOf(err)
	if state == "" {
		return false
	}
	switch state[:2] {
	case "08", // connection exception
		"53", // insufficient resources: disk, memory, connections
		"57", // shut down, crashed, starting up; canceled: by statement_timeout
		"58": // system error: input or output
		return true
	}
	switch state {
	case readOnly, lockNotAvailable, idleInTransaction:
		return true
	}
	return false
}

// isRetried reports whether a transaction may be run again because another one was in its way.
func isRetried(err error) bool {
	switch stateOf(err) {
	case serialization, deadlock:
		return true
	}
	return false
}

// panicked is the error of a write that has panicked.
func panicked(p any) error { return fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack()) }
