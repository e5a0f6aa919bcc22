package postgres

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// writers16 commit records, each with a ticket for the next, until they are stopped. They note what they
// were told: the ids of records that are stored.
type writers16 struct {
	store *Store
	stop  atomic.Bool
	wg    sync.WaitGroup
	next  atomic.Int64

	mu      sync.Mutex
	stored  []string
	refused int
	longest time.Duration
}

func startWriters(t *testing.T, s *Store) *writers16 { return startWritersAt(t, s, 0) }

// startWritersAt is startWriters for records with higher numbers than others have.
func startWritersAt(t *testing.T, s *Store, first int64) *writers16 {
	w := &writers16{store: s}
	w.next.Store(first)
	for range 16 {
		w.wg.Go(func() {
			for !w.stop.Load() {
				w.write(t)
			}
		})
	}
	return w
}

// write commits one record. An error other than that the database is unavailable fails the test.
func (w *writers16) write(t *testing.T) {
	id := fmt.Sprint("record ", w.next.Add(1))
	began := time.Now()
	err := w.store.Commit(t.Context(), record(id))
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, took)
	switch {
	case err == nil:
		w.stored = append(w.stored, id)
	case errors.Is(err, uma.ErrBusy):
		w.refused++
	default:
		t.Errorf("%s: %v", id, err)
		w.stop.Store(true)
	}
}

// told is how many records are stored.
func (w *writers16) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.stored)
}

// check stops the writers, and fails if a record that is stored is not there once, or another one twice.
func (w *writers16) check(t *testing.T, limit time.Duration) {
	t.Helper()
	w.stop.Store(true)
	w.wg.Wait()
	there := map[string]int{}
	err := w.store.EachDecision(t.Context(), uma.DecisionFilter{}, func(r *uma.Record) error {
		there[r.ID]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range w.stored {
		if there[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	for id, n := range there {
		if n > 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if w.longest > limit {
		t.Errorf("an answer took %v, more than %v", w.longest, limit)
	}
	t.Logf("%d records are stored, %d were refused, the longest answer took %v", len(w.stored), w.refused, w.longest)
}

// waitFor waits until so many more records are stored.
func (w *writers16) waitFor(t *testing.T, more int) {
	t.Helper()
	want := w.told() + more
	for end := time.Now().Add(30 * time.Second); w.told() < want; {
		if time.Now().After(end) || w.stop.Load() {
			t.Fatalf("%d records are stored, want %d", w.told(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestKillPostmaster kills PostgreSQL in the middle of sixteen writers and starts it again, twenty times:
// nothing that was answered is lost, and nothing is stored twice.
func TestKillPostmaster(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	s := open(t, Config{URL: cluster.URL("postgres")})
	w := startWriters(t, s)
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		w.waitFor(t, 50)
		if err := cluster.Signal(os.Kill); err != nil {
			t.Fatal(err)
		}
		cluster.Wait()
		restart(t, cluster)
	}
	w.waitFor(t, 50)
	w.check(t, patience+cancelPatience+3*time.Second)
}

// newCluster starts a PostgreSQL of the test's own.
func newCluster(t *testing.T) *pgtest.Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "umpire-pg-")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := pgtest.NewCluster(dir)
	if cluster == nil || err != nil {
		_ = os.RemoveAll(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Skip("no programs of PostgreSQL to start one: install it (on Debian: apt-get install postgresql)")
	}
	t.Cleanup(func() {
		if err := cluster.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := cluster.Start(pgtest.Careless...); err != nil {
		t.Fatal(err)
	}
	return cluster
}

// restart starts a cluster whose postmaster was killed: its other processes end a moment later, and until
// then the new one refuses to start.
func restart(t *testing.T, cluster *pgtest.Cluster) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = cluster.Start(pgtest.Careless...); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// TestStoppedPrimary stops PostgreSQL in order, and starts it again after a while in which writers are
// refused.
func TestStoppedPrimary(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	const patience = 3 * time.Second
	s := open(t, Config{URL: cluster.URL("postgres"), patience: patience})
	w := startWriters(t, s)
	w.waitFor(t, 50)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	for refused := 0; refused < 32; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		refused = w.refused
		w.mu.Unlock()
	}
	restart(t, cluster)
	w.waitFor(t, 50)
	w.check(t, patience+cancelPatience+3*time.Second)
}

// TestPrimaryStoppedForTenSeconds: writers with the patience that servers have are answered within the documented
// 15 seconds while PostgreSQL is stopped for ten, and go on afterwards.
func TestPrimaryStoppedForTenSeconds(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	s := open(t, Config{URL: cluster.URL("postgres")})
	w := startWriters(t, s)
	w.waitFor(t, 50)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	before := len(w.stored)
	w.mu.Unlock()
	<-time.After(10 * time.Second)    // how long the fault lasts
	if n := w.told(); n > before+16 { // each writer may not have noted its last answer
		t.Errorf("%d records were stored while PostgreSQL was stopped", n-before)
	}
	restart(t, cluster)
	w.waitFor(t, 50)
	const busy = 3 * time.Second // a machine with other tests
	w.check(t, 15*time.Second+busy)
}

// TestNetworkHangs: while no byte passes between a server and the database, writers and readers are
// refused within their time, and all goes on when bytes pass again.
func TestNetworkHangs(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	const patience = 2 * time.Second
	s := open(t, Config{URL: url, patience: patience})
	w := startWriters(t, s)
	w.waitFor(t, 50)
	proxy.Hang()
	for refused := 0; refused < 32; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		refused = w.refused
		w.mu.Unlock()
	}
	if _, err := s.RealmNames(t.Context()); err == nil {
		t.Error("a reader is answered although no byte passes")
	}
	proxy.Pass()
	w.waitFor(t, 50)
	w.check(t, patience+cancelPatience+3*time.Second)
}
