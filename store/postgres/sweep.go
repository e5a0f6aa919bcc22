package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const (
	// sweepBatch is how many rows of a kind a sweep deletes in one transaction, so that what waits
	// for one of them does not wait long.
	sweepBatch = 500

	// revocationsLonger is how much longer than its token a revocation is kept. If the
	// clock was ahead and other rows were swept too early, that fails closed: a token
	// without its session or row is inactive. Without its revocation a token would be
	// active again.
	revocationsLonger = 24 * time.Hour

	// assertionsLonger is the same of spent assertions, which are many: they are valid for five
	// minutes at most, and so long a clock may have been ahead.
	assertionsLonger = 10 * time.Minute
)

// Sweep deletes rows that have expired or ended: tickets, spent tickets, refresh tokens,
// revocations, spent assertions, RPTs, sessions, retired keys, denied requests that are older
// than the realm's resubmit_after, and rows of dropped resources. It returns how many rows it
// deleted, also with an error.
//
// Each transaction deletes a batch of every kind. Several servers may sweep at a time: they wait
// for each other's batches, and find that those rows are gone: the one that waited may leave rows to
// the next sweep.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	refusals, err := s.oldRefusals(ctx, now)
	if err != nil {
		return 0, err
	}
	steps := append(append(expiredRows(now), droppedRows()...), refusals...)
	for removed := 0; ; {
		var deleted []int
		err := s.write(ctx, func(tx *conn) (err error) {
			deleted, err = tx.all(steps...)
			return err
		})
		if err != nil {
			return removed, writing("rows to sweep", err)
		}
		most := 0
		for _, n := range deleted {
			removed, most = removed+n, max(most, n)
		}
		if most < sweepBatch {
			return removed, nil
		}
	}
}

// expiredRows returns the commands that delete rows by their own times, and sessions that have ended.
func expiredRows(now time.Time) []command {
	at := rows.Millis(now)
	return []command{
		expired(`ticket`, `expires`, at),
		expired(`refresh_token`, `expires`, at),
		expired(`revocation`, `expires`, rows.Millis(now.Add(-revocationsLonger))),
		expired(`spent_assertion`, `expires`, rows.Millis(now.Add(-assertionsLonger))),
		expired(`rpt`, `keep`, at),
		expired(`spent_ticket`, `expires`, at),
		expired(`session`, `expires`, at),
		{query: fmt.Sprintf(`DELETE FROM session WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM session WHERE ended LIMIT %d))`, sweepBatch)},
		{query: fmt.Sprintf(`DELETE FROM signing_key WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM signing_key WHERE NOT active AND expires <= $1 LIMIT %d))`, sweepBatch), args: []any{at}},
	}
}

// expired is the command that deletes a batch of the rows of a table whose time is over. They are
// found by an index, and deleted by their place (ctid): that costs the same however large the table
// is, and whatever its statistics say. Another transaction may give a row more time while the command
// waits for it, so the time is compared again, with + 0 because the index is not to be used for that.
// (PostgreSQL 15.18 leaves out a row that has moved; earlier releases look at the condition alone.)
func expired(table, column string, at int64) command {
	return command{query: fmt.Sprintf(`DELETE FROM %[1]s WHERE ctid = ANY(ARRAY(
		SELECT ctid FROM %[1]s WHERE %[2]s <= $1 LIMIT %[3]d)) AND %[2]s + 0 <= $1`, table, column, sweepBatch), args: []any{at}}
}

// droppedRows returns the commands that delete rows of dropped resources, and entries
// of dropped that have no rows left. LIMIT and OFFSET keep each look-up by a resource where it is
// written: dropped is nearly always empty, which its statistics do not say.
func droppedRows() []command {
	return []command{
		{query: fmt.Sprintf(`DELETE FROM request WHERE key = ANY(ARRAY(SELECT q.key FROM dropped d
			CROSS JOIN LATERAL (SELECT key FROM request WHERE resource = d.resource LIMIT %[1]d) q LIMIT %[1]d))`, sweepBatch)},
		{query: fmt.Sprintf(`DELETE FROM share_party WHERE ctid = ANY(ARRAY(SELECT x.place FROM dropped d
			CROSS JOIN LATERAL (SELECT ctid AS place FROM share_party WHERE resource = d.resource LIMIT %[1]d) x LIMIT %[1]d))`, sweepBatch)},
		{query: fmt.Sprintf(`DELETE FROM dropped WHERE resource = ANY(ARRAY(SELECT resource FROM dropped d
			WHERE NOT EXISTS (SELECT 1 FROM request q WHERE q.resource = d.resource OFFSET 0)
			AND NOT EXISTS (SELECT 1 FROM share_party x WHERE x.resource = d.resource OFFSET 0) LIMIT %d))`, sweepBatch)},
	}
}

// oldRefusals returns the command that deletes denied requests: how long one is kept is a setting of
// its realm. They are read in the order of their times.
func (s *Store) oldRefusals(ctx context.Context, now time.Time) ([]command, error) {
	return fetch(ctx, s, "realms", func(c *conn) ([]command, error) {
		var keys, until []int64
		latest := int64(0)
		err := c.rows(`SELECT key, settings FROM realm`, nil, func(scan scanFunc) error {
			var r uma.Realm
			var settings string
			if err := scan(&r.Key, &settings); err != nil {
				return err
			}
			if err := rows.ReadSettings(settings, &r); err != nil {
				return err
			}
			at := rows.Millis(now.Add(-r.Policy.ResubmitAfter))
			keys, until, latest = append(keys, int64(r.Key)), append(until, at), max(latest, at)
			return nil
		})
		if err != nil || len(keys) == 0 {
			return nil, err
		}
		return []command{{query: fmt.Sprintf(`DELETE FROM request q WHERE `+refused+` AND q.key = ANY(ARRAY(SELECT q.key FROM request q
			JOIN client c ON c.key = q.server JOIN unnest($1::bigint[], $2::bigint[]) x (realm, until) ON x.realm = c.realm
			WHERE q.state = 'denied' AND q.decided <= $3 AND q.decided <= x.until ORDER BY q.decided LIMIT %d))`, sweepBatch),
			args: []any{keys, until, latest}}}, nil
	})
}
