package sinks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/sinks"
	"example.com/umpire/store"
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
	store store.Store
	log   *slog.Logger
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
	f := &fixture{t: t, log: slog.New(slog.DiscardHandler)}
	var err error
	f.store, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "umpire.db"), Observe: f.committed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	return f
}

// timed runs a test whose clock advances when all goroutines wait.
func timed(t *testing.T, test func(f *fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newFixture(t)) })
}

// pass lets time pass for all goroutines of the test.
func (f *fixture) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
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
		Store: f.store, Holder: holder, Grace: time.Second, Patience: 2 * time.Second, Now: time.Now, Log: f.log,
	}
	return s, f.run(s, want...)
}

// run makes a server deliver until the returned function is called.
func (f *fixture) run(s *sinks.Service, want ...sinks.Wanted) (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Start(ctx, sinks.List{Sinks: want}); err != nil {
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
	return stop
}

func (f *fixture) eventually(what string, holds func() bool) {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		if holds() {
			return
		}
	}
	f.t.Errorf("not in time: %s", what)
}

// Two servers of one database deliver each record, and few of them twice. If the one that
// delivers fails, the other one goes on.
func TestTwoServers(t *testing.T) {
	timed(t, func(f *fixture) {
		first, second, both := &received{ids: map[string]int{}}, &received{ids: map[string]int{}}, &received{ids: map[string]int{}}
		share := func(r *received) sinks.Wanted {
			w := wanted("s", r)
			w.Open = func() (sinks.Destination, error) { return tee{r, both}, nil }
			return w
		}
		s, _ := f.start("first", share(first))
		f.start("second", share(second))
		const n = 40
		for i := range n {
			f.decide(1)
			f.eventually("a record", func() bool { records, _ := both.count(); return records == i+1 })
			if i == n/2 {
				f.eventually("the first server to learn that the second delivers", func() bool {
					states, err := s.States(f.t.Context())
					return err == nil && states[0].Standby
				})
			}
		}
		if _, again := both.count(); again > n/2+2 {
			f.t.Errorf("got %d of %d records twice, want few", again, n)
		}
		before, _ := first.count()
		second.setFail(errors.New("broken"))
		f.decide(1)
		f.eventually("a server that takes over", func() bool { records, _ := first.count(); return records > before })
	})
}

// A server that has ended delivering may begin again, whatever another one did meanwhile.
func TestServerThatDeliversAgain(t *testing.T) {
	timed(t, func(f *fixture) {
		first, second := &received{ids: map[string]int{}}, &received{ids: map[string]int{}}
		s, stop := f.start("first", wanted("s", first))
		f.decide(1)
		f.eventually("the first record", func() bool { records, _ := first.count(); return records == 1 })
		stop()
		if states, err := s.States(f.t.Context()); err != nil || len(states) != 1 || states[0].Runs {
			f.t.Errorf("got %+v, %v; want a sink that does not run on a server that has ended", states, err)
		}
		_, stop = f.start("second", wanted("s", second))
		f.decide(1)
		f.eventually("the next record", func() bool { records, _ := second.count(); return records == 1 })
		stop()
		_, stop = f.start("third") // wants no sink
		stop()
		stop = f.run(s, wanted("s", first))
		f.decide(1)
		f.eventually("the third record", func() bool { records, _ := first.count(); return records == 2 })
		stop()
		rows, err := f.store.AllSinks(f.t.Context())
		if err != nil || len(rows) != 1 || rows[0].Cursor != 3 || rows[0].Holder != "first" {
			f.t.Errorf("got %+v, %v; want the cursor at 3, of the first server", rows, err)
		}
	})
}

// A server with other settings removes a sink: the log says so, once.
func TestRemovedByAnother(t *testing.T) {
	timed(t, func(f *fixture) {
		var log bytes.Buffer
		f.log = slog.New(slog.NewTextHandler(&log, nil))
		f.start("first", wanted("s", &received{ids: map[string]int{}}))
		f.start("second")
		f.decide(1)
		f.pass(time.Minute)
		if got := strings.Count(log.String(), "removed it"); got != 1 {
			f.t.Errorf("got log %s, want one warning", &log)
		}
	})
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
	timed(t, func(f *fixture) {
		a, b := &received{ids: map[string]int{}}, &received{ids: map[string]int{}}
		f.decide(1) // before there is a sink
		s, _ := f.start("server", wanted("a", a))
		f.decide(2)
		f.eventually("records of a", func() bool { records, _ := a.count(); return records == 2 })
		if err := s.Set(f.t.Context(), sinks.List{Sinks: []sinks.Wanted{wanted("a", a), wanted("b", b)}}); err != nil {
			f.t.Fatal(err)
		}
		f.decide(3)
		f.eventually("records of b", func() bool { records, _ := b.count(); return records == 3 })

		// With other settings a goes on where it was.
		again := &received{ids: map[string]int{}}
		other := wanted("a", again)
		other.Settings = "other"
		f.eventually("records of a", func() bool { records, _ := a.count(); return records == 5 })
		if err := s.Set(f.t.Context(), sinks.List{Sinks: []sinks.Wanted{other}}); err != nil {
			f.t.Fatal(err)
		}
		f.decide(1)
		f.eventually("a record of the new a", func() bool { records, _ := again.count(); return records == 1 })
		if records, twice := a.count(); records != 5 || twice != 0 {
			f.t.Errorf("got %d records and %d twice, want 5 once", records, twice)
		}
		rows, err := f.store.AllSinks(f.t.Context())
		if err != nil || len(rows) != 1 || rows[0].Name != "a" {
			f.t.Errorf("got %+v, %v; want a alone", rows, err)
		}
	})
}

// A sink that fails says why, keeps its backlog, and delivers it later. A restart continues
// with the cursor.
func TestOutage(t *testing.T) {
	timed(t, func(f *fixture) {
		r := &received{ids: map[string]int{}, fail: errors.New("no route")}
		s, stop := f.start("one", wanted("s", r))
		f.decide(300) // more than a page
		f.eventually("the problem", func() bool {
			rows, err := f.store.AllSinks(f.t.Context())
			return err == nil && rows[0].Problem == "no route" && !rows[0].Failed.IsZero()
		})
		states, err := s.States(f.t.Context())
		if err != nil || len(states) != 1 || states[0].Backlog.Records != 300 || states[0].Failures == 0 {
			f.t.Errorf("got %+v, %v; want a backlog of 300", states, err)
		}
		stop()
		r.setFail(nil)
		_, stop = f.start("two", wanted("s", r))
		f.eventually("all records", func() bool { records, _ := r.count(); return records == 300 })
		stop()
		rows, err := f.store.AllSinks(f.t.Context())
		if err != nil || rows[0].Problem != "" || rows[0].Cursor != 300 || rows[0].Delivered.IsZero() {
			f.t.Errorf("got %+v, %v; want the cursor at 300 and no problem", rows, err)
		}
		f.start("three", wanted("s", r))
		f.decide(1)
		f.eventually("the next record", func() bool { records, _ := r.count(); return records == 301 })
		if _, again := r.count(); again != 0 {
			f.t.Errorf("got %d records twice, want none after an orderly end", again)
		}
	})
}

// A sink with delays waits between deliveries, but not once there is a page of records.
func TestDelays(t *testing.T) {
	timed(t, func(f *fixture) {
		r := &received{ids: map[string]int{}}
		w := wanted("s", r)
		w.MinDelay, w.MaxDelay = 100*time.Second, 200*time.Second
		f.start("one", w)
		expect := func(when string, want int) {
			f.t.Helper()
			if got, _ := r.count(); got != want {
				f.t.Errorf("%s: got %d records, want %d", when, got, want)
			}
		}
		f.pass(time.Second) // the first look
		f.decide(5)
		f.pass(98 * time.Second)
		expect("before the shortest delay", 0)
		f.pass(102 * time.Second)
		expect("after the longest delay", 5)
		f.decide(256)
		f.pass(3 * time.Second)
		expect("with a page of records", 261)
	})
}

// The waits after failures double up to MaxRetry. A service that says when to come again is not
// asked before, within the same limit.
func TestRetries(t *testing.T) {
	timed(t, func(f *fixture) {
		var attempts []time.Time
		var fail error = errors.New("no route")
		w := wanted("s", nil)
		w.MaxRetry = time.Minute
		w.Open = func() (sinks.Destination, error) {
			attempts = append(attempts, time.Now())
			return nil, fail
		}
		_, stop := f.start("one", w)
		longest := 250 * time.Millisecond
		f.pass(10 * time.Minute)
		stop()
		for i := range attempts[:len(attempts)-2] { // the last one is that of the end
			if got := attempts[i+1].Sub(attempts[i]); got < longest/2 || got > longest+time.Millisecond {
				f.t.Errorf("attempt %d came after %s, want %s to %s", i+2, got, longest/2, longest)
			}
			longest = min(2*longest, time.Minute)
		}
		if n := len(attempts); n < 17 || n > 29 {
			f.t.Errorf("got %d attempts in ten minutes", n)
		}
		for _, test := range []struct{ later, want time.Duration }{{30 * time.Second, 30 * time.Second}, {time.Hour, time.Minute}} {
			attempts, fail = nil, &sinks.Retry{After: test.later, Err: errors.New("busy")}
			_, stop := f.start("one", w)
			f.pass(2 * time.Minute)
			stop()
			if got := attempts[1].Sub(attempts[0]); got < test.want || got > test.want*11/10 {
				f.t.Errorf("told to come again in %s: got %s, want %s", test.later, got, test.want)
			}
		}
	})
}
