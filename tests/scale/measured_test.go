package main

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// asks is the processor time that a caller of the measurements needs for a request. Estimate: what 64 callers leave of two
// processors.
const asks = 115 * time.Microsecond

// A measurement is one of docs/scaling.md or docs/performance.md: two processors that callers, servers and database share.
type measurement struct {
	store   *costs
	servers int
	w       workload
	callers int
	speed   float64

	rate  float64 // decisions a second
	cpu   float64 // µs of a decision, of servers and database
	batch float64 // decisions in a commit; 0: not measured

	// rough has twice the tolerance: two batches of half the callers each go on as they have begun, with four decisions in the model and six in
	// what was measured.
	rough bool
}

// faster are the processors of docs/performance.md, by what a decision of 16 callers costs.
const faster = 233.0 / 125

// Resources that were asked about: boards, of which no rows depend on shares, and albums.
var (
	few    = workload{resources: 1000, asked: 1000, realms: 1}
	boards = workload{resources: 500_000, asked: 500_000, realms: 1}
	albums = workload{resources: 1_000_000, shares: 10, asked: 500_000, realms: 1}
)

var measured = []measurement{
	{&sqlite, 1, few, 16, 1, 5361, 233, 7.0, false},
	{&sqlite, 1, few, 64, 1, 6569, 201, 20.6, false},
	{&postgres, 1, few, 16, 1, 3106, 417, 8.1, false},
	{&postgres, 1, few, 64, 1, 4404, 305, 29.7, false},
	{&postgres, 2, few, 16, 1, 2647, 562, 6.2, true},
	{&postgres, 2, few, 64, 1, 4432, 325, 20.7, false},
	{&sqlite, 1, few, 16, faster, 9877, 125, 0, false},
	{&sqlite, 1, few, 64, faster, 14228, 97, 0, false},
	{&sqlite, 1, boards, 16, faster, 6362, 236, 0, false},
	{&sqlite, 1, albums, 16, faster, 2224, 777, 0, false},
	{&sqlite, 1, albums, 64, faster, 2309, 0, 0, false},
}

// simulated is what the model says of a measurement. Its machine kept 2 GB of files in memory.
func (m *measurement) simulated() measurement {
	d := design{store: m.store, machines: local, servers: m.servers, cores: 2, databases: 1, memory: 2e9, numbers: 1, oneHost: true}
	if m.store == &postgres {
		d.dbCores = 2
	}
	c := m.store.at(m.speed)
	r := newRun(&d, m.w, &c, m.rate, 4*time.Second)
	ask := time.Duration(float64(asks) / m.speed)
	r.closed(m.callers, ask)
	r.run(r.span)
	o := r.outcome(m.rate, 1)
	busy := r.servers[0].cpu.load() * float64(d.cores) * 1e6 / o.Answered
	return measurement{rate: o.Answered, cpu: busy - float64(ask)/1e3, batch: o.Batch}
}

// TestMeasured compares the model with what was measured, before it is asked about anything else. The processor times of 16 and 64 callers
// were used to find the constants; decisions a second and decisions in a commit follow from them.
func TestMeasured(t *testing.T) {
	t.Parallel()
	for i, m := range measured {
		got := m.simulated()
		for _, c := range []struct {
			what            string
			got, want, most float64
		}{
			{"decisions a second", got.rate, m.rate, 0.2}, {"µs of a decision", got.cpu, m.cpu, 0.15}, {"decisions in a commit", got.batch, m.batch, 0.25},
		} {
			if c.want == 0 {
				continue
			}
			off := c.got/c.want - 1
			t.Logf("measurement %d: %s: %.1f, %+.0f %%", i+1, c.what, c.got, 100*off)
			if m.rough {
				c.most *= 2
			}
			if math.Abs(off) > c.most {
				t.Errorf("measurement %d: %s: got %.1f, measured %.1f", i+1, c.what, c.got, c.want)
			}
		}
	}
}

// TestFitted does the least squares of costs.go again: a decision costs a + b/(decisions in its commit).
func TestFitted(t *testing.T) {
	t.Parallel()
	for _, c := range []*costs{&postgres, &sqlite} {
		var x, y []float64
		for _, m := range measured {
			if m.store == c && m.batch > 0 {
				x, y = append(x, 1/m.batch), append(y, m.cpu)
			}
		}
		each, commit := line(x, y)
		deliver := float64(c.deliverPage+c.deliverPageDB) / sinkPage
		parts := float64(c.decide+c.record+c.recordDB+c.recordLocked) + deliver
		batch := float64(c.commit + c.commitDB + c.commitLocked)
		got := fmt.Sprintf("%.0f + %.0f/b µs", parts/1e3, batch/1e3)
		if math.Abs(parts/1e3/each-1) > 0.03 || math.Abs(batch/1e3/commit-1) > 0.03 {
			t.Errorf("the parts come to %s, the measurements to %.0f + %.0f/b", got, each, commit)
		}
	}
}

// line returns a and b of y = a + b·x by least squares.
func line(x, y []float64) (a, b float64) {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(x))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	b = xy / xx
	return my - b*mx, b
}
