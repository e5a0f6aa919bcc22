package sqlite

import (
	"context"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const sinkColumns = ` name, kind, realm, target, hold, holder, cursor, delivered, failed, problem, skipped, cut `

func scanSink(scan scanFunc) (uma.Sink, error) {
	var s uma.Sink
	var hold int64
	err := scan(&s.Name, (*namedText)(&s.Kind), &s.Realm, &s.Target, &hold, &s.Holder, &s.Cursor,
		(*moment)(&s.Delivered), (*moment)(&s.Failed), &s.Problem, &s.Skipped, &s.Cut)
	s.Hold = time.Duration(hold) * time.Millisecond
	return s, err
}

func allSinks(c *conn) ([]uma.Sink, error) {
	all, err := list(c, `SELECT`+sinkColumns+`FROM sink ORDER BY name`, nil, scanSink)
	return all, reading("sinks", err)
}

// AllSinks implements uma.Sinks.
func (s *Store) AllSinks(ctx context.Context) ([]uma.Sink, error) {
	return fetch(ctx, s, "sinks", allSinks)
}

// KeepSinks implements uma.Sinks.
func (s *Store) KeepSinks(ctx context.Context, generation int64, wanted []uma.Sink) error {
	return s.write(ctx, func(tx *conn) error {
		now, err := generationOf(tx)
		switch {
		case err != nil:
			return reading("generation", err)
		case now != generation:
			return uma.ErrMoved
		}
		last, err := lastRecord(tx)
		if err != nil {
			return reading("the last decision record", err)
		}
		var names []string
		for i := range wanted {
			w := &wanted[i]
			names = append(names, w.Name)
			_, err := tx.exec(`INSERT INTO sink (`+sinkColumns+`)
				VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, 0)
				ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, realm = excluded.realm, target = excluded.target, hold = excluded.hold`,
				w.Name, string(w.Kind), w.Realm, w.Target, w.Hold.Milliseconds(), w.Holder, last)
			if err != nil {
				return writing("sink "+w.Name, err)
			}
		}
		_, err = tx.exec(`DELETE FROM sink WHERE name NOT IN (SELECT value FROM json_each(?))`, rows.ListText(names))
		return writing("sinks", err)
	})
}

// TakeSinks implements uma.Sinks.
func (s *Store) TakeSinks(ctx context.Context, holder string, names []string) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`UPDATE sink SET holder = ? WHERE name IN (SELECT value FROM json_each(?))`, holder, rows.ListText(names))
		return writing("sinks", err)
	})
}

// SaveSinks implements uma.Sinks.
func (s *Store) SaveSinks(ctx context.Context, sinks []uma.Sink) (lost []string, err error) {
	err = s.write(ctx, func(tx *conn) error {
		lost = nil
		for i := range sinks {
			k := &sinks[i]
			changed, err := tx.exec(`UPDATE sink SET cursor = max(cursor, ?), delivered = ?, failed = ?, problem = ?, skipped = ?
				WHERE name = ? AND holder = ?`,
				k.Cursor, rows.Millis(k.Delivered), rows.Millis(k.Failed), k.Problem, k.Skipped, k.Name, k.Holder)
			if err != nil {
				return writing("sink "+k.Name, err)
			}
			if changed == 0 {
				lost = append(lost, k.Name)
			}
		}
		return nil
	})
	return lost, err
}

// RecordsFor implements uma.Sinks. The index has the records of a realm in the order of
// seq.
func (s *Store) RecordsFor(ctx context.Context, realm string, seq int64, limit int) ([]uma.Record, error) {
	if realm == "" {
		return s.DecisionsAfter(ctx, seq, limit)
	}
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		return findDecisions(c, uma.DecisionFilter{Realm: realm, After: seq}, oldestFirst, limit)
	})
}

// BacklogOf implements uma.Sinks. Records of all realms are numbered without gaps, so they
// need not be counted.
func (s *Store) BacklogOf(ctx context.Context, realm string, seq int64) (uma.Backlog, error) {
	return fetch(ctx, s, "undelivered decision records", func(c *conn) (uma.Backlog, error) {
		first, err := findDecisions(c, uma.DecisionFilter{Realm: realm, After: seq}, oldestFirst, 1)
		if err != nil || len(first) == 0 {
			return uma.Backlog{}, err
		}
		b := uma.Backlog{Oldest: first[0].Time}
		if realm == "" {
			last, err := lastRecord(c)
			b.Records = int(last - first[0].Seq + 1)
			return b, err
		}
		b.Records, err = countAfter(c, realm, first[0].Seq-1)
		return b, err
	})
}

// countAfter counts the records of a realm after seq, at most uma.MaxBacklog.
func countAfter(c *conn, realm string, seq int64) (int, error) {
	var old int64
	if err := c.row(`SELECT count(*) FROM (SELECT 1 FROM decision WHERE realm = ? AND seq > ? LIMIT ? + 0)`,
		[]any{realm, seq, uma.MaxBacklog}, &old); err != nil {
		return 0, err
	}
	indexed, err := countByTerm(c, byRealm+realm, seq, uma.MaxBacklog)
	if err != nil {
		return 0, err
	}
	n := int(old) + indexed
	err = eachUnindexed(c, seq, func(r *uma.Record) bool {
		if r.Realm == realm {
			n++
		}
		return n < uma.MaxBacklog
	})
	return min(n, uma.MaxBacklog), err
}

// cutSinks moves the cursors of sinks beyond the records that are removed, up to last, so
// that each is counted once.
func cutSinks(tx *conn, sinks []uma.Sink, cut []int64, last int64) error {
	for i, n := range cut {
		if n == 0 {
			continue
		}
		if _, err := tx.exec(`UPDATE sink SET cursor = ?, cut = cut + ? WHERE name = ?`, last, n, sinks[i].Name); err != nil {
			return writing("sink "+sinks[i].Name, err)
		}
	}
	return nil
}
