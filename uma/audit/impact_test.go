package audit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// events are n events: of 10, one was granted, one is of another realm, one is older, one a
// lost race. Each request has two.
func events(n int) audit.Events {
	return func(ctx context.Context, each func([]byte) error) error {
		for i := range n {
			text := string(recorded(result()))
			switch i % 10 {
			case 0:
				text = string(recorded(result(`granted:["view"]`)))
			case 1:
				text = strings.Replace(text, "photoz", "other", 1)
			case 2:
				text = strings.Replace(text, "2026-11-22", "2026-11-21", 1)
			case 3:
				text = string(recorded("", `"error":"ticket_spent"`))
			}
			text = strings.NewReplacer("d-1", fmt.Sprintf("d-%d", i), "b-1", fmt.Sprintf("b-%d", i/2)).Replace(text)
			if err := each([]byte(text)); err != nil {
				return err
			}
		}
		return nil
	}
}

func newImpact(candidate uma.Replayer) *audit.Impact {
	return &audit.Impact{
		Comparer: audit.Comparer{Candidate: candidate}, Realm: "photoz", Since: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
}

// A slow policy takes longer for some decisions than for others.
type slow struct{ result string }

func (slow) Revision() string { return "new" }

func (p slow) Replay(_ context.Context, r *uma.Recorded) (*uma.Replayed, error) {
	for range len(r.ID) % 3 * 100 {
		runtime.Gosched()
	}
	return &uma.Replayed{Evaluation: &uma.Evaluation{}, Result: []byte(p.result)}, nil
}

// TestImpact: every event is counted once, and the changes come in the order of the events.
func TestImpact(t *testing.T) {
	t.Parallel()
	impact := newImpact(slow{result(`granted:["view"]`)})
	var order []string
	impact.Changed = func(c *audit.Change) error { order = append(order, c.Decision.ID); return nil }
	told := 0
	impact.Progress = func(*audit.Report) { told++ }
	got, err := impact.Run(t.Context(), events(1005))
	if err != nil {
		t.Fatal(err)
	}
	if got.Replayed != 702 || got.Unchanged != 101 || got.Granted != 601 || got.Refused+got.Different+got.Failed+got.Inexact != 0 || got.Skipped != 101 || got.Reasons["another request spent the ticket"] != 101 {
		t.Errorf("got %+v", got)
	}
	if got.Requests != 301 { // 4 and 5, 6 and 7, 8 and 9
		t.Errorf("got %d requests, want 301", got.Requests)
	}
	if len(order) != 601 || order[0] != "d-4" || order[1] != "d-5" || order[600] != "d-1004" || told == 0 {
		t.Errorf("got %d changes, from %v, progress %d times", len(order), order[:2], told)
	}
	for i := 1; i < len(order); i++ {
		var before, after int
		fmt.Sscanf(order[i-1]+" "+order[i], "d-%d d-%d", &before, &after)
		if before >= after {
			t.Fatalf("%s comes before %s", order[i-1], order[i])
		}
	}
}

// TestImpactEnds: an error of the events, of one event or of the caller, and the end of the
// context, end all workers.
func TestImpactEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		events  audit.Events
		changed func(*audit.Change) error
		want    error
	}{
		"the caller": {t.Context(), events(100_000), func(*audit.Change) error { return stop }, stop},
		"the events": {t.Context(), func(ctx context.Context, each func([]byte) error) error {
			return errors.Join(events(70)(ctx, each), stop)
		}, nil, stop},
		"the context": {ctx, events(100_000), nil, context.Canceled},
		"one event": {t.Context(), func(_ context.Context, each func([]byte) error) error {
			for range 100_000 {
				if err := each([]byte("{")); err != nil {
					return err
				}
			}
			return nil
		}, nil, nil},
	} {
		impact := newImpact(slow{result(`granted:["view"]`)})
		impact.Changed = c.changed
		got, err := impact.Run(c.ctx, c.events)
		if got != nil || err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, c.want)
		}
	}
}
