package uma

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// do takes a turn that always ends.
func do(ctx context.Context, on *turns, compute func() error) error {
	_, err := take(ctx, on, 0, nil, func() (struct{}, error) { return struct{}{}, compute() })
	return err
}

func TestTurns(t *testing.T) {
	t.Parallel()
	const most = 3
	on := &turns{atOnce: most}
	failed := errors.New("failed")
	if err := do(t.Context(), on, func() error { return failed }); err != failed {
		t.Errorf("got %v, want %v", err, failed)
	}
	err := do(t.Context(), on, func() error { panic("on purpose") })
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("got %v, want the panic", err)
	}

	// No more at the same time than there may be, whoever panicked before.
	var now, seen atomic.Int64
	var wg sync.WaitGroup
	begun, release := make(chan struct{}), make(chan struct{})
	for range 3 * most {
		wg.Go(func() {
			err := do(t.Context(), on, func() error {
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
	if err := do(ctx, on, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	// Nor has who gave up before, though nobody else waits.
	idle := &turns{atOnce: 1}
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
		t.Errorf("%d had their turn of %d", seen.Load(), 3*most)
	}
}

// A turn that does not end at its deadline is given up: whoever waits for it is
// told so, and another goroutine serves the others. The zero value is ready.
func TestTurnsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	var pass func() // has a second pass after the deadline of the turn under way
	on := &turns{atOnce: 1, after: func(d time.Duration, f func()) func() bool {
		if d != time.Minute+grace {
			t.Errorf("got %v", d)
		}
		pass = func() { go f() }
		return func() bool { return true }
	}}
	stuck := make(chan int, 2)
	tell := func(delta int) { stuck <- delta }
	begun, release := make(chan struct{}), make(chan struct{})
	const given = 5
	for range given { // each keeps a goroutine of its own
		lost := make(chan error)
		go func() {
			_, err := take(context.Background(), on, time.Minute, tell, func() (int, error) {
				begun <- struct{}{}
				<-release
				return 1, nil
			})
			lost <- err
		}()
		<-begun
		pass()
		if err := <-lost; !errors.Is(err, errStuck) {
			t.Errorf("got %v", err)
		}
		if got := <-stuck; got != 1 {
			t.Errorf("got %d, want one more", got)
		}
	}
	if n, err := take(t.Context(), on, time.Minute, tell, func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	close(release)
	for range given {
		if got := <-stuck; got != -1 {
			t.Errorf("got %d, want one less", got)
		}
	}
	// The one in their place is still there, and alone.
	if n, err := take(t.Context(), on, time.Minute, tell, func() (int, error) { return 7, nil }); n != 7 || err != nil || len(on.started) != 1 {
		t.Errorf("got %d, %v, %d", n, err, len(on.started))
	}
}

// Nobody waits for a turn longer than its context.
func TestTurnsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	var on turns
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	_, err := take(ctx, &on, time.Hour, nil, func() (int, error) {
		cancel()
		<-release
		return 1, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
}

// An evaluation that cannot be stopped costs its own request a refusal and keeps
// nobody else from deciding; it is in the record, in the log and counted.
func TestEvaluationThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w.authority.evaluations.atOnce = 1
	w.authority.evaluations.after = func(_ time.Duration, f func()) func() bool {
		go func() {
			if _, ok := <-begun; ok {
				f()
			}
		}()
		return func() bool { return true }
	}
	var stuck atomic.Int64
	w.authority.Stuck = func(realm string, delta int) {
		if realm != "photoz" {
			t.Errorf("got realm %s", realm)
		}
		if stuck.Add(int64(delta)) == 0 {
			close(ended)
		}
	}
	decide := w.decide
	w.decide = func(*Input) (*Evaluation, error) {
		begun <- struct{}{}
		<-release
		return nil, nil
	}
	board := []AskedPermission{{Resource: "r-board", Scopes: scopesOf("view")}}
	_, err := w.bob(&TokenRequest{Permissions: board})
	if reason(err) != PolicyFailed || stuck.Load() != 1 {
		t.Errorf("got %v, %d stuck", err, stuck.Load())
	}
	if got := string(w.settlements[0].Records[0].Event); !strings.Contains(got, "cannot be stopped") {
		t.Errorf("got record %s", got)
	}
	w.decide = decide
	close(begun)
	if _, err := w.bob(&TokenRequest{Permissions: board}); err != nil {
		t.Errorf("another request: %v", err)
	}
	close(release)
	<-ended
}

// Signatures do not wait for evaluations.
func TestSignaturesHaveTurnsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.authority.evaluations.atOnce = 1
	begun, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	go func() {
		_ = do(context.Background(), &w.authority.evaluations, func() error {
			close(begun)
			<-release
			return nil
		})
	}()
	<-begun
	if _, err := w.authority.respond(t.Context(), w.snap, &Claims{Expires: w.unix() + 60}, nil); err != nil {
		t.Error(err)
	}
}
