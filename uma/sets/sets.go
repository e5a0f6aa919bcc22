package sets

import (
	"slices"
)

// few is the length up to which searching a list costs less than making a map.
const few = 16

// Has returns a function that reports whether a list has a value.
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

// firsts returns a function that reports whether a value is not in a list and was not asked
// about before. It is asked about `more` values.
func firsts[T comparable](list []T, more int) func(T) bool {
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

// Union returns a, followed by the values of b that it does not have.
func Union[T comparable](a, b []T) []T {
	out := slices.Clip(a)
	if len(b) == 0 {
		return out
	}
	isNew := firsts(a, len(b))
	for _, v := range b {
		if isNew(v) {
			out = append(out, v)
		}
	}
	return out
}

// Without returns the values of a that are not in b.
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

// Within returns the values that a and b have in common, in the order of a. If these are
// the first values of a, which is usual, it copies nothing.
func Within[T comparable](a, b []T) []T {
	in, isNew := Has(b), firsts[T](nil, len(a))
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
