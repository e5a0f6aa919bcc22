package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func keepRecord(t testing.TB, s *Store, records ...uma.Record) {
	t.Helper()
	if err := s.Commit(t.Context(), &uma.Settlement{Now: at, Records: records}); err != nil {
		t.Fatal(err)
	}
}

// indexAll indexes the records of a store that has no indexer, in chunks.
func indexAll(t testing.TB, s *Store, chunk int) {
	t.Helper()
	for before := int64(-1); ; {
		upTo, _, err := s.indexSome(t.Context(), chunk)
		if err != nil {
			t.Fatal(err)
		}
		if upTo == before {
			return
		}
		before = upTo
	}
}

// allTerms are the terms in the index with the numbers of their records.
func allTerms(t *testing.T, s *Store) (terms map[string][]int64) {
	t.Helper()
	terms = map[string][]int64{}
	err := s.read(t.Context(), func(c *conn) error {
		return c.rows(`SELECT term, first, last, rest FROM decision_common UNION ALL SELECT term, first, last, rest FROM decision_rare ORDER BY term, first`, nil, func(scan scanFunc) error {
			var term string
			var first, last int64
			var rest []byte
			if err := scan(&term, &first, &last, &rest); err != nil {
				return err
			}
			seqs, err := unpackSeqs(first, rest)
			if seqs[len(seqs)-1] != last {
				t.Errorf("%s: got last %d of %v", term, last, seqs)
			}
			terms[term] = append(terms[term], seqs...)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return terms
}

// variedRecord is one of several values in each field, and of a rule that decided twice.
func variedRecord(i int) uma.Record {
	return uma.Record{ID: fmt.Sprint("d", i), Realm: "photoz", Time: at.Add(time.Duration(i%7) * time.Second), Outcome: fmt.Sprint("o", i%2),
		Subject: fmt.Sprint("s", i%5), Client: fmt.Sprint("c", i%3), Resource: uma.ResourceID(fmt.Sprint("r", i%11)), Revision: fmt.Sprint("v", i/100),
		Request: fmt.Sprint("q", i/2), Rules: []string{fmt.Sprint("u", i%4), "all", fmt.Sprint("u", i%4)}, Event: []byte(fmt.Sprintf(`{"n":%d}`, i))}
}

// Whatever the chunks, and wherever the index ends, each record is found by each of its
// terms, once, in order.
func TestIndexInChunks(t *testing.T) {
	t.Parallel()
	const n = 300
	for _, chunk := range []int{1, 7, 128, 1000} {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			t.Parallel()
			s := openTemp(t, func(c *Config) { c.holdIndex = true })
			want := map[string][]int64{}
			for i := range n {
				r := variedRecord(i)
				keepRecord(t, s, r)
				for _, term := range termsOf(&r) {
					want[term] = append(want[term], int64(i+1))
				}
			}
			if _, _, err := s.indexSome(t.Context(), chunk); err != nil {
				t.Fatal(err)
			}
			checkSearches(t, s, want)
			indexAll(t, s, chunk)
			got := allTerms(t, s)
			for term, seqs := range want {
				if !slices.Equal(got[term], seqs) {
					t.Errorf("%s: got %v, want %v", term, got[term], seqs)
				}
			}
			if len(got) != len(want) {
				t.Errorf("got %d terms, want %d", len(got), len(want))
			}
			checkSearches(t, s, want)
		})
	}
}

// filterOf is the filter that demands one term.
func filterOf(term string) uma.DecisionFilter {
	value := term[1:]
	return map[string]uma.DecisionFilter{
		byRequest: {Request: value}, byResource: {Resource: uma.ResourceID(value)}, bySubject: {Subject: value}, byRule: {Rule: value},
		byRevision: {Revision: value}, byClient: {Client: value}, byOutcome: {Outcome: value}, byRealm: {Realm: value},
	}[term[:1]]
}

// checkSearches looks for the records by each term: all of them, and those of a range.
func checkSearches(t *testing.T, s *Store, want map[string][]int64) {
	t.Helper()
	for term, seqs := range want {
		if term[:1] == byID {
			if r, err := s.Decision(t.Context(), term[1:]); err != nil || r.Seq != seqs[0] || len(seqs) > 1 {
				t.Errorf("%s: got %+v, %v, want number %v", term, r, err, seqs)
			}
			continue
		}
		f := filterOf(term)
		for _, f.After = range []int64{0, 100, 130} {
			left := slices.DeleteFunc(slices.Clone(seqs), func(seq int64) bool { return seq <= f.After })
			if got := foundBy(t, s, f, oldestFirst); !slices.Equal(got, left) {
				t.Errorf("%s after %d: got %v, want %v", term, f.After, got, left)
			}
			slices.Reverse(left)
			if got := foundBy(t, s, f, newestFirst); !slices.Equal(got, left) {
				t.Errorf("%s after %d, newest first: got %v, want %v", term, f.After, got, left)
			}
		}
	}
}

func foundBy(t *testing.T, s *Store, f uma.DecisionFilter, order string) (seqs []int64) {
	t.Helper()
	var found []uma.Record
	var err error
	if order == newestFirst {
		found, err = s.FindDecisions(t.Context(), f, 10_000)
	} else {
		err = s.EachDecision(t.Context(), f, func(r *uma.Record) error {
			found = append(found, *r)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// Records that were not indexed when a process ended are indexed by the next one, also if
// it ends in between. Readers of another process find them meanwhile.
func TestIndexGoesOn(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	path := pathOf(t, s)
	want := map[string][]int64{}
	for i := range 40 {
		r := variedRecord(i)
		keepRecord(t, s, r)
		for _, term := range termsOf(&r) {
			want[term] = append(want[term], int64(i+1))
		}
	}
	for range 4 {
		if _, _, err := s.indexSome(t.Context(), 9); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		still, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		checkSearches(t, still, want)
		if err := still.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(t.Context(), Config{Path: path, holdIndex: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The indexer itself: what is left, after a second, and what is added.
	commits := make(chan struct{}, 1000)
	s, err := Open(t.Context(), Config{Path: path, Observe: func(int, time.Duration) { commits <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s.Close)
	added := variedRecord(40)
	keepRecord(t, s, added)
	for _, term := range termsOf(&added) {
		want[term] = append(want[term], 41)
	}
	for lag := 1; lag > 0; {
		select {
		case <-commits:
		case <-t.Context().Done():
			t.Fatal("records are not indexed")
		}
		b, err := s.IndexLag(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lag = b.Records
	}
	got := allTerms(t, s)
	for term, seqs := range want {
		if !slices.Equal(got[term], seqs) {
			t.Errorf("%s: got %v, want %v", term, got[term], seqs)
		}
	}
}

// An entry that fails after the index was written is undone alone; a chunk that fails leaves
// neither chunk nor terms.
func TestIndexIsOneEntry(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	keepRecord(t, s, variedRecord(1), variedRecord(2))
	undone := errors.New("undone")
	err := s.write(t.Context(), func(tx *conn) error {
		next, err := readChunk(tx, &s.recent, 10)
		if err != nil {
			return err
		}
		terms := next.terms()
		if upTo, err := terms.add(tx); err != nil || upTo != 2 {
			t.Errorf("got %d, %v", upTo, err)
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatalf("got %v", err)
	}
	if left := rowsOf(t, s, `SELECT term FROM decision_common UNION ALL SELECT term FROM decision_rare UNION ALL SELECT CAST(first AS TEXT) FROM decision_chunk`); len(left) > 0 {
		t.Errorf("got %v", left)
	}
	b, err := s.IndexLag(t.Context())
	if err != nil || b.Records != 2 || !b.Oldest.Equal(variedRecord(1).Time) {
		t.Errorf("got %+v, %v", b, err)
	}
	indexAll(t, s, 10)
	if b, err := s.IndexLag(t.Context()); err != nil || b.Records != 0 || !b.Oldest.IsZero() {
		t.Errorf("got %+v, %v", b, err)
	}
}

// Records are removed with their terms, wherever the index ends and a chunk is cut.
func TestPruneAcrossTheIndex(t *testing.T) {
	t.Parallel()
	for _, indexed := range []int{0, 3, 10, 20} {
		for _, removed := range []int{1, 5, 10, 12, 20} {
			s := openTemp(t, func(c *Config) { c.holdIndex = true })
			for i := range 20 {
				r := variedRecord(i)
				if r.Time = at; i >= removed {
					r.Time = at.Add(time.Hour)
				}
				keepRecord(t, s, r)
			}
			for done := 0; done < indexed; done += 5 {
				if _, _, err := s.indexSome(t.Context(), min(5, indexed-done)); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := s.PruneDecisions(t.Context(), at.Add(time.Minute), 100); err != nil || n != removed {
				t.Fatalf("got %d, %v, want %d", n, err, removed)
			}
			want := map[string][]int64{}
			for i := removed; i < 20; i++ {
				r := variedRecord(i)
				for _, term := range termsOf(&r) {
					want[term] = append(want[term], int64(i+1))
				}
			}
			checkSearches(t, s, want)
			keepRecord(t, s, variedRecord(20))
			indexAll(t, s, 4)
			if _, err := s.PruneDecisions(t.Context(), at.Add(2*time.Hour), 100); err != nil {
				t.Fatal(err)
			}
			left := rowsOf(t, s, `SELECT term FROM decision_common UNION ALL SELECT term FROM decision_rare UNION ALL SELECT CAST(first AS TEXT) FROM decision_chunk UNION ALL SELECT CAST(seq AS TEXT) FROM decision_log`)
			if len(left) > 0 {
				t.Errorf("indexed %d, removed %d: left is %v", indexed, removed, left)
			}
			keepRecord(t, s, variedRecord(21))
			if last, err := s.LastDecision(t.Context()); err != nil || last != 22 {
				t.Errorf("got number %d, %v, want 22", last, err)
			}
			indexAll(t, s, 4)
			if got := foundBy(t, s, uma.DecisionFilter{Realm: "photoz"}, newestFirst); !slices.Equal(got, []int64{22}) {
				t.Errorf("got %v", got)
			}
		}
	}
}

// A revision stays if only a record names it that is not indexed.
func TestRevisionOfUnindexedRecords(t *testing.T) {
	t.Parallel()
	for _, index := range []bool{false, true} {
		s := openTemp(t, func(c *Config) { c.holdIndex = true })
		var over uma.Key
		for i := range uma.KeepRevisions + 3 {
			r := &uma.Revision{Hash: fmt.Sprint("v", i), Realm: "photoz", Since: at, Sources: map[string]string{"a.rego": fmt.Sprint(i)}}
			key, err := s.ActivatePolicy(t.Context(), &uma.Activation{Revision: r, Content: r.Hash, Over: over})
			if err != nil {
				t.Fatal(err)
			}
			over = key
		}
		keepRecord(t, s, uma.Record{ID: "d", Realm: "photoz", Time: at, Revision: "v1", Event: []byte("{}")})
		if index {
			indexAll(t, s, 1)
		}
		if n, err := s.PruneRevisions(t.Context(), at.Add(time.Hour)); err != nil || n != 2 {
			t.Errorf("indexed is %v: got %d, %v, want 2", index, n, err)
		}
		if _, err := s.Revision(t.Context(), "photoz", "v1"); err != nil {
			t.Error(err)
		}
		if _, err := s.PruneDecisions(t.Context(), at.Add(time.Minute), 10); err != nil {
			t.Fatal(err)
		}
		if n, err := s.PruneRevisions(t.Context(), at.Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("after the record: got %d, %v, want 1", n, err)
		}
	}
}

// While very many records are not indexed no revision is removed, so that the writer need not
// read them all.
func TestRevisionsOfManyUnindexedRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	var over uma.Key
	for i := range uma.KeepRevisions + 1 {
		r := &uma.Revision{Hash: fmt.Sprint("v", i), Realm: "photoz", Since: at, Sources: map[string]string{"a.rego": "package a"}}
		key, err := s.ActivatePolicy(t.Context(), &uma.Activation{Revision: r, Content: r.Hash, Over: over})
		if err != nil {
			t.Fatal(err)
		}
		over = key
	}
	keepRecord(t, s, uma.Record{ID: "d", Realm: "photoz", Time: at, Revision: "v3", Event: []byte("{}")})
	err := s.write(t.Context(), func(tx *conn) error {
		_, err := tx.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO decision_log (fields, encoding, event) SELECT fields, encoding, event FROM n CROSS JOIN decision_log WHERE seq = 1`, maxUnindexed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{0, 1} {
		if n, err := s.PruneRevisions(t.Context(), at.Add(time.Hour)); err != nil || n != want {
			t.Errorf("got %d, %v, want %d", n, err, want)
		}
		if _, _, err := s.indexSome(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
}
