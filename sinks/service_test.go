package sinks_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/umpire/sinks"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// received is what destinations got: how often, by decision id.
type received struct {
	mu   sync.Mutex
	ids  map[string]int
	fail error
}

func (r *received) Deliver(_ context.Context, records []uma.Record) (int, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, 0, r.fail
	}
	for _, record := range records {
		r.ids[record.ID]++
	}
	return len(records), 0, nil
}

func (r *received) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// count returns how many records came, and how often some came again.
func (r *received) count() (records, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.ids {
		again += n - 1
	}
	return len(r.ids), again
}

type fixture struct {
	t     *testing.T
	store *sqlite.Store
	made  int

	mu      sync.Mutex
	servers []chan struct{} // are told of commits
}

func (f *fixture) committed(int, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		select {
		case s <- struct{}{}:
		default:
		}
	}
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t}
	var err error
	f.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "umpire.db"), Observe: f.committed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	return f
}

// decide stores so many records.
func (f *fixture) decide(n int) {
	f.t.Helper()
	for range n {
		f.made++
		r := uma.Record{ID: fmt.Sprint("d", f.made), Realm: "photoz", Time: time.Now(), Event: []byte("{}")}
		if err := f.store.Commit(f.t.Context(), &uma.Settlement{Now: time.Now(), Records: []uma.Record{r}}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// wanted returns a sink that delivers to r.
func wanted(name string, r *received) sinks.Wanted {
	return sinks.Wanted{
		Sink: uma.Sink{Name: name, Kind: uma.SinkOPA, Realm: "photoz", Hold: time.Hour},
		Open: func() (sinks.Destination, error) { return r, nil },
	}
}

// start starts a server's delivery. It ends when the returned function is called.
func (f *fixture) start(holder string, want ...sinks.Wanted) (s *sinks.Service, stop func()) {
	f.t.Helper()
	s = &sinks.Service{
		Store: f.store, Holder: holder, Grace: time.Second, Patience: 2 * time.Second, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Start(ctx, want); err != nil {
		f.t.Fatal(err)
	}
	var wg sync.WaitGroup
	commits := make(chan struct{}, 1)
	f.mu.Lock()
	f.servers = append(f.servers, commits)
	f.mu.Unlock()
	wg.Go(func() { s.Run(ctx, commits) })
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	f.t.Cleanup(stop)
	return s, stop
}

func (f *fixture) eventually(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	f.t.Errorf("not in time: %s", what)
}

// Two servers of one database deliver each record, and few of them twice. If the one that
// delivers fails, the other one goes on.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, second, both := &received{ids: map[string]int{}}, &received{ids: map[string]int{}}, &received{ids: map[string]int{}}
	share := func(r *received) sinks.Wanted {
		w := wanted("s", r)
		w.Open = func() (sinks.Destination, error) { return tee{r, both}, nil }
		return w
	}
	f.start("first", share(first))
	f.start("second", share(second))
	const n = 40
	for i := range n {
		f.decide(1)
		f.eventually("a record", func() bool { records, _ := both.count(); return records == i+1 })
		if i == n/2 {
			time.Sleep(1500 * time.Millisecond) // the cursor is stored: the first learns that the second delivers
		}
	}
	if _, again := both.count(); again > n/2+2 {
		t.Errorf("got %d of %d records twice, want few", again, n)
	}
	before, _ := first.count()
	second.setFail(errors.New("broken"))
	f.decide(1)
	f.eventually("a server that takes over", func() bool { records, _ := first.count(); return records > before })
}

// A tee delivers to both.
type tee [2]*received

func (t tee) Deliver(ctx context.Context, records []uma.Record) (int, int, error) {
	if n, skipped, err := t[0].Deliver(ctx, records); err != nil {
		return n, skipped, err
	}
	return t[1].Deliver(ctx, records)
}

// Set starts, ends and opens sinks again. One that is no longer wanted has no cursor.
func TestSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, b := &received{ids: map[string]int{}}, &received{ids: map[string]int{}}
	f.decide(1) // before there is a sink
	s, _ := f.start("server", wanted("a", a))
	f.decide(2)
	f.eventually("records of a", func() bool { records, _ := a.count(); return records == 2 })
	if err := s.Set(t.Context(), []sinks.Wanted{wanted("a", a), wanted("b", b)}); err != nil {
		t.Fatal(err)
	}
	f.decide(3)
	f.eventually("records of b", func() bool { records, _ := b.count(); return records == 3 })

	// With other settings a goes on where it was.
	again := &received{ids: map[string]int{}}
	other := wanted("a", again)
	other.Settings = "other"
	f.eventually("records of a", func() bool { records, _ := a.count(); return records == 5 })
	if err := s.Set(t.Context(), []sinks.Wanted{other}); err != nil {
		t.Fatal(err)
	}
	f.decide(1)
	f.eventually("a record of the new a", func() bool { records, _ := again.count(); return records == 1 })
	if records, twice := a.count(); records != 5 || twice != 0 {
		t.Errorf("got %d records and %d twice, want 5 once", records, twice)
	}
	rows, err := f.store.AllSinks(t.Context())
	if err != nil || len(rows) != 1 || rows[0].Name != "a" {
		t.Errorf("got %+v, %v; want a alone", rows, err)
	}
}

// A sink that fails says why, keeps its backlog, and delivers it later. A restart continues
// with the cursor.
func TestOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := &received{ids: map[string]int{}, fail: errors.New("no route")}
	s, stop := f.start("one", wanted("s", r))
	f.decide(300) // more than a page
	f.eventually("the problem", func() bool {
		rows, err := f.store.AllSinks(t.Context())
		return err == nil && rows[0].Problem == "no route" && !rows[0].Failed.IsZero()
	})
	states, err := s.States(t.Context())
	if err != nil || len(states) != 1 || states[0].Backlog.Records != 300 || states[0].Failures == 0 {
		t.Errorf("got %+v, %v; want a backlog of 300", states, err)
	}
	stop()
	r.setFail(nil)
	_, stop = f.start("two", wanted("s", r))
	f.eventually("all records", func() bool { records, _ := r.count(); return records == 300 })
	stop()
	rows, err := f.store.AllSinks(t.Context())
	if err != nil || rows[0].Problem != "" || rows[0].Cursor != 300 || rows[0].Delivered.IsZero() {
		t.Errorf("got %+v, %v; want the cursor at 300 and no problem", rows, err)
	}
	f.start("three", wanted("s", r))
	f.decide(1)
	f.eventually("the next record", func() bool { records, _ := r.count(); return records == 301 })
	if _, again := r.count(); again != 0 {
		t.Errorf("got %d records twice, want none after an orderly end", again)
	}
}
