package realm

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/uma"
)

// maxText is the most bytes that a name may have.
const maxText = 255

// checkText says what is wrong with a name, or nothing.
func checkText(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > maxText:
		return "is longer than 255 bytes"
	case !uma.IsText(s):
		return "has characters that are not text"
	case strings.TrimSpace(s) != s:
		return "begins or ends with a blank"
	}
	return ""
}

// raw is text as it was written; ok is false for what is none. What looks like a
// number is none: YAML would read 0123 as 83.
func (v value) raw() (s string, ok bool) {
	if !v.is(yaml.ScalarNode, "want text; a number, true, false or null needs quotes to be text", "!!str", "!!timestamp") {
		return "", false
	}
	return v.node.Value, true
}

func (v value) text() string {
	s, ok := v.raw()
	if !ok {
		return ""
	}
	if fault := checkText(s); fault != "" {
		v.wrong("%s", fault)
		return ""
	}
	return s
}

// matching is a reader of text that a check takes; fault is what it says of
// others.
func matching(ok func(string) bool, fault string) func(value) string {
	return func(v value) string {
		s := v.text()
		if s != "" && !ok(s) {
			v.wrong("%s", fault)
			return ""
		}
		return s
	}
}

// oneOf is a reader of one of some words.
func oneOf(words ...string) func(value) string {
	return matching(func(s string) bool { return slices.Contains(words, s) }, "want "+strings.Join(words, " or "))
}

func (v value) flag() bool {
	return v.is(yaml.ScalarNode, "want true or false", "!!bool") && strings.EqualFold(v.node.Value, "true")
}

// count is an integer of at least 1.
func (v value) count() int {
	const want = "want a whole number, at least 1"
	if !v.is(yaml.ScalarNode, want, "!!int") {
		return 0
	}
	n, err := strconv.Atoi(v.node.Value)
	if err != nil || n < 1 || strconv.Itoa(n) != v.node.Value {
		v.wrong(want)
		return 0
	}
	return n
}

// duration is a reader of durations that are no shorter than least.
func duration(least time.Duration) func(value) time.Duration {
	return func(v value) time.Duration {
		const want = "want a duration such as 90s, 5m or 24h"
		if !v.is(yaml.ScalarNode, want, "!!str") {
			return 0
		}
		d, err := time.ParseDuration(v.node.Value)
		switch {
		case err != nil:
			v.wrong(want)
		case d < least:
			v.wrong("want a duration of at least %s", least)
		default:
			return d
		}
		return 0
	}
}

// each is a reader of lists without repeats.
func each[T comparable](read func(value) T) func(value) []T {
	return func(v value) []T {
		var all []T
		var zero T
		v.list(func(v value) {
			before := len(v.r.mistakes)
			t := read(v)
			switch {
			case len(v.r.mistakes) > before:
			case t != zero && slices.Contains(all, t):
				v.wrong("is there twice")
			default:
				all = append(all, t)
			}
		})
		return all
	}
}

// some is each, of at least one.
func some[T comparable](read func(value) T) func(value) []T {
	return func(v value) []T {
		if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			v.wrong("is empty, and empty is not any")
		}
		return each(read)(v)
	}
}

// named is a reader of objects whose keys are names.
func named[T any](read func(value) T) func(value) map[string]T {
	return func(v value) map[string]T {
		all := make(map[string]T)
		v.entries(func(name string, v value) { all[name] = read(v) })
		return all
	}
}

func (v value) scope() uma.Scope {
	s := uma.Scope(v.text())
	if s == "" {
		return ""
	}
	if err := uma.CheckScope(s); err != nil {
		v.wrong("%s", err)
		return ""
	}
	return s
}

// any is a value as JSON has it: text, bool, json.Number, []any or map[string]any.
func (v value) any() any {
	switch v.node.Kind {
	case yaml.SequenceNode:
		list := []any{}
		v.list(func(v value) { list = append(list, v.any()) })
		return list
	case yaml.MappingNode:
		return named(value.any)(v)
	}
	const want = "want a value that JSON has: text, a number, true, false, a list or an object"
	if !v.is(yaml.ScalarNode, want, "!!str", "!!timestamp", "!!bool", "!!int", "!!float") {
		return nil
	}
	s := v.node.Value
	switch v.node.Tag {
	case "!!bool":
		return v.flag()
	case "!!int", "!!float":
		if !isNumber(s) {
			v.wrong("want a number as JSON writes it, or quotes")
			return nil
		}
		return json.Number(s)
	case "!!str":
		// YAML takes a number that no float holds for text.
		if plain := v.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0; plain && json.Valid([]byte(s)) {
			v.wrong("want a number that other programs can read, or quotes")
			return nil
		}
	}
	return s
}

// isNumber reports whether s is a number in JSON's form that other programs can read:
// it is stored as written, but they convert it to a float.
func isNumber(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	underflow := f == 0 && strings.ContainsAny(mantissa, "123456789")
	return err == nil && !underflow && len(s) <= maxText && json.Valid([]byte(s))
}
