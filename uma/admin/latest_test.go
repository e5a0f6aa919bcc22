package admin

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/uma"
)

// A keyed verifier accepts the token that is the kid of a key of the snapshot.
type keyed struct{ uma.Verifier }

func (keyed) Verify(_ context.Context, s *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	for _, k := range s.Keys {
		if k.KID == raw {
			return &uma.Claims{ID: raw}, nil
		}
	}
	if raw == "forged" {
		return nil, uma.ErrUnverified
	}
	return nil, uma.ErrUnknownKey
}

func (keyed) KeySet(s *uma.Snapshot) ([]byte, error) { return []byte(s.Keys[len(s.Keys)-1].KID), nil }

// rotating returns a world whose realm has the key "old", which the server knows, and then "new".
func rotating(t *testing.T) (w *world, v *Verifier, known *uma.Snapshot) {
	t.Helper()
	w = newWorld(t)
	w.service.Verifier = keyed{}
	keys := []uma.SigningKey{{KID: "old", Active: true}}
	w.Snapshot = func() (*uma.Snapshot, error) {
		r := w.Snap.Realm
		r.Generation = w.Generation
		return uma.NewSnapshot(r, nil, keys), nil
	}
	known, err := w.service.Realm(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	w.Generation++
	keys = append(keys, uma.SigningKey{KID: "new", Active: true})
	return w, &Verifier{Verifier: keyed{}, Realms: w.service}, known
}

// A token that another server has signed with a new key is accepted before this one has noticed the
// rotation, and the new key is published.
func TestKeysOfOtherServers(t *testing.T) {
	t.Parallel()
	_, v, known := rotating(t)
	for _, kid := range []string{"old", "new"} {
		if c, err := v.Verify(t.Context(), known, "", kid); err != nil || c.ID != kid {
			t.Errorf("%s: got %+v, %v", kid, c, err)
		}
	}
	for _, kid := range []string{"unknown", "forged"} {
		if c, err := v.Verify(t.Context(), known, "", kid); c != nil || !errors.Is(err, uma.ErrUnverified) {
			t.Errorf("%s: got %+v, %v; want %v", kid, c, err, uma.ErrUnverified)
		}
	}
	_, v, known = rotating(t)
	if set, err := v.Realms.LatestKeySet(t.Context(), known); err != nil || string(set) != "new" {
		t.Errorf("got the set of %s, %v; want that with the new key", set, err)
	}
}

// Without the store, the keys that are known are published, and a token with an unknown key is neither
// accepted nor called invalid.
func TestKeysWithoutTheStore(t *testing.T) {
	t.Parallel()
	w, v, known := rotating(t)
	broken := errors.New("broken")
	w.service.Store = &slowStore{Store: w.service.Store, generation: func() (int64, error) { return 0, broken }}
	if set, err := v.Realms.LatestKeySet(t.Context(), known); err != nil || string(set) != "old" {
		t.Errorf("got the set of %s, %v; want the one that is known", set, err)
	}
	if c, err := v.Verify(t.Context(), known, "", "new"); c != nil || !errors.Is(err, broken) || errors.Is(err, uma.ErrUnverified) {
		t.Errorf("got %+v, %v; want %v", c, err, broken)
	}
}

// A slowStore reads the generation by a function.
type slowStore struct {
	Store
	generation func() (int64, error)
}

func (s *slowStore) Generation(context.Context) (int64, error) { return s.generation() }

// However many callers want the latest state at a time, one reads it at a time, and each gets one that
// was read after it asked.
func TestLatestIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reads := 0
		var generation atomic.Int64
		w.service.Store = &slowStore{Store: w.service.Store, generation: func() (int64, error) {
			reads++ // under a lock, says the race detector
			seen := generation.Load()
			time.Sleep(time.Second) // of the test's clock
			return seen, nil
		}}
		w.Snapshot = func() (*uma.Snapshot, error) {
			return uma.NewSnapshot(uma.Realm{Name: "photoz", Enabled: true, Generation: generation.Load()}, nil, nil), nil
		}
		var group sync.WaitGroup
		ask := func(want int64) {
			for range 50 {
				group.Go(func() {
					if s, err := w.service.Latest(t.Context(), "photoz"); err != nil || s.Realm.Generation < want {
						t.Errorf("got %+v, %v; want the generation %d", s, err, want)
					}
				})
			}
			synctest.Wait()
		}
		ask(generation.Load())
		ask(generation.Add(1))
		group.Wait()
		if reads != 2 {
			t.Errorf("got %d reads, want 2", reads)
		}
	})
}

// Who waits for the read of another does not share its failure, and does not wait for longer than its
// own time.
func TestLatestOfACallerThatGaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, v, _ := rotating(t)
		failures := []error{nil, context.Canceled}
		w.service.Store = &slowStore{Store: w.service.Store, generation: func() (int64, error) {
			time.Sleep(time.Second) // of the test's clock
			if len(failures) == 0 {
				return w.Generation, nil
			}
			err := failures[0]
			failures = failures[1:]
			return w.Generation - 1, err
		}}
		var group sync.WaitGroup
		want := func(after time.Duration, kid string, patience time.Duration, err error) {
			time.Sleep(after)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			group.Go(func() {
				defer cancel()
				s, got := v.Realms.Latest(ctx, "photoz")
				if !errors.Is(got, err) || err == nil && s.Keys[len(s.Keys)-1].KID != kid {
					t.Errorf("%s: got %v, %v; want error %v", kid, s, got, err)
				}
			})
		}
		want(0, "old", time.Hour, nil)
		want(time.Millisecond, "", time.Hour, context.Canceled)
		want(time.Millisecond, "new", time.Hour, nil)
		want(time.Millisecond, "", time.Second/2, context.DeadlineExceeded)
		group.Wait()
	})
}
