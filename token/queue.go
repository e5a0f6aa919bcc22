package token

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"example.com/umpire/uma"
)

// maxWaiting is how many requests of users who signed in from their address before may
// wait, and how many others. With more, requests would wait longer than a client does.
const maxWaiting = 32

// maxServed is the number of users and addresses of which a queue remembers the last turn.
const maxServed = 1024

// A queue admits one caller at a time, in fair turns: users who signed in from their
// address before alternate with others, within each of the two the addresses alternate,
// and within an address its users. If too many wait, the newest request of the address
// with the most requests is refused. So no address blocks another. Rejected: a number of
// places for each user at any address, because guesses from elsewhere fill them; users who
// signed in before always first, because one account that signs in again and again would
// block all others.
type queue struct {
	mu      sync.Mutex
	busy    bool
	waiting []*waiter // the newest last
	turn    int64
	served  map[string]int64 // the last turn of each of a waiter's groups
}

// A waiter is a request in the queue. It belongs to three groups, each a part of the one
// before: users who signed in from their address before or others, its address, its user
// at that address.
type waiter struct {
	groups [3]string
	ready  chan error // nil: it is the waiter's turn
}

func newWaiter(from uma.Attempt) *waiter {
	known := strconv.FormatBool(from.Known)
	address := known + "\x00" + from.Address
	return &waiter{groups: [3]string{known, address, address + "\x00" + from.User}, ready: make(chan error, 1)}
}

// enter returns when it is the caller's turn; the caller must then call leave. It returns
// ErrBusy if the request is refused because too many wait.
func (q *queue) enter(ctx context.Context, from uma.Attempt) error {
	w := newWaiter(from)
	q.join(w)
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
		q.giveUp(w)
		return ctx.Err()
	}
}

func (q *queue) join(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.busy {
		q.busy = true
		q.admit(w)
		return
	}
	q.waiting = append(q.waiting, w)
	sizes := map[string]int64{}
	for _, each := range q.waiting {
		for _, group := range each.groups {
			sizes[group]++
		}
	}
	if sizes[w.groups[0]] <= maxWaiting {
		return
	}
	most := 0
	for i, each := range q.waiting {
		if compare(sizes, each, q.waiting[most]) >= 0 { // of several with the most: the newest
			most = i
		}
	}
	q.waiting[most].ready <- uma.ErrBusy
	q.waiting = slices.Delete(q.waiting, most, most+1)
}

// compare compares two waiters by the values of their groups, the widest group first.
func compare(values map[string]int64, a, b *waiter) int {
	for i := range a.groups {
		if c := cmp.Compare(values[a.groups[i]], values[b.groups[i]]); c != 0 {
			return c
		}
	}
	return 0
}

// giveUp removes a waiter. If its turn has come meanwhile, the next one gets it.
func (q *queue) giveUp(w *waiter) {
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 && <-w.ready == nil {
		q.leave()
	}
}

// leave ends the caller's turn and admits the next waiter.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		clear(q.served)
		return
	}
	next := slices.MinFunc(q.waiting, func(a, b *waiter) int { return compare(q.served, a, b) }) // of several: the one that has waited longest
	q.waiting = slices.DeleteFunc(q.waiting, func(w *waiter) bool { return w == next })
	q.admit(next)
}

func (q *queue) admit(w *waiter) {
	if q.served == nil || len(q.served) >= maxServed {
		q.served = map[string]int64{}
	}
	q.turn++
	for _, group := range w.groups {
		q.served[group] = q.turn
	}
	close(w.ready)
}

// len returns the number of waiters.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
