package main

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestUnified(t *testing.T) {
	t.Parallel()
	numbers := func(without ...int) string {
		var b strings.Builder
		for i := 1; i <= 20; i++ {
			for _, w := range without {
				if w == i {
					fmt.Fprintf(&b, "other %d\n", i)
				}
			}
			fmt.Fprintln(&b, i)
		}
		return b.String()
	}
	for _, c := range []struct{ before, after, want string }{
		{"", "", ""},
		{"a\n", "a\n", ""},
		{"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		{"a\nb\n", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
		{numbers(), numbers(2, 18), "@@ -1,4 +1,5 @@\n 1\n+other 2\n 2\n 3\n 4\n@@ -15,6 +16,7 @@\n 15\n 16\n 17\n+other 18\n 18\n 19\n 20\n"},
		{numbers(), numbers(5, 9), "@@ -2,10 +2,12 @@\n 2\n 3\n 4\n+other 5\n 5\n 6\n 7\n 8\n+other 9\n 9\n 10\n 11\n"},
	} {
		if got := unified(c.before, c.after); got != c.want {
			t.Errorf("%q and %q: got\n%swant\n%s", c.before, c.after, got, c.want)
		}
	}
}

// The edits lead from one text to the other.
func TestCompareLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 12)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		var before, after []string
		for _, e := range compareLines(a, b) {
			if e.kind != '+' {
				before = append(before, e.text)
			}
			if e.kind != '-' {
				after = append(after, e.text)
			}
		}
		if strings.Join(before, "") != strings.Join(a, "") || strings.Join(after, "") != strings.Join(b, "") {
			t.Fatalf("got %q to %q", before, after)
		}
	})
}
