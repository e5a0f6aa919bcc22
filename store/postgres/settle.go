package postgres

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// maxBatch is how many settlements share a commit.
const maxBatch = 256

// A settler commits settlements. All that are queued share a transaction, which takes one round
// trip: a statement for each kind of rows, however many settlements there are. None waits for a
// time, unless others commit as well: see gathering. One batch is under way at a time: two would be
// half as full, and cost the database as much each.
type settler struct {
	store     *Store
	queue     chan *entry
	done      chan struct{} // closed when the loop has ended
	gathering gathering     // of the loop alone

	mu     sync.RWMutex // held for reading while an entry is being queued
	closed bool
}

// An entry is a settlement and its outcome.
type entry struct {
	*uma.Settlement
	until  time.Time // when it is refused, whatever happens
	result chan error
}

func newSettler(s *Store) *settler {
	t := &settler{store: s, queue: make(chan *entry, s.cfg.QueueLength), done: make(chan struct{})}
	go t.loop(&slot{number: settlerSlot, unsure: true})
	return t
}

// submit queues a settlement and waits for its outcome: the caller must learn whether it happened.
func (t *settler) submit(st *uma.Settlement, until time.Time) error {
	e := &entry{st, until, make(chan error, 1)}
	if err := t.enqueue(e); err != nil {
		return err
	}
	return <-e.result
}

func (t *settler) enqueue(e *entry) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return errClosed
	}
	select {
	case t.queue <- e:
		return nil
	default:
		return uma.ErrBusy
	}
}

// close waits until the queue is empty and ends the loop.
func (t *settler) close() {
	t.mu.Lock()
	t.closed = true
	close(t.queue)
	t.mu.Unlock()
	<-t.done
}

// loop commits batches one after the other, with a slot of its own.
func (t *settler) loop(sl *slot) {
	defer close(t.done)
	batch := make([]*entry, 0, maxBatch)
	for {
		batch = t.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		t.settle(sl, batch)
		clear(batch)
	}
}

// take waits for an entry and adds what else is queued by then. It returns nothing when the queue
// is closed and empty.
func (t *settler) take(batch []*entry) []*entry {
	first := <-t.queue
	if first == nil {
		return nil
	}
	// Those that the last commit was for may queue more before this batch is full, as long as
	// each turn of theirs adds some.
	for queued := -1; len(t.queue) > queued && queued < maxBatch; {
		queued = len(t.queue)
		runtime.Gosched()
	}
	batch = append(batch, first)
	end := t.gathering.end(len(batch) + len(t.queue))
	for len(batch) < maxBatch {
		select {
		case e := <-t.queue:
			if e == nil {
				return batch
			}
			batch = append(batch, e)
			continue
		default:
		}
		if end == nil || len(batch) >= t.gathering.size {
			break
		}
		select {
		case e := <-t.queue:
			if e == nil {
				return batch
			}
			batch = append(batch, e)
		case <-end:
			end = nil
		}
	}
	return batch
}

// settle commits a batch and tells each entry its outcome. If the batch fails because of one entry, and it is not known
// which, its halves are tried apart.
func (t *settler) settle(sl *slot, batch []*entry) {
	found, apart, err := t.commit(sl, batch)
	switch {
	case found != nil:
		t.sift(sl, batch, found)
	case apart:
		t.settleHalves(sl, batch)
	default:
		for _, e := range batch {
			e.result <- err
		}
	}
}

func (t *settler) settleHalves(sl *slot, batch []*entry) {
	half := len(batch) / 2
	t.settle(sl, batch[:half])
	t.settle(sl, batch[half:])
}

// sift settles a batch that lacks a row. Entries whose rows have changed, or whose tickets others are about to spend, are
// told so, and the others are settled.
func (t *settler) sift(sl *slot, batch []*entry, found *sieve) {
	var rest []*entry
	for _, e := range batch {
		if err := found.lacks(e); err != nil {
			e.result <- err
		} else {
			rest = append(rest, e)
		}
	}
	switch {
	case len(rest) == 0:
	case len(rest) < len(batch):
		t.settle(sl, rest)
	case len(rest) > 1: // some rest on the same ticket, or what was locked is free
		t.settleHalves(sl, rest)
	default: // what was locked is free
		rest[0].result <- errTicketLocked
	}
}

// commit commits a batch. If it lacks a row, nothing was committed, and it returns what it has found of all of them.
// apart: nothing was committed, and its halves are to be tried apart. A panic is an error of all entries: the batch may have
// been committed.
func (t *settler) commit(sl *slot, batch []*entry) (found *sieve, apart bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			sl.unsure, found, apart, err = true, nil, false, panicked(p)
		}
	}()
	first := slices.MinFunc(batch, func(a, b *entry) int { return a.until.Compare(b.until) })
	ctx, cancel := context.WithDeadline(context.Background(), first.until)
	defer cancel()
	began, sent := t.store.cfg.Now(), time.Now()
	err = t.store.settle(ctx, sl, batch, false)
	if isLacking(err) {
		err = t.store.settle(ctx, sl, batch, true)
	}
	if err != nil {
		if isLacking(err) {
			found, err = t.store.sieve(ctx, batch)
			return found, false, late(ctx, err)
		}
		return nil, len(batch) > 1 && !isUnavailable(err), err
	}
	t.gathering.committed(batch, time.Since(sent))
	if t.store.cfg.Observe != nil {
		t.store.cfg.Observe(len(batch), t.store.cfg.Now().Sub(began))
	}
	return nil, false, nil
}

// settle commits a batch of settlements. isLacking holds for the error if a row that it rests on was not found, or the first time if
// something has changed meanwhile: then nothing was committed.
func (s *Store) settle(ctx context.Context, sl *slot, batch []*entry, again bool) error {
	if err := s.months.ensure(ctx, s, batch); err != nil {
		return err
	}
	w, err := newSettlements(batch, again)
	if err != nil {
		return err
	}
	err = s.retry(ctx, func() (retried bool, err error) {
		w.seq = 0 // a try that was rolled back may have set it
		retried, err = s.commitAll(ctx, sl, slices.Concat(w.first, w.last))
		if stateOf(err) == noPartition { // a month was removed meanwhile
			s.months.forget()
			return true, errors.Join(err, s.months.ensure(ctx, s, batch))
		}
		return retried, err
	})
	if isLacking(err) {
		return err
	}
	return late(ctx, w.committed(ctx, s, batch, err))
}
