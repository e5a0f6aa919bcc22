package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// take returns whether a holder has the lease of that name after it has tried to take it.
func (e *env) take(name, holder string, length time.Duration) bool {
	e.t.Helper()
	held, err := e.s.TakeLease(e.t.Context(), name, holder, length)
	e.must(err)
	return held
}

func (e *env) release(name, holder string) {
	e.t.Helper()
	e.must(e.s.ReleaseLease(e.t.Context(), name, holder))
}

// leaseTests: that a lease is free again is shown by leases that end at once, or within a
// millisecond: the clock is that of the database.
var leaseTests = map[string]func(e *env){
	"one_holds": func(e *env) {
		e.want("the first", e.take("work", "a", time.Hour), true)
		e.want("another", e.take("work", "b", time.Hour), false)
		e.want("another again", e.take("work", "b", 0), false)
		e.want("the first prolongs it", e.take("work", "a", time.Hour), true)
		e.want("another holder by case", e.take("work", "A", time.Hour), false)
		e.want("another lease", e.take("other work", "b", time.Hour), true)
		e.want("a lease with another name by case", e.take("Work", "b", time.Hour), true)
	},

	"ended": func(e *env) {
		e.want("a", e.take("work", "a", 0), true)
		e.want("b, once that of a has ended", e.take("work", "b", time.Hour), true)
		e.want("a learns that it has lost it", e.take("work", "a", time.Hour), false)
		e.want("a again", e.take("work", "a", time.Hour), false)
		e.want("b still has it", e.take("work", "b", time.Hour), true)
	},

	// A length is kept to the millisecond, and begins at each call.
	"ends_after_its_length": func(e *env) {
		e.want("a", e.take("work", "a", time.Millisecond), true)
		for tries := 0; !e.take("work", "b", time.Hour); tries++ {
			if tries == 100_000 {
				e.t.Fatal("a lease of a millisecond does not end")
			}
		}
		e.want("a", e.take("work", "a", time.Hour), false)
	},

	"may_be_shortened": func(e *env) {
		e.want("a", e.take("work", "a", time.Hour), true)
		e.want("a", e.take("work", "a", 0), true)
		e.want("b", e.take("work", "b", time.Hour), true)
	},

	"release": func(e *env) {
		e.release("work", "a") // that nobody has
		e.want("a", e.take("work", "a", time.Hour), true)
		e.want("a, another", e.take("other work", "a", time.Hour), true)
		e.release("work", "b")
		e.want("b, after a release that was not by the holder", e.take("work", "b", time.Hour), false)
		e.release("work", "a")
		e.want("b, after the release", e.take("work", "b", time.Hour), true)
		e.want("b, of a lease that was not released", e.take("other work", "b", time.Hour), false)
		e.release("work", "a") // that it had
		e.want("a, after a late release", e.take("work", "a", time.Hour), false)
	},

	"race": func(e *env) {
		for round := range 10 {
			name := fmt.Sprint("work", round)
			if round%2 == 1 {
				e.take(name, "before", 0) // the row is there
			}
			var held atomic.Int64
			var wg sync.WaitGroup
			for taker := range 20 {
				wg.Go(func() {
					got, err := e.s.TakeLease(e.t.Context(), name, fmt.Sprint("server", taker), time.Hour)
					if err != nil {
						e.t.Error(err)
					}
					if got {
						held.Add(1)
					}
				})
			}
			wg.Wait()
			e.want("holders", held.Load(), int64(1))
		}
	},
}
