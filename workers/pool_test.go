package workers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// do runs a computation that always ends.
func do(ctx context.Context, p *Pool, compute func() error) error {
	_, err := Do(ctx, p, 0, nil, func() (struct{}, error) { return struct{}{}, compute() })
	return err
}

func TestPool(t *testing.T) {
	t.Parallel()
	const most = 3
	p := &Pool{Size: most}
	failed := errors.New("failed")
	if err := do(t.Context(), p, func() error { return failed }); err != failed {
		t.Errorf("got %v, want %v", err, failed)
	}
	err := do(t.Context(), p, func() error { panic("on purpose") })
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("got %v, want the panic", err)
	}

	// Never more than Size at the same time, also after a panic.
	var now, seen atomic.Int64
	var wg sync.WaitGroup
	begun, release := make(chan struct{}), make(chan struct{})
	for range 3 * most {
		wg.Go(func() {
			err := do(t.Context(), p, func() error {
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

	// A context that has ended: not computed while all workers are busy,
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := do(ctx, p, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	// nor when a worker is free.
	idle := &Pool{Size: 1}
	if err := do(t.Context(), idle, func() error { return nil }); err != nil {
		t.Error(err)
	}
	for range 20 {
		if err := do(ctx, idle, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
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
		t.Errorf("%d of %d were computed", seen.Load(), 3*most)
	}
}

// A computation that does not end at its deadline is given up: its caller gets ErrStuck,
// and a new worker runs the others.
func TestStuckComputation(t *testing.T) {
	t.Parallel()
	var expire func() // limit and grace of the running computation are over
	p := &Pool{Size: 1, After: func(d time.Duration, f func()) func() bool {
		if d != time.Minute+Grace {
			t.Errorf("got %v", d)
		}
		expire = func() { go f() }
		return func() bool { return true }
	}}
	stuck := make(chan int, 2)
	tell := func(delta int) { stuck <- delta }
	begun, release := make(chan struct{}), make(chan struct{})
	const given = 5
	for range given { // each occupies a worker for good
		lost := make(chan error)
		go func() {
			_, err := Do(context.Background(), p, time.Minute, tell, func() (int, error) {
				begun <- struct{}{}
				<-release
				return 1, nil
			})
			lost <- err
		}()
		<-begun
		expire()
		if err := <-lost; !errors.Is(err, ErrStuck) {
			t.Errorf("got %v", err)
		}
		if got := <-stuck; got != 1 {
			t.Errorf("got %d, want one more", got)
		}
	}
	if n, err := Do(t.Context(), p, time.Minute, tell, func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	close(release)
	for range given {
		if got := <-stuck; got != -1 {
			t.Errorf("got %d, want one less", got)
		}
	}
	// Their replacement is the only worker left.
	if n, err := Do(t.Context(), p, time.Minute, tell, func() (int, error) { return 7, nil }); n != 7 || err != nil || len(p.started) != 1 {
		t.Errorf("got %d, %v, %d", n, err, len(p.started))
	}
}

// Do does not wait longer than its context.
func TestContextEndsWait(t *testing.T) {
	t.Parallel()
	var p Pool
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	_, err := Do(ctx, &p, time.Hour, nil, func() (int, error) {
		cancel()
		<-release
		return 1, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
}
