package grant

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A slowMask masks the first record at once, and others for as long as it may.
type slowMask struct {
	uma.Evaluator
	now, most atomic.Int64
}

func (*slowMask) Masks() bool { return true }

func (m *slowMask) Encode(ctx context.Context, ev *uma.Event) ([]byte, error) {
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

// decidedOf is a service, and a question with decisions on so many permissions.
func decidedOf(t *testing.T, n int, timeout time.Duration, mask *slowMask) (*Service, *question, *decisions) {
	w := newWorld(t)
	w.service.Log = func(context.Context, string, ...any) {}
	w.Snap.Realm.Policy.Timeout = timeout
	d := &decisions{policy: mask, list: make([]*decision, n)}
	for i := range d.list {
		d.list[i] = &decision{permission: new(permission), event: uma.Event{ID: fmt.Sprint(i), Input: &uma.Input{}}}
	}
	return w.service, &question{realm: w.Snap}, d
}

// All masks of a request have one deadline, however many records there are; what
// is not masked by then is a stub.
func TestMasksHaveOneDeadline(t *testing.T) {
	t.Parallel()
	mask := new(slowMask)
	s, q, d := decidedOf(t, 200, time.Millisecond, mask)
	start := time.Now()
	for i, r := range s.records(t.Context(), q, d, recordedAnswer{})[1:] {
		if got, want := string(r.Event), fmt.Sprintf("stub of %d", i+1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v, want %v", took, requestTimeouts*time.Millisecond)
	}
	if most := mask.most.Load(); most > maxConcurrent {
		t.Errorf("%d at the same time", most)
	}
}

// No record is lost when a client disconnects.
func TestMaskAfterTheClientWentAway(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	s, q, d := decidedOf(t, 1, time.Hour, new(slowMask))
	records := s.records(gone, q, d, recordedAnswer{})
	if got := string(records[0].Event); got != "masked" {
		t.Errorf("got %s", got)
	}
}
