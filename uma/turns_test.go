package uma

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	const most = 3
	turns := newTurns(most)
	failed := errors.New("failed")
	if err := turns.take(t.Context(), func() error { return failed }); err != failed {
		t.Errorf("got %v, want %v", err, failed)
	}
	err := turns.take(t.Context(), func() error { panic("on purpose") })
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("got %v, want the panic", err)
	}

	// No more at the same time than there may be, whoever panicked before.
	var now, seen atomic.Int64
	var wg sync.WaitGroup
	begun, release := make(chan struct{}), make(chan struct{})
	for range 3 * most {
		wg.Go(func() {
			err := turns.take(t.Context(), func() error {
				if n := now.Add(1); n > int64(most) {
					t.Errorf("%d at the same time", n)
				}
				begun <- struct{}{}
				<-release
				now.Add(-1)
				seen.Add(1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range most {
		<-begun
	}

	// Who gives up meanwhile has nothing computed.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := turns.take(ctx, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	// Nor has who gave up before, though nobody else waits.
	idle := newTurns(1)
	if err := idle.take(t.Context(), func() error { return nil }); err != nil {
		t.Error(err)
	}
	for range 20 {
		if err := idle.take(ctx, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}

	for range 2 * most {
		release <- struct{}{}
		<-begun
	}
	close(release)
	wg.Wait()
	if seen.Load() != int64(3*most) {
		t.Errorf("%d had their turn of %d", seen.Load(), 3*most)
	}
}
