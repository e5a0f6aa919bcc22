package main

import (
	"math"
	"time"
)

// A workload is what is asked of a design.
type workload struct {
	resources float64 // that there are
	shares    float64 // of each
	asked     float64 // resources that decisions are about, all alike
	changes   float64 // of rows that servers keep in memory, for each decision
	lists     float64 // pages of lists, for each decision
	realms    int
	hot       float64 // the part of the hottest realm, of decisions and of rows
	keep      float64 // days that records are kept
}

// A design is what is built of servers and databases.
type design struct {
	name      string
	store     *costs  // nil: sidecars, which have no database
	machines  devices // between servers and databases, and their disks
	servers   int     // that make decisions, of each database
	cores     int     // of a server
	databases int     // realms are spread over them
	dbCores   int     // of a database; 0: it is in the server's process
	memory    float64 // bytes of a database's machine that have its pages
	replicas  int     // of each database; they answer lists
	reads     bool    // replicas also answer the look-ups of decisions. Umpire does not do that
	numbers   int     // rows that give records their numbers. Umpire has one
	oneHost   bool    // all of it is in one machine, callers included
}

// busiest is the part of a workload that the busiest database has: the hottest realm has one for itself, if
// that has more than the others.
func (d *design) busiest(w workload) float64 {
	return max(w.hot, 1/float64(min(d.databases, w.realms)))
}

// question is what decisions ask.
func (w workload) question(c *costs) *question {
	if w.shares == 0 {
		return &c.own
	}
	return &c.shared
}

// of returns a part of a workload. Its rates are for each decision, and stay.
func (w workload) of(part float64) workload {
	w.resources, w.asked = w.resources*part, max(w.asked*part, 1)
	return w
}

// hits returns how often a server finds the rows of a decision in its memory, and how often its answer, at a rate of
// decisions. Both memories are bounded, and all resources are asked about alike. Rows are forgotten when one of their kind
// is changed: at once if this server did it, at the next look if another did.
func (d *design) hits(w workload, rate float64) (rows, answers float64) {
	answers = min(1, cacheMemory/answerBytes/w.asked)
	rows = min(1, cacheMemory/pairBytes/w.asked)
	if w.changes == 0 {
		return rows, answers
	}
	own := rate * w.changes / float64(d.servers) // a second
	forgotten := own
	if others := rate*w.changes - own; others > 0 {
		forgotten += 1 / max(forgetEvery.Seconds(), 1/others)
	}
	n := rate / float64(d.servers) / forgotten // decisions until all is forgotten
	return rows * (1 - w.asked*distinct(n, w.asked)/n), answers
}

// distinct is which part of many alike is met by n random choices.
func distinct(n, many float64) float64 { return -math.Expm1(-n / many) }

// rows is how many bytes the rows of a database take.
func (w workload) rows(c *costs) float64 { return w.resources * (c.perResource + w.shares*c.perShare) }

// cold returns how often a page that a decision reads is not in the memory of the database: of the pages that all
// decisions read there, as many as fit are.
func (d *design) cold(w workload, c *costs) float64 {
	pages := w.asked * c.pageSize
	used := min(w.rows(c), pages*(w.question(c).pages+c.recordPages)) + pages*c.lockedPages
	return max(0, 1-d.memory/used)
}

// written returns the bytes of a decision that go to the write-ahead log, and to the disk in all, at a rate of decisions and with
// so many in a commit. A page that is changed for the first time after a checkpoint is logged as a whole, and written at the next.
func written(c *costs, w workload, rate, batch float64) (log, disk float64) {
	log = c.logRecord + c.logCommit/max(batch, 1)
	disk = log
	if c.scattered > 0 {
		n := rate * checkpointed.Seconds()
		pages := c.scattered * c.pageSize * w.asked * distinct(n, w.asked) / n
		log += pages
		disk = log + pages + c.stored
	}
	return log, disk
}

// designs are what can be built, from the smallest.
func designs() []design {
	const gigabyte = 1e9
	with := func(name string, of design, change func(d *design)) design {
		of.name = name
		change(&of)
		return of
	}
	file := design{store: &sqlite, machines: local, servers: 1, cores: 2, databases: 1, memory: 6 * gigabyte, numbers: 1}
	one := design{store: &postgres, machines: dataCenter, servers: 1, cores: 8, databases: 1, dbCores: 8, memory: 64 * gigabyte, numbers: 1}
	four := with("4 servers, PostgreSQL of 16", one, func(d *design) { d.servers, d.dbCores, d.memory = 4, 16, 256*gigabyte })
	return []design{
		with("one SQLite, 2 processors", file, func(*design) {}),
		with("one SQLite, 16 processors", file, func(d *design) { d.cores, d.memory = 16, 64*gigabyte }),
		with("one server, PostgreSQL of 8 processors", one, func(*design) {}),
		four,
		with("16 servers, PostgreSQL of 32", four, func(d *design) { d.servers, d.dbCores = 16, 32 }),
		with("4 servers, PostgreSQL of 16 with 2 replicas for lists", four, func(d *design) { d.replicas = 2 }),
		with("the same, and decisions read the replicas (not built)", four, func(d *design) { d.replicas, d.reads = 2, true }),
		with("8 databases with 4 servers each", four, func(d *design) { d.databases = 8 }),
		with("32 databases with 4 servers each", four, func(d *design) { d.databases = 32 }),
		with("8 servers of 16, PostgreSQL of 64, numbers per realm (not built)", four, func(d *design) {
			d.servers, d.cores, d.dbCores, d.memory, d.numbers = 8, 16, 64, 1000*gigabyte, 8
		}),
		with("64 OPA sidecars that decide by bundles", design{}, func(d *design) { d.servers, d.cores, d.databases, d.numbers = 64, 2, 1, 1 }),
	}
}

// limitP99 is the time in which 99 of 100 decisions must be answered.
const limitP99 = 50 * time.Millisecond
