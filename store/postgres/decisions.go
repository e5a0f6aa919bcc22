package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"example.com/umpire/uma"
)

const recordColumns = ` seq, id, batch, realm, time, kind, outcome, answered, subject, client, server, resource, revision, request, rules, event `

func scanRecord(scan scanFunc) (uma.Record, error) {
	var r uma.Record
	err := scan(&r.Seq, &r.ID, &r.Batch, &r.Realm, (*moment)(&r.Time), &r.Kind, &r.Outcome, &r.Answered, &r.Subject, &r.Client,
		&r.Server, (*string)(&r.Resource), &r.Revision, &r.Request, (*names)(&r.Rules), &r.Event)
	return r, err
}

// The orders of a search.
const (
	newestFirst = "DESC"
	oldestFirst = "ASC"
)

// maxSeq is beyond every number of a record.
const maxSeq = 1 << 62

// FindDecisions implements uma.Decisions.
func (s *Store) FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) ([]uma.Record, error) {
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		if err := c.hasRecords(f.Before - 1); err != nil {
			return nil, err
		}
		if err := narrowByTime(c, &f); err != nil {
			return nil, err
		}
		return findDecisions(c, f, newestFirst, limit)
	})
}

// decisionPage is how many records EachDecision reads at a time.
const decisionPage = 128

// EachDecision implements uma.Decisions.
func (s *Store) EachDecision(ctx context.Context, f uma.DecisionFilter, each func(*uma.Record) error) error {
	err := s.read(ctx, func(c *conn) error { return narrowByTime(c, &f) })
	for more := err == nil; more; {
		page, err := fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
			return findDecisions(c, f, oldestFirst, decisionPage)
		})
		if err != nil {
			return err
		}
		for i := range page {
			f.After = page[i].Seq
			if err := each(&page[i]); err != nil {
				return err
			}
		}
		more = len(page) == decisionPage
	}
	return err
}

// findDecisions returns the first records that f describes, in an order.
func findDecisions(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
	if f.Rule != "" && f.Request == "" && f.Resource == "" && f.Subject == "" {
		return findByRule(c, f, order, limit)
	}
	return findBetween(c, f, order, limit)
}

// findBetween is findDecisions by the index of the narrowest key of f.
func findBetween(c *conn, f uma.DecisionFilter, order string, limit int) (found []uma.Record, err error) {
	if limit <= 0 {
		return nil, nil
	}
	query, args := selectRecords(f, order, limit)
	err = c.rows(query, args, func(scan scanFunc) error {
		r, err := scanRecord(scan)
		if err != nil {
			return err
		}
		if found = append(found, r); len(found) == limit {
			return errEnough
		}
		return nil
	})
	return found, err
}

// selectRecords returns the statement that finds records. The first key that f has is that of an index,
// whose rows are in the order of seq: see keyRange. The others are compared row by row. They are within a
// CASE, of which PostgreSQL supposes that it is true for half of the rows: it must not use their indexes,
// and must not suppose that so few rows are left that it may as well read all rows of the first key and
// sort them. The limit is a number in the statement for the same reason, rounded up so that there are few
// statements.
func selectRecords(f uma.DecisionFilter, order string, limit int) (string, []any) {
	var args []any
	argument := func(value any) string {
		args = append(args, value)
		return fmt.Sprint("$", len(args))
	}
	after, before := argument(f.After), argument(cmp.Or(f.Before, maxSeq))
	var where, rest []string
	by := `seq ` + order
	for _, key := range [...]struct{ column, value string }{
		{"request", f.Request}, {"resource", string(f.Resource)}, {"subject", f.Subject}, {"revision", f.Revision},
		{"client", f.Client}, {"outcome", f.Outcome}, {"realm", f.Realm},
	} {
		switch {
		case key.value == "":
		case where == nil:
			where = append(where, keyRange(key.column, argument(key.value), after, before))
			by = key.column + ` ` + order + `, seq ` + order
		default:
			rest = append(rest, key.column+` = `+argument(key.value))
		}
	}
	if where == nil {
		where = append(where, `seq > `+after+` AND seq < `+before)
	}
	if f.Rule != "" {
		rest = append(rest, argument(f.Rule)+` = ANY(rules)`)
	}
	if rest != nil {
		where = append(where, `CASE WHEN `+strings.Join(rest, ` AND `)+` THEN true ELSE false END`)
	}
	if !f.Since.IsZero() { // of the months before, nothing is read
		where = append(where, `time >= `+argument(millis(f.Since)))
	}
	if !f.Until.IsZero() {
		where = append(where, `time < `+argument(millis(f.Until)))
	}
	return fmt.Sprint(`SELECT`, recordColumns, `FROM decision WHERE `, strings.Join(where, ` AND `), ` ORDER BY `, by,
		` LIMIT `, 1<<bits.Len(uint(limit-1))), args
}

// keyRange is the condition that a column has a value and seq is within bounds, which are arguments.
// PostgreSQL compares the pairs in the index of both, and orders by them. With two conditions it could
// choose the index of seq, and read all rows of others until it finds one of a rare value.
func keyRange(column, value, after, before string) string {
	condition := fmt.Sprintf(`(%[1]s, seq) > (%[2]s, %[3]s) AND (%[1]s, seq) < (%[2]s, %[4]s)`, column, value, after, before)
	switch column {
	case "request", "resource": // the condition of the index
		condition += ` AND ` + column + ` <> ''`
	}
	return condition
}

// Decision implements uma.Decisions.
func (s *Store) Decision(ctx context.Context, id string) (*uma.Record, error) {
	return fetchOnce(ctx, s, "decision record", func(c *conn) (*uma.Record, error) {
		r, err := oneRow(c, `SELECT`+recordColumns+`FROM decision WHERE id = $1`, []any{id}, scanRecord)
		return &r, err
	})
}

// DecisionsAfter implements uma.Decisions. Records in memory are those of this process, up to the first
// that another process has committed.
func (s *Store) DecisionsAfter(ctx context.Context, seq int64, limit int) ([]uma.Record, error) {
	if found := s.recent.After(seq, limit); len(found) > 0 {
		return found, nil
	}
	return fetchOnce(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		return findBetween(c, uma.DecisionFilter{After: seq}, oldestFirst, limit)
	})
}

// LastDecision implements uma.Decisions.
func (s *Store) LastDecision(ctx context.Context) (int64, error) {
	return fetchOnce(ctx, s, "the last decision record", lastRecord)
}

// lastRecord returns the number of the last record, also if that was removed.
func lastRecord(c *conn) (seq int64, err error) {
	err = c.row(`SELECT value FROM counter WHERE name = 'decision'`, nil, &seq)
	return seq, err
}

// findByRule is findDecisions among the records of spans that have a rule, and among those that are of
// no span yet.
func findByRule(c *conn, f uma.DecisionFilter, order string, limit int) (found []uma.Record, err error) {
	f.Before = cmp.Or(f.Before, maxSeq)
	search := func(after, before int64) error {
		part := f
		part.After, part.Before = max(after, f.After), min(before, f.Before)
		more, err := findBetween(c, part, order, limit-len(found))
		found = append(found, more...)
		if err == nil && len(found) >= limit {
			err = errEnough
		}
		return err
	}
	end, err := lastSpan(c)
	if err != nil {
		return nil, err
	}
	parts := []func() error{
		func() error { return eachSpan(c, f, order, search) },
		func() error { return search(end, maxSeq) },
	}
	if order == newestFirst {
		parts[0], parts[1] = parts[1], parts[0]
	}
	if err = parts[0](); err == nil {
		err = parts[1]()
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}
