package sets

import (
	"slices"
)

// few is up to how many values a list is searched one by one: a map costs more.
const few = 16

// memberOf returns how to ask whether a list has a value. What clients send is
// compared in lists of hundreds, many times in a request.
func Has[T comparable](list []T) func(T) bool {
	if len(list) <= few {
		return func(v T) bool { return slices.Contains(list, v) }
	}
	set := make(map[T]struct{}, len(list))
	for _, v := range list {
		set[v] = struct{}{}
	}
	return func(v T) bool {
		_, ok := set[v]
		return ok
	}
}

// firsts returns how to ask, value by value, whether one comes for the first time and
// is not in a list.
func Firsts[T comparable](list []T, more int) func(T) bool {
	if len(list)+more <= few {
		seen := append(make([]T, 0, len(list)+more), list...)
		return func(v T) bool {
			if slices.Contains(seen, v) {
				return false
			}
			seen = append(seen, v)
			return true
		}
	}
	seen := make(map[T]struct{}, len(list)+more)
	for _, v := range list {
		seen[v] = struct{}{}
	}
	return func(v T) bool {
		before := len(seen)
		seen[v] = struct{}{}
		return len(seen) > before
	}
}

// union is a with what b adds to it.
func Union[T comparable](a, b []T) []T {
	out := slices.Clip(a)
	if len(b) == 0 {
		return out
	}
	isNew := Firsts(a, len(b))
	for _, v := range b {
		if isNew(v) {
			out = append(out, v)
		}
	}
	return out
}

// without is a less what is in b.
func Without[T comparable](a, b []T) []T {
	in := Has(b)
	var out []T
	for _, s := range a {
		if !in(s) {
			out = append(out, s)
		}
	}
	return out
}

// within is what a and b have in common, in the order of a. Most often that is all
// of a, which is not copied.
func Within[T comparable](a, b []T) []T {
	in, isNew := Has(b), Firsts[T](nil, len(a))
	var out []T
	for i, s := range a {
		switch {
		case !in(s) || !isNew(s):
		case len(out) == i:
			out = slices.Clip(a[:i+1])
		default:
			out = append(out, s)
		}
	}
	return out
}
