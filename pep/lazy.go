package pep

import (
	"context"
	"errors"
	"sync"
	"time"
)

// minInterval is the least time between two fetches of the same value, also after a failure. It limits the requests during
// an outage, and those that tokens with invented key ids cause.
const minInterval = 2 * time.Second

var errForgotten = errors.New("refused by the authorization server a moment ago")

// lazy holds a value that is fetched when it is first needed, and again when it has expired. One fetch runs at a time; all
// callers wait for it. If it fails, the last value stays in use.
type lazy[T any] struct {
	fetch func(context.Context) (T, time.Time, error) // the value and its expiry
	now   func() time.Time

	mu     sync.Mutex
	value  T
	have   bool
	until  time.Time
	tried  time.Time // when the last fetch began
	err    error     // of the last fetch
	flight chan struct{}
}

// get returns the value. It fetches a new one if the value has expired.
func (l *lazy[T]) get(ctx context.Context) (T, error) { return l.obtain(ctx, false) }

// renew returns a new value, or the present one if that was fetched less than minInterval ago.
func (l *lazy[T]) renew(ctx context.Context) (T, error) { return l.obtain(ctx, true) }

// forget drops the value if it was refused, so that the next caller fetches another.
func (l *lazy[T]) forget(refused func(T) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have && refused(l.value) {
		l.have, l.err = false, errForgotten
	}
}

func (l *lazy[T]) obtain(ctx context.Context, anew bool) (T, error) {
	l.mu.Lock()
	good := !anew && l.have && l.now().Before(l.until)
	early := l.flight == nil && !l.tried.IsZero() && l.now().Before(l.tried.Add(minInterval))
	if good || early {
		defer l.mu.Unlock()
		return l.result()
	}
	if l.flight == nil {
		l.flight, l.tried = make(chan struct{}), l.now()
		// without the caller's cancellation, because others wait for the same value
		go l.run(context.WithoutCancel(ctx), l.flight)
	}
	flight := l.flight
	l.mu.Unlock()

	select {
	case <-flight:
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result()
}

func (l *lazy[T]) run(ctx context.Context, flight chan struct{}) {
	value, until, err := l.fetch(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight = nil
	if err == nil {
		l.value, l.until, l.have = value, until, true
	}
	l.err = err
	close(flight)
}

// result returns the value, expired or not. If there is none, it returns the error of the last fetch.
func (l *lazy[T]) result() (T, error) {
	if l.have {
		return l.value, nil
	}
	var none T
	return none, l.err
}
