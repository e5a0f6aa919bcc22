package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/umpire/store/rows"
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

// monthOf returns the month of a time as it is stored.
func monthOf(t time.Time) month {
	t = rows.Time(millis(t))
	if t.IsZero() {
		t = time.UnixMilli(0).UTC()
	}
	return month{t.Year(), t.Month()}
}

func (m month) begin() time.Time { return time.Date(m.year, m.of, 1, 0, 0, 0, 0, time.UTC) }

func (m month) next() month { return monthOf(m.begin().AddDate(0, 1, 0)) }

// table is the name of the partition.
func (m month) table() string { return fmt.Sprintf(partitionName, m.year, m.of) }

const partitionName = "decision_%04d_%02d"

// partitions returns the months that have a partition, the oldest first.
func partitions(c *conn) ([]month, error) {
	tables, err := texts[string](c, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'decision'::regclass ORDER BY c.relname COLLATE "C"`)
	var months []month
	for _, table := range tables {
		var m month
		if _, err := fmt.Sscanf(table, partitionName, &m.year, &m.of); err == nil && m.table() == table {
			months = append(months, m)
		}
	}
	return months, reading("partitions of decision records", err)
}

// isPartition reports whether a month has a partition. It reads the catalog: what a connection has cached
// of names may be older than its advisory lock.
func isPartition(c *conn, m month) (bool, error) {
	return c.exists(`SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'decision'::regclass AND c.relname = $1`, m.table())
}

// dropPartition are the commands that remove the partition of a month, the last record of which is last. The first lock
// is that of makeMonth, the second waits for those who write records: only then it is known that there is no later one. If
// there is, the next command divides by zero.
func dropPartition(m month, last int64) []command {
	return []command{
		{query: `SET LOCAL lock_timeout = '` + dropPatience + `'`},
		{query: `SELECT pg_advisory_xact_lock($1)`, args: []any{monthLock}},
		{query: `LOCK TABLE ONLY decision IN ACCESS EXCLUSIVE MODE`},
		{query: `SELECT 1 / (coalesce(max(seq), 0) = $1)::int FROM ` + m.table(), args: []any{last}},
		{query: `DROP TABLE ` + m.table()},
	}
}

// PrepareMonths makes the partitions of this month and the next, so that no record has to wait for one,
// and the spans of the records that were stored since the last call.
func (s *Store) PrepareMonths(ctx context.Context, now time.Time) error {
	this := monthOf(now)
	for _, m := range []month{this, this.next()} {
		if err := s.months.ensureMonth(ctx, s, m); err != nil {
			return err
		}
	}
	return s.makeSpans(ctx)
}

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
		if err := m.ensureMonth(ctx, s, monthOf(records[i].Time)); err != nil {
			return err
		}
	}
	return nil
}

func (m *months) ensureMonth(ctx context.Context, s *Store, of month) error {
	m.mu.RLock()
	known := m.known[of]
	m.mu.RUnlock()
	if known {
		return nil
	}
	if err := s.makeMonth(ctx, of); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[month]bool{}
	}
	m.known[of] = true
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

// makeMonth makes the partition of a month, unless there is one. The advisory lock is taken first: two
// processes that make the same table at once would fail. A table that is attached does not wait for who
// reads or writes others, as one would that is made as a partition.
func (s *Store) makeMonth(ctx context.Context, of month) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.patience)
	defer cancel()
	r, err := s.reader(ctx, maxReading)
	if err != nil {
		return err
	}
	there, err := isPartition(r.conn, of)
	r.release()
	if err != nil || there {
		return reading("partitions of decision records", err)
	}
	if s.slots == nil {
		return errReadOnly
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.acquiring(ctx, err)
	}
	defer pg.Release()
	tx := newConn(ctx, pg.Conn(), beginWrite)
	if err := attachMonth(tx, of); err != nil {
		s.rollback(tx)
		return writing("partition of decision records", err)
	}
	return nil
}

func attachMonth(tx *conn, of month) error {
	if _, err := tx.all(command{query: `SELECT pg_advisory_xact_lock($1)`, args: []any{monthLock}}); err != nil {
		return err
	}
	there, err := isPartition(tx, of)
	if err != nil {
		return err
	}
	var commands []command
	if !there {
		commands = append(commands, command{query: `CREATE TABLE ` + of.table() + ` (LIKE decision)`},
			command{query: fmt.Sprintf(`ALTER TABLE decision ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`,
				of.table(), millis(of.begin()), millis(of.next().begin()))})
	}
	_, err = tx.all(append(commands, command{query: `COMMIT`})...)
	return err
}
