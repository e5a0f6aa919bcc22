package realm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/uma"
)

// maxText is the longest name, in bytes.
const maxText = 255

// checkText returns what is wrong with a name, or "".
func checkText(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > maxText:
		return "is longer than 255 bytes"
	case !uma.IsText(s):
		return "has control characters or invisible characters"
	case strings.TrimSpace(s) != s:
		return "begins or ends with white space"
	}
	return ""
}

// raw reads text as it was written; ok is false if the value is not text. A number is not
// text: YAML may read 0123 as 83.
func (v value) raw() (s string, ok bool) {
	if !v.is(yaml.ScalarNode, "want text; a number, true, false or null needs quotes to be text", "!!str", "!!timestamp") {
		return "", false
	}
	return v.node.Value, true
}

// text reads a name.
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

// matching returns a reader of names for which ok holds; fault is the mistake recorded for
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

// oneOf returns a reader of one of the words.
func oneOf(words ...string) func(value) string {
	return matching(func(s string) bool { return slices.Contains(words, s) }, "want "+strings.Join(words, " or "))
}

// flag reads a boolean.
func (v value) flag() bool {
	return v.is(yaml.ScalarNode, "want true or false", "!!bool") && strings.EqualFold(v.node.Value, "true")
}

// count reads an integer of at least 1.
func (v value) count() int { return v.integer(1) }

// number reads an integer of at least 0.
func (v value) number() int { return v.integer(0) }

func (v value) integer(least int) int {
	want := fmt.Sprintf("want a whole number, at least %d", least)
	if !v.is(yaml.ScalarNode, want, "!!int") {
		return 0
	}
	n, err := strconv.Atoi(v.node.Value)
	if err != nil || n < least || strconv.Itoa(n) != v.node.Value {
		v.wrong("%s", want)
		return 0
	}
	return n
}

// duration returns a reader of durations that are not shorter than least.
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

// maxAge is the longest age, in days.
const maxAge = 3650

// age reads a duration that may have days, such as 7d, 36h or 1d12h.
func (v value) age() time.Duration {
	const want = "want a duration such as 7d, 36h or 1d12h"
	if !v.is(yaml.ScalarNode, want, "!!str") {
		return 0
	}
	count, rest, hasDays := strings.Cut(v.node.Value, "d")
	if !hasDays {
		count, rest = "0", v.node.Value
	}
	days, err := strconv.ParseUint(count, 10, 16)
	var d time.Duration
	if rest != "" && err == nil {
		d, err = time.ParseDuration(rest)
	}
	switch {
	case err != nil || d < 0 || v.node.Value == "":
		v.wrong(want)
	case days > maxAge || d > maxAge*24*time.Hour:
		v.wrong("want at most %dd", maxAge)
	default:
		return time.Duration(days)*24*time.Hour + d
	}
	return 0
}

// each returns a reader of lists without repeated elements.
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
				v.wrong("appears twice")
			default:
				all = append(all, t)
			}
		})
		return all
	}
}

// some returns a reader like each, of lists with at least one element.
func some[T comparable](read func(value) T) func(value) []T {
	return func(v value) []T {
		if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			v.wrong("is empty: name at least one, an empty list does not mean any")
		}
		return each(read)(v)
	}
}

// named returns a reader of objects whose keys are names.
func named[T any](read func(value) T) func(value) map[string]T {
	return func(v value) map[string]T {
		all := make(map[string]T)
		v.entries(func(name string, v value) { all[name] = read(v) })
		return all
	}
}

// scope reads the name of a scope.
func (v value) scope() uma.Scope {
	s := uma.Scope(v.text())
	if s == "" {
		return ""
	}
	switch fault := uma.CheckScope(s); fault.Kind {
	case "":
		return s
	case uma.ScopeHasSeparator:
		v.wrong("has a # or a comma, which no scope name may")
	case uma.ScopeTooLong:
		v.wrong("is longer than %d bytes", fault.Limit)
	case uma.ScopeNotText:
		v.wrong("has characters that are not text")
	default:
		v.wrong("is not a scope name")
	}
	return ""
}

// any reads a value that JSON can express: text, bool, json.Number, []any or
// map[string]any.
func (v value) any() any {
	switch v.node.Kind {
	case yaml.SequenceNode:
		list := []any{}
		v.list(func(v value) { list = append(list, v.any()) })
		return list
	case yaml.MappingNode:
		return named(value.any)(v)
	}
	const want = "want a JSON value: text, a number, true, false, a list or an object"
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
		// The library reads a number that does not fit a float64 as text.
		if plain := v.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0; plain && json.Valid([]byte(s)) {
			v.wrong("want a number that other programs can read, or quotes")
			return nil
		}
	}
	return s
}

// isNumber reports whether s is a JSON number that fits a float64: it is stored as written,
// but other programs convert it to a float.
func isNumber(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	underflow := f == 0 && strings.ContainsAny(mantissa, "123456789")
	return err == nil && !underflow && len(s) <= maxText && json.Valid([]byte(s))
}
