package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// months are those that the table decision is known to have a partition for. A partition is made
// when the first record of its month is stored, or before: see Store.PrepareMonths.
type months struct {
	mu    sync.RWMutex
	known map[month]bool
}

// A month is its first day, in UTC.
type month struct {
	year int
	of   time.Month
}

func monthOf(t time.Time) month { return month{t.UTC().Year(), t.UTC().Month()} }

func (m month) begin() time.Time { return time.Date(m.year, m.of, 1, 0, 0, 0, 0, time.UTC) }

func (m month) next() month { return monthOf(m.begin().AddDate(0, 1, 0)) }

// table is the name of the partition.
func (m month) table() string { return fmt.Sprintf("decision_%04d_%02d", m.year, m.of) }

// ensure makes the partitions for the records of a batch.
func (m *months) ensure(ctx context.Context, s *Store, batch []*entry) error {
	for _, e := range batch {
		if err := m.ensureRecords(ctx, s, e.Records); err != nil {
			return err
		}
	}
	return nil
}

func (m *months) ensureRecords(ctx context.Context, s *Store, records []uma.Record) error {
	for i := range records {
		of := monthOf(records[i].Time)
		m.mu.RLock()
		known := m.known[of]
		m.mu.RUnlock()
		if known {
			continue
		}
		if err := s.makeMonth(ctx, of); err != nil {
			return err
		}
		m.mu.Lock()
		if m.known == nil {
			m.known = map[month]bool{}
		}
		m.known[of] = true
		m.mu.Unlock()
	}
	return nil
}

// forget makes the next ensure look again.
func (m *months) forget() {
	m.mu.Lock()
	clear(m.known)
	m.mu.Unlock()
}

// monthLock is the key of the advisory lock under which partitions are made and removed.
const monthLock = 0x756d7072 // "umpr" in ASCII

// makeMonth makes the partition of a month, unless there is one. The lock is taken first: two
// processes that make the same table at once would fail.
func (s *Store) makeMonth(ctx context.Context, of month) error {
	r, err := s.reader(ctx, maxReading)
	if err != nil {
		return err
	}
	there, err := r.exists(`SELECT 1 WHERE to_regclass($1) IS NOT NULL`, of.table())
	r.release()
	if err != nil || there {
		return reading("partitions of decision records", err)
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.acquiring(ctx, err)
	}
	defer pg.Release()
	tx := newConn(ctx, pg.Conn(), `BEGIN`)
	_, err = tx.all(command{query: `SELECT pg_advisory_xact_lock($1)`, args: []any{monthLock}})
	if err == nil {
		_, err = tx.all(command{query: fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF decision FOR VALUES FROM (%d) TO (%d)`,
			of.table(), millis(of.begin()), millis(of.next().begin()))}, command{query: `COMMIT`})
	}
	if err != nil {
		s.rollback(tx)
	}
	return writing("partition of decision records", err)
}
