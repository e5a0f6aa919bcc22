package sqlite

import (
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// bind gives a parameter of a statement its value.
func bind(s *sqlite.Stmt, i int, value any) error {
	switch v := value.(type) {
	case string:
		s.BindText(i, v)
	case int64:
		s.BindInt64(i, v)
	case int:
		s.BindInt64(i, int64(v))
	case bool:
		s.BindBool(i, v)
	case []byte:
		if v == nil {
			s.BindNull(i)
			break
		}
		s.BindBytes(i, v)
	case nil:
		s.BindNull(i)
	default:
		return fmt.Errorf("parameter %d is a %T", i, value)
	}
	return nil
}

// A column reads a column of the row that a statement is at. Pointers to fields of
// package uma are converted to one of the types below: (*integer)(&r.Key).
type column interface {
	read(s *sqlite.Stmt, i int) error
}

// scan reads the columns of a row. dest are columns, or pointers to basic types.
func scan(s *sqlite.Stmt, dest []any) error {
	for i, d := range dest {
		if err := scanOne(s, i, d); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

func scanOne(s *sqlite.Stmt, i int, dest any) (err error) {
	switch d := dest.(type) {
	case column:
		return d.read(s, i)
	case *string:
		*d, err = text(s, i)
	case *int64:
		*d, err = number(s, i)
	case *bool:
		var n int64
		n, err = number(s, i)
		*d = n != 0
	case *[]byte:
		*d = nil
		if s.ColumnType(i) != sqlite.TypeNull {
			*d = make([]byte, s.ColumnLen(i))
			s.ColumnBytes(i, *d)
		}
	default:
		err = fmt.Errorf("cannot be read into a %T", dest)
	}
	return err
}

func text(s *sqlite.Stmt, i int) (string, error) {
	if t := s.ColumnType(i); t != sqlite.TypeText {
		return "", fmt.Errorf("holds %v, not text", t)
	}
	return s.ColumnText(i), nil
}

func number(s *sqlite.Stmt, i int) (int64, error) {
	if t := s.ColumnType(i); t != sqlite.TypeInteger {
		return 0, fmt.Errorf("holds %v, not an integer", t)
	}
	return s.ColumnInt64(i), nil
}

// An integer is a field of a named type of integers, such as uma.Key.
type integer int64

func (n *integer) read(s *sqlite.Stmt, i int) error {
	v, err := number(s, i)
	*n = integer(v)
	return err
}

// A moment is a time, stored as unix milliseconds; 0 is the zero time.
type moment time.Time

func (m *moment) read(s *sqlite.Stmt, i int) error {
	v, err := number(s, i)
	*m = moment(rows.Time(v))
	return err
}

// A namedText is a field of a named type of strings, such as uma.Scope.
type namedText string

func (t *namedText) read(s *sqlite.Stmt, i int) error {
	v, err := text(s, i)
	*t = namedText(v)
	return err
}

// names is a list of strings, stored as a JSON array.
type names []string

func (n *names) read(s *sqlite.Stmt, i int) error {
	list, err := readList[string](s, i)
	*n = list
	return err
}

// scopes is a list of scopes, stored as a JSON array.
type scopes []uma.Scope

func (n *scopes) read(s *sqlite.Stmt, i int) error {
	list, err := readList[uma.Scope](s, i)
	*n = list
	return err
}

func readList[T ~string](stmt *sqlite.Stmt, i int) ([]T, error) {
	s, err := text(stmt, i)
	if err != nil {
		return nil, err
	}
	return rows.ReadList[T](s)
}

// inList returns the condition that a column is one of values, without the column, and
// its argument. A list of one, the usual case, costs half as much without json_each.
func inList[T ~string](values []T) (string, any) {
	if len(values) == 1 {
		return ` = ?`, string(values[0])
	}
	return ` IN (SELECT value FROM json_each(?))`, rows.ListText(values)
}

// A document is a value of any type, stored as JSON: see rows.ReadDocument.
type document struct{ v any }

func (d document) read(s *sqlite.Stmt, i int) error {
	v, err := text(s, i)
	if err != nil {
		return err
	}
	return rows.ReadDocument(v, d.v)
}
