package sqlite

import (
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// A sink of one realm reads no record of another, however many there are.
func TestSinksReadTheirRealm(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	keepRecord(t, s, uma.Record{ID: "d", Realm: "photoz", Event: []byte("{}")})
	if _, _, err := s.indexSome(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RecordsFor(t.Context(), "photoz", 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BacklogOf(t.Context(), "photoz", 0); err != nil {
		t.Fatal(err)
	}
	seen := statements{all: map[string]bool{}}
	seen.collect(s)
	checked := 0
	for query := range seen.all {
		if !strings.Contains(query, "FROM decision WHERE realm") && !strings.Contains(query, "FROM decision_common") {
			continue
		}
		checked++
		for _, step := range plan(t, s, query) {
			sought := strings.HasSuffix(step, "INDEX decision_realm (realm=? AND rowid>?)") || strings.HasSuffix(step, "PRIMARY KEY (term=? AND first>? AND first<?)")
			if (strings.HasPrefix(step, "SEARCH decision ") || strings.HasPrefix(step, "SEARCH decision_common ")) && !sought {
				t.Errorf("%s\n\t%s", query, step)
			}
		}
	}
	if checked != 3 { // pages, their index, and the count of earlier schemas
		t.Errorf("got %d statements, want 3", checked)
	}
}
