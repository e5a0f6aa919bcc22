package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/umpire/store/memory"
)

const (
	// lookEvery is how often a process looks whether others have changed rows that it keeps in
	// memory.
	lookEvery = memory.LookEvery

	// aliveEvery is how often a process says that it is alive, and forgetAfter when others remove
	// its rows of writer.
	aliveEvery  = 10 * time.Second
	forgetAfter = 24 * time.Hour
)

// watch looks for changes of other processes until the store is closed.
func (s *Store) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var alive time.Time
	for {
		select {
		case <-s.closed:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if s.memory != nil {
			s.look(ctx)
		}
		if time.Since(alive) > aliveEvery && s.stayAlive(ctx) == nil {
			alive = time.Now()
		}
		cancel()
	}
}

// look finds out whether another process has changed rows that are kept in memory. If so, or if
// that is not known, no row that was read before is valid.
func (s *Store) look(ctx context.Context) {
	if s.memory == nil {
		return
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	began := s.memory.Clock()
	seen, err := s.othersChanges(ctx)
	if err != nil {
		return // after a while nothing is read from memory: see memory.Trusted
	}
	changed := memory.Kinds(0)
	if seen != s.seen {
		changed = memory.AllKinds
	}
	s.seen = seen
	s.memory.Looked(began, changed)
}

// othersChanges is a text that changes whenever another process changes rows that are kept in memory.
func (s *Store) othersChanges(ctx context.Context) (text string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT coalesce(string_agg(process || ' ' || slot || ' ' || changes, ',' ORDER BY process, slot), '')
		FROM writer WHERE process <> $1 AND changes > 0`, s.slots.process).Scan(&text)
	return text, err
}

// stayAlive says that this process is alive, and adds its rows again if they were removed meanwhile.
func (s *Store) stayAlive(ctx context.Context) error {
	if err := s.slots.register(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `DELETE FROM writer WHERE seen < `+databaseClock+` - $1`, forgetAfter.Milliseconds())
	if err != nil {
		return fmt.Errorf("forget processes: %w", err)
	}
	return nil
}
