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
		s.look(ctx)
		s.slots.endDoubts(ctx)
		if time.Since(alive) > aliveEvery && s.stayAlive(ctx) == nil {
			alive = time.Now()
		}
		cancel()
	}
}

// look finds out whether another process has changed rows that are kept in memory. If so, or if
// that is not known, no row that was read before is valid. It also notices that the schema has become one
// for later servers only.
func (s *Store) look(ctx context.Context) {
	s.looking.Lock()
	defer s.looking.Unlock()
	began := s.memory.Clock()
	others, err := s.othersChanges(ctx)
	if err != nil {
		return // after a while nothing is read from memory: see memory.Trusted
	}
	changed := memory.Kinds(0)
	if others != s.others {
		changed = memory.AllKinds
	}
	s.others = others
	s.memory.Looked(began, changed)
}

// othersChanges returns how many commits of other processes have changed rows that are kept in
// memory. It never becomes less.
func (s *Store) othersChanges(ctx context.Context) (n int64, err error) {
	var minimum int64
	err = s.pool.QueryRow(ctx, `SELECT coalesce(sum(changes), 0)::bigint, (SELECT value FROM counter WHERE name = 'minimum')
		FROM writer WHERE process <> $1`, s.slots.process).Scan(&n, &minimum)
	if err == nil {
		s.schema.needs(minimum)
	}
	return n, err
}

// forget returns the statement that removes the rows of processes. Their changes are added to a row
// that stays: a process may have come, changed something and gone since another one looked.
func forget(which string) string {
	return `WITH gone AS (DELETE FROM writer WHERE process <> '' AND ` + which + ` RETURNING changes)
		INSERT INTO writer (process, slot, fence, commits, changes, seen)
		SELECT '', 0, 0, 0, sum(changes)::bigint, 0 FROM gone HAVING sum(changes) > 0
		ON CONFLICT (process, slot) DO UPDATE SET changes = writer.changes + excluded.changes`
}

// stayAlive says that this process is alive, and adds its rows again if they were removed meanwhile.
func (s *Store) stayAlive(ctx context.Context) error {
	if err := s.slots.register(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, forget(`seen < `+databaseClock+` - $1`), forgetAfter.Milliseconds())
	if err != nil {
		return fmt.Errorf("forget processes: %w", err)
	}
	return nil
}
