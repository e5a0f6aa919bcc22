package main

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// A sim is a simulation of events in their order. Its clock is that of the model.
type sim struct {
	now    time.Duration
	events events
	order  int
	random *rand.Rand
}

func newSim(seed uint64) *sim { return &sim{random: rand.New(rand.NewPCG(seed, 14))} }

// after does something in a while.
func (s *sim) after(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.events, event{s.now + d, s.order, do})
}

// run runs events until a time.
func (s *sim) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
	}
	s.now = until
}

// around is a random time with a mean, distributed exponentially: services take that of requests.
func (s *sim) around(mean time.Duration) time.Duration {
	return time.Duration(s.random.ExpFloat64() * float64(mean))
}

// An event is something that happens at a time. Those of one time happen in the order in which they were
// announced.
type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// A station is a number of places that serve in the order of arrival: processors, disks, a lock.
type station struct {
	sim    *sim
	name   string
	places int
	busy   int
	queue  []task
	used   time.Duration // of all places together
}

type task struct {
	takes time.Duration
	done  func()
}

// use takes a place for a time, then calls done.
func (st *station) use(takes time.Duration, done func()) {
	if st.busy == st.places {
		st.queue = append(st.queue, task{takes, done})
		return
	}
	st.serve(task{takes, done})
}

func (st *station) serve(t task) {
	st.busy++
	st.used += t.takes
	st.sim.after(t.takes, func() {
		st.busy--
		if len(st.queue) > 0 {
			next := st.queue[0]
			st.queue = st.queue[1:]
			st.serve(next)
		}
		t.done()
	})
}

// utilization is which part of its places' time a station was used.
func (st *station) utilization() float64 {
	return float64(st.used) / float64(st.sim.now) / float64(st.places)
}

// A committer gathers what is to be committed into batches, of which one is under way at a time.
type committer struct {
	most    int // in a batch
	busy    bool
	waiting []func()
	commit  func(n int, done func()) // of a batch of n
}

func (c *committer) add(done func()) {
	c.waiting = append(c.waiting, done)
	c.begin()
}

func (c *committer) begin() {
	if c.busy || len(c.waiting) == 0 {
		return
	}
	c.busy = true
	n := min(len(c.waiting), c.most)
	batch := c.waiting[:n]
	c.waiting = c.waiting[n:]
	c.commit(n, func() {
		c.busy = false
		for _, done := range batch {
			done()
		}
		c.begin()
	})
}

// percentile is the smallest of the times that so many percent of them are not above.
func percentile(took []time.Duration, percent int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[max((len(took)*percent+99)/100-1, 0)]
}
