package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// Servers whose clocks differ by a day agree on who has a lease.
func TestLeasesEndByTheClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	clock := func(ahead time.Duration) Config {
		return Config{URL: url, Now: func() time.Time { return time.Now().Add(ahead) }}
	}
	slow, fast := open(t, clock(-24*time.Hour)), open(t, clock(24*time.Hour))
	for _, take := range []struct {
		s      *Store
		holder string
		length time.Duration
		want   bool
	}{
		{slow, "slow", time.Minute, true},
		{fast, "fast", time.Minute, false},
		{slow, "slow", 0, true},
		{fast, "fast", time.Minute, true},
		{slow, "slow", time.Minute, false},
		{fast, "fast", 0, true},
		{slow, "slow", time.Minute, true},
	} {
		held, err := take.s.TakeLease(t.Context(), "work", take.holder, take.length)
		if err != nil || held != take.want {
			t.Errorf("%s for %s: got %t, %v; want %t", take.holder, take.length, held, err, take.want)
		}
	}
}

// While the database does not answer, calls about a lease end with the time that their caller gives them: a
// server that is stopped has little, and need not learn what became of its lease.
func TestLeasesEndWithTheirCaller(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, Config{URL: url})
	for range writers { // all of them know that nothing is under way
		if held, err := s.TakeLease(t.Context(), "work", "a", time.Minute); !held || err != nil {
			t.Fatal(held, err)
		}
	}
	proxy.Hang()
	for name, call := range map[string]func(ctx context.Context) error{
		"take":    func(ctx context.Context) error { _, err := s.TakeLease(ctx, "work", "a", time.Minute); return err },
		"release": func(ctx context.Context) error { return s.ReleaseLease(ctx, "work", "a") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(began); err == nil || took > patience/2 {
			t.Errorf("%s: got error %v after %s", name, err, took)
		}
	}
	proxy.Pass()
	if held, err := s.TakeLease(t.Context(), "work", "a", time.Minute); !held || err != nil {
		t.Errorf("when the database answers again: got %t, %v", held, err)
	}
}

// A write that waits for others is not begun once its caller has no time left.
func TestWaitingWriteEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := open(t, Config{URL: newDatabase(t)})
	for range writers {
		sl := <-s.slots.free
		defer func() { s.slots.free <- sl }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := s.NoteProposal(ctx, "photoz", uma.Proposal{})
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > patience/2 {
		t.Errorf("got error %v after %s", err, took)
	}
}
