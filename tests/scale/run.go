package main

import "time"

// A run simulates the busiest database of a design with its servers. Each of the others has no more to do.
type run struct {
	*sim
	d        *design
	c        *costs
	w        workload // of the database
	q        *question
	span     time.Duration
	hitRows  float64 // of decisions whose rows are in the server's memory
	hitKept  float64 // of decisions whose answer is
	cold     float64 // of pages that are not in the database's memory
	db, disk *station
	replicas []*replica
	numbers  []*station // the locks of the rows that number records
	servers  []*server
	locked   []time.Duration // for which records would need each of them, in batches of 256
	last     []*committer    // that committed with each of them
	upkeep   *upkeep

	came, answered int
	commits        int
	records        int
	took           []time.Duration
}

// A server makes decisions.
type server struct {
	run         *run
	cpu         *station
	connections *station
	committers  []*committer // for each row that numbers records
}

// A replica answers lists. It applies the log of the primary, one entry after the other.
type replica struct{ db, disk, replay *station }

// newRun returns a run of a design with the busiest database's part of a workload, at a rate of that database.
func newRun(d *design, w workload, c *costs, rate float64, span time.Duration) *run {
	r := &run{sim: newSim(1), d: d, c: c, w: w.of(d.busiest(w)), span: span}
	r.q, r.hitRows, r.hitKept = w.question(c), 1, 1
	if d.store != nil {
		r.hitRows, r.hitKept = d.hits(r.w, rate)
		r.cold = d.cold(r.w, c)
	}
	var host *station
	if d.oneHost {
		host = r.processors("processors", d.cores)
	}
	if d.dbCores > 0 {
		if r.db = host; host == nil {
			r.db = r.processors("processors of the database", d.dbCores)
		}
	}
	r.disk = &station{sim: r.sim, name: "disk reads of the database", places: d.machines.reads}
	for range d.numbers {
		r.numbers = append(r.numbers, &station{sim: r.sim, name: "numbers of records", places: 1})
	}
	r.last, r.locked = make([]*committer, d.numbers), make([]time.Duration, d.numbers)
	for range d.replicas {
		r.replicas = append(r.replicas, &replica{r.processors("processors of a replica", d.dbCores),
			&station{sim: r.sim, name: "disk reads of a replica", places: d.machines.reads},
			&station{sim: r.sim, name: "replay of a replica", places: 1}})
	}
	for range d.servers {
		sv := &server{run: r, cpu: host}
		if host == nil {
			sv.cpu = r.processors("processors of the servers", d.cores)
		}
		sv.connections = &station{sim: r.sim, name: "connections of a server", places: c.connections}
		for i := range d.numbers {
			batches := &station{sim: r.sim, name: "batches of a server, one at a time", places: 1}
			sv.committers = append(sv.committers, &committer{server: sv, numbers: i, under: batches})
		}
		r.servers = append(r.servers, sv)
	}
	r.upkeep = &upkeep{server: r.servers[0], undelivered: &page{most: sinkPage}, old: &page{most: pruneBatch}}
	return r
}

func (r *run) processors(name string, n int) *station {
	return &station{sim: r.sim, name: name, places: n, slice: time.Millisecond}
}

// database is whose processors read and write rows for a server.
func (r *run) database(sv *server) *station {
	if r.db == nil {
		return sv.cpu
	}
	return r.db
}

// open has decisions and lists come at random times, at a rate.
func (r *run) open(rate float64) {
	if rate <= 0 {
		return
	}
	r.after(r.around(time.Duration(float64(time.Second)/rate)), func() {
		sv := r.servers[r.random.IntN(len(r.servers))]
		r.decide(sv, func() {})
		if r.random.Float64() < r.w.lists {
			r.list(sv)
		}
		r.open(rate)
	})
}

// closed has so many callers ask again as soon as they are answered, after the processor time that a caller needs.
func (r *run) closed(callers int, asks time.Duration) {
	for i := range callers {
		sv := r.servers[i%len(r.servers)]
		var again func()
		again = func() { sv.cpu.use(r.around(asks), func() { r.decide(sv, again) }) }
		again()
	}
}

// decide is one decision at a server: rows are read, the policy evaluated and the record committed.
func (r *run) decide(sv *server, done func()) {
	r.came++
	began := r.now
	answer := func() {
		if r.answered++; r.now > r.span/5 { // not while queues are filling
			r.took = append(r.took, r.now-began)
		}
		done()
	}
	inTurn(
		func(next func()) { sv.cpu.use(r.around(r.c.decide), next) },
		func(next func()) {
			if r.random.Float64() < r.hitRows {
				next()
				return
			}
			db, disk := r.database(sv), r.disk
			if r.d.reads {
				db, disk = r.replica()
			}
			sv.cpu.use(r.around(r.q.look), func() { sv.view(db, disk, r.q.lookDB, r.q.pages, next) })
		},
		func(next func()) {
			if r.random.Float64() < r.hitKept {
				next()
				return
			}
			sv.cpu.use(r.around(r.q.evaluate), next)
		},
		func(func()) {
			if r.d.store == nil {
				answer()
				return
			}
			sv.committers[r.number()].add(answer)
		},
	)
}

// inTurn does steps, each when the one before calls next.
func inTurn(steps ...func(next func())) {
	if len(steps) > 0 {
		steps[0](func() { inTurn(steps[1:]...) })
	}
}

// number is which row numbers the records of a decision: that of the hottest realm, or another.
func (r *run) number() int {
	if len(r.numbers) == 1 || r.random.Float64() < r.w.hot {
		return 0
	}
	return 1 + r.random.IntN(len(r.numbers)-1)
}

// list is a page of a list.
func (r *run) list(sv *server) {
	db, disk := r.database(sv), r.disk
	if len(r.replicas) > 0 {
		db, disk = r.replica()
	}
	sv.cpu.use(r.around(r.c.list), func() { sv.view(db, disk, r.c.listDB, r.c.shared.pages, func() {}) })
}

func (r *run) replica() (db, disk *station) {
	one := r.replicas[r.random.IntN(len(r.replicas))]
	return one.db, one.disk
}

// view reads rows, in one round trip.
func (sv *server) view(db, disk *station, takes time.Duration, pages float64, done func()) {
	r := sv.run
	inTurn(
		sv.connections.hold,
		func(next func()) { r.after(r.d.machines.trip, next) },
		func(next func()) { db.use(r.around(takes), next) },
		func(next func()) { r.read(db, disk, pages, next) },
		func(func()) {
			sv.connections.release()
			done()
		},
	)
}

// read reads those pages that are not in memory, one after the other.
func (r *run) read(db, disk *station, pages float64, done func()) {
	n := time.Duration(r.rounded(pages * r.cold))
	if n == 0 {
		done()
		return
	}
	disk.use(n*r.d.machines.pageRead, func() { db.use(n*r.c.pageCPU, done) })
}
