package sets

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

func TestUnionAndWithin(t *testing.T) {
	t.Parallel()
	tests := []struct{ a, b, union, within string }{
		{"", "", "", ""},
		{"view", "", "view", ""},
		{"", "view", "view", ""},
		{"view edit", "edit view", "view edit", "view edit"}, // in the order of the first
		{"edit view", "view comment", "edit view comment", "view"},
		{"view", "VIEW", "view VIEW", ""}, // case counts
		{"", "view view edit", "view edit", ""},
		{"view view", "view", "view view", "view"},
	}
	for _, tc := range tests {
		a, b := strings.Fields(tc.a), strings.Fields(tc.b)
		if got := Union(a, b); !slices.Equal(got, strings.Fields(tc.union)) {
			t.Errorf("union(%q, %q): got %q, want %q", tc.a, tc.b, got, tc.union)
		}
		if got := Within(a, b); !slices.Equal(got, strings.Fields(tc.within)) {
			t.Errorf("within(%q, %q): got %q, want %q", tc.a, tc.b, got, tc.within)
		}
	}
}

// The scopes of a resource are shared by requests at the same time: what is
// added to them must go elsewhere.
func TestUnionLeavesItsOperandsAlone(t *testing.T) {
	t.Parallel()
	registered := append(make([]uma.Scope, 0, 8), "view", "edit")
	_ = Union(registered, []uma.Scope{"first"})
	_ = Union(registered, []uma.Scope{"second"})
	if got := registered[:3][2]; got != "" {
		t.Errorf("got %q behind the registered scopes, want nothing", got)
	}
}

// What is within shares its memory with what it was taken of, and what is added to
// it must not end up there.
func TestWithin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want string }{
		{"view post print", "post view", "view post"},
		{"view post print", "print view", "view print"},
		{"view view post", "post view", "view post"},
		{"view post", "", ""},
		{"", "view", ""},
	} {
		a, want := strings.Fields(tc.a), strings.Fields(tc.want)
		got := Within(a, strings.Fields(tc.b))
		if !slices.Equal(got, want) {
			t.Errorf("%q within %q: got %q, want %q", tc.a, tc.b, got, want)
		}
		_ = append(got, "added")
		if !slices.Equal(a, strings.Fields(tc.a)) {
			t.Errorf("%q within %q: the former is %q now", tc.a, tc.b, a)
		}
	}
}

// TestSetsOfAnyLength: short lists are searched, long ones are made maps; the answers
// are the same.
func TestSetsOfAnyLength(t *testing.T) {
	t.Parallel()
	names := func(from, to int) []uma.Scope {
		var out []uma.Scope
		for i := from; i < to; i++ {
			out = append(out, uma.Scope(fmt.Sprint(i)))
		}
		return out
	}
	for _, n := range []int{1, few / 2, few, few + 1, 10 * few} {
		a, b := names(0, 2*n), names(n, 3*n)
		twice := append(slices.Clone(a), a...)
		if got := Union(a, b); !slices.Equal(got, names(0, 3*n)) {
			t.Errorf("union of %d: got %q", n, got)
		}
		if got := Union(nil, twice); !slices.Equal(got, a) {
			t.Errorf("union of %d twice: got %q", n, got)
		}
		if got := Within(twice, b); !slices.Equal(got, names(n, 2*n)) {
			t.Errorf("within of %d: got %q", n, got)
		}
		if got := Without(a, b); !slices.Equal(got, names(0, n)) {
			t.Errorf("without of %d: got %q", n, got)
		}
	}
}
