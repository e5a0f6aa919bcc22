package rollout

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A shadowTrail has records, two of each request, and keeps the state of a shadow.
type shadowTrail struct {
	*trail
	broken  int64 // seq of a record that cannot be read
	mu      sync.Mutex
	last    int64 // of the records that were made
	state   *uma.ShadowState
	changes []uma.ShadowChange
	moved   bool // another server has written

	busy  int // how often it cannot be written from now on
	saved int // the most changes of one commit
}

func (s *shadowTrail) RecordsFor(_ context.Context, _ string, seq int64, limit int) (page []uma.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq++; seq <= s.last && len(page) < limit; seq++ {
		r := s.record(seq)
		if r.Event = bytes.Replace(r.Event, []byte(`"path"`), fmt.Appendf(nil, `"batch_decision_id":"b-%d","path"`, seq/2), 1); seq == s.broken {
			r.Event = []byte("{")
		}
		page = append(page, r)
	}
	return page, nil
}

func (s *shadowTrail) BacklogOf(_ context.Context, _ string, seq int64) (uma.Backlog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uma.Backlog{Records: int(s.last - seq)}, nil
}

func (s *shadowTrail) LastDecision(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

func (s *shadowTrail) Shadow(context.Context, string) (*uma.ShadowState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil, uma.ErrNotFound
	}
	state := *s.state
	return &state, nil
}

func (s *shadowTrail) SaveShadow(_ context.Context, state *uma.ShadowState, changes []uma.ShadowChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.moved:
		return uma.ErrMoved
	case s.busy > 0 && s.state != nil:
		s.busy--
		return uma.ErrBusy
	}
	s.saved = max(s.saved, len(changes))
	state.Version++
	kept := *state
	s.state, s.changes = &kept, append(s.changes, changes...)
	return nil
}

func (s *shadowTrail) ShadowChanges(context.Context, string, int) ([]uma.ShadowChange, error) {
	return s.changes, nil
}

// A shadowClock advances by a millisecond whenever it is read, and by what is slept. It ends
// the run when a condition holds.
type shadowClock struct {
	now         time.Time
	read, slept time.Duration
	until       func() bool
	end         context.CancelFunc
	shadow      *Shadow // that it belongs to
}

func (c *shadowClock) Now() time.Time {
	c.now, c.read = c.now.Add(time.Millisecond), c.read+time.Millisecond
	return c.now
}

func (c *shadowClock) Sleep(_ context.Context, d time.Duration) {
	c.now, c.slept = c.now.Add(d), c.slept+d
	if c.until() {
		c.end()
	}
}

// runShadow runs a shadow that grants all, until a condition holds.
func runShadow(t *testing.T, store *shadowTrail, until func(*shadowClock) bool) (*shadowClock, *Shadow) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "album.rego"), []byte("package uma.policies.album\n\ngrant contains \"view\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock := &shadowClock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), end: cancel}
	rounds := 0
	clock.until = func() bool {
		if rounds++; rounds == 10_000 { // else it would go on for ever
			t.Error("the shadow does not come to its end")
		}
		return rounds >= 10_000 || until(clock)
	}
	shadow := &Shadow{
		Store: store, Log: slog.New(slog.DiscardHandler), Now: clock.Now, Sleep: clock.Sleep,
		Settings: func(context.Context) (map[string]uma.PolicySettings, error) {
			return map[string]uma.PolicySettings{"photoz": {Shadow: dir, Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}, "other": {}}, nil
		},
	}
	clock.shadow = shadow
	shadow.Run(ctx)
	return clock, shadow
}

// TestShadow: a shadow begins with the next decision, takes at most 8 % of the time, and a
// second run goes on where the first one ended.
func TestShadow(t *testing.T) {
	t.Parallel()
	store := &shadowTrail{trail: newTrail(t, 0), last: 100}
	begun := func() bool { store.mu.Lock(); defer store.mu.Unlock(); return store.state != nil }
	var stats []ShadowStat
	clock, shadow := runShadow(t, store, func(c *shadowClock) bool {
		if begun() && store.last == 100 {
			store.last, c.read, c.slept = 400, 0, 0
		}
		stats = c.shadow.Stats()
		return store.state.Cursor >= 250
	})
	if share := float64(clock.read) / float64(clock.read+clock.slept); share > 0.08 {
		t.Errorf("it takes %.3f of a processor", share)
	}
	first := *store.state
	if first.Replayed != int(first.Cursor-100) || first.Granted != first.Replayed || len(store.changes) != first.Granted {
		t.Errorf("got %+v with %d changes, want one for each decision from 101 on", first, len(store.changes))
	}
	if len(stats) != 1 || stats[0].Realm != "photoz" || stats[0].Broken || stats[0].Granted == 0 {
		t.Errorf("got %+v", stats)
	}
	if stats := shadow.Stats(); len(stats) != 0 {
		t.Errorf("got %+v of a shadow that does not run, want none", stats)
	}
	runShadow(t, store, func(*shadowClock) bool { return store.state.Cursor == 400 })
	if got := store.state; got.Replayed != 300 || got.Granted != 300 || len(store.changes) != 300 || got.Revision != first.Revision || got.Since != first.Since {
		t.Errorf("got %+v with %d changes, want 300 in all", got, len(store.changes))
	}
}

// TestShadowBehind: a shadow that is too far behind goes on with the next decision, and
// counts those that it missed.
func TestShadowBehind(t *testing.T) {
	t.Parallel()
	store := &shadowTrail{trail: newTrail(t, 0), last: 1}
	runShadow(t, store, func(*shadowClock) bool { return store.state != nil })
	store.last = maxShadowLag + 2
	runShadow(t, store, func(*shadowClock) bool { return store.state.Missed > 0 })
	if got := store.state; got.Missed != maxShadowLag+1 || got.Cursor != store.last || got.Replayed != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestShadowOfTwoServers: only one of them keeps what it found.
func TestShadowOfTwoServers(t *testing.T) {
	t.Parallel()
	store := &shadowTrail{trail: newTrail(t, 0), last: 1}
	slept := 0
	runShadow(t, store, func(*shadowClock) bool {
		if slept++; store.state != nil {
			store.moved, store.last = true, 50
		}
		return slept > 200
	})
	if store.state.Cursor != 1 || len(store.changes) != 0 {
		t.Errorf("got %+v, %d changes", store.state, len(store.changes))
	}
}

// TestShadowOfABusyStore: a shadow keeps a bounded number of changes while they cannot be stored,
// and stores each of them once. A record that cannot be read is skipped.
func TestShadowOfABusyStore(t *testing.T) {
	t.Parallel()
	store := &shadowTrail{trail: newTrail(t, 0), last: 1, broken: 500, busy: 20}
	runShadow(t, store, func(*shadowClock) bool {
		if store.state != nil {
			store.last = 1001
		}
		return store.state != nil && store.state.Cursor == 1001
	})
	if store.busy != 0 || store.saved < shadowChanges || store.saved >= shadowChanges+shadowPage {
		t.Errorf("got commits of up to %d changes, and %d failures to come", store.saved, store.busy)
	}
	distinct := map[string]bool{}
	for _, c := range store.changes {
		distinct[string(c.Change)] = true
	}
	// Of the 1000 records from 2 on, one is broken; its request has another.
	if got := store.state; got.Replayed != 999 || got.Skipped != 1 || got.Granted != 999 || got.Requests != 500 || len(distinct) != 999 || len(store.changes) != 999 {
		t.Errorf("got %+v with %d changes, %d distinct", got, len(store.changes), len(distinct))
	}
}
