package strictjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/strictjson"
)

// read builds what encoding/json would build with UseNumber.
func read(r *strictjson.Reader) (v any, err error) {
	switch r.Next() {
	case '{':
		object := map[string]any{}
		return object, r.Object(func(name string) error {
			object[name], err = read(r)
			return err
		})
	case '[':
		list := []any{}
		err = r.Array(func() error {
			e, err := read(r)
			list = append(list, e)
			return err
		})
		return list, err
	case '"':
		return r.Text()
	}
	switch word := r.Word(); word {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	default:
		return json.Number(word), nil
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

var good = []string{
	` {"Name":"other case","name":"a\"\u00e9\\","n":null,"yes":true,"no":false,"num":-1.5e3}`,
	"{}", "[]", "[[],{}]", `""`, "7", "-0", "null", " true\n", "[1 , 2\t,\r\n3]",
	`{"a":{"x":1},"b":[{"x":1},{"x":1}]}`,
	`["\ud83d\ude00","\\ud800","\uFFFD","` + "\ufffd" + `","a,b:c]}{["]`,
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, text := range good {
		if got, err := read(strictjson.New(text)); err != nil || !reflect.DeepEqual(got, decode(t, text)) {
			t.Errorf("%s: got %#v, %v", text, got, err)
		}
		if got, err := strictjson.New(text).Raw(); err != nil || got != strings.TrimSpace(text) {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	many := `{"x":1,"` + strings.Join(strings.Split("abcdefghijklmnopqrstuvw", ""), `":0,"`) + `":0,`
	for text, want := range map[string]string{
		`{"a":1,"b":2,"a":3}`:           "a",
		`{"a":1,"\u0061":3}`:            "a",
		`{"a":{"b":[{"c":1,"c":2}]}}`:   "c",
		many + `"x":2}`:                 "x",
		many + `"v":2}`:                 "v",
		many + `"y":1,"y":2}`:           "y",
		"{\"\xff\":1,\"\xfe\":2}":       "\ufffd", // encoding/json reads both so
		`{"":1,"":2}`:                   "",
		`{"a":"b","c":{"d":1}, "c":{}}`: "c",
	} {
		_, err := read(strictjson.New(text))
		repeated, ok := errors.AsType[*strictjson.RepeatedError](err)
		if !ok || repeated.Name != want {
			t.Errorf("%s: got %v, want %q twice", text, err, want)
		}
		if _, raw := strictjson.New(text).Raw(); !reflect.DeepEqual(raw, err) {
			t.Errorf("%s: got %v, want %v", text, raw, err)
		}
	}
	for _, text := range []string{`"\ud800"`, `{"\uDC00x":1}`, `["\ud83d\ud83d\ude00"]`, `"\\ufffd\ud800"`, `{"a":"\ufffd\udfff"}`} {
		if _, err := strictjson.New(text).Raw(); !errors.Is(err, strictjson.ErrHalfPair) {
			t.Errorf("%s: got %v, want %v", text, err, strictjson.ErrHalfPair)
		}
	}
}

// After an error the Reader is on the line of the mistake.
func TestOffset(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"{\"a\":1,\n\"a\":\n2}":             1,
		"{\"a\":1,\n\n\"b\":\"\\ud800\"\n}": 2,
	} {
		r := strictjson.New(text)
		_, err := r.Raw()
		if got := strings.Count(text[:r.Offset()], "\n"); err == nil || got != want {
			t.Errorf("%q: got line %d, %v, want %d", text, got, err, want)
		}
	}
}

// Whatever encoding/json takes is read as it reads it, or refused.
func FuzzReader(f *testing.F) {
	for _, text := range good {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		got, err := read(strictjson.New(text))
		raw, rawErr := strictjson.New(text).Raw()
		if !reflect.DeepEqual(err, rawErr) {
			t.Errorf("got %v and %v", err, rawErr)
		}
		if err == nil && (!reflect.DeepEqual(got, decode(t, text)) || raw != strings.Trim(text, " \t\r\n")) {
			t.Errorf("got %#v and %s", got, raw)
		}
	})
}
