package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// What another process has indexed or removed since a chunk was read is not indexed again.
func TestChunkThatIsOutdated(t *testing.T) {
	t.Parallel()
	for what, meanwhile := range map[string]func(s *Store) error{
		"indexed": func(s *Store) error { _, _, err := s.indexSome(t.Context(), 1); return err },
		"removed": func(s *Store) error { _, err := s.PruneDecisions(t.Context(), at.Add(time.Minute), 1); return err },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := openTemp(t, func(c *Config) { c.holdIndex = true })
			for i := range 3 {
				r := variedRecord(i)
				r.Time = at
				keepRecord(t, s, r)
			}
			var next chunk
			if err := s.read(t.Context(), func(c *conn) (err error) {
				next, err = readChunk(c, &s.recent, 2)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := meanwhile(s); err != nil {
				t.Fatal(err)
			}
			before := allTerms(t, s)
			terms := next.terms()
			if err := s.write(t.Context(), func(tx *conn) error { _, err := terms.add(tx); return err }); err != nil {
				t.Fatal(err)
			}
			if after := allTerms(t, s); !maps.EqualFunc(before, after, slices.Equal) {
				t.Errorf("got %v, want %v", after, before)
			}
			indexAll(t, s, 2)
			if b, err := s.IndexLag(t.Context()); err != nil || b.Records != 0 {
				t.Errorf("%d records are not indexed, %v", b.Records, err)
			}
		})
	}
}

// However few records come at a time, a chunk is filled before the next begins; retention in
// between makes no difference.
func TestLastChunkIsFilled(t *testing.T) {
	t.Parallel()
	for _, removed := range []int{0, 3, 5} {
		s := openTemp(t, func(c *Config) { c.holdIndex = true })
		want := map[string][]int64{}
		for i := range 12 {
			r := variedRecord(i)
			if r.Time = at; i >= removed {
				r.Time = at.Add(time.Hour)
				for _, term := range termsOf(&r) {
					want[term] = append(want[term], int64(i+1))
				}
			}
			keepRecord(t, s, r)
			if _, _, err := s.indexSome(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			if i == 6 {
				if n, err := s.PruneDecisions(t.Context(), at.Add(time.Minute), 100); err != nil || n != removed {
					t.Fatalf("got %d, %v, want %d", n, err, removed)
				}
			}
		}
		checkSearches(t, s, want)
		if got := allTerms(t, s); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%d were removed: got %v, want %v", removed, got, want)
		}
		chunks := rowsOf(t, s, `SELECT first || ' to ' || last FROM decision_chunk`)
		if wanted := map[int][]string{0: {"1 to 10", "11 to 12"}, 3: {"4 to 12"}, 5: {"6 to 12"}}[removed]; !slices.Equal(chunks, wanted) {
			t.Errorf("%d were removed: got chunks %v, want %v", removed, chunks, wanted)
		}
	}
}

// The index goes on after numbers that no record has, as a server of an earlier version leaves
// them: its own records.
func TestIndexAfterMissingNumbers(t *testing.T) {
	t.Parallel()
	for _, missing := range []int{maxIndexChunk - 12, maxIndexChunk - 10, 3000} {
		s := openTemp(t, func(c *Config) { c.holdIndex = true })
		for i := range 10 {
			keepRecord(t, s, variedRecord(i))
		}
		indexAll(t, s, 256)
		if err := s.write(t.Context(), func(tx *conn) error {
			_, err := tx.exec(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'decision_log'`, 10+missing)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			keepRecord(t, s, variedRecord(10+i))
		}
		for range 3 {
			if _, _, err := s.indexSome(t.Context(), 256); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := s.IndexLag(t.Context()); err != nil || b.Records != 0 {
			t.Errorf("%d numbers are missing: %d records are not indexed, %v", missing, b.Records, err)
		}
		if n := len(foundBy(t, s, uma.DecisionFilter{Realm: "photoz"}, newestFirst)); n != 310 {
			t.Errorf("%d numbers are missing: found %d records", missing, n)
		}
	}
}

// The index has nothing of a removed record, also while others of its chunk are left.
func TestIndexForgetsRemovedRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	want := map[string][]int64{}
	for i := range 20 {
		r := variedRecord(i)
		r.Time, r.Subject = at.Add(time.Duration(i)*time.Hour), fmt.Sprint("subject", i)
		keepRecord(t, s, r)
		if i >= 15 {
			for _, term := range termsOf(&r) {
				want[term] = append(want[term], int64(i+1))
			}
		}
	}
	indexAll(t, s, 256)
	if n, err := s.PruneDecisions(t.Context(), at.Add(15*time.Hour), 100); err != nil || n != 15 {
		t.Fatalf("got %d, %v", n, err)
	}
	got := allTerms(t, s)
	for term := range got {
		if want[term] == nil {
			t.Errorf("%s is in the index", term)
		}
	}
}
