package sqlite

import (
	"context"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// An oldRecord is what removeRecords needs of a record.
type oldRecord struct {
	rows.OldRecord
	rules  []string // of an earlier schema
	terms  []string // of others
	shared int64    // 0: nothing
}

// oldestRecords returns the oldest records: those of earlier schemas, then others.
func oldestRecords(c *conn, limit int) ([]oldRecord, error) {
	records, err := list(c, `SELECT seq, realm, time, rules, coalesce(shared, 0) FROM decision WHERE seq > 0 ORDER BY seq LIMIT ? + 0`,
		[]any{limit}, func(scan scanFunc) (r oldRecord, err error) {
			err = scan(&r.Seq, &r.Realm, (*moment)(&r.Time), (*names)(&r.rules), &r.shared)
			return r, err
		})
	if err != nil || len(records) == limit {
		return records, err
	}
	logged, err := list(c, `SELECT seq, fields, coalesce(shared, 0) FROM decision_log WHERE seq > 0 ORDER BY seq LIMIT ? + 0`,
		[]any{limit - len(records)}, func(scan scanFunc) (oldRecord, error) {
			var r uma.Record
			var shared int64
			err := scan(&r.Seq, (*packedFields)(&r), &shared)
			return oldRecord{OldRecord: rows.OldRecord{Seq: r.Seq, Realm: r.Realm, Time: r.Time}, terms: termsOf(&r), shared: shared}, err
		})
	return append(records, logged...), err
}

// PruneDecisions implements uma.Decisions. Records are removed from the oldest on and
// leave no gap, so that one number says which were removed: the seq of the first that
// is left. A hash chain would store the hash of the last removed record here.
func (s *Store) PruneDecisions(ctx context.Context, before time.Time, limit int) (int, error) {
	removed := 0
	err := s.write(ctx, func(tx *conn) error {
		records, err := oldestRecords(tx, limit)
		if err != nil {
			return reading("old decision records", err)
		}
		sinks, err := allSinks(tx)
		if err != nil {
			return err
		}
		old := make([]rows.OldRecord, len(records))
		for i, r := range records {
			old[i] = r.OldRecord
		}
		var cut []int64
		if removed, cut = rows.Removable(old, sinks, before); removed == 0 {
			return nil
		}
		if err := cutSinks(tx, sinks, cut, records[removed-1].Seq); err != nil {
			return err
		}
		return writing("decision records", removeRecords(tx, records[:removed]))
	})
	return removed, err
}

// removeRecords removes the oldest records, with their rules, the chunks and
// terms of which no record is left, and the shared parts that no other record has.
func removeRecords(tx *conn, records []oldRecord) error {
	last := records[len(records)-1].Seq
	commands := []command{
		{`DELETE FROM decision WHERE seq <= ?`, []any{last}},
		{`DELETE FROM decision_log WHERE seq <= ?`, []any{last}},
		{`DELETE FROM decision_rare WHERE chunk <= ?1 AND last <= ?1`, []any{last}},
		{`DELETE FROM decision_chunk WHERE first <= ?1 AND last <= ?1`, []any{last}},
	}
	shared := map[int64]bool{}
	var terms []string
	for _, r := range records {
		terms = append(terms, r.terms...)
		for _, rule := range r.rules {
			commands = append(commands, command{`DELETE FROM decision_rule WHERE rule = ? AND seq = ?`, []any{rule, r.Seq}})
		}
		if r.shared != 0 && !shared[r.shared] {
			shared[r.shared] = true
			commands = append(commands, command{`DELETE FROM decision_shared WHERE key = ?1
				AND NOT EXISTS (SELECT 1 FROM decision WHERE shared = ?1)
				AND NOT EXISTS (SELECT 1 FROM decision_log WHERE shared = ?1)`, []any{r.shared}})
		}
	}
	return runAll(tx, append(commands, dropTerms(terms, last)...))
}
