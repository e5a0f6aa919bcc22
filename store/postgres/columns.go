package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// columns are rows that one statement inserts, as an array for each column: see unnest.
type columns struct {
	count  int
	arrays []any // of []int64, []string, [][]byte or []bool
}

// add adds a row. All rows have columns of the same types.
func (c *columns) add(row ...any) {
	if c.arrays == nil {
		c.arrays = make([]any, len(row))
	}
	for i, value := range row {
		switch v := value.(type) {
		case int64:
			c.arrays[i] = appendTo(c.arrays[i], v)
		case string:
			c.arrays[i] = appendTo(c.arrays[i], v)
		case bool:
			c.arrays[i] = appendTo(c.arrays[i], v)
		case []byte:
			c.arrays[i] = appendTo(c.arrays[i], v)
		default:
			panic(fmt.Sprintf("column %d is a %T", i, value)) // a mistake in this package
		}
	}
	c.count++
}

func appendTo[T any](list any, v T) any {
	typed, _ := list.([]T)
	return append(typed, v)
}

// args are the arrays as the arguments of a statement.
func (c *columns) args() []any { return c.arrays[:len(c.arrays):len(c.arrays)] }

// arrayText is an array of texts as PostgreSQL reads it: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.
// Arrays of different lengths cannot be the elements of another array.
func arrayText(list []string) string {
	var text strings.Builder
	text.WriteByte('{')
	for i, s := range list {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteByte('"')
		text.WriteString(arrayQuotes.Replace(s))
		text.WriteByte('"')
	}
	text.WriteByte('}')
	return text.String()
}

var arrayQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// A moment is a time, stored as unix milliseconds; 0 is the zero time.
type moment time.Time

// ScanInt64 implements pgtype.Int64Scanner.
func (m *moment) ScanInt64(v pgtype.Int8) error {
	*m = moment{}
	if v.Int64 != 0 {
		*m = moment(time.UnixMilli(v.Int64).UTC())
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// A document is a value of any type, stored as JSON.
type document struct{ v any }

// ScanText implements pgtype.TextScanner.
func (d document) ScanText(v pgtype.Text) error { return rows.ReadDocument(v.String, d.v) }

// names reads an array of texts into a list, nil if it is empty.
type names []string

// SetDimensions implements pgtype.ArraySetter.
func (n *names) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	*n = nil
	if count := elements(dimensions); count > 0 {
		*n = make(names, count)
	}
	return nil
}

// ScanIndex implements pgtype.ArraySetter.
func (n *names) ScanIndex(i int) any { return &(*n)[i] }

// ScanIndexType implements pgtype.ArraySetter.
func (n *names) ScanIndexType() any { return new(string) }

// scopes is names for scopes.
type scopes []uma.Scope

// SetDimensions implements pgtype.ArraySetter.
func (s *scopes) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	*s = nil
	if count := elements(dimensions); count > 0 {
		*s = make(scopes, count)
	}
	return nil
}

// ScanIndex implements pgtype.ArraySetter.
func (s *scopes) ScanIndex(i int) any { return (*string)(&(*s)[i]) }

// ScanIndexType implements pgtype.ArraySetter.
func (s *scopes) ScanIndexType() any { return new(string) }

// elements is how many elements an array has that is not one of arrays.
func elements(dimensions []pgtype.ArrayDimension) int {
	if len(dimensions) == 0 {
		return 0
	}
	return int(dimensions[0].Length)
}

// array is a list as an argument: nil would be NULL.
func array[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = string(v)
	}
	return texts
}
