package main

import (
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
	s.events.push(event{s.now + d, s.order, do})
}

// run runs events until a time.
func (s *sim) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := s.events.pop()
		s.now = e.at
		e.do()
	}
	s.now = until
}

// around is a random time with a mean, distributed exponentially.
func (s *sim) around(mean time.Duration) time.Duration {
	return time.Duration(s.random.ExpFloat64() * float64(mean))
}

// rounded is a number that is rounded up or down at random, so that its mean stays.
func (s *sim) rounded(n float64) int { return int(n + s.random.Float64()) }

// An event is something that happens at a time. Those of one time happen in the order in which they were
// announced.
type event struct {
	at    time.Duration
	order int
	do    func()
}

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.order < f.order }

// events are a heap. That of package heap allocates memory for each event.
type events []event

func (e *events) push(x event) {
	all := append(*e, x)
	for i := len(all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !all[i].before(&all[parent]) {
			break
		}
		all[i], all[parent] = all[parent], all[i]
		i = parent
	}
	*e = all
}

func (e *events) pop() event {
	all := *e
	first, last := all[0], len(all)-1
	all[0], all[last] = all[last], event{}
	all = all[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(all); child++ {
			if all[child].before(&all[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		all[i], all[least] = all[least], all[i]
		i = least
	}
	*e = all
	return first
}

// A station is a number of places that are taken in the order of arrival: processors, connections, disks, a lock.
type station struct {
	sim    *sim
	name   string
	places int
	slice  time.Duration // processors: after it, others who wait have their turn; 0: a place is kept to the end
	busy   int
	queue  []func()
	held   time.Duration // the time of all places together
	last   time.Duration // when busy changed
}

// hold begins something when there is a place for it. It ends with release.
func (st *station) hold(begin func()) {
	if st.busy == st.places {
		st.queue = append(st.queue, begin)
		return
	}
	st.count(1)
	begin()
}

func (st *station) release() {
	st.count(-1)
	if len(st.queue) > 0 {
		next := st.queue[0]
		st.queue = st.queue[1:]
		st.count(1)
		next()
	}
}

func (st *station) count(n int) {
	st.held += time.Duration(st.busy) * (st.sim.now - st.last)
	st.last = st.sim.now
	st.busy += n
}

// use takes a place for a time, then calls done.
func (st *station) use(takes time.Duration, done func()) {
	if takes <= 0 {
		done()
		return
	}
	st.hold(func() {
		part := takes
		if st.slice > 0 {
			part = min(part, st.slice)
		}
		st.sim.after(part, func() {
			st.release()
			st.use(takes-part, done)
		})
	})
}

// load is which part of its places' time a station was held.
func (st *station) load() float64 {
	st.count(0)
	return float64(st.held) / float64(st.sim.now) / float64(st.places)
}

// percentile is the smallest of the times that so many percent of them are not above.
func percentile(took []time.Duration, percent int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[max((len(took)*percent+99)/100-1, 0)]
}
