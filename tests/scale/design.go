package main

import (
	"fmt"
	"time"
)

// A cost is what was measured of one decision: see docs/scaling.md for how.
type cost struct {
	server     time.Duration // processor time of the server, without reading and committing
	read       time.Duration // processor time of the database for a read
	commit     time.Duration // processor time of the database for a batch
	record     time.Duration // for each record of it
	durable    time.Duration // until a commit is on the disk, and on the standby if one must have it
	trip       time.Duration // a round trip to the database
	diskRead   time.Duration // of a page that is not in the database's memory
	logBytes   float64       // of the write-ahead log for each record
	diskBytes  float64       // of tables and indexes for each record
	perRow     float64       // bytes of a resource with its shares, indexes included
	serverRead time.Duration // processor time of the server for a read
}

// A design is what is built of servers and databases.
type design struct {
	name      string
	servers   int     // that make decisions, of all databases together
	cores     int     // of a server
	databases int     // realms are spread over them
	dbCores   int     // of a database; 0: that of the server, in its process (SQLite)
	memory    float64 // bytes of a database's machine, for its pages
	records   bool    // each decision is committed before it is answered
	hitRate   float64 // of rows in the memory of servers
	resources float64
	logLimit  float64 // bytes a second that the disk of a database takes
}

// An outcome is what a design does at a rate.
type outcome struct {
	rate     float64 // decisions a second that came
	answered float64 // that were answered
	late     int     // that came and were not answered in the end
	p50, p99 time.Duration
	busiest  string
	busy     float64
	full     bool    // the disk does not take what is logged
	logRate  float64 // bytes a second of each database
	batch    float64 // records of a commit
}

// ends reports whether a design is at its end: it does not answer what comes, or late, or its disk does
// not take what is logged. That commits are under way all the time is no end: their batches grow.
func (o *outcome) ends() bool {
	return float64(o.late) > o.rate*limitP99.Seconds() || o.p99 > limitP99 || o.full
}

// limitP99 is the time in which 99 of 100 decisions must be answered.
const limitP99 = 50 * time.Millisecond

// simulate runs a design for a time, at a rate. One database with its servers is simulated: the
// others do the same.
func (d *design) simulate(c cost, rate float64, span time.Duration) outcome {
	s := newSim(1)
	share := rate / float64(d.databases)
	servers := max(1, d.servers/d.databases)
	db := &station{sim: s, name: "processors of the database", places: max(d.dbCores, 1)}
	disk := &station{sim: s, name: "disk reads of the database", places: 32}
	numbers := &station{sim: s, name: "commits, one after the other", places: 1}
	stations := []*station{numbers, disk}
	if d.dbCores > 0 {
		stations = append(stations, db)
	}
	var commits, records int
	cold := max(0, 1-d.memory/(d.resources/float64(d.databases)*c.perRow))
	type server struct {
		cpu *station
		out *committer
	}
	all := make([]server, servers)
	for i := range all {
		cpu := &station{sim: s, name: "processors of the servers", places: d.cores}
		onDB := db
		if d.dbCores == 0 {
			onDB = cpu
		}
		all[i] = server{cpu, &committer{most: 256, commit: func(n int, done func()) {
			commits, records = commits+1, records+n
			s.after(c.trip, func() {
				onDB.use(c.commit+time.Duration(n)*c.record, func() { numbers.use(c.durable, done) })
			})
		}}}
		stations = append(stations, cpu)
	}
	var took []time.Duration
	came, answered := 0, 0
	decide := func(sv server) {
		came++
		began := s.now
		end := func() {
			if answered++; s.now > span/5 {
				took = append(took, s.now-began)
			}
		}
		commit := func() {
			if d.records {
				sv.out.add(end)
				return
			}
			end()
		}
		cpu, read := s.around(c.server), s.random.Float64() > d.hitRate
		if read {
			cpu += c.serverRead
		}
		sv.cpu.use(cpu, func() {
			if !read {
				commit()
				return
			}
			s.after(c.trip, func() {
				onDB := db
				if d.dbCores == 0 {
					onDB = sv.cpu
				}
				onDB.use(s.around(c.read), func() {
					if s.random.Float64() < cold {
						disk.use(c.diskRead, commit)
						return
					}
					commit()
				})
			})
		})
	}
	var arrive func()
	arrive = func() {
		decide(all[s.random.IntN(len(all))])
		s.after(s.around(time.Duration(float64(time.Second)/share)), arrive)
	}
	arrive()
	s.run(span)
	o := outcome{rate: rate, late: (came - answered) * d.databases, answered: float64(answered) / span.Seconds() * float64(d.databases), p50: percentile(took, 50), p99: percentile(took, 99)}
	o.logRate = float64(records) * c.logBytes / span.Seconds()
	if commits > 0 {
		o.batch = float64(records) / float64(commits)
	}
	for _, st := range stations {
		if u := st.utilization(); u > o.busy {
			o.busiest, o.busy = st.name, u
		}
	}
	if u := o.logRate / d.logLimit; d.records && u > o.busy {
		o.busiest, o.busy, o.full = "write-ahead log of the database", u, u > 1
	}
	return o
}

// most finds the highest rate that a design answers, to about five percent.
func (d *design) most(c cost, span time.Duration) outcome {
	low, high := outcome{}, 100.0
	for {
		o := d.simulate(c, high, span)
		if o.ends() {
			break
		}
		low, high = o, high*2
	}
	from, to := low.rate, high
	for to/max(from, 1) > 1.05 {
		middle := (from + to) / 2
		if o := d.simulate(c, middle, span); o.ends() {
			to = middle
		} else {
			from, low = middle, o
		}
	}
	return low
}

// size is how many bytes the rows of a database take, and records of a day at a rate.
func (d *design) size(c cost, rate float64) (rows, day float64) {
	rows = d.resources / float64(d.databases) * c.perRow
	if d.records {
		day = rate / float64(d.databases) * c.diskBytes * 86400
	}
	return rows, day
}

func bytes(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.0f %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f TB", n)
}
