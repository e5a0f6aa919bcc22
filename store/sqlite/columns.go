package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
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
	*m = moment{}
	if v != 0 {
		*m = moment(time.UnixMilli(v).UTC())
	}
	return err
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
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

// readList reads a JSON array of strings. If nothing in it is escaped it is split at
// the commas, which takes a tenth of the time.
func readList[T ~string](stmt *sqlite.Stmt, i int) ([]T, error) {
	s, err := text(stmt, i)
	if err != nil || s == "[]" {
		return nil, err
	}
	if len(s) < 4 || strings.Contains(s, `\`) {
		var list []T
		err := json.Unmarshal([]byte(s), &list)
		return list, err
	}
	list := make([]T, 0, strings.Count(s, `","`)+1)
	for s = s[2 : len(s)-2]; ; {
		head, tail, more := strings.Cut(s, `","`)
		list = append(list, T(head))
		if !more {
			return list, nil
		}
		s = tail
	}
}

// inList returns the condition that a column is one of values, without the column, and
// its argument. A list of one, the usual case, costs half as much without json_each.
func inList[T ~string](values []T) (string, any) {
	if len(values) == 1 {
		return ` = ?`, string(values[0])
	}
	return ` IN (SELECT value FROM json_each(?))`, rows.ListText(values)
}

// keysText is the JSON array of keys, for json_each.
func keysText[T ~int64](keys []T) string {
	b, _ := json.Marshal(keys) // integers never fail
	return string(b)
}

// A document is a value of any type, stored as JSON. Numbers in values of type any are
// read as json.Number.
type document struct{ v any }

func (d document) read(s *sqlite.Stmt, i int) error {
	v, err := text(s, i)
	if err != nil || v == "" || v == "{}" || v == "null" {
		return err
	}
	// Claims are read by rules and shown to clients: a float would change numbers
	// beyond 2^53.
	dec := json.NewDecoder(strings.NewReader(v))
	dec.UseNumber()
	return dec.Decode(d.v)
}

// documentText is the JSON of a value, {} for a nil map.
func documentText(v any) (string, error) {
	b, err := json.Marshal(v)
	if string(b) == "null" {
		return "{}", err
	}
	return string(b), err
}

// textsText is the JSON of the texts of a resource, empty if it has none, as most.
func textsText(texts map[string]string) string {
	if len(texts) == 0 {
		return ""
	}
	b, _ := json.Marshal(texts) // strings never fail
	return string(b)
}

// fold returns a name in the form in which names are compared without case.
func fold(s string) string { return strings.ToLower(s) }
