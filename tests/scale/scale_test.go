package main

import (
	"encoding/json"
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
	for _, slice := range []time.Duration{0, service / 4} { // turns change nothing in the mean of such times
		s := newSim(2)
		st := &station{sim: s, places: 1, slice: slice}
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
		if math.Abs(st.load()-load) > 0.02 {
			t.Errorf("the place is used for %.2f of the time, want %.2f", st.load(), load)
		}
	}
}

// usual is a workload that tests change.
func usual(change func(w *workload)) workload {
	w := workload{resources: 1e9, shares: 10, asked: 1e5, changes: 0.01, lists: 0.05, realms: 1000, hot: 0.05}
	change(&w)
	return w
}

// named returns one of the designs.
func named(t *testing.T, name string) design {
	t.Helper()
	for _, d := range designs() {
		if d.name == name {
			return d
		}
	}
	t.Fatalf("no design is named %s", name)
	return design{}
}

// A variant is a change of a design, of the costs of its store or of a workload.
type variant func(d *design, c *costs, w *workload)

// most is how many decisions a design makes with a change.
func most(d design, w workload, change variant) outcome {
	c := d.costsOf(1)
	change(&d, &c, &w)
	return d.most(w, c, 250*time.Millisecond)
}

// TestDesignsEnd changes what a design ends with, and something else: only the first moves the end.
func TestDesignsEnd(t *testing.T) {
	t.Parallel()
	plenty := func(d *design, _ *costs, _ *workload) { d.memory = 1e15 }
	for _, c := range []struct {
		design string
		asked  float64
		keep   float64
		ends   string
		better variant
		same   variant
	}{
		{design: "one SQLite, 2 processors", asked: 1e6, ends: "processors of the servers",
			better: func(d *design, _ *costs, _ *workload) { d.cores = 3 },
			same:   func(d *design, _ *costs, _ *workload) { d.machines.flush /= 2 }},
		{design: "one SQLite, 16 processors", asked: 1e7, ends: "connections of a server",
			better: func(_ *design, c *costs, _ *workload) { c.connections = 8 },
			same:   func(d *design, _ *costs, _ *workload) { d.cores = 32 }},
		{design: "one SQLite, 16 processors", asked: 1e5, keep: 90, ends: "retention",
			better: func(_ *design, _ *costs, w *workload) { w.keep = 0 },
			same:   func(d *design, _ *costs, _ *workload) { d.cores = 32 }},
		{design: "one server, PostgreSQL of 8 processors", asked: 1e5, ends: "processors of the servers",
			better: func(d *design, _ *costs, _ *workload) { d.cores = 12 },
			same:   func(d *design, _ *costs, _ *workload) { d.dbCores = 16 }},
		{design: "one server, PostgreSQL of 8 processors", asked: 1e6, ends: "batches of a server, one at a time",
			better: func(d *design, _ *costs, _ *workload) { d.servers, d.cores = 2, 4 },
			same:   func(d *design, _ *costs, _ *workload) { d.cores, d.dbCores = 16, 16 }},
		{design: "4 servers, PostgreSQL of 16", asked: 1e5, ends: "numbers of records",
			better: func(_ *design, c *costs, _ *workload) {
				c.recordLocked /= 2
				c.decide /= 2
				c.own.evaluate, c.shared.evaluate = 0, 0
			},
			same: func(d *design, _ *costs, _ *workload) { d.cores, d.dbCores = 16, 32 }},
		{design: "4 servers, PostgreSQL of 16", asked: 1e7, ends: "numbers of records",
			better: plenty, // indexes are read from the disk under the lock
			same:   func(d *design, _ *costs, _ *workload) { d.cores, d.dbCores = 16, 32 }},
		{design: "16 servers, PostgreSQL of 32", asked: 1e5, ends: "numbers of records, in turns",
			better: func(d *design, _ *costs, _ *workload) { d.servers, d.cores = 4, 32 },
			same:   func(d *design, _ *costs, _ *workload) { d.cores, d.dbCores = 16, 64 }},
		{design: "4 servers, PostgreSQL of 16 with 2 replicas for lists", asked: 1e5, ends: "numbers of records",
			better: func(_ *design, c *costs, _ *workload) {
				c.recordLocked /= 2
				c.decide /= 2
				c.own.evaluate, c.shared.evaluate = 0, 0
				c.replay /= 2
			},
			same: func(d *design, _ *costs, _ *workload) { d.replicas = 4 }},
		{design: "the same, and decisions read the replicas (not built)", asked: 1e5, ends: "numbers of records",
			better: func(_ *design, c *costs, _ *workload) {
				c.recordLocked /= 2
				c.decide /= 2
				c.own.evaluate, c.shared.evaluate = 0, 0
				c.replay /= 2
			},
			same: func(d *design, _ *costs, _ *workload) { d.replicas = 4 }},
		{design: "8 databases with 4 servers each", asked: 1e5, ends: "numbers of records",
			better: func(d *design, _ *costs, _ *workload) { d.databases = 16 },
			same:   func(d *design, _ *costs, _ *workload) { d.cores, d.dbCores = 16, 32 }},
		{design: "32 databases with 4 servers each", asked: 1e5, ends: "numbers of records",
			better: func(_ *design, _ *costs, w *workload) { w.hot = 0.03 }, // the hottest realm has a database for itself
			same:   func(d *design, _ *costs, _ *workload) { d.databases = 64 }},
		{design: "8 servers of 16, PostgreSQL of 64, numbers per realm (not built)", asked: 1e5, ends: "delivery",
			better: func(_ *design, c *costs, _ *workload) { c.deliverPage /= 2; c.deliverPageDB /= 2 },
			same:   func(d *design, _ *costs, _ *workload) { d.numbers = 16 }},
		{design: "64 OPA sidecars that decide by bundles", asked: 1e5, ends: "processors of the servers",
			better: func(d *design, _ *costs, _ *workload) { d.cores = 3 },
			same:   func(d *design, _ *costs, _ *workload) { d.machines.flush *= 10 }},
	} {
		t.Run(c.design, func(t *testing.T) {
			t.Parallel()
			d := named(t, c.design)
			w := usual(func(w *workload) { w.asked, w.keep = c.asked, c.keep })
			as := most(d, w, func(*design, *costs, *workload) {})
			if !strings.HasPrefix(as.Ends, c.ends) {
				t.Errorf("it ends with %s, want %s: %v", as.Ends, c.ends, as.Loads)
			}
			better, same := most(d, w, c.better), most(d, w, c.same)
			if better.Answered < 1.2*as.Answered {
				t.Errorf("with more of what it ends with, it makes %.0f decisions a second instead of %.0f", better.Answered, as.Answered)
			}
			if math.Abs(same.Answered/as.Answered-1) > 0.12 {
				t.Errorf("with more of something else, it makes %.0f decisions a second instead of %.0f", same.Answered, as.Answered)
			}
		})
	}
}

// TestLockIsHeld: what a record costs under the lock is paid by one server after the other, however many processors there are; what it
// costs before, by all at once.
func TestLockIsHeld(t *testing.T) {
	t.Parallel()
	d, w := named(t, "4 servers, PostgreSQL of 16"), usual(func(*workload) {})
	d.cores, d.dbCores = 64, 64
	const more = 50 * time.Microsecond
	before := most(d, w, func(_ *design, c *costs, _ *workload) { c.recordDB += more })
	under := most(d, w, func(_ *design, c *costs, _ *workload) { c.recordLocked += more })
	if bound := float64(time.Second) / float64(postgres.recordLocked+more); under.Answered > bound || before.Answered < 1.5*under.Answered {
		t.Errorf("with 50 µs more before the lock %.0f decisions a second, under it %.0f of at most %.0f", before.Answered, under.Answered, bound)
	}
}

// TestServersWait: with n servers a decision waits for up to n commits.
func TestServersWait(t *testing.T) {
	t.Parallel()
	d, w := named(t, "4 servers, PostgreSQL of 16"), usual(func(*workload) {})
	few := d.simulate(w, postgres, 10_000, time.Second)
	d.servers, d.dbCores = 40, 64
	many := d.simulate(w, postgres, 10_000, time.Second)
	if !few.Holds || many.P99 < 2*few.P99 || many.Ends != "numbers of records, in turns" {
		t.Errorf("p99 is %.1f ms with 4 servers and %.1f with 40, which wait for %s", few.P99, many.P99, many.Ends)
	}
}

// TestBatchesWait: while others commit, a batch waits for as many entries as the last had, at most as long as a commit takes;
// a server alone waits for none.
func TestBatchesWait(t *testing.T) {
	t.Parallel()
	r := newRun(&design{store: &postgres, machines: dataCenter, servers: 2, cores: 8, databases: 1, dbCores: 8, memory: 1e15, numbers: 1},
		usual(func(*workload) {}), &postgres, 1, time.Second)
	c := r.servers[0].committers[0]
	add := func(n int) (committed int) {
		before := r.records
		for range n {
			c.add(func() {})
		}
		return r.records - before
	}
	if got := add(1); got != 1 {
		t.Errorf("the first batch has %d entries at once, want 1", got)
	}
	r.run(100 * time.Millisecond)
	if c.size, c.takes = 3, 2*time.Millisecond; add(2) != 0 || add(1) != 3 {
		t.Error("a batch does not wait for the third entry, or for more")
	}
	r.run(200 * time.Millisecond)
	if c.size != 0 {
		t.Errorf("after its own commit a server waits for %d entries, want none", c.size)
	}
	c.size, c.takes = 3, 20*time.Millisecond
	add(1)
	if r.run(200*time.Millisecond + longestWait); r.records != 5 {
		t.Errorf("%d records are committed, want 5: a batch waits for %v at most", r.records, longestWait)
	}
	r.last[0] = r.servers[1].committers[0]
	r.run(300 * time.Millisecond)
	add(2)
	r.run(400 * time.Millisecond)
	if r.last[0] = r.servers[1].committers[0]; c.size != 0 {
		t.Errorf("nobody else has committed, and a server waits for %d entries", c.size)
	}
	c.size = 2
	add(2)
	if r.run(500 * time.Millisecond); c.size != 2 {
		t.Errorf("after a commit of another server a batch waits for %d entries, want 2", c.size)
	}
}

func TestHits(t *testing.T) {
	t.Parallel()
	one := design{servers: 1, databases: 1}
	four := design{servers: 4, databases: 1}
	for _, c := range []struct {
		name string
		d    design
		w    workload
		want float64
	}{
		{"all fit", one, workload{asked: 1000}, 1},
		{"a tenth fits", one, workload{asked: cacheMemory / pairBytes * 10}, 0.1},
		{"a change a second: 10,000 decisions on 1,000 resources", one, workload{asked: 1000, changes: 0.0001}, 0.9},
		{"others' changes: all is forgotten 4 times a second, after 625 decisions", four, workload{asked: 1000, changes: 0.01}, 0.066},
		{"others' rare changes count as they come", four, workload{asked: 1000, changes: 0.0001}, 0.633},
	} {
		if got, _ := c.d.hits(c.w, 10_000); math.Abs(got-c.want) > 0.03 {
			t.Errorf("%s: got %.3f, want %.3f", c.name, got, c.want)
		}
	}
}

// TestCold: what decisions read beside what fits into the memory of the database.
func TestCold(t *testing.T) {
	t.Parallel()
	w := workload{resources: 1e9, shares: 10, asked: 1e7}
	pages := w.asked * postgres.pageSize * (postgres.shared.pages + postgres.recordPages + postgres.lockedPages)
	d := design{memory: pages / 4}
	if got := d.cold(w, &postgres); math.Abs(got-0.75) > 0.01 {
		t.Errorf("a quarter fits, and %.2f are not in memory", got)
	}
	if w.resources = 1e5; d.cold(w, &postgres) != 0 {
		t.Error("pages of rows that there are not are read")
	}
}

// TestWritten: after a checkpoint, the log has each page that is changed as a whole.
func TestWritten(t *testing.T) {
	t.Parallel()
	w := workload{asked: 1e9}
	log, disk := written(&postgres, w, 1000, 10)
	if want := postgres.logRecord + 2*8192; math.Abs(log/want-1) > 0.01 || disk < log+2*8000 {
		t.Errorf("a decision about one of very many logs %.0f bytes and writes %.0f, want %.0f for the log", log, disk, want)
	}
	w.asked = 100
	if log, _ := written(&postgres, w, 1000, 10); math.Abs(log/postgres.logRecord-1) > 0.01 {
		t.Errorf("a decision about one of 100 logs %.0f bytes", log)
	}
	for _, m := range []struct{ batch, want float64 }{{7.0, 9400}, {20.6, 7700}} { // measured
		if log, _ := written(&sqlite, w, 1000, m.batch); math.Abs(log/m.want-1) > 0.02 {
			t.Errorf("SQLite writes %.0f bytes for a decision, measured %.0f", log, m.want)
		}
	}
}

// TestRealms: the hottest realm has a database for itself, if it has more than its part of all.
func TestRealms(t *testing.T) {
	t.Parallel()
	d := named(t, "8 databases with 4 servers each")
	for _, c := range []struct{ hot, realms, want float64 }{{0, 1000, 0.125}, {0.4, 1000, 0.4}, {0, 2, 0.5}} {
		if got := d.busiest(workload{hot: c.hot, realms: int(c.realms)}); got != c.want {
			t.Errorf("hot %.1f, %.0f realms: the busiest database has %.3f, want %.3f", c.hot, c.realms, got, c.want)
		}
	}
	w := usual(func(w *workload) { w.hot = 0.5 })
	o := d.simulate(w, postgres, 40_000, time.Second)
	if want := 20_000.0; math.Abs(o.Day/86400/postgres.stored/want-1) > 0.05 {
		t.Errorf("the database of a realm with half of 40,000 decisions a second stores %.0f records", o.Day/86400/postgres.stored)
	}
}

// TestReplicas: lists take processors of the primary, or of replicas; a replica that cannot apply the log as fast as it comes is an end.
func TestReplicas(t *testing.T) {
	t.Parallel()
	d, w := named(t, "4 servers, PostgreSQL of 16"), usual(func(w *workload) { w.lists = 1 })
	without := d.simulate(w, postgres, 8000, time.Second)
	d.replicas = 2
	with := d.simulate(w, postgres, 8000, time.Second)
	if a, b := without.Loads["processors of the database"], with.Loads["processors of the database"]; a < b+0.3 || with.Loads["processors of a replica"] < 0.1 {
		t.Errorf("without replicas the database has a load of %.2f, with two %.2f: %v", a, b, with.Loads)
	}
	c := postgres
	c.replay = 200 * time.Microsecond
	if o := d.simulate(w, c, 8000, time.Second); o.Holds || o.Ends != "replay of a replica" {
		t.Errorf("a replica that falls behind is no end: %v", o.Loads)
	}
}

// TestUpkeep: one server delivers and removes. What it cannot remove of a PostgreSQL is there until its month is old.
func TestUpkeep(t *testing.T) {
	t.Parallel()
	d, w := named(t, "4 servers, PostgreSQL of 16"), usual(func(w *workload) { w.keep = 10 })
	w.hot = 0
	slow := d.simulate(w, postgres, 8000, time.Second)
	if slow.Remaining > 2*pruneBatch+8000/20 || math.Abs(slow.Kept/(10*slow.Day)-1) > 0.01 {
		t.Errorf("%d old records are left at 8,000 a second", slow.Remaining)
	}
	fast := d.simulate(w, postgres, 20_000, time.Second)
	if fast.Remaining < 5000 || math.Abs(fast.Kept/(41*fast.Day)-1) > 0.01 || !fast.Holds {
		t.Errorf("%d old records are left at 20,000 a second, and %.0f days are kept", fast.Remaining, fast.Kept/fast.Day)
	}
	c := postgres
	c.deliverPage = 40 * time.Millisecond // 6,400 records a second
	if o := d.simulate(w, c, 8000, time.Second); o.Holds || o.Undone < 1000 || o.Ends != "delivery" {
		t.Errorf("%d records are not delivered, and it ends with %s", o.Undone, o.Ends)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	small := []string{"-span", "100ms", "-rate", "1000", "-resources", "1e6"}
	if err := simulateAll(small, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2+len(designs()) {
		t.Errorf("got %d lines:\n%s", n, out.String())
	}
	out.Reset()
	if err := simulateAll(append(small, "-servers", "3", "-databases", "2", "-replicas", "1", "-o", "json"), &out); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got) != 1 || got[0]["design"] != "this design" || got[0]["holds"] != true {
		t.Errorf("got %v, %v", got, err)
	}
	out.Reset()
	if err := simulateAll(append(small, "-servers", "1", "-rate", "1e6", "-o", "json"), &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got[0]["holds"] != false || got[0]["answered_per_second"].(float64) < 1000 {
		t.Errorf("a rate that a design does not hold: got %v, %v", got, err)
	}
	for _, bad := range [][]string{{"-resources", "0"}, {"-hot", "2"}, {"-o", "xml"}, {"-servers", "-1"}, {"-speed", "0"}, {"-asked", "1e10"}, {"x"}} {
		if err := simulateAll(bad, &out); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}
