package main

import "time"

// The constants of the model, each with where it is from. Times of processors are those of the machine of
// docs/scaling.md, whose processors are slow: -speed makes them faster.
//
//   - measured: on that machine, or in docs/performance.md, whose machine takes 125 µs for what takes 233 there.
//   - fitted: by least squares to measured figures. With b decisions in a commit, a decision costs 232 µs + 1,854 µs/b of
//     servers and PostgreSQL together (16 and 64 callers, one server and two: 11 % off at most), and on SQLite 185 µs + 339 µs/b.
//   - divided: a part of a fitted figure; how it is divided is an estimate.
//   - explained: by EXPLAIN (ANALYZE, BUFFERS, WAL) of the statement.
//   - estimate: of what is usual in one data center.
type costs struct {
	// Processor time of the server for a decision.
	decide time.Duration // all but what follows; for SQLite, the work of the database is in all of these
	list   time.Duration // for a page of a list
	listDB time.Duration // processor time of the database for it

	own, shared question // a decision about what the resource server owns, and about what an owner has shared

	// Processor time of a commit, and what each record adds. The lock is that of the row which gives records their numbers; for SQLite,
	// the writer.
	commit, record             time.Duration // of the server
	commitDB, recordDB         time.Duration // of the database, before it has the lock
	commitLocked, recordLocked time.Duration // of the database, under the lock

	// Pages that are read for each record: before its commit has the lock, and under the lock.
	recordPages, lockedPages float64
	pageSize                 float64
	pageCPU                  time.Duration // processor time of the database to read a page from the disk

	// Bytes that are written: to the write-ahead log, and later to tables.
	logCommit, logRecord float64
	stored               float64 // by a record with its indexes, for as long as it is kept
	scattered            float64 // pages all over the tables that a decision changes; after each checkpoint, the log has the whole page

	perResource, perShare float64 // bytes in the database, with indexes

	connections int // of a server, for views and for commits

	// The work of one server of all.
	deliverPage, deliverPageDB time.Duration // of 256 records to the decision log, a file
	pruneDB                    time.Duration // to remove 256 records
	replay                     time.Duration // of a replica, for a record
}

// A question is what decisions of a kind need when the answer and the rows are not in the server's memory.
type question struct {
	evaluate time.Duration // of the server: its policy
	look     time.Duration // of the server: rows
	lookDB   time.Duration // of the database: rows
	pages    float64       // of these rows
}

// The times of what is no processor.
type devices struct {
	trip     time.Duration // a round trip to the database
	flush    time.Duration // until a commit is on the disk, and on the standby if it waits for one
	pageRead time.Duration // of one page, from the disk
	reads    int           // pages that a disk reads at a time
	writes   float64       // bytes a second that it takes
}

var sqlite = costs{
	decide: 155 * time.Microsecond, // divided: 185, less the record and its delivery
	list:   700 * time.Microsecond, // measured: 2,786 pages of shares a second in performance.md, on two processors

	// measured, times 1.86: in performance.md a policy takes 90 and 264 (215 and 400 without the memo, less 125 and 136), and reading a
	// board 21 (236 for one that is not in memory, less 125 and 90). estimate: 90 for shares, of the 144 that all rows take there (544
	// without caches, less 400). explained, on PostgreSQL: pages.
	own:    question{evaluate: 170 * time.Microsecond, look: 40 * time.Microsecond, pages: 2},  // index and row of the resource
	shared: question{evaluate: 490 * time.Microsecond, look: 170 * time.Microsecond, pages: 5}, // and of requests; policies

	commit:       140 * time.Microsecond, // divided: 339, less 200 of the writer
	commitLocked: 200 * time.Microsecond, // divided: the writer takes a fifth of the processor time (performance.md)
	recordLocked: 20 * time.Microsecond,  // divided: the same
	pageSize:     4096,
	pageCPU:      130 * time.Microsecond,   // fitted: 777 µs for one of 10,000,000 shares in performance.md
	logCommit:    18_000, logRecord: 6_800, // fitted: 9.4 kB at 7.0 decisions in a commit, 7.7 kB at 20.6; with what checkpoints write
	stored:      1_500,                  // measured: docs/operations.md
	perResource: 1_500, perShare: 1_150, // measured: 13 GB for 1,000,000 and 10,000,000
	connections: 4,                    // readers in store/sqlite
	deliverPage: 2 * time.Millisecond, // estimate: 256 records read and formatted, mostly from memory
	pruneDB:     5 * time.Millisecond, // estimate: 256 records with their terms, by the writer
}

var postgres = costs{
	decide: 155 * time.Microsecond, // as SQLite
	list:   300 * time.Microsecond, // estimate
	listDB: 900 * time.Microsecond, // estimate, from SQLite

	// As SQLite. explained: 140 for the four queries about shares. estimate: to send and parse them; the server's part.
	own:    question{evaluate: 170 * time.Microsecond, look: 60 * time.Microsecond, lookDB: 120 * time.Microsecond, pages: 2},
	shared: question{evaluate: 490 * time.Microsecond, look: 120 * time.Microsecond, lookDB: 250 * time.Microsecond, pages: 5},

	commit:       1100 * time.Microsecond, // divided: 1,854, less those of the database
	record:       25 * time.Microsecond,   // divided: 232, less decide, delivery and those of the database
	commitDB:     500 * time.Microsecond,  // divided: BEGIN and two statements
	recordDB:     17 * time.Microsecond,   // divided: rows that a grant rests on are compared
	commitLocked: 250 * time.Microsecond,  // divided: two statements and COMMIT; explained 80 of them
	recordLocked: 25 * time.Microsecond,   // explained: 25 to 30 for an insertion with nine indexes
	recordPages:  2,                       // explained: by primary key, of the resource and the request; their rows were just read
	lockedPages:  2,                       // the indexes of records by resource and by subject
	pageSize:     8192,
	pageCPU:      60 * time.Microsecond,  // estimate
	logRecord:    3_000,                  // measured, with few resources; explained 2,760
	stored:       2_700,                  // explained: 2,048 in the table; indexes estimated
	scattered:    2,                      // the two indexes
	perResource:  1_500, perShare: 1_350, // measured: 15 GB for 1,000,000 and 10,000,000
	connections:   11,                      // pool_max_conns, 12, less that of commits
	deliverPage:   2 * time.Millisecond,    // estimate: 256 records of all servers, read and formatted
	deliverPageDB: 1500 * time.Microsecond, // explained: 300; to make text of them, estimate
	pruneDB:       2 * time.Millisecond,    // explained: 900; three statements and COMMIT, estimate
	replay:        25 * time.Microsecond,   // estimate: ten entries of the log
}

// sidecar is what a decision costs `opa run --server`: 385 µs where one of Umpire costs 125 (performance.md).
// It keeps no answers.
const sidecar = 720 * time.Microsecond

// What servers keep in memory, and how. A pair is a resource with what is shared of it with a party.
const (
	cacheMemory = 4 << 20                // bytes: the default of --cache-memory, for rows, and again for decisions
	pairBytes   = 2_000                  // estimate, from store/memory: a resource, two granted requests
	answerBytes = 1_200                  // estimate, from engine/memo.go
	forgetEvery = 250 * time.Millisecond // all rows, if another server has changed one (store/postgres/look.go)
)

// Bounds in the code.
const (
	mostEntries  = 256                  // of a commit
	longestWait  = 5 * time.Millisecond // of a batch, for more (store/postgres/gather.go)
	sinkPage     = 256                  // records (sinks/worker.go)
	pruneBatch   = 256                  // records (node/retention.go)
	prunePause   = 20 * time.Millisecond
	checkpointed = 300 * time.Second // checkpoint_timeout; max_wal_size must allow it
)

// dataCenter is an estimate: a database in another machine, whose commits wait for a standby in a third one.
var dataCenter = devices{
	trip: 200 * time.Microsecond, flush: 700 * time.Microsecond, pageRead: 100 * time.Microsecond, reads: 64, writes: 1e9,
}

// local is the same with the database in the server's machine, without a standby. The machine that was measured took 0.12 ms at best
// for an fdatasync of 8 kB.
var local = devices{flush: 150 * time.Microsecond, pageRead: 100 * time.Microsecond, reads: 64, writes: 1e9}

// at returns the costs with processors that are so many times as fast.
func (c costs) at(speed float64) costs {
	for _, d := range []*time.Duration{
		&c.decide, &c.list, &c.listDB, &c.own.evaluate, &c.own.look, &c.own.lookDB, &c.shared.evaluate, &c.shared.look, &c.shared.lookDB,
		&c.commit, &c.record, &c.commitDB, &c.recordDB, &c.commitLocked, &c.recordLocked, &c.pageCPU, &c.deliverPage, &c.deliverPageDB, &c.pruneDB, &c.replay,
	} {
		*d = time.Duration(float64(*d) / speed)
	}
	return c
}
