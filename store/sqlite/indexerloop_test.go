package sqlite

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/uma"
)

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
		time.Sleep(leftPace + indexPace + time.Millisecond) // by the clock of synctest
		close(release)
		if err := errors.Join(<-written, <-written); err != nil || x.waiting() != 1 {
			t.Fatalf("%d wait, %v", x.waiting(), err)
		}
		time.Sleep(2 * indexPace) // the same
		synctest.Wait()
		if x.waiting() != 0 {
			t.Errorf("%d wait", x.waiting())
		}
	})
}
