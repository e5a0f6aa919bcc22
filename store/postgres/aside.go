package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// asides is how many transactions of settlements may wait for locked rows at a time, if there are connections enough: at
// most a quarter of them.
const asides = 3

// Settlements that rest on locked rows wait aside, so that the settler need not: in a queue for each row. One
// transaction at a time waits for the row, before it locks any other, and settles all that are queued by then.
type aside struct {
	slots chan *slot // that no transaction uses

	mu     sync.Mutex
	queues map[seen]*rowQueue // by row; a goroutine serves each
	count  int                // of entries in queues
}

type rowQueue struct {
	entries []*entry
	locked  bool // as far as is known
}

func newAside(connections int) *aside {
	a := &aside{slots: make(chan *slot, asides), queues: map[seen]*rowQueue{}}
	for n := range max(1, min(asides, connections/4)) {
		a.slots <- &slot{number: settlerSlot + writers + 1 + n, unsure: true}
	}
	return a
}

// putAside queues an entry behind a row that is locked.
func (t *settler) putAside(e *entry, behind seen) {
	t.aside.mu.Lock()
	defer t.aside.mu.Unlock()
	if t.aside.count >= t.store.cfg.QueueLength {
		e.result <- uma.ErrBusy
		return
	}
	q := t.aside.queues[behind]
	if q == nil {
		q = &rowQueue{}
		t.aside.queues[behind] = q
		t.done.Go(func() { t.serve(behind) })
	}
	q.locked = true
	q.entries = append(q.entries, e)
	t.aside.count++
}

// withoutAside puts those of a batch aside that rest on a row for which others wait, and returns the rest.
func (t *settler) withoutAside(batch []*entry) []*entry {
	rest := batch[:0]
	for _, e := range batch {
		if behind, locked := t.aside.lockedFor(e); locked {
			t.putAside(e, behind)
		} else {
			rest = append(rest, e)
		}
	}
	clear(batch[len(rest):])
	return rest
}

func (a *aside) lockedFor(e *entry) (row seen, locked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queues) == 0 {
		return row, false
	}
	for _, row := range e.rests() {
		if q := a.queues[row]; q != nil && q.locked {
			return row, true
		}
	}
	return row, false
}

// serve settles what is queued behind a row until nothing is.
func (t *settler) serve(behind seen) {
	for {
		first := t.aside.first(behind)
		if first == nil {
			return
		}
		select {
		case sl := <-t.aside.slots:
			if batch := inTime(t.aside.take(behind, maxBatch)); len(batch) > 0 {
				t.settle(sl, batch, &behind)
			}
			t.aside.slots <- sl
		case <-time.After(time.Until(first.until)):
			inTime(t.aside.take(behind, 1))
		}
	}
}

// inTime refuses the entries that have waited too long, and returns the rest.
func inTime(batch []*entry) []*entry {
	now := time.Now()
	return slices.DeleteFunc(batch, func(e *entry) bool {
		late := !now.Before(e.until)
		if late {
			e.result <- uma.ErrBusy
		}
		return late
	})
}

// first returns the entry that waits longest behind a row. If there is none, it removes the queue.
func (a *aside) first(behind seen) *entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queues[behind]
	if len(q.entries) == 0 {
		delete(a.queues, behind)
		return nil
	}
	return q.entries[0]
}

// take removes the first entries behind a row, at most so many.
func (a *aside) take(behind seen, most int) []*entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queues[behind]
	n := min(len(q.entries), most)
	batch := q.entries[:n:n]
	q.entries = q.entries[n:]
	a.count -= n
	return batch
}

// freed notes that a row was not locked.
func (a *aside) freed(row seen) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queues[row].locked = false
}

// A sieve has what was found of the rows that settlements rest on.
type sieve struct {
	gone   map[seen]bool // changed, or no longer there
	locked map[seen]bool // by another transaction
	kind   int           // of the row for which the batch failed
}

// sieve looks at all rows that the settlements of a batch rest on, one by one, in a transaction that changes nothing.
func (s *Store) sieve(ctx context.Context, batch []*entry, kind int) (*sieve, error) {
	found := &sieve{gone: map[seen]bool{}, locked: map[seen]bool{}, kind: kind}
	var questions []question
	for n, rows := range allRests(batch) {
		if len(rows) == 0 {
			continue
		}
		for _, row := range rows {
			found.gone[row], found.locked[row] = true, kinds[n].lock != ""
		}
		each := func(missing map[seen]bool) func(scan scanFunc) error {
			return func(scan scanFunc) error {
				var nth int
				err := scan(&nth)
				if err == nil {
					delete(missing, rows[nth-1])
				}
				return err
			}
		}
		questions = append(questions, question{kinds[n].find(`x.n`), seenArgs(rows), each(found.gone)})
		if kinds[n].lock != "" {
			questions = append(questions, question{kinds[n].lockFound(`x.n`, skipLocked), seenArgs(rows), each(found.locked)})
		}
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.acquiring(ctx, err)
	}
	defer pg.Release()
	tx := newConn(ctx, pg.Conn(), beginWrite)
	tx.trips = &s.trips
	defer s.rollback(tx)
	if err := tx.ask(questions...); err != nil {
		return nil, reading("rows that settlements rest on", err)
	}
	return found, nil
}

// lacks returns the first row that a settlement lacks: one that is gone, or else one that is locked.
func (f *sieve) lacks(e *entry) (row seen, gone, locked bool) {
	rests := e.rests()
	for _, row := range rests {
		if f.gone[row] {
			return row, true, false
		}
	}
	for _, row := range rests {
		if f.locked[row] {
			return row, false, true
		}
	}
	return row, false, false
}
