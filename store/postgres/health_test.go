package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// A check commits something, and says within its time that the database does not answer, or cannot be
// reached. It succeeds again afterwards.
func TestCheck(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, Config{URL: url})
	commits := func() (n int64) {
		t.Helper()
		err := s.read(t.Context(), func(c *conn) error {
			return c.row(`SELECT sum(commits)::bigint FROM writer WHERE process = $1`, []any{s.slots.process}, &n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	check := func() error {
		s.committed.Store(-int64(time.Hour)) // nothing was committed for long
		return s.Check(t.Context())
	}
	before := commits()
	if err := check(); err != nil || commits() != before+1 {
		t.Fatalf("got error %v and %d commits, want one more than %d", err, commits(), before)
	}
	if err := s.Check(t.Context()); err != nil || commits() != before+1 {
		t.Errorf("a second check at once: got error %v and %d commits", err, commits())
	}
	proxy.Hang()
	for range 2 {
		if err := check(); err == nil || !strings.Contains(err.Error(), "not made a commit") && !isUnavailable(err) {
			t.Errorf("a database that does not answer: got error %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got error %v", err)
	}
	proxy.Pass()
	if err := check(); err != nil {
		t.Errorf("afterwards: got error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := check(); err == nil || errors.Is(err, uma.ErrBusy) {
		t.Errorf("closed: got error %v", err)
	}
}

// TestWaitsForConnections: a request that finds all connections in use is counted with its wait.
func TestWaitsForConnections(t *testing.T) {
	t.Parallel()
	_, url := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, Config{URL: url, connections: 2})
	for end := time.Now().Add(20 * time.Second); ; {
		for range 2 {
			held, err := s.pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(20*time.Millisecond, held.Release)
		}
		if _, err := s.RealmNames(t.Context()); err != nil {
			t.Fatal(err)
		}
		if times, took := s.Waits(); times > 0 && took > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no wait is counted")
		}
	}
}
