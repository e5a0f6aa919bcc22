package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
)

const (
	// checkEvery is how long a commit shows that the store can be written.
	checkEvery = time.Second

	// checkPatience is how long the commit of a check may take.
	checkPatience = 3 * time.Second
)

// A probe is a commit that shows whether the store can be written.
type probe struct {
	done chan struct{}
	err  error // once done is closed
}

// Check returns why the store cannot be written: the database cannot be reached, does not answer in
// time, is a standby, its disk is full, or its schema needs a later umpire. While others commit, it commits nothing itself.
func (s *Store) Check(ctx context.Context) error {
	if err := s.schema.tooOld(); err != nil {
		return err
	}
	if s.slots == nil {
		return s.pool.Ping(ctx)
	}
	if time.Since(s.opened)-time.Duration(s.committed.Load()) < checkEvery {
		return nil
	}
	p := s.startProbe()
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(checkPatience):
		return fmt.Errorf("the database has not made a commit within %v", checkPatience)
	}
	if errors.Is(p.err, uma.ErrBusy) && !isUnavailable(p.err) {
		return nil // other writes wait, too
	}
	return p.err
}

// startProbe starts a commit that changes the row of this process in writer, unless one is under way. It
// goes on if nobody waits for it any more. Close waits for it, as for other writes.
func (s *Store) startProbe() *probe {
	s.probing.Lock()
	defer s.probing.Unlock()
	if p := s.probe; p != nil {
		select {
		case <-p.done:
		default:
			return p
		}
	}
	p := &probe{done: make(chan struct{})}
	s.probe = p
	go func() {
		defer close(p.done)
		p.err = s.writeAll(context.Background())
	}()
	return p
}

// QueueLen is how many writes are waiting.
func (s *Store) QueueLen() int {
	if s.slots == nil {
		return 0
	}
	underWay := writers - len(s.slots.free)
	return len(s.settler.queue) + max(0, len(s.slots.waiting)-underWay)
}
