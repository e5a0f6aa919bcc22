package uma

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Turns are taken by what computes: evaluations and signatures. As many goroutines
// as there are processors compute, and those that serve requests wait: more at the
// same time would take processors from one another, and the deadlines of
// evaluations pass while they wait. It also leaves the stack that an evaluation
// needs, which is larger than all else that a connection holds, with those few.
// They are started when first needed and stay.
type turns struct {
	started chan struct{} // holds one for each goroutine
	next    chan *turn
}

type turn struct {
	compute func() error
	err     error
	over    chan struct{}
}

func newTurns(atOnce int) *turns {
	return &turns{started: make(chan struct{}, atOnce), next: make(chan *turn)}
}

// take has compute called when its turn comes, and returns its error. If ctx ends
// before, it is not called.
func (t *turns) take(ctx context.Context, compute func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mine := &turn{compute: compute, over: make(chan struct{})}
	select {
	case t.next <- mine:
	default: // nobody is free
		select {
		case t.next <- mine:
		case t.started <- struct{}{}:
			go t.work(mine)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	<-mine.over
	return mine.err
}

func (t *turns) work(first *turn) {
	for turn := first; ; turn = <-t.next {
		turn.run()
	}
}

// run turns a panic into an error: of its own request, and of no other.
func (t *turn) run() {
	defer close(t.over)
	defer func() {
		if p := recover(); p != nil {
			t.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	t.err = t.compute()
}
