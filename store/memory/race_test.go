package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
)

// A fakeDatabase has one user and one resource. Each commit gives both the same next number, as
// their versions; several may be under way at once.
type fakeDatabase struct {
	mu      sync.Mutex
	version int64
}

func (d *fakeDatabase) commit() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
}

func (d *fakeDatabase) snapshot() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version
}

// A fakeView is a view of it, as a driver has one.
type fakeView struct {
	View
	db   *fakeDatabase
	open bool
	at   int64
}

// read returns the version of the user or the resource.
func (v *fakeView) read(ctx context.Context, user bool) (int64, error) {
	if user {
		if u, ok := Recall(ctx, &v.View, v.Users, UserKey{ID: "u"}); ok {
			return u.Version, nil
		}
	} else if r, ok := Recall(ctx, &v.View, v.Resources, ResourceKey{ID: "r"}); ok {
		return r.Version, nil
	}
	if err := v.Err(); err != nil {
		return 0, err
	}
	if !v.open {
		v.Begin()
		before := v.State()
		v.open, v.at = true, v.db.snapshot()
		if err := v.Match(before); err != nil {
			return 0, err
		}
	}
	if user {
		Keep(&v.View, v.Users, UserKey{ID: "u"}, &uma.User{Version: v.at}, 0)
	} else {
		Keep(&v.View, v.Resources, ResourceKey{ID: "r"}, &uma.Resource{Version: v.at}, 0)
	}
	return v.at, nil
}

// In whatever order commits and views take their steps, a view has one state of the database, and
// one that is no older than the last commit that had settled when it began.
func TestViewsAreOfOneState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, db := New(everything, (&testClock{}).now), &fakeDatabase{}
		m.Looked(m.Clock(), AllKinds)
		type viewing struct {
			fakeView
			first, oldest int64 // what it has read; and may have read
		}
		var begun, done int // commits that are under way: before and after their effect
		var settled int64
		views := make([]*viewing, 3)
		t.Repeat(map[string]func(t *rapid.T){
			"begin a commit": func(*rapid.T) { m.Committing(UserRows | ResourceRows); begun++ },
			"commit": func(t *rapid.T) {
				if begun == 0 {
					t.Skip()
				}
				begun--
				done++
				db.commit()
			},
			"settle a commit": func(t *rapid.T) {
				if done == 0 {
					t.Skip()
				}
				done--
				m.Settled(UserRows | ResourceRows)
				settled = max(settled, db.version-int64(done)) // at least so many have settled
			},
			"end a view": func(t *rapid.T) { views[rapid.IntRange(0, 2).Draw(t, "view")] = nil },
			"read": func(t *rapid.T) {
				i := rapid.IntRange(0, 2).Draw(t, "view")
				if views[i] == nil {
					views[i] = &viewing{fakeView: fakeView{View: m.View(), db: db}, first: -1, oldest: settled}
				}
				v := views[i]
				got, err := v.read(t.Context(), rapid.Bool().Draw(t, "user"))
				switch {
				case errors.Is(err, uma.ErrTorn):
				case got < v.oldest || v.first >= 0 && got != v.first:
					t.Fatalf("got version %d, after %d, in a view no older than %d", got, v.first, v.oldest)
				default:
					v.first = got
				}
			},
		})
	})
}

// The same with goroutines, for the race detector.
func TestViewsAmongCommits(t *testing.T) {
	t.Parallel()
	m, db := New(everything, (&testClock{}).now), &fakeDatabase{}
	m.Looked(m.Clock(), AllKinds)
	const writers, readers, rounds = 4, 4, 2000
	var settled atomic.Int64 // versions up to here are of commits that have settled
	var wg sync.WaitGroup
	var turn sync.RWMutex // now and then all of them have settled
	for range writers {
		wg.Go(func() {
			for i := range rounds {
				turn.RLock()
				m.Committing(UserRows | ResourceRows)
				db.commit()
				m.Settled(UserRows | ResourceRows)
				turn.RUnlock()
				if i%20 == 0 {
					turn.Lock()
					settled.Store(db.snapshot())
					turn.Unlock()
				}
			}
		})
	}
	errs := make(chan error, readers)
	for range readers {
		wg.Go(func() {
			for i := range rounds {
				oldest := settled.Load()
				v := &fakeView{View: m.View(), db: db}
				first, err := v.read(t.Context(), i%2 == 0)
				var second int64
				if err == nil {
					second, err = v.read(t.Context(), i%2 != 0)
				}
				if err == nil && (first != second || first < oldest) {
					errs <- fmt.Errorf("got versions %d and %d, in a view no older than %d", first, second, oldest)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
