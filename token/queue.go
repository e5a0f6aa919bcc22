package token

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"example.com/umpire/uma"
)

// Limits of the queue: places for users who signed in before, and as many for others;
// places for one user's password; places for one address of the others. With more,
// requests would wait longer than a client does.
const (
	maxWaiting    = 32
	maxPerUser    = 8
	maxPerAddress = 16
)

// maxServed is for how many users and addresses a queue remembers the last turn.
const maxServed = 1024

// A queue admits one caller at a time: first users who signed in from their address
// before, then the others, their addresses in turn and the users of an address in turn.
// So many guesses delay other users little.
type queue struct {
	mu      sync.Mutex
	busy    bool
	waiting []*waiter
	turn    int64
	served  map[string]int64 // the last turn of a user or an address
}

type waiter struct {
	from  uma.Attempt
	ready chan struct{}
}

// enter returns when it is the caller's turn; the caller must call leave then. It
// returns ErrBusy at once if too many are waiting.
func (q *queue) enter(ctx context.Context, from uma.Attempt) error {
	w, err := q.join(from)
	if err != nil || w == nil {
		return err
	}
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		q.giveUp(w)
		return ctx.Err()
	}
}

// join returns nil if it is the caller's turn.
func (q *queue) join(from uma.Attempt) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.busy {
		q.busy = true
		q.note(from)
		return nil, nil
	}
	all, user, address := 0, 0, 0
	for _, w := range q.waiting {
		if w.from.Known != from.Known {
			continue
		}
		all++
		if w.from.User == from.User {
			user++
		}
		if !from.Known && w.from.Address == from.Address {
			address++
		}
	}
	if all >= maxWaiting || user >= maxPerUser || address >= maxPerAddress {
		return nil, uma.ErrBusy
	}
	w := &waiter{from: from, ready: make(chan struct{})}
	q.waiting = append(q.waiting, w)
	return w, nil
}

// giveUp removes a waiter. If its turn has come meanwhile, the next one gets it.
func (q *queue) giveUp(w *waiter) {
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 {
		q.leave()
	}
}

// leave lets the next one in.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		clear(q.served)
		return
	}
	next := slices.MinFunc(q.waiting, q.order) // the first of several
	q.waiting = slices.DeleteFunc(q.waiting, func(w *waiter) bool { return w == next })
	q.note(next.from)
	close(next.ready)
}

func (q *queue) order(a, b *waiter) int {
	if a.from.Known != b.from.Known {
		if a.from.Known {
			return -1
		}
		return 1
	}
	byUser := cmp.Compare(q.served[user(a)], q.served[user(b)])
	if a.from.Known {
		return byUser
	}
	return cmp.Or(cmp.Compare(q.served[address(a)], q.served[address(b)]), byUser)
}

// Keys of served.
func user(w *waiter) string    { return "u" + w.from.User }
func address(w *waiter) string { return "a" + w.from.Address }

func (q *queue) note(from uma.Attempt) {
	if q.served == nil || len(q.served) >= maxServed {
		q.served = map[string]int64{}
	}
	q.turn++
	w := &waiter{from: from}
	q.served[user(w)] = q.turn
	if !from.Known {
		q.served[address(w)] = q.turn
	}
}

// len is how many wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
