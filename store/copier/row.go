package copier

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// A Row has a value for each column of its table, or of its key: see Type.
type Row []any

// Size is about how many bytes the row has.
func (r Row) Size() int {
	size := 0
	for _, value := range r {
		switch v := value.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case []string:
			for _, s := range v {
				size += 16 + len(s)
			}
		}
		size += 16
	}
	return size
}

// Encode appends the one form that equal rows have in all databases: for each column a letter, the
// length if it varies, and the value.
func (r Row) Encode(to []byte) []byte {
	for _, value := range r {
		switch v := value.(type) {
		case int64:
			to = binary.AppendVarint(append(to, 'i'), v)
		case string:
			to = appendText(append(to, 't'), v)
		case []byte:
			if v == nil {
				to = append(to, 'n')
				break
			}
			to = appendText(append(to, 'b'), v)
		case bool:
			if v {
				to = append(to, 'y')
				break
			}
			to = append(to, 'f')
		case []string:
			to = binary.AppendUvarint(append(to, 'l'), uint64(len(v)))
			for _, s := range v {
				to = appendText(to, s)
			}
		default:
			panic(fmt.Sprintf("a column is a %T", value)) // a mistake in a driver
		}
	}
	return to
}

func appendText[T string | []byte](to []byte, s T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

var errKey = errors.New("the note of how far a copy has come is damaged")

// decodeKey reads what Encode wrote of a key, whose columns are integers, texts and bytes.
func decodeKey(encoded []byte) (key Row, err error) {
	for len(encoded) > 0 {
		of, rest := encoded[0], encoded[1:]
		if of == 'i' {
			v, n := binary.Varint(rest)
			if n <= 0 {
				return nil, errKey
			}
			key, encoded = append(key, v), rest[n:]
			continue
		}
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, errKey
		}
		value := rest[n : n+int(size)]
		encoded = rest[n+int(size):]
		switch of {
		case 't':
			key = append(key, string(value))
		case 'b':
			key = append(key, bytes.Clone(value))
		default:
			return nil, errKey
		}
	}
	return key, nil
}

// compare compares keys in the order in which rows are read.
func compare(a, b Row) int {
	for i := range a {
		order := 0
		switch v := a[i].(type) {
		case int64:
			w, _ := b[i].(int64)
			order = cmp.Compare(v, w)
		case string:
			w, _ := b[i].(string)
			order = cmp.Compare(v, w)
		case []byte:
			w, _ := b[i].([]byte)
			order = bytes.Compare(v, w)
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// Describe names a row of the table by its key, for errors. Keys that are bytes are digests of
// tickets and tokens: only their beginning is shown.
func (t *Table) Describe(row Row) string {
	var parts []string
	for i, c := range t.Columns[:t.Key] {
		switch v := row[i].(type) {
		case []byte:
			parts = append(parts, fmt.Sprintf("%s %x…", c.Name, v[:min(4, len(v))]))
		default:
			parts = append(parts, fmt.Sprintf("%s %q", c.Name, fmt.Sprint(v)))
		}
	}
	return "the row of " + t.Name + " with " + strings.Join(parts, ", ")
}
