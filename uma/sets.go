package uma

import (
	"fmt"
	"iter"
	"slices"
)

// few is up to how many values a list is searched one by one: a map costs more.
const few = 16

// memberOf returns how to ask whether a list has a value. What clients send is
// compared in lists of hundreds, many times in a request.
func memberOf[T comparable](list []T) func(T) bool {
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

// union is a with what b adds to it.
func union[T comparable](a, b []T) []T {
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

// without is a less what is in b.
func without(a, b []Scope) []Scope {
	in := memberOf(b)
	var out []Scope
	for _, s := range a {
		if !in(s) {
			out = append(out, s)
		}
	}
	return out
}

// within is what a and b have in common, in the order of a. Most often that is all
// of a, which is not copied.
func within(a, b []Scope) []Scope {
	in, isNew := memberOf(b), firsts[Scope](nil, len(a))
	var out []Scope
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

// Limits on the scopes that a request names: of each permission, as many as a
// resource may have, and of all together. They are checked before a view is opened.
const (
	maxScopes    = maxMembers
	maxAllScopes = 1000
)

// checkScopes refuses a request that names more scopes than that. One that is named
// twice counts once.
func checkScopes(lists iter.Seq[[]Scope]) error {
	all := map[Scope]struct{}{}
	for list := range lists {
		if len(list) > maxScopes && len(union(nil, list)) > maxScopes {
			return Refuse(InvalidRequest, fmt.Sprintf("More than %d scopes in one permission, or in the parameter scope", maxScopes), nil)
		}
		for _, s := range list {
			all[s] = struct{}{}
		}
		if len(all) > maxAllScopes {
			return Refuse(InvalidRequest, fmt.Sprintf("More than %d different scopes in one request", maxAllScopes), nil)
		}
	}
	return nil
}

// scopes are the lists of scopes of a request.
func (r *TokenRequest) scopes(yield func([]Scope) bool) {
	if !yield(r.Scopes) {
		return
	}
	for _, p := range r.Permissions {
		if !yield(p.Scopes) {
			return
		}
	}
	if r.Legacy == nil {
		return
	}
	for _, p := range r.Legacy.Permissions {
		if !yield(p.Scopes) {
			return
		}
	}
}
