package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// The types below read columns without reflection. Pointers to fields of package
// uma are converted to them: (*integer)(&r.Key).

// An integer is a key, a version or a count.
type integer int64

// Scan implements sql.Scanner.
func (i *integer) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("column holds %T, not an integer", src)
	}
	*i = integer(v)
	return nil
}

// A moment is a time, kept as unix milliseconds; 0 is the zero time.
type moment time.Time

// Scan implements sql.Scanner.
func (m *moment) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("column holds %T, not a time", src)
	}
	*m = moment{}
	if v != 0 {
		*m = moment(time.UnixMilli(v).UTC())
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// A texture is a named string type.
type texture string

// Scan implements sql.Scanner.
func (t *texture) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("column holds %T, not text", src)
	}
	*t = texture(s)
	return nil
}

// names is a list of strings, kept as a JSON array.
type names []string

// Scan implements sql.Scanner.
func (n *names) Scan(src any) error {
	list, err := readList[string](src)
	*n = list
	return err
}

// scopes is a list of scopes, kept as a JSON array.
type scopes []uma.Scope

// Scan implements sql.Scanner.
func (n *scopes) Scan(src any) error {
	list, err := readList[uma.Scope](src)
	*n = list
	return err
}

// readList reads a JSON array of strings. Where nothing in it is escaped, cutting
// is enough, and takes a tenth of the time.
func readList[T ~string](src any) ([]T, error) {
	s, ok := src.(string)
	if !ok {
		return nil, fmt.Errorf("column holds %T, not a list", src)
	}
	if s == "[]" {
		return nil, nil
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

// listText is the JSON array of a list.
func listText[T ~string](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings never fail
	return string(b)
}

// among returns the end of a condition that a column is one of values, and its
// argument. A list of one, the usual case, costs half as much without json_each.
func among[T ~string](values []T) (string, any) {
	if len(values) == 1 {
		return ` = ?`, string(values[0])
	}
	return ` IN (SELECT value FROM json_each(?))`, listText(values)
}

// keysText is the JSON array of keys, for json_each.
func keysText(keys []uma.Key) string {
	b, _ := json.Marshal(keys) // integers never fail
	return string(b)
}

// A document is a value of any type, kept as JSON.
type document struct{ v any }

// Scan implements sql.Scanner.
func (d document) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("column holds %T, not a document", src)
	}
	if s == "" || s == "{}" || s == "null" {
		return nil
	}
	return json.Unmarshal([]byte(s), d.v)
}

// documentText is the JSON of a value; of an empty map {}.
func documentText(v any) (string, error) {
	b, err := json.Marshal(v)
	if string(b) == "null" {
		return "{}", err
	}
	return string(b), err
}

// textsText is the JSON of texts, which few resources have; without any empty.
func textsText(texts map[string]string) string {
	if len(texts) == 0 {
		return ""
	}
	b, _ := json.Marshal(texts) // strings never fail
	return string(b)
}

// fold is what names are compared by where case does not matter.
func fold(s string) string { return strings.ToLower(s) }
