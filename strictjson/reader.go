package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Reader steps through a JSON text, value by value, and builds nothing of it. After an
// error it stays where the mistake is.
//
// Rejected: json.Decoder, whose tokens take longer than to verify the signature of the
// token that they are in.
type Reader struct {
	text string
	at   int
}

// New returns a Reader of a text that is valid JSON, as json.Valid or json.Unmarshal has
// found it: the Reader would run past the end of any other.
func New(valid string) *Reader { return &Reader{text: valid} }

// A RepeatedError names a member that is twice in one object.
type RepeatedError struct{ Name string }

func (e *RepeatedError) Error() string { return fmt.Sprintf("%q is there twice", e.Name) }

// ErrHalfPair is the error for half a surrogate pair: encoding/json reads it as U+FFFD, so
// that two names that differ become one.
var ErrHalfPair = errors.New("the text has half a surrogate pair")

// Offset is the number of bytes before the place where the Reader is.
func (r *Reader) Offset() int { return r.at }

// Next returns the first byte of the next value, and does not read that.
func (r *Reader) Next() byte {
	for strings.IndexByte(" \t\r\n,:", r.text[r.at]) >= 0 { // commas and colons are where they must be
		r.at++
	}
	return r.text[r.at]
}

// Object reads an object. It calls each for every member, which reads its value.
func (r *Reader) Object(each func(name string) error) error {
	var seen names
	r.at++
	for r.Next() != '}' {
		name, err := r.Text()
		if err != nil {
			return err
		}
		if !seen.add(name) {
			return &RepeatedError{name}
		}
		r.Next()
		if err := each(name); err != nil {
			return err
		}
	}
	r.at++
	return nil
}

// Array reads an array. It calls each for every element, which reads it.
func (r *Reader) Array(each func() error) error {
	r.at++
	for r.Next() != ']' {
		if err := each(); err != nil {
			return err
		}
	}
	r.at++
	return nil
}

// Text reads a string, or a name, as encoding/json does.
func (r *Reader) Text() (string, error) {
	start, escaped := r.at, false
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	raw := r.text[start:r.at]
	if plain := raw[1 : len(raw)-1]; !escaped && utf8.ValidString(plain) {
		return plain, nil
	}
	if hasHalfPair(raw) {
		return "", ErrHalfPair
	}
	var s string
	err := json.Unmarshal([]byte(raw), &s)
	return s, err
}

// An escape is a surrogate pair (12 bytes), half of one (6 bytes), or the start of any
// other escape (2 bytes).
var escape = regexp.MustCompile(`\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)`)

func hasHalfPair(raw string) bool {
	return slices.ContainsFunc(escape.FindAllString(raw, -1), func(e string) bool { return len(e) == len(`\ud800`) })
}

// Word reads a number, true, false or null, and returns it as it is written.
func (r *Reader) Word() string {
	start := r.at
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,]}", r.text[r.at]) < 0 {
		r.at++
	}
	return r.text[start:r.at]
}

// Raw reads a value of any kind, and returns it as it is written.
func (r *Reader) Raw() (string, error) {
	var err error
	first := r.Next()
	start := r.at
	switch first {
	case '{':
		err = r.Object(func(string) error { return r.skip() })
	case '[':
		err = r.Array(r.skip)
	case '"':
		_, err = r.Text()
	default:
		r.Word()
	}
	return r.text[start:r.at], err
}

func (r *Reader) skip() error {
	_, err := r.Raw()
	return err
}

// names are those of one object: a list, and a map once a search in the list would be slow.
type names struct {
	few  [16]string
	n    int
	many map[string]bool
}

// add reports whether a name is new.
func (s *names) add(name string) bool {
	if s.many[name] || slices.Contains(s.few[:s.n], name) {
		return false
	}
	switch {
	case s.n < len(s.few):
		s.few[s.n] = name
		s.n++
	case s.many == nil:
		s.many = map[string]bool{name: true}
	default:
		s.many[name] = true
	}
	return true
}
