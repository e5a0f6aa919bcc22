package sqlite

import (
	"context"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// sweepBatch is how many rows a sweep deletes in one commit, so that other writes do
// not wait long.
const sweepBatch = 200

// revocationsLonger is how much longer than its token a revocation is kept. If the
// clock was ahead and other rows were swept too early, that fails closed: a token
// without its session or row is inactive. Without its revocation a token would be
// active again.
const revocationsLonger = 24 * time.Hour

// assertionsLonger is the same of spent assertions, which are many: they are valid for five
// minutes at most, and so long a clock may have been ahead.
const assertionsLonger = 10 * time.Minute

// Sweep deletes rows that have expired or ended: tickets, spent tickets, refresh
// tokens, revocations, spent assertions, RPTs, sessions, retired keys, denied requests that are older
// than the realm's resubmit_after, and rows of dropped resources. It returns how many
// rows it deleted, also with an error.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	at := rows.Millis(now)
	steps := []command{
		{`DELETE FROM ticket WHERE (realm, hash) IN
			(SELECT realm, hash FROM ticket WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM refresh_token WHERE (realm, hash) IN
			(SELECT realm, hash FROM refresh_token WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM revocation WHERE (realm, jti) IN
			(SELECT realm, jti FROM revocation WHERE expires <= ? LIMIT ? + 0)`, []any{rows.Millis(now.Add(-revocationsLonger)), sweepBatch}},
		{`DELETE FROM spent_assertion WHERE (realm, client, id) IN
			(SELECT realm, client, id FROM spent_assertion WHERE expires <= ? LIMIT ? + 0)`, []any{rows.Millis(now.Add(-assertionsLonger)), sweepBatch}},
		{`DELETE FROM rpt WHERE (realm, jti) IN
			(SELECT realm, jti FROM rpt WHERE keep <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM spent_ticket WHERE (realm, hash) IN
			(SELECT realm, hash FROM spent_ticket WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM session WHERE (realm, id) IN
			(SELECT realm, id FROM session WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM session WHERE (realm, id) IN
			(SELECT realm, id FROM session WHERE ended = 1 LIMIT ? + 0)`, []any{sweepBatch}},
		{`DELETE FROM signing_key WHERE (realm, kid) IN
			(SELECT realm, kid FROM signing_key WHERE active = 0 AND expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
	}
	refusals, err := s.oldRefusals(ctx, now)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, cmd := range slices.Concat(steps, droppedRows(), refusals) {
		n, err := s.sweep(ctx, cmd)
		removed += n
		if err != nil {
			return removed, writing("rows to sweep", err)
		}
	}
	return removed, nil
}

// oldRefusals returns a command for each realm: how long a denied request is kept is a
// setting of the realm.
func (s *Store) oldRefusals(ctx context.Context, now time.Time) ([]command, error) {
	var steps []command
	err := s.read(ctx, func(c *conn) error {
		realms, err := texts[string](c, `SELECT name FROM realm`)
		if err != nil {
			return reading("realms", err)
		}
		for _, name := range realms {
			r, _, err := realmRow(c, name)
			if err != nil {
				return err
			}
			steps = append(steps, refusalsOf(r, now))
		}
		return nil
	})
	return steps, err
}

// refusalsOf reads denied requests in the order of their times, which the CROSS JOIN
// demands.
func refusalsOf(r *uma.Realm, now time.Time) command {
	return command{`DELETE FROM request WHERE key IN (SELECT q.key FROM request q CROSS JOIN client c ON c.key = q.server
		WHERE q.state = 'denied' AND q.decided <= ? AND c.realm = ? LIMIT ? + 0)`,
		[]any{rows.Millis(now.Add(-r.Policy.ResubmitAfter)), int64(r.Key), sweepBatch}}
}

// sweep repeats a command until it deletes less than a batch.
func (s *Store) sweep(ctx context.Context, cmd command) (int, error) {
	removed := 0
	for {
		var n int
		err := s.write(ctx, func(tx *conn) error {
			var err error
			n, err = tx.exec(cmd.query, cmd.args...)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += n
		if n < sweepBatch {
			return removed, nil
		}
	}
}
