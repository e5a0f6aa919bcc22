package uma

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// turns is a pool of goroutines, one for each thread, that compute while the goroutines
// that serve requests wait. With more of them the evaluations would take processors
// from one another until their deadlines pass. The pool also keeps the stack that an
// evaluation needs, which is larger than everything else of a connection, in few
// goroutines. They are started when first needed and stay. The zero value is ready for
// use.
type turns struct {
	once    sync.Once
	started chan struct{} // holds one for each goroutine that has not been given up
	next    chan *turn

	atOnce int // how many; 0: as many as threads

	// after calls f after d, and returns what stops it; nil: time.AfterFunc.
	after func(d time.Duration, f func()) (stop func() bool)
}

// grace is how long a turn may run after its deadline before it counts as stuck: an
// evaluation that can be cancelled ends within a moment.
const grace = time.Second

// errStuck: the computation still runs after its deadline and the grace, and its caller
// no longer waits.
var errStuck = errors.New("it does not end at its deadline")

// A panicError is a panic of what was computed.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// A turn is one computation.
type turn struct {
	compute func()
	limit   time.Duration   // 0: it always ends
	stuck   func(delta int) // called with 1 when the turn is given up, with -1 if it ends after all
	over    atomic.Bool     // it has ended or was given up, whichever was first
	lost    chan struct{}   // closed when it is given up
}

func (t *turns) init() {
	if t.atOnce == 0 {
		t.atOnce = runtime.GOMAXPROCS(0)
	}
	if t.after == nil {
		t.after = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	t.started = make(chan struct{}, t.atOnce)
	t.next = make(chan *turn)
}

// take calls compute in a goroutine of the pool and returns its result. If ctx ends
// before one is free, compute is not called. If ctx ends while compute runs, or if
// compute runs longer than limit and the grace, take returns at once and the result is
// dropped: compute must not change anything that its caller reads. In the second case a
// new goroutine replaces the stuck one in the pool, so that no other turn waits for it.
func take[T any](ctx context.Context, t *turns, limit time.Duration, stuck func(int), compute func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	t.once.Do(t.init)
	got := make(chan outcome, 1)
	mine := &turn{limit: limit, stuck: stuck, lost: make(chan struct{}), compute: func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = &panicError{p, debug.Stack()}
			}
			got <- o
		}()
		o.value, o.err = compute()
	}}
	err := t.begin(ctx, mine)
	if err == nil {
		select {
		case o := <-got:
			return o.value, o.err
		case <-mine.lost:
			err = errStuck
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return outcome{}.value, err
}

// begin hands a turn to a goroutine.
func (t *turns) begin(ctx context.Context, mine *turn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.next <- mine:
		return nil
	default: // nobody is free
	}
	select {
	case t.next <- mine:
	case t.started <- struct{}{}:
		go t.work(mine)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (t *turns) work(first *turn) {
	for turn := first; ; turn = <-t.next {
		if !t.run(turn) {
			return
		}
	}
}

// run reports whether the turn ended in time. If it did not, a new goroutine has
// replaced this one in the pool.
func (t *turns) run(turn *turn) bool {
	if turn.limit == 0 {
		turn.compute()
		return true
	}
	stop := t.after(turn.limit+grace, func() {
		if turn.over.CompareAndSwap(false, true) {
			turn.stuck(1)
			close(turn.lost)
			t.work(<-t.next)
		}
	})
	turn.compute()
	stop()
	if turn.over.CompareAndSwap(false, true) {
		return true
	}
	turn.stuck(-1)
	return false
}
