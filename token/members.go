package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// eachMember calls each for the members of a JSON object, in order. An object
// that names a member twice, at any depth, is an error: what two parsers read
// differently is read by none (RFC 7519 §4 leaves the choice). The JSON must be
// valid, as json.Unmarshal found it, which also bounds its depth.
//
// encoding/json has no way to see duplicates but a token at a time, and that
// takes longer than a signature.
func eachMember(valid []byte, each func(name string, value []byte) error) error {
	w := walker{b: valid}
	if w.next() != '{' {
		return errUnreadable
	}
	return w.object(each)
}

// A walker steps through valid JSON; i is the next byte to look at.
type walker struct {
	b []byte
	i int
}

// next skips white space and separators, which validity leaves no doubt about.
func (w *walker) next() byte {
	for bytes.IndexByte([]byte(" \t\r\n,:"), w.b[w.i]) >= 0 {
		w.i++
	}
	return w.b[w.i]
}

func (w *walker) object(each func(name string, value []byte) error) error {
	names := make(map[string]bool)
	w.i++
	for w.next() != '}' {
		name, err := w.name()
		if err != nil {
			return err
		}
		if names[name] {
			return errors.New("a claim is there twice")
		}
		names[name] = true
		w.next()
		start := w.i
		if err := w.value(); err != nil {
			return err
		}
		if err := each(name, w.b[start:w.i]); err != nil {
			return err
		}
	}
	w.i++
	return nil
}

func (w *walker) value() error {
	switch w.next() {
	case '{':
		return w.object(func(string, []byte) error { return nil })
	case '[':
		w.i++
		for w.next() != ']' {
			if err := w.value(); err != nil {
				return err
			}
		}
		w.i++
	case '"':
		w.text()
	default: // a number, true, false or null
		for w.i < len(w.b) && bytes.IndexByte([]byte(" \t\r\n,]}"), w.b[w.i]) < 0 {
			w.i++
		}
	}
	return nil
}

// text skips a string and returns it with its quotes.
func (w *walker) text() []byte {
	start := w.i
	for w.i++; w.b[w.i] != '"'; w.i++ {
		if w.b[w.i] == '\\' {
			w.i++
		}
	}
	w.i++
	return w.b[start:w.i]
}

// name reads a member's name as encoding/json would, so that two spellings of
// one name are one.
func (w *walker) name() (string, error) {
	text := w.text()
	plain := text[1 : len(text)-1]
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain), nil
	}
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		return "", errUnreadable
	}
	return name, nil
}
