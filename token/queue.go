package token

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"example.com/umpire/uma"
)

// How many may wait for the one that computes argon2id: of those who have signed in
// before and of strangers each, then for one user's password and, of strangers, from
// one address. Whoever waits longer than that takes is better told to come again.
const (
	maxWaiting    = 32
	maxPerUser    = 8
	maxPerAddress = 16
)

// maxServed is how many users and addresses a queue remembers to have served.
const maxServed = 1024

// A queue lets one in at a time: those who have signed in from where they are
// before, then strangers, the addresses among them in turn and of each the users in
// turn. So whoever guesses waits behind those who do not.
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

// enter returns once it is the caller's turn, who must leave then. It is ErrBusy at
// once where too many are waiting.
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

// giveUp is for one that waits no more. If its turn has come meanwhile, it passes
// that on.
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
