package sqlite

import (
	"context"
	"time"
)

// revisionGrace is how long a revision stays after another replaced it: decisions in
// progress may still be stored with its hash.
const revisionGrace = 15 * time.Second

// revisionsAtOnce is how many revisions are removed at a time: each has all sources of
// a policy.
const revisionsAtOnce = 10

// An oldRecord is what removeRecords needs of a record.
type oldRecord struct {
	seq    int64
	time   time.Time
	rules  []string
	shared int64 // 0: nothing
}

func scanOldRecord(scan scanFunc) (r oldRecord, err error) {
	err = scan(&r.seq, (*moment)(&r.time), (*names)(&r.rules), &r.shared)
	return r, err
}

// PruneDecisions implements uma.Decisions. Records are removed from the oldest on and
// leave no gap, so that one number says which were removed: the seq of the first that
// is left. A hash chain would store the hash of the last removed record here.
func (s *Store) PruneDecisions(ctx context.Context, before time.Time, limit int) (int, error) {
	removed := 0
	err := s.write(ctx, func(tx *conn) error {
		records, err := list(tx, `SELECT seq, time, rules, coalesce(shared, 0) FROM decision WHERE seq > 0 ORDER BY seq LIMIT ? + 0`,
			[]any{limit}, scanOldRecord)
		if err != nil {
			return reading("old decision records", err)
		}
		removed = 0
		for removed < len(records) && millis(records[removed].time) < millis(before) {
			removed++
		}
		if removed == 0 {
			return nil
		}
		return writing("decision records", removeRecords(tx, records[:removed]))
	})
	return removed, err
}

// removeRecords removes the oldest records, with their rules and the shared parts that
// no other record has.
func removeRecords(tx *conn, records []oldRecord) error {
	commands := []command{{`DELETE FROM decision WHERE seq <= ?`, []any{records[len(records)-1].seq}}}
	shared := map[int64]bool{}
	for _, r := range records {
		for _, rule := range r.rules {
			commands = append(commands, command{`DELETE FROM decision_rule WHERE rule = ? AND seq = ?`, []any{rule, r.seq}})
		}
		if r.shared != 0 && !shared[r.shared] {
			shared[r.shared] = true
			commands = append(commands, command{`DELETE FROM decision_shared WHERE key = ?1
				AND NOT EXISTS (SELECT 1 FROM decision WHERE shared = ?1)`, []any{r.shared}})
		}
	}
	return runAll(tx, commands)
}

// PruneRevisions implements uma.Decisions.
func (s *Store) PruneRevisions(ctx context.Context, now time.Time) (int, error) {
	var removed int
	err := s.write(ctx, func(tx *conn) error {
		hashes, err := texts[string](tx, `SELECT r.hash FROM revision r WHERE r.replaced <= ?
			AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.revision = r.hash)
			AND r.hash NOT IN (SELECT hash FROM policy_in_force) LIMIT ? + 0`, millis(now.Add(-revisionGrace)), revisionsAtOnce)
		if err != nil {
			return reading("policy revisions that no record names", err)
		}
		var commands []command
		for _, hash := range hashes {
			commands = append(commands, command{`DELETE FROM revision WHERE hash = ?`, []any{hash}})
		}
		removed = len(hashes)
		return writing("policy revisions", runAll(tx, commands))
	})
	return removed, err
}
