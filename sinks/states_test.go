package sinks_test

import (
	"testing"
	"time"

	"example.com/umpire/sinks"
)

// A server that does not deliver knows what is not delivered, also if nobody delivers. It counts the records
// again only after some seconds.
func TestStatesWhenNobodyDelivers(t *testing.T) {
	timed(t, func(f *fixture) {
		r := &received{ids: map[string]int{}}
		_, stop := f.start("one", wanted("s", r))
		f.decide(2)
		f.eventually("the records", func() bool { records, _ := r.count(); return records == 2 })
		stop()
		idle := &sinks.Service{Store: f.store, Holder: "two", Now: time.Now, Log: f.log}
		for _, step := range []struct {
			records, want int
			pass          time.Duration
		}{{3, 3, 0}, {4, 3, time.Second}, {0, 7, time.Minute}} {
			f.decide(step.records)
			time.Sleep(step.pass) // of the test's clock
			states, err := idle.States(f.t.Context())
			if err != nil || len(states) != 1 || states[0].Runs || states[0].Backlog.Records != step.want || states[0].Backlog.Oldest.IsZero() || states[0].Cursor != 2 {
				f.t.Errorf("got %+v, %v; want a backlog of %d", states, err, step.want)
			}
		}
	})
}
