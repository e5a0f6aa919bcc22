package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

const (
	// indexChunk is how many records are indexed in one entry of the writer: more make
	// the other entries of the batch wait, fewer make searches look into more chunks. The last
	// chunk has fewer until others follow.
	indexChunk = 256

	// maxIndexChunk bounds the entry if many are waiting.
	maxIndexChunk = 1024

	// indexPace is how long a record waits at most, if there are few.
	indexPace = 250 * time.Millisecond

	// leftPace is how long records of another process are left to it: it indexes some
	// meanwhile, unless it has ended.
	leftPace = time.Second

	retryPace = time.Second // after an error
)

// An indexer adds the records that this process commits to the index by which they are
// found. What is indexed already is in the database: so nothing is lost when the process
// ends, and the next one goes on.
type indexer struct {
	store *Store
	last  atomic.Int64 // number of the last record that is known
	done  atomic.Int64 // number of the last one that is indexed
	wake  chan struct{}
	ended chan struct{}
}

func (s *Store) startIndexer(hold bool) {
	s.indexer = &indexer{store: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if hold {
		close(s.indexer.ended)
		return
	}
	go s.indexer.loop()
}

// note tells the indexer of records that were committed. The writer calls it. It stores
// first and looks then, as the indexer does: one of the two sees what the other has done.
func (x *indexer) note(records []uma.Record) {
	if len(records) == 0 {
		return
	}
	last := records[len(records)-1].Seq
	before := x.last.Swap(last)
	done := x.done.Load()
	if before <= done || before-done < indexChunk && last-done >= indexChunk {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

func (x *indexer) waiting() int64 { return x.last.Load() - x.done.Load() }

// loop indexes records until the store is closed. An error is tried again: the lag, a
// metric, shows that it lasts. That others write is no reason to fall behind for long.
func (x *indexer) loop() {
	defer close(x.ended)
	if !x.findLeft() {
		return
	}
	for x.wait() {
		err := x.index(context.Background())
		pace := retryPace
		if errors.Is(err, uma.ErrBusy) {
			pace = indexPace
		}
		if err != nil && !x.pause(pace) {
			return
		}
	}
}

// findLeft finds the records that were not indexed when the store was opened. If another
// process is indexing them they are left to it, but for those that this process has
// committed since: the other may end at any time. It returns false once the store is closed.
func (x *indexer) findLeft() bool {
	left := func() (done, last int64, err error) {
		err = x.store.read(context.Background(), func(c *conn) (err error) {
			if done, err = indexedUpTo(c); err == nil {
				last, err = lastRecord(c)
			}
			return err
		})
		return done, last, err
	}
	for {
		before, last, err := left()
		done := before
		if err == nil && done < last {
			if !x.pause(leftPace) {
				return false
			}
			done, last, err = left()
		}
		if err != nil {
			if errors.Is(err, errClosed) || !x.pause(retryPace) {
				return false
			}
			continue
		}
		x.done.Store(done)
		if done == before {
			x.last.CompareAndSwap(0, last) // unless this process has committed others since
		}
		return true
	}
}

// wait waits until there are enough records for a chunk, or until one has waited for the
// pace. It returns false once the store is closed.
func (x *indexer) wait() bool {
	var late <-chan time.Time
	for x.waiting() < indexChunk {
		if late == nil && x.waiting() > 0 {
			late = time.After(indexPace)
		}
		select {
		case <-x.store.closed:
			return false
		case <-late:
			return true
		case <-x.wake:
		}
	}
	return true
}

// pause returns false once the store is closed.
func (x *indexer) pause(d time.Duration) bool {
	select {
	case <-x.store.closed:
		return false
	case <-time.After(d):
		return true
	}
}

// index indexes the next records. If there is none, those that were known before are of an
// earlier schema, or removed: they do not wait.
func (x *indexer) index(ctx context.Context) error {
	last := x.last.Load()
	done, found, err := x.store.indexSome(ctx, int(min(max(x.waiting(), indexChunk), maxIndexChunk)))
	if err != nil {
		return err
	}
	if !found {
		done = max(done, last)
	}
	x.done.Store(done)
	return nil
}

// indexSome indexes the next records, at most limit. What can be done beside the writer is: the
// rest is one entry, which shares its commit with others. It returns the number of the last
// record that is indexed, and whether there was any to index.
func (s *Store) indexSome(ctx context.Context, limit int) (upTo int64, found bool, err error) {
	for _, recent := range []*memory.Recent{&s.recent, nil} {
		var next chunk
		err = s.read(ctx, func(c *conn) (err error) {
			next, err = readChunk(c, recent, limit)
			return err
		})
		if err != nil || len(next.records) == 0 {
			return next.after, false, err
		}
		terms := next.terms()
		err = s.write(ctx, func(tx *conn) (err error) {
			upTo, err = terms.add(tx)
			return err
		})
		if err != nil || upTo != next.after {
			break
		}
		// Some in memory were removed. They are looked for in the file.
	}
	return upTo, true, err
}

// IndexLag returns the records that are not indexed yet.
func (s *Store) IndexLag(ctx context.Context) (uma.Backlog, error) {
	return fetch(ctx, s, "decision records that are not indexed", func(c *conn) (b uma.Backlog, err error) {
		var first int64
		err = eachUnindexed(c, 0, func(r *uma.Record) bool {
			first, b.Oldest = r.Seq, r.Time
			return false
		})
		if err != nil || first == 0 {
			return b, err
		}
		last, err := lastRecord(c)
		b.Records = int(last - first + 1)
		return b, err
	})
}
