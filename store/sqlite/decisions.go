package sqlite

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// FindDecisions implements uma.Decisions.
func (s *Store) FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) ([]uma.Record, error) {
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		from, err := firstSince(c, f.Since)
		if err != nil {
			return nil, err
		}
		f.After = max(f.After, from-1)
		return findDecisions(c, f, newestFirst, limit)
	})
}

// decisionPage is how many records EachDecision reads at a time.
const decisionPage = 100

// EachDecision implements uma.Decisions.
func (s *Store) EachDecision(ctx context.Context, f uma.DecisionFilter, each func(*uma.Record) error) error {
	err := s.read(ctx, func(c *conn) error {
		from, err := firstSince(c, f.Since)
		f.After = max(f.After, from-1)
		if err == nil && !f.Until.IsZero() {
			var last int64
			last, err = lastUntil(c, f.Until)
			f.Before = min(last+1, cmp.Or(f.Before, last+1))
		}
		return reading("decision records", err)
	})
	if err != nil {
		return err
	}
	next := func(c *conn) ([]uma.Record, bool, error) {
		page, err := findDecisions(c, f, oldestFirst, decisionPage)
		if len(page) > 0 {
			f.After = page[len(page)-1].Seq
		}
		return page, len(page) == decisionPage, reading("decision records", err)
	}
	return eachPage(ctx, s, next, func(r uma.Record) error { return each(&r) })
}

// firstSince returns a number that is not beyond the first record that is not older than
// since, by which the search need not begin with the oldest; 0 without a time. The + keeps
// SQLite from searching the table from the other end.
func firstSince(c *conn, since time.Time) (seq int64, err error) {
	if !since.IsZero() {
		err = c.row(`SELECT coalesce((SELECT min(+seq) FROM decision WHERE time >= ?1),
			(SELECT min(+first) FROM decision_chunk WHERE latest >= ?1),
			(SELECT last + 1 FROM decision_chunk WHERE first = (SELECT max(first) FROM decision_chunk)),
			(SELECT max(seq) + 1 FROM decision), 0)`,
			[]any{rows.Millis(since)}, &seq)
	}
	return seq, err
}

// lastUntil returns a number that is not before that of the last record that is older than
// until.
func lastUntil(c *conn, until time.Time) (seq int64, err error) {
	err = eachUnindexed(c, 0, func(r *uma.Record) bool {
		if rows.Millis(r.Time) < rows.Millis(until) {
			seq = r.Seq
		}
		return true
	})
	if err != nil || seq > 0 {
		return seq, err
	}
	return lastIndexedUntil(c, until)
}

// lastIndexedUntil is lastUntil without the records that are not indexed.
func lastIndexedUntil(c *conn, until time.Time) (seq int64, err error) {
	err = c.row(`SELECT coalesce(
		(SELECT last FROM decision_chunk WHERE first = (SELECT max(+first) FROM decision_chunk WHERE earliest < ?1)),
		(SELECT max(+seq) FROM decision WHERE time < ?1), 0)`, []any{rows.Millis(until)}, &seq)
	return seq, err
}

// The orders of a search.
const (
	newestFirst = "DESC"
	oldestFirst = "ASC"
)

// findDecisions searches the records of earlier schemas, those that are indexed and those
// that are not: they follow each other.
func findDecisions(c *conn, f uma.DecisionFilter, order string, limit int) (found []uma.Record, err error) {
	parts := []func(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error){findOld, walkLog}
	if term := termOf(&f); term != "" {
		end, err := indexedUpTo(c)
		if err != nil {
			return nil, err
		}
		rest := f
		rest.After = max(f.After, end)
		parts = append(parts[:1], findByTerm(term), func(c *conn, _ uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
			return walkLog(c, rest, order, limit)
		})
	}
	if order == newestFirst {
		slices.Reverse(parts)
	}
	for i := 0; i < len(parts) && len(found) < limit; i++ {
		more, err := parts[i](c, f, order, limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// Decision implements uma.Decisions.
func (s *Store) Decision(ctx context.Context, id string) (*uma.Record, error) {
	return fetch(ctx, s, "decision record", func(c *conn) (*uma.Record, error) {
		seq, err := numberOf(c, id)
		if errors.Is(err, uma.ErrNotFound) {
			r, err := oneRow(c, `SELECT`+recordColumns+`FROM decision WHERE id = ?`, []any{id}, scanRecord)
			return &r, err
		}
		if err != nil {
			return nil, err
		}
		found, err := walkLog(c, uma.DecisionFilter{After: seq - 1}, oldestFirst, 1)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0].ID != id {
			return nil, uma.ErrNotFound
		}
		return &found[0], nil
	})
}

// numberOf returns the number of the record with an id, indexed or not.
func numberOf(c *conn, id string) (seq int64, err error) {
	within := func(after, before int64) error {
		return eachTermRow(c, byID+id, after, before, newestFirst, func(seqs []int64) error {
			seq = seqs[0]
			return errEnough
		})
	}
	after, before, err := around(c, id)
	if err == nil {
		err = within(after, before)
	}
	if err == nil && seq == 0 {
		err = eachUnindexed(c, 0, func(r *uma.Record) bool {
			if r.ID == id {
				seq = r.Seq
			}
			return seq == 0
		})
	}
	if err == nil && seq == 0 {
		err = within(0, maxSeq)
	}
	if err == nil && seq == 0 {
		err = uma.ErrNotFound
	}
	return seq, err
}

// around returns the numbers between which the index has the record with an id that begins with
// the time of its making (RFC 9562 §5.7), unless a clock was wrong. For other ids there are none
// between them.
func around(c *conn, id string) (after, before int64, err error) {
	made, err := uuid.Parse(id)
	if err != nil || made.Version() != 7 {
		return 0, 0, nil
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(made[:8]) >> 16))
	first, err := firstSince(c, at.Add(-aroundTime))
	if err != nil {
		return 0, 0, err
	}
	last, err := lastIndexedUntil(c, at.Add(aroundTime))
	return first - 1, last + 1, err
}

// aroundTime is more than the time between the making of an id and that of its record.
const aroundTime = time.Minute

// DecisionsAfter implements uma.Decisions.
func (s *Store) DecisionsAfter(ctx context.Context, seq int64, limit int) ([]uma.Record, error) {
	if found := s.recent.After(seq, limit); len(found) > 0 {
		return found, nil
	}
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		return findDecisions(c, uma.DecisionFilter{After: seq}, oldestFirst, limit)
	})
}

// LastDecision implements uma.Decisions.
func (s *Store) LastDecision(ctx context.Context) (int64, error) {
	return fetch(ctx, s, "the last decision record", lastRecord)
}
