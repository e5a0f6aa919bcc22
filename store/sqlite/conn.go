package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/umpire/uma"
)

// A conn is one connection with the statements it has prepared. It is for one
// goroutine at a time.
//
// Statements run under a context that never ends: they take microseconds, and a
// context that may end costs a goroutine for each of them. What may take longer
// is given in pages, and the caller's context is looked at in between.
//
// A parameter that is a LIMIT by itself has SQLite plan by its value, and prepare
// the statement anew at every call, which costs five times the query: LIMIT ? + 0
// has it not. TestLimitsArePreparedOnce sees to it.
type conn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	dirty bool // a row was changed since this was last set to false
}

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{conn: c, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	c.stmts[query] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if n > 0 {
		c.dirty = true
	}
	return n, err
}

// insert runs a statement that adds one row and returns its key. RETURNING would
// do that too, but has SQLite keep every page that the statement changes.
func (c *conn) insert(query string, args ...any) (uma.Key, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	c.dirty = true
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	key, err := r.LastInsertId()
	return uma.Key(key), err
}

// row reads the one row of a query, which must not write, into dest, or returns uma.ErrNotFound.
func (c *conn) row(query string, args []any, dest ...any) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return uma.ErrNotFound
	}
	return err
}

// rows calls each for every row of a query. It must not use the connection.
func (c *conn) rows(query string, args []any, each func(scan func(dest ...any) error) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// list collects the rows of a query.
func list[T any](c *conn, query string, args []any, one func(scan func(dest ...any) error) (T, error)) ([]T, error) {
	var all []T
	err := c.rows(query, args, func(scan func(dest ...any) error) error {
		v, err := one(scan)
		if err == nil {
			all = append(all, v)
		}
		return err
	})
	return all, err
}

// texts collects the rows of a query that has one column.
func texts[T ~string](c *conn, query string, args ...any) ([]T, error) {
	return list(c, query, args, func(scan func(dest ...any) error) (T, error) {
		var s string
		err := scan(&s)
		return T(s), err
	})
}

// exists reports whether a query has a row.
func (c *conn) exists(query string, args ...any) (bool, error) {
	var one int64
	err := c.row(query, args, (*integer)(&one))
	if errors.Is(err, uma.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// isBusy reports whether another process holds the lock that err failed for.
func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// conflict turns the violation of a UNIQUE constraint into uma.ErrConflict.
func conflict(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return uma.ErrConflict
	}
	return err
}
