package sqlite

import (
	"strings"
	"testing"
)

// A sink of one realm reads no record of another, however many there are.
func TestSinksReadTheirRealm(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if _, err := s.RecordsFor(t.Context(), "photoz", 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BacklogOf(t.Context(), "photoz", 1); err != nil {
		t.Fatal(err)
	}
	seen := statements{all: map[string]bool{}}
	seen.collect(s)
	checked := 0
	for query := range seen.all {
		if !strings.Contains(query, "FROM decision WHERE realm") {
			continue
		}
		checked++
		for _, step := range plan(t, s, query) {
			if strings.HasPrefix(step, "SEARCH decision ") && !strings.HasSuffix(step, "INDEX decision_realm (realm=? AND rowid>?)") {
				t.Errorf("%s\n\t%s", query, step)
			}
		}
	}
	if checked != 2 {
		t.Errorf("got %d statements, want 2", checked)
	}
}
