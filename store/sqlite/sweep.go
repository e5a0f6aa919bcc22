package sqlite

import (
	"context"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// sweepBatch is how many rows a sweep removes at a time, so that nobody waits long
// behind it.
const sweepBatch = 200

// revocationsLonger is how much longer than its token a revocation is kept. Other rows
// that were swept by a clock that was ahead fail closed: a token without its session or
// row is inactive. Without its revocation a token would be active again.
const revocationsLonger = 24 * time.Hour

// Sweep removes what is of no use any more: expired and spent tickets, refresh tokens,
// revocations and RPT rows, sessions that are over, refusals that the realm no
// longer remembers, retired keys that have expired, and what is left of resources
// that had very much. It returns how many rows it removed, also when it ends with an
// error.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	at := millis(now)
	steps := []change{
		{`DELETE FROM ticket WHERE (realm, hash) IN
			(SELECT realm, hash FROM ticket WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM refresh_token WHERE (realm, hash) IN
			(SELECT realm, hash FROM refresh_token WHERE expires <= ? LIMIT ? + 0)`, []any{at, sweepBatch}},
		{`DELETE FROM revocation WHERE (realm, jti) IN
			(SELECT realm, jti FROM revocation WHERE expires <= ? LIMIT ? + 0)`, []any{millis(now.Add(-revocationsLonger)), sweepBatch}},
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
	for _, step := range slices.Concat(steps, droppedRows(), refusals) {
		n, err := s.sweep(ctx, step)
		removed += n
		if err != nil {
			return removed, writing("what is swept", err)
		}
	}
	return removed, nil
}

// oldRefusals returns a step for each realm: how long an owner's refusal is
// remembered is a setting of the realm.
func (s *Store) oldRefusals(ctx context.Context, now time.Time) ([]change, error) {
	var steps []change
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

// refusalsOf walks the index of refusals by their time, which the CROSS JOIN says.
func refusalsOf(r *uma.Realm, now time.Time) change {
	return change{`DELETE FROM request WHERE key IN (SELECT q.key FROM request q CROSS JOIN client c ON c.key = q.server
		WHERE q.state = 'denied' AND q.decided <= ? AND c.realm = ? LIMIT ? + 0)`,
		[]any{millis(now.Add(-r.Policy.ResubmitAfter)), int64(r.Key), sweepBatch}}
}

// sweep repeats a step until it finds less than a batch.
func (s *Store) sweep(ctx context.Context, step change) (int, error) {
	removed := 0
	for {
		var n int
		err := s.write(ctx, func(tx *conn) error {
			var err error
			n, err = tx.exec(step.query, step.args...)
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
