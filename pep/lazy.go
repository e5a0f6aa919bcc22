package pep

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pause is the least time between two fetches of the same thing, whether the first failed or a caller wants it anew:
// neither an outage nor tokens with made-up key ids turn into a flood of requests.
const pause = 2 * time.Second

var errForgotten = errors.New("refused by the authorization server a moment ago")

// lazy holds one value that is fetched when it is first needed and again when its time is over. One fetch is under way
// at a time, whoever asks waits for it. While fetching fails the last good value is kept.
type lazy[T any] struct {
	fetch func(context.Context) (T, time.Time, error) // the value and until when it is good
	now   func() time.Time

	mu     sync.Mutex
	value  T
	have   bool
	until  time.Time
	tried  time.Time // when the last fetch began
	err    error     // why there is no value
	flight chan struct{}
}

// get returns the value, fetched anew if its time is over.
func (l *lazy[T]) get(ctx context.Context) (T, error) { return l.obtain(ctx, false) }

// renew returns the value, fetched anew unless it was fetched less than a pause ago.
func (l *lazy[T]) renew(ctx context.Context) (T, error) { return l.obtain(ctx, true) }

// forget gives up a value that was refused, so that the next caller fetches another.
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
	early := l.flight == nil && !l.tried.IsZero() && l.now().Before(l.tried.Add(pause))
	if good || early {
		defer l.mu.Unlock()
		return l.result()
	}
	if l.flight == nil {
		l.flight, l.tried = make(chan struct{}), l.now()
		// without the caller's cancellation: others wait for the same answer
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

// result returns the value in hand, fresh or not, and without one why there is none.
func (l *lazy[T]) result() (T, error) {
	if l.have {
		return l.value, nil
	}
	var none T
	return none, l.err
}
