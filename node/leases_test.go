package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A leaseTable is a database with leases, and what may go wrong with it.
type leaseTable struct {
	mu     sync.Mutex
	holder string
	ends   time.Time

	// trouble happens in each call before the table is looked at, and after; nil: none.
	trouble func(ctx context.Context) error
}

func (l *leaseTable) TakeLease(ctx context.Context, _, holder string, length time.Duration) (bool, error) {
	if err := l.fail(ctx); err != nil {
		return false, err
	}
	held := l.take(holder, length)
	if err := l.fail(ctx); err != nil { // the answer is lost or late
		return false, err
	}
	return held, nil
}

func (l *leaseTable) take(holder string, length time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.holder == holder || !now.Before(l.ends) {
		l.holder, l.ends = holder, now.Add(length)
		return true
	}
	return false
}

func (l *leaseTable) ReleaseLease(ctx context.Context, _, holder string) error {
	if err := l.fail(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == holder {
		l.holder, l.ends = "", time.Time{}
	}
	return nil
}

func (l *leaseTable) fail(ctx context.Context) error {
	if l.trouble == nil {
		return nil
	}
	return l.trouble(ctx)
}

// A worker is a server that would do the work.
type worker struct {
	leased
	works   atomic.Bool
	began   atomic.Int64  // how often it began to work
	slow    time.Duration // how long its work takes to end
	metrics atomic.Bool   // what it said of its lease
	stop    func()        // as on SIGTERM; returns when it has ended
}

// serve starts a server. Stopped servers and the rest end with the test.
func serve(t *testing.T, table *leaseTable, holder string, slow time.Duration) *worker {
	t.Helper()
	w := &worker{slow: slow}
	w.leased = leased{
		leases: table, name: "work", holder: holder, log: slog.New(slog.DiscardHandler), held: w.metrics.Store,
		work: func(ctx context.Context) {
			w.began.Add(1)
			w.works.Store(true)
			<-ctx.Done()
			time.Sleep(w.slow) // of the test's clock
			w.works.Store(false)
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { w.run(ctx) })
	w.stop = func() {
		cancel()
		run.Wait()
	}
	t.Cleanup(w.stop)
	return w
}

// leasing runs a test whose clock advances when all goroutines wait.
func leasing(t *testing.T, test func(t *testing.T, table *leaseTable)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, &leaseTable{}) })
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) // of the test's clock
	synctest.Wait()
}

func (w *worker) want(t *testing.T, when string, works bool) {
	t.Helper()
	if w.works.Load() != works || w.metrics.Load() != works {
		t.Errorf("%s: %s works: %t, and says %t; want %t", when, w.holder, w.works.Load(), w.metrics.Load(), works)
	}
}

// One server works, for as long as it lives. If it ends in order, another one goes on at its next
// attempt.
func TestLeaseIsRenewedAndReleased(t *testing.T) {
	leasing(t, func(t *testing.T, table *leaseTable) {
		a := serve(t, table, "a", 0)
		pass(0)
		b := serve(t, table, "b", 0)
		for range 100 {
			pass(10 * time.Second)
			a.want(t, "while both live", true)
			b.want(t, "while both live", false)
		}
		if n := a.began.Load(); n != 1 {
			t.Errorf("a began to work %d times, want once", n)
		}
		a.stop()
		pass(leaseEvery)
		a.want(t, "after it was stopped", false)
		b.want(t, "after the other was stopped", true)
	})
}

// A server that was killed says nothing. Another one goes on within 30 seconds.
func TestLeaseOfAKilledServerEnds(t *testing.T) {
	leasing(t, func(t *testing.T, table *leaseTable) {
		if held, err := table.TakeLease(t.Context(), "work", "killed", leaseLength); !held || err != nil {
			t.Fatal(held, err)
		}
		b := serve(t, table, "b", 0)
		pass(leaseLength - time.Millisecond)
		b.want(t, "before the lease has ended", false)
		pass(leaseEvery)
		b.want(t, "after the lease has ended", true)
		if leaseLength+leaseEvery > 30*time.Second {
			t.Error("that takes more than 30 seconds")
		}
	})
}

// A server that does not reach the database, or gets no answer, stops its work before the lease ends:
// by then another one may work. It works again once it has the lease.
func TestLeaseThatCannotBeRenewed(t *testing.T) {
	for name, trouble := range map[string]func(ctx context.Context) error{
		"refused": func(context.Context) error { return errors.New("connection refused") },
		"silent":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"stuck":   func(context.Context) error { time.Sleep(time.Minute); return errors.New("stuck") }, // whatever ctx says
	} {
		t.Run(name, func(t *testing.T) {
			leasing(t, func(t *testing.T, table *leaseTable) {
				var broken atomic.Bool
				table.trouble = func(ctx context.Context) error {
					if broken.Load() {
						return trouble(ctx)
					}
					return nil
				}
				a := serve(t, table, "a", 3*time.Second)
				pass(0)
				broken.Store(true)
				pass(leaseEvery)
				a.want(t, "a while the lease is not renewed, but may be", true)
				pass(leaseLength - leaseEvery - time.Millisecond)
				if a.works.Load() {
					t.Error("it works until the lease ends")
				}
				broken.Store(false)
				pass(2 * time.Minute)
				a.want(t, "after the trouble", true)
				if n := a.began.Load(); n != 2 {
					t.Errorf("it began to work %d times, want twice", n)
				}
			})
		})
	}
}

// An answer that comes late says that the lease was taken some time ago: the work ends that much earlier.
func TestLeaseIsCountedFromTheQuestion(t *testing.T) {
	leasing(t, func(t *testing.T, table *leaseTable) {
		calls := 0
		table.trouble = func(context.Context) error {
			switch calls++; calls {
			case 1: // the table is looked at at once
				return nil
			case 2:
				time.Sleep(4 * time.Second)
				return nil
			}
			return errors.New("refused")
		}
		a := serve(t, table, "a", 4900*time.Millisecond)
		pass(leaseWork - time.Millisecond)
		a.want(t, "while it has the lease", true)
		pass(leaseLength - leaseWork)
		a.want(t, "when the lease ends", false)
	})
}

// A failure that is over before the lease ends does not stop the work.
func TestLeaseSurvivesAShortFailure(t *testing.T) {
	leasing(t, func(t *testing.T, table *leaseTable) {
		calls := 0
		table.trouble = func(context.Context) error {
			if calls++; calls > 2 && calls%5 != 0 && calls%5 != 4 { // a success, then three failures
				return errors.New("busy")
			}
			return nil
		}
		a := serve(t, table, "a", 0)
		pass(10 * time.Minute)
		a.want(t, "with failures", true)
		if n := a.began.Load(); n != 1 {
			t.Errorf("it began to work %d times, want once", n)
		}
	})
}

// A server whose lease another one has, because it was suspended, stops as soon as it learns it.
func TestLeaseThatWasTaken(t *testing.T) {
	leasing(t, func(t *testing.T, table *leaseTable) {
		a := serve(t, table, "a", 0)
		pass(0)
		table.mu.Lock()
		table.holder, table.ends = "b", time.Now().Add(leaseLength)
		table.mu.Unlock()
		pass(leaseEvery)
		a.want(t, "at its next call", false)
		table.mu.Lock()
		if table.holder != "b" {
			t.Errorf("the lease of b is that of %q", table.holder)
		}
		table.mu.Unlock()
		pass(leaseLength)
		a.want(t, "once b has not renewed it", true)
	})
}

// However calls fail and hang, and servers start and stop, no two work at the same time, if each ends
// its work in the time that it has for that.
func TestLeaseIsOfOneServer(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			var mu sync.Mutex
			n := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			table := &leaseTable{trouble: func(ctx context.Context) error {
				switch n(12) {
				case 0:
					return errors.New("refused")
				case 1:
					<-ctx.Done()
					return ctx.Err()
				case 2:
					time.Sleep(time.Duration(n(4000)) * time.Millisecond) // a slow answer
				}
				return nil
			}}
			servers := make([]*worker, 3)
			worked := 0
			for second := range 1200 {
				i := n(len(servers))
				switch {
				case servers[i] == nil:
					servers[i] = serve(t, table, string(rune('a'+second%26))+string(rune('a'+i)), 4900*time.Millisecond)
				case n(60) == 0:
					servers[i].stop()
					servers[i] = nil
				}
				pass(time.Second)
				working := 0
				for _, s := range servers {
					if s != nil && s.works.Load() {
						working++
					}
				}
				if worked += working; working > 1 {
					t.Fatalf("seed %d, second %d: %d servers work", seed, second, working)
				}
			}
			if worked < 300 {
				t.Errorf("seed %d: somebody worked for %d seconds of 1200", seed, worked)
			}
		})
	}
}
