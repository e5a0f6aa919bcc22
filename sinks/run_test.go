package sinks_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/sinks"
	"example.com/umpire/uma"
)

// counting is a destination that counts deliveries.
type counting struct {
	*received
	deliveries atomic.Int64
}

func (c *counting) Deliver(ctx context.Context, records []uma.Record) (int, int, error) {
	c.deliveries.Add(1)
	return c.received.Deliver(ctx, records)
}

// The record of a first commit is delivered at once, those of commits that follow within 20 ms together.
func TestCommitsAreGathered(t *testing.T) {
	timed(t, func(f *fixture) {
		c := &counting{received: &received{ids: map[string]int{}}}
		w := wanted("s", nil)
		w.Open = func() (sinks.Destination, error) { return c, nil }
		f.start("one", w)
		f.pass(5 * time.Second)
		for range 8 {
			f.decide(1)
			f.pass(2 * time.Millisecond)
			if c.deliveries.Load() != 1 {
				f.t.Fatalf("%d deliveries within the first 20 ms, want 1", c.deliveries.Load())
			}
		}
		f.pass(10 * time.Millisecond)
		if records, again := c.count(); records != 8 || again != 0 || c.deliveries.Load() != 2 {
			f.t.Errorf("got %d records, %d again, in %d deliveries; want 8 in 2", records, again, c.deliveries.Load())
		}
	})
}

// hanging is a destination that does not answer.
type hanging struct{}

func (hanging) Deliver(ctx context.Context, _ []uma.Record) (int, int, error) {
	<-ctx.Done()
	return 0, 0, ctx.Err()
}

// A delivery in progress when the server stops has the grace period, and no more.
func TestGrace(t *testing.T) {
	timed(t, func(f *fixture) {
		w := wanted("s", nil)
		w.Open = func() (sinks.Destination, error) { return hanging{}, nil }
		_, stop := f.start("one", w)
		f.decide(1)
		f.pass(5 * time.Second)
		began := time.Now()
		stop()
		if got := time.Since(began); got != time.Second {
			f.t.Errorf("it stopped after %s, want a second", got)
		}
		rows, err := f.store.AllSinks(f.t.Context())
		if err != nil || rows[0].Cursor != 0 || rows[0].Problem != "" {
			f.t.Errorf("got %+v, %v; want the record undelivered, and no problem", rows, err)
		}
	})
}
