package bundles_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/bundles"
)

// Values of a data file are as they were written, above all numbers.
func TestReadData(t *testing.T) {
	t.Parallel()
	number := func(s string) json.Number { return json.Number(s) }
	for name, c := range map[string]struct {
		file, content string
		want          any
	}{
		"large numbers as JSON": {"data.json", `{"a": 9007199254740993, "b": 12345678901234567890123, "c": 0.1, "d": 1e300}`, map[string]any{
			"a": number("9007199254740993"), "b": number("12345678901234567890123"), "c": number("0.1"), "d": number("1e300"),
		}},
		"large numbers as YAML": {"data.yaml", "a: 9007199254740993\nb: 12345678901234567890123\nc: 0.1\nd: [1e300, -1]\n", map[string]any{
			"a": number("9007199254740993"), "b": number("12345678901234567890123"), "c": number("0.1"), "d": []any{number("1e300"), number("-1")},
		}},
		"a byte order mark, JSON":                     {"data.json", "\ufeff{\"a\": true}", map[string]any{"a": true}},
		"a byte order mark, YAML":                     {"data.yaml", "\ufeffa: true", map[string]any{"a": true}},
		"what YAML has":                               {"data.yml", "---\na: 'no'\ny: no\nb: 2026-11-22\nc: ~\nd:\ne: false\n404: {x: \"\"}\n...\n", map[string]any{"a": "no", "y": "no", "b": "2026-11-22", "c": nil, "d": nil, "e": false, "404": map[string]any{"x": ""}}},
		"surrogate pairs, and what looks like halves": {"data.json", `{"a": ["\ud83d\ude00", "\\ud800", "\uFFFD", "�"]}`, map[string]any{"a": []any{"😀", `\ud800`, "�", "�"}}},
		"one key in two objects":                      {"data.json", `{"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}`, map[string]any{"a": map[string]any{"x": number("1")}, "b": []any{map[string]any{"x": number("1")}, map[string]any{"x": number("1")}}}},
	} {
		b, err := bundles.Read(folder(map[string]string{c.file: c.content}), opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := b.Data[c.file]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, c.want)
		}
	}
}

// Everything that two programs may read differently is refused, with its line.
func TestReadDataStrictly(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"{\"a\": 1,\n\"a\": 2}":                 `data.json:2: "a" is there twice`,
		"{\"x\": [1, {\"b\": 1,\n\n\"b\": 1}]}": `data.json:3: "b" is there twice`,
		"{\"a\": 1}\n{\"b\": 2}":                "data.json:",
		"{\"a\": 1e9223372036854775807}":        "data.json:1: the number has an exponent beyond 1000",
		"{\"a\": \"\xff\"}":                     "data.json:1: is not UTF-8",
		"{\"a\": " + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + "}": "data.json:1: nested more than 2000",
		"{\"a\":\n\"\\ud800\"}":              "data.json:2: the text has half a surrogate pair",
		"{\"a\": 1,\n\"\\uDC00x\": 1}":       "data.json:2: the text has half a surrogate pair",
		"{\"a\": \"\\ud83d\\ud83d\\ude00\"}": "data.json:1: the text has half a surrogate pair",
		"{\"a\": \"\\\\ufffd\\ud800\"}":      "data.json:1: the text has half a surrogate pair",
		"a: 1\nb: \"\\ud800\"\n":             "data.yaml:2: ",
		"dup: first\ndup: last\n":            `data.yaml:2: "dup" is there twice`,
		"a: {b: 1,\n  \"b\": 2}\n":           `data.yaml:2: "b" is there twice`,
		"1: a\n\"1\": b\n":                   `data.yaml:2: "1" is there twice`,
		"a: 1\n---\nb: 2\n":                  "data.yaml:2: a second document",
		"a: 1\n---\n":                        "data.yaml:2: a second document",
		"a: &x 1\nb: *x\n":                   "data.yaml:1: anchors and aliases are not supported",
		"a: {b: 1}\n<<: {c: 1}\n":            "data.yaml:2: a key is not text",
		"a: 017\n":                           "data.yaml:1: want a number in the notation of JSON",
		"a: .inf\n":                          "data.yaml:1: want a number in the notation of JSON",
		"a: 1e9999\n":                        "data.yaml:1: the number has an exponent beyond 1000",
		"a: !!binary aGk=\n":                 "data.yaml:1: !!binary is not a type of JSON",
		"a: !secret x\n":                     "data.yaml:1: !secret is not a type of JSON",
		"~: 1\n":                             "data.yaml:1: a key is not text",
		"? [a]\n: 1\n":                       "data.yaml:1: a key is not text",
		"[a]\n":                              "data.yaml:1: not an object",
		"# nothing\n":                        "data.yaml:1: not an object",
	} {
		file, _, _ := strings.Cut(want, ":")
		_, err := bundles.Read(folder(map[string]string{file: content}), opts)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", content, err, want)
		}
	}
}
