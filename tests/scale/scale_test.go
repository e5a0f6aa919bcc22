package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestQueue compares a station with what queueing theory says of it: with Poisson arrivals and exponential
// times at one place, a request spends service/(1-load) there (M/M/1).
func TestQueue(t *testing.T) {
	t.Parallel()
	const service = time.Millisecond
	load := 0.7
	s := newSim(2)
	st := &station{sim: s, places: 1}
	var spent time.Duration
	n := 0
	var arrive func()
	arrive = func() {
		began := s.now
		st.use(s.around(service), func() { spent, n = spent+s.now-began, n+1 })
		s.after(s.around(time.Duration(float64(service)/load)), arrive)
	}
	arrive()
	s.run(200 * time.Second)
	got, want := float64(spent)/float64(n), float64(service)/(1-load)
	if math.Abs(got/want-1) > 0.05 {
		t.Errorf("a request spends %v, want about %v", time.Duration(got), time.Duration(want))
	}
	if math.Abs(st.utilization()-load) > 0.02 {
		t.Errorf("the place is used for %.2f of the time, want %.2f", st.utilization(), load)
	}
}

// TestBatchesGrow: with one place for commits, the more come the more share one.
func TestBatchesGrow(t *testing.T) {
	t.Parallel()
	d := designs(1e6)[3]
	few, many := d.simulate(postgresCost, 500, time.Second), d.simulate(postgresCost, 20_000, time.Second)
	if few.batch > 2 || many.batch < 3*few.batch {
		t.Errorf("got %.1f records a commit at 500 a second and %.1f at 20,000", few.batch, many.batch)
	}
}

// TestServersWait: transactions of all servers wait for each other at the number of their last record. With
// many servers, that is what makes decisions late.
func TestServersWait(t *testing.T) {
	t.Parallel()
	d := designs(1e6)[3]
	few := d.simulate(postgresCost, 20_000, time.Second)
	d.servers, d.dbCores = 40, 64
	many := d.simulate(postgresCost, 20_000, time.Second)
	if few.ends() || many.p99 < 2*few.p99 || many.busiest != "commits, one after the other" {
		t.Errorf("p99 is %v with 4 servers and %v with 40, which wait for %s", few.p99, many.p99, many.busiest)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run([]string{"-span", "100ms", "-rate", "1000", "-resources", "1e6"}, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2+len(designs(1)) {
		t.Errorf("got %d lines:\n%s", n, out.String())
	}
	if err := run([]string{"-resources", "0"}, &out); err == nil {
		t.Error("no resources are accepted")
	}
}
