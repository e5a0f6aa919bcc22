package uma

import (
	"fmt"
	"slices"
	"testing"
)

// TestSetsOfAnyLength: short lists are searched, long ones are made maps; the answers
// are the same.
func TestSetsOfAnyLength(t *testing.T) {
	t.Parallel()
	names := func(from, to int) []Scope {
		var out []Scope
		for i := from; i < to; i++ {
			out = append(out, Scope(fmt.Sprint(i)))
		}
		return out
	}
	for _, n := range []int{1, few / 2, few, few + 1, 10 * few} {
		a, b := names(0, 2*n), names(n, 3*n)
		twice := append(slices.Clone(a), a...)
		if got := union(a, b); !slices.Equal(got, names(0, 3*n)) {
			t.Errorf("union of %d: got %q", n, got)
		}
		if got := union(nil, twice); !slices.Equal(got, a) {
			t.Errorf("union of %d twice: got %q", n, got)
		}
		if got := within(twice, b); !slices.Equal(got, names(n, 2*n)) {
			t.Errorf("within of %d: got %q", n, got)
		}
		if got := without(a, b); !slices.Equal(got, names(0, n)) {
			t.Errorf("without of %d: got %q", n, got)
		}
		if !hasAll(a, names(n, 2*n)) || hasAll(a, b) {
			t.Errorf("hasAll of %d", n)
		}
	}
}
