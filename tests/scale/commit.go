package main

import "time"

// A committer commits the records of a server with numbers of one row, one batch at a time.
type committer struct {
	server  *server
	numbers int
	waiting []func()
	under   *station // held while a batch is under way

	// As in store/postgres/gather.go: while others commit, a batch waits for as many entries as the last had, at most as
	// long as a commit takes.
	size      int
	takes     time.Duration
	gathering bool
	batches   int
}

func (c *committer) add(done func()) {
	c.waiting = append(c.waiting, done)
	c.next()
}

// next begins a batch, or begins to wait for more entries.
func (c *committer) next() {
	switch {
	case c.under.busy > 0 || len(c.waiting) == 0:
	case len(c.waiting) >= c.size:
		c.commit()
	case !c.gathering:
		c.gathering = true
		batches := c.batches
		c.server.run.after(min(c.takes, longestWait), func() {
			if c.batches == batches {
				c.commit()
			}
		})
	}
}

// commit commits a batch: see finish in store/postgres/commit.go for what is done under the lock.
func (c *committer) commit() {
	sv, r := c.server, c.server.run
	k := r.c
	n := min(len(c.waiting), mostEntries)
	batch, each := c.waiting[:n:n], time.Duration(n)
	c.waiting = c.waiting[n:]
	c.under.count(1)
	c.gathering = false
	c.batches++
	began := r.now
	r.commits, r.records = r.commits+1, r.records+n
	db, numbers := r.database(sv), r.numbers[c.numbers]
	r.locked[c.numbers] += each*(k.recordLocked+time.Duration(k.lockedPages*r.cold*float64(r.d.machines.pageRead+k.pageCPU))) +
		each*(k.commitLocked+r.d.machines.flush)/mostEntries
	sv.cpu.use(k.commit, func() {}) // beside what follows
	inTurn(
		func(next func()) { sv.cpu.use(each*k.record, next) },
		func(next func()) { r.after(r.d.machines.trip/2, next) },
		func(next func()) { db.use(r.around(k.commitDB)+each*k.recordDB, next) },
		func(next func()) { r.read(db, r.disk, float64(n)*k.recordPages, next) },
		numbers.hold,
		func(next func()) { db.use(r.around(k.commitLocked)+each*k.recordLocked, next) },
		func(next func()) { r.read(db, r.disk, float64(n)*k.lockedPages, next) },
		func(next func()) { r.after(r.around(r.d.machines.flush), next) },
		func(next func()) {
			numbers.release()
			r.upkeep.committed(n)
			for _, one := range r.replicas {
				one.replay.use(each*k.replay, func() {})
			}
			r.after(r.d.machines.trip/2, next)
		},
		func(func()) { c.end(batch, began) },
	)
}

// end answers a batch, and begins the next.
func (c *committer) end(batch []func(), began time.Duration) {
	r := c.server.run
	c.takes += (r.now - began - c.takes) / 8
	c.size = 0
	if last := r.last[c.numbers]; last != nil && last != c && len(batch) > 1 {
		c.size = len(batch)
	}
	r.last[c.numbers] = c
	c.under.count(-1)
	for _, done := range batch {
		done()
	}
	c.next()
}

// An upkeep is the work of the server that holds the lease: it delivers records, and removes old ones as fast as
// others come.
type upkeep struct {
	server           *server
	undelivered, old *page
}

// A page is work that is done for so many records at a time.
type page struct {
	most, records, done, pages int
	busy                       bool
}

func (p *page) take() int {
	n := min(p.records, p.most)
	p.records, p.done, p.pages = p.records-n, p.done+n, p.pages+1
	return n
}

// load is how full pages are, and 1 if more than the next one waits.
func (p *page) load() float64 {
	if p.records > 2*p.most {
		return 1
	}
	return float64(p.done) / float64(max(p.pages, 1)*p.most)
}

func (u *upkeep) committed(n int) {
	u.undelivered.records += n
	u.deliver()
	if u.server.run.w.keep > 0 {
		u.old.records += n
		u.prune()
	}
}

// deliver delivers one page after the other to a sink.
func (u *upkeep) deliver() {
	p, r := u.undelivered, u.server.run
	if p.busy || p.records == 0 {
		return
	}
	p.busy = true
	n := time.Duration(p.take())
	inTurn(
		func(next func()) { r.after(r.d.machines.trip, next) },
		func(next func()) { r.database(u.server).use(n*r.c.deliverPageDB/sinkPage, next) },
		func(next func()) { u.server.cpu.use(n*r.c.deliverPage/sinkPage, next) },
		func(func()) {
			p.busy = false
			u.deliver()
		},
	)
}

// prune removes a batch of records, and pauses. In SQLite the writer does it.
func (u *upkeep) prune() {
	p, r := u.old, u.server.run
	if p.busy || p.records == 0 {
		return
	}
	p.busy = true
	n := time.Duration(p.take())
	writer := r.numbers[0]
	if r.db != nil {
		writer = &station{sim: r.sim, places: 1} // nobody else waits for it
	}
	inTurn(
		func(next func()) { r.after(2*r.d.machines.trip, next) },
		writer.hold,
		func(next func()) { r.database(u.server).use(n*r.c.pruneDB/pruneBatch, next) },
		func(next func()) { r.after(r.d.machines.flush, next) },
		func(next func()) {
			writer.release()
			r.after(prunePause, next)
		},
		func(func()) {
			p.busy = false
			u.prune()
		},
	)
}
