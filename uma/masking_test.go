package uma

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// A slowMask masks the first record at once, and others for as long as it may.
type slowMask struct {
	Evaluator
	now, most atomic.Int64
}

func (*slowMask) Masks() bool { return true }

func (m *slowMask) Encode(ctx context.Context, ev *Event) ([]byte, error) {
	if ctx.Err() != nil {
		return []byte("stub of " + ev.ID), ctx.Err()
	}
	if ev.ID == "0" {
		return []byte("masked"), nil
	}
	m.most.Store(max(m.most.Load(), m.now.Add(1)))
	defer m.now.Add(-1)
	<-ctx.Done()
	return []byte("stub of " + ev.ID), ctx.Err()
}

func (*slowMask) Revision() string { return "revision-1" }

// All masks of a request have one deadline, however many records there are; what
// is not masked by then is a stub.
func TestMasksHaveOneDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.authority.Log = func(context.Context, string, ...any) {}
	w.snap.Realm.Policy.Timeout = time.Millisecond
	mask := new(slowMask)
	x := &assessment{Authority: w.authority, snap: w.snap, policy: mask, events: make([]Event, 200), results: make([]result, 200)}
	for i := range x.events {
		x.results[i].wanted = new(wanted)
		x.events[i] = Event{ID: fmt.Sprint(i), Input: &Input{}}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel() // the client, and no record with it
	start := time.Now()
	for i, r := range x.records(gone, told{}) {
		want := fmt.Sprintf("stub of %d", i)
		if i == 0 {
			want = "masked"
		}
		if got := string(r.Event); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v, want %v", took, deadlines*time.Millisecond)
	}
	if mask.most.Load() == 0 || mask.most.Load() > atOnce {
		t.Errorf("%d at the same time", mask.most.Load())
	}
}
