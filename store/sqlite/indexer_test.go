package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
		return c.rows(`SELECT term, first, last, rest FROM decision_term ORDER BY term, first`, nil, func(scan scanFunc) error {
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
		if upTo, _, err := indexRecords(tx, 10); err != nil || upTo != 2 {
			t.Errorf("got %d, %v", upTo, err)
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatalf("got %v", err)
	}
	if left := rowsOf(t, s, `SELECT term FROM decision_term UNION ALL SELECT CAST(first AS TEXT) FROM decision_chunk`); len(left) > 0 {
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
			left := rowsOf(t, s, `SELECT term FROM decision_term UNION ALL SELECT CAST(first AS TEXT) FROM decision_chunk UNION ALL SELECT CAST(seq AS TEXT) FROM decision_log`)
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

// Two processes that index at the same time index each record once.
func TestIndexOfTwoProcesses(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	other, err := Open(t.Context(), Config{Path: pathOf(t, s), holdIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, other.Close)
	want := map[string][]int64{}
	for i := range 60 {
		r := variedRecord(i)
		keepRecord(t, s, r)
		for _, term := range termsOf(&r) {
			want[term] = append(want[term], int64(i+1))
		}
	}
	ended := make(chan error)
	for _, store := range []*Store{s, other} {
		go func() {
			var err error
			for upTo := int64(0); upTo < 60 && err == nil; {
				upTo, _, err = store.indexSome(context.WithoutCancel(t.Context()), 3)
			}
			ended <- err
		}()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	got := allTerms(t, s)
	for term, seqs := range want {
		if !slices.Equal(got[term], seqs) {
			t.Errorf("%s: got %v, want %v", term, got[term], seqs)
		}
	}
}

// Numbers that no record has which could be indexed are not waited for: neither those of
// an earlier schema, nor those of records that were removed before they were indexed.
func TestIndexWaitsForNothing(t *testing.T) {
	t.Parallel()
	old := `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
		INSERT INTO decision (id, batch, realm, time, kind, outcome, subject, client, server, resource, revision, rules, encoding, event)
		SELECT 'd' || i, '', 'photoz', 0, '', '', '', '', '', '', '', '', 0, x'7b7d' FROM n`
	for what, prepare := range map[string]func(t *testing.T) *Store{
		"of an earlier schema": func(t *testing.T) *Store {
			s, err := Open(t.Context(), Config{Path: schemaOf(t, 8, old), holdIndex: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { mustClose(t, s.Close) })
			return s
		},
		"removed": func(t *testing.T) *Store {
			s := openTemp(t, func(c *Config) { c.holdIndex = true })
			for i := range 200 {
				keepRecord(t, s, variedRecord(i))
			}
			if n, err := s.PruneDecisions(t.Context(), at.Add(time.Hour), 200); err != nil || n != 200 {
				t.Fatalf("got %d, %v", n, err)
			}
			return s
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := prepare(t)
				x := s.indexer
				if !x.findLeft() || x.last.Load() != 200 {
					t.Fatalf("the last record is %d", x.last.Load())
				}
				for n := 0; x.waiting() > 0; n++ {
					if err := x.index(t.Context()); err != nil || n == 2 {
						t.Fatalf("%d still wait, %v", x.waiting(), err)
					}
				}
				keepRecord(t, s, variedRecord(200))
				if waiting := x.waiting(); waiting != 1 {
					t.Errorf("%d wait, want the new one", waiting)
				}
				if err := x.index(t.Context()); err != nil || x.waiting() != 0 {
					t.Errorf("%d wait, %v", x.waiting(), err)
				}
				if got := allTerms(t, s)[byID+"d200"]; !slices.Equal(got, []int64{201}) {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

// A record that is committed while the last chunk is finished wakes the indexer, unless the
// indexer sees it.
func TestIndexerMissesNoRecord(t *testing.T) {
	t.Parallel()
	const rounds = 100_000
	var round, noted atomic.Int64
	x := &indexer{wake: make(chan struct{}, 1)}
	meet := func(counter *atomic.Int64, n int64) {
		for tries := 0; counter.Load() < n; tries++ {
			if tries > 1000 {
				runtime.Gosched()
			}
		}
	}
	go func() {
		for n := int64(1); n <= rounds; n++ {
			meet(&round, n)
			x.note([]uma.Record{{Seq: 2}})
			noted.Store(n)
		}
	}()
	lost := 0
	for n := int64(1); n <= rounds; n++ {
		x.last.Store(1)
		x.done.Store(0)
		round.Store(n)
		for range n % 50 { // the other takes a moment to see it
			round.Load()
		}
		x.done.Store(1)
		saw := x.waiting() > 0
		meet(&noted, n)
		select {
		case <-x.wake:
		default:
			if !saw {
				lost++
			}
		}
	}
	if lost > 0 {
		t.Errorf("the indexer slept %d times while a record waited", lost)
	}
}

// A process indexes its own records even if another one indexed some when it started, and
// has ended since.
func TestIndexAfterAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := openTemp(t, func(c *Config) { c.holdIndex = true })
		for i := range 10 {
			keepRecord(t, other, variedRecord(i))
		}
		s, err := Open(t.Context(), Config{Path: pathOf(t, other), holdIndex: true})
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, s.Close)
		found := make(chan bool)
		go func() { found <- s.indexer.findLeft() }()
		synctest.Wait() // until it leaves the records to the other
		if _, _, err := other.indexSome(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		keepRecord(t, s, variedRecord(10))
		if !<-found || s.indexer.done.Load() != 5 {
			t.Errorf("got %d, want what is indexed", s.indexer.done.Load())
		}
		for n := 0; s.indexer.waiting() > 0; n++ {
			if err := s.indexer.index(t.Context()); err != nil || n == 11 {
				t.Fatal(n, err)
			}
		}
		if got := allTerms(t, s)[byID+"d10"]; !slices.Equal(got, []int64{11}) {
			t.Errorf("got %v", got)
		}
	})
}

// If the queue of the writer is full, the indexer tries again soon.
func TestIndexerOfABusyStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t, func(c *Config) { c.holdIndex, c.QueueLength = true, 1 })
		keepRecord(t, s, variedRecord(1))
		release, written := make(chan struct{}), make(chan error, 2)
		for range 2 { // one that is written, and one that fills the queue
			go func() { written <- s.write(t.Context(), func(*conn) error { <-release; return nil }) }()
			synctest.Wait()
		}
		x := s.indexer
		x.ended = make(chan struct{})
		go x.loop()
		time.Sleep(leftPace + indexPace + time.Millisecond)
		close(release)
		if err := errors.Join(<-written, <-written); err != nil || x.waiting() != 1 {
			t.Fatalf("%d wait, %v", x.waiting(), err)
		}
		time.Sleep(2 * indexPace)
		synctest.Wait()
		if x.waiting() != 0 {
			t.Errorf("%d wait", x.waiting())
		}
	})
}

// Fields are read as they were written, and damaged ones are an error.
func FuzzPackedRecords(f *testing.F) {
	f.Add("d", "photoz", "rule", int64(1), []byte{packedRecord, 2, 1})
	f.Add("", "\x00\xff", "", int64(0), []byte{})
	f.Fuzz(func(t *testing.T, a, b, rule string, at int64, packed []byte) {
		want := uma.Record{ID: a, Realm: b, Request: a + b, Rules: []string{rule, b}}
		if at %= 1 << 40; at != 0 {
			want.Time = time.UnixMilli(at).UTC()
		}
		var got uma.Record
		if err := unpackRecord(string(packRecord(&want)), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		if err := unpackRecord(string(packed), &got); err == nil && len(packed) < 14 {
			t.Fatalf("%q was read", packed)
		}
		_, _ = unpackSeqs(1, packed)
	})
}

// A record with fields of a later version, or damaged ones, is an error and not left out.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	keepRecord(t, s, variedRecord(1))
	for _, fields := range []string{`x''`, `x'02'`, `x'0100'`, `substr(fields, 1, length(fields) - 1)`} {
		if err := s.write(t.Context(), func(tx *conn) error {
			_, err := tx.exec(`UPDATE decision_log SET fields = ` + fields)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for what, read := range map[string]func() error{
			"a search": func() error { _, err := s.FindDecisions(t.Context(), uma.DecisionFilter{}, 1); return err },
			"an id":    func() error { _, err := s.Decision(t.Context(), "d1"); return err },
			"indexing": func() error { _, _, err := s.indexSome(t.Context(), 1); return err },
		} {
			if err := read(); err == nil || !strings.Contains(err.Error(), errPacked.Error()) {
				t.Errorf("%s with %s: got %v", what, fields, err)
			}
		}
	}
}
