package adminapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// While an impact is under way, another one is told to come again; requests for tokens have
// the processors.
func TestOneImpactAtATime(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1)
	l := &Local{Now: time.Now, Rollout: &rollout.Service{Store: bareStore{}, Examine: rollout.InProcess, Now: time.Now}}
	call := func() *admin.Call {
		return &admin.Call{Realm: "photoz", Body: strings.NewReader("no archive")}
	}
	for range 2 {
		_, err := l.impact(running)(t.Context(), call())
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != admin.Refused || !strings.HasPrefix(e.Message, "bundle.tar.gz: ") {
			t.Fatalf("got %v, want a refusal of bundle.tar.gz", err)
		}
	}
	running <- struct{}{}
	_, err := l.impact(running)(t.Context(), call())
	if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != admin.Busy {
		t.Errorf("got %v, want busy", err)
	}
}

// A bareStore has realms without anything.
type bareStore struct{ rollout.Store }

func (bareStore) Snapshot(context.Context, string, time.Time) (*uma.Snapshot, error) {
	return new(uma.Snapshot), nil
}

// What compiles policies has one turn at a time, and does not wait for ever.
func TestInTurn(t *testing.T) {
	t.Parallel()
	turn := make(chan struct{}, 1)
	run := inTurn(turn, func(context.Context, *admin.Call) (any, error) { return len(turn), nil })
	for range 2 {
		if got, err := run(t.Context(), nil); got != 1 || err != nil {
			t.Errorf("got %v turns taken and %v", got, err)
		}
	}
	turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the error of the context", err)
	}
}
