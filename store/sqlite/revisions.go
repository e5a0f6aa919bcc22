package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// ActivatePolicy implements uma.Revisions.
func (s *Store) ActivatePolicy(ctx context.Context, a *uma.Activation) (uma.Key, error) {
	files, err := rows.PackFiles(a.Revision)
	if err != nil {
		return 0, writing("policy revision", err)
	}
	var key uma.Key
	err = s.write(ctx, func(tx *conn) error {
		state, err := policyState(tx, a.Revision.Realm)
		if err != nil {
			return err
		}
		active, err := rows.Replaced(a, state)
		key = active.Key
		if err != nil {
			return err
		}
		if a.Proposed {
			if err := takeProposal(tx, a); err != nil || active.Revision == a.Revision.Hash {
				return err
			}
		}
		key, err = beginPeriod(tx, a, files)
		return err
	})
	if err != nil {
		return 0, err
	}
	return key, nil
}

// takeProposal remembers the content that is taken. If its revision is in force already,
// the period has a content from now on that is known.
func takeProposal(tx *conn, a *uma.Activation) error {
	return writing("policy proposal", runAll(tx, []command{
		{`INSERT INTO policy_proposal (realm, taken) VALUES (?, ?) ON CONFLICT DO UPDATE
			SET taken = excluded.taken, content = '', source = '', at = 0, problem = '', report = ''`, []any{a.Revision.Realm, a.Content}},
		{`UPDATE policy_period SET content = ? WHERE realm = ? AND until = 0 AND revision = ?`,
			[]any{a.Content, a.Revision.Realm, a.Revision.Hash}},
	}))
}

// beginPeriod ends the period in force and begins the next. RPTs have the generation that
// their grant rests on, so that those granted until now are found by it.
func beginPeriod(tx *conn, a *uma.Activation, files []rows.File) (uma.Key, error) {
	r := a.Revision
	if err := saveRevision(tx, r, files); err != nil {
		return 0, err
	}
	err := runAll(tx, []command{
		{`UPDATE policy_period SET until = ? WHERE realm = ? AND until = 0`, []any{rows.Millis(r.Since), r.Realm}},
		{`INSERT INTO policy_period (realm, revision, content, since, until, author, source, note, pinned, confirm_by, report)
			VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
			[]any{r.Realm, r.Hash, a.Content, rows.Millis(r.Since), a.By, a.Source, a.Note, a.Pinned, rows.Millis(a.ConfirmBy), a.Report}},
	})
	if err != nil {
		return 0, writing("policy period", err)
	}
	var key, realm uma.Key
	if err := tx.row(`SELECT key FROM policy_period WHERE realm = ? AND until = 0`, []any{r.Realm}, (*integer)(&key)); err != nil {
		return 0, reading("policy period", err)
	}
	switch err := tx.row(`SELECT key FROM realm WHERE name = ?`, []any{r.Realm}, (*integer)(&realm)); {
	case errors.Is(err, uma.ErrNotFound):
		return key, nil
	case err != nil:
		return 0, reading("realm "+r.Realm, err)
	}
	for _, hash := range a.Withdrawn {
		_, err := tx.exec(`INSERT INTO withdrawn_revision (realm, revision, generation) SELECT key, ?, generation FROM realm WHERE key = ?
			ON CONFLICT DO UPDATE SET generation = excluded.generation`, hash, int64(realm))
		if err != nil {
			return 0, writing("withdrawn revision", err)
		}
	}
	return key, raiseGeneration(tx, realm)
}

// ReleasePolicy implements uma.Revisions. The generation of the realm stays, because what
// is decided does not change.
func (s *Store) ReleasePolicy(ctx context.Context, realm string) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`UPDATE policy_period SET pinned = 0 WHERE realm = ? AND until = 0`, realm)
		switch {
		case err != nil:
			return writing("policy period", err)
		case n == 0:
			return fmt.Errorf("policy of realm %s: %w", realm, uma.ErrNotFound)
		}
		_, err = tx.exec(`UPDATE counter SET value = value + 1 WHERE name = 'generation'`)
		return writing("generation", err)
	})
}

// ConfirmPolicy implements uma.Revisions.
func (s *Store) ConfirmPolicy(ctx context.Context, realm string, period uma.Key, note string, now time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`UPDATE policy_period SET confirm_by = 0, note = ? WHERE key = ? AND realm = ? AND until = 0 AND confirm_by > ?`,
			note, int64(period), realm, rows.Millis(now))
		switch {
		case err != nil:
			return writing("policy period", err)
		case n == 0:
			return fmt.Errorf("unconfirmed policy of realm %s: %w", realm, uma.ErrNotFound)
		}
		_, err = tx.exec(`UPDATE counter SET value = value + 1 WHERE name = 'generation'`)
		return writing("generation", err)
	})
}

// NoteProposal implements uma.Revisions.
func (s *Store) NoteProposal(ctx context.Context, realm string, p uma.Proposal) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO policy_proposal (realm, content, source, at, problem, report) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET content = excluded.content, source = excluded.source, at = excluded.at, problem = excluded.problem,
			report = excluded.report`, realm, p.Content, p.Source, rows.Millis(p.At), p.Problem, p.Report)
		return writing("policy proposal", err)
	})
}

// PolicyState implements uma.Revisions.
func (s *Store) PolicyState(ctx context.Context, realm string) (*uma.PolicyState, error) {
	return fetch(ctx, s, "policy of realm "+realm, func(c *conn) (*uma.PolicyState, error) { return policyState(c, realm) })
}

func policyState(c *conn, realm string) (*uma.PolicyState, error) {
	state := &uma.PolicyState{}
	active, err := list(c, `SELECT`+periodColumns+`FROM policy_period WHERE realm = ? AND until = 0`, []any{realm}, scanPeriod)
	if err != nil {
		return nil, reading("policy period", err)
	}
	if len(active) > 0 {
		state.Active = &active[0]
	}
	w := &state.Waiting
	err = c.row(`SELECT taken, content, source, at, problem, report FROM policy_proposal WHERE realm = ?`, []any{realm},
		&state.Taken, &w.Content, &w.Source, (*moment)(&w.At), &w.Problem, &w.Report)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return nil, reading("policy proposal", err)
	}
	return state, nil
}

// PolicyPeriods implements uma.Revisions.
func (s *Store) PolicyPeriods(ctx context.Context, realm string, before uma.Key, limit int) ([]uma.Period, error) {
	return fetch(ctx, s, "policy periods", func(c *conn) ([]uma.Period, error) {
		return list(c, `SELECT`+periodColumns+`FROM policy_period WHERE realm = ?1 AND (?2 = 0 OR key < ?2) ORDER BY key DESC LIMIT ?3 + 0`,
			[]any{realm, int64(before), limit}, scanPeriod)
	})
}

const periodColumns = ` key, realm, revision, content, since, until, author, source, note, pinned, confirm_by, report `

func scanPeriod(scan scanFunc) (uma.Period, error) {
	var p uma.Period
	err := scan((*integer)(&p.Key), &p.Realm, &p.Revision, &p.Content, (*moment)(&p.Since), (*moment)(&p.Until),
		&p.By, &p.Source, &p.Note, &p.Pinned, (*moment)(&p.ConfirmBy), &p.Report)
	return p, err
}

// RevisionInForce implements uma.Revisions.
func (s *Store) RevisionInForce(ctx context.Context, realm string) (*uma.Revision, error) {
	return s.revisionBy(ctx, "policy in force of realm "+realm, func(c *conn, r *storedRevision) error {
		r.Realm = realm
		return c.row(`SELECT r.key, r.hash, r.opa, r.umpire, p.since FROM policy_period p JOIN revision r ON r.realm = p.realm AND r.hash = p.revision
			WHERE p.realm = ? AND p.until = 0`, []any{realm}, &r.key, &r.Hash, &r.OPA, &r.Umpire, (*moment)(&r.Since))
	})
}

// Revision implements uma.Revisions.
func (s *Store) Revision(ctx context.Context, realm, hash string) (*uma.Revision, error) {
	return s.revisionBy(ctx, "policy revision", func(c *conn, r *storedRevision) error {
		r.Realm, r.Hash = realm, hash
		return c.row(`SELECT key, opa, umpire, since FROM revision WHERE realm = ? AND hash = ?`,
			[]any{realm, hash}, &r.key, &r.OPA, &r.Umpire, (*moment)(&r.Since))
	})
}

// revisionGrace is how long a revision stays after another replaced it: decisions in
// progress may still be stored with its hash.
const revisionGrace = 15 * time.Second

// revisionsAtOnce is how many revisions are removed at a time: each may have thousands of
// files.
const revisionsAtOnce = 10

// maxUnindexed is how many records may not be indexed yet when revisions are removed: the
// writer reads them one by one, and everybody waits for it.
const maxUnindexed = 10_000

// PruneRevisions implements uma.Revisions. A revision stays, too, if a record of another realm
// names its hash: the index of records does not have their realms. While very many records are
// not indexed, all stay.
func (s *Store) PruneRevisions(ctx context.Context, now time.Time) (int, error) {
	var removed int
	err := s.write(ctx, func(tx *conn) error {
		named, few, err := unindexedRevisions(tx)
		if err != nil || !few {
			return err
		}
		keys, err := list(tx, `WITH kept AS MATERIALIZED (
				SELECT realm, revision FROM policy_period WHERE until = 0 OR until > ?1
				UNION SELECT realm, revision FROM (
					SELECT realm, revision, row_number() OVER (PARTITION BY realm ORDER BY max(key) DESC) AS nth
					FROM policy_period GROUP BY realm, revision) WHERE nth <= ?2)
			SELECT r.key FROM revision r WHERE (r.realm, r.hash) NOT IN kept
			AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.revision = r.hash)
			AND NOT EXISTS (SELECT 1 FROM decision_common t WHERE t.term = ?4 || r.hash)
			AND r.hash NOT IN (SELECT value FROM json_each(?5)) LIMIT ?3 + 0`,
			[]any{rows.Millis(now.Add(-revisionGrace)), uma.KeepRevisions, revisionsAtOnce, byRevision, rows.ListText(named)}, scanKey)
		if err != nil {
			return reading("policy revisions that no record names", err)
		}
		for _, key := range keys {
			if err := deleteRevision(tx, int64(key)); err != nil {
				return err
			}
		}
		removed = len(keys)
		return nil
	})
	return removed, err
}

// unindexedRevisions returns the revisions that records name which are not indexed, and
// whether these are few enough to be read.
func unindexedRevisions(c *conn) (named []string, few bool, err error) {
	n := 0
	err = eachUnindexed(c, 0, func(r *uma.Record) bool {
		if !slices.Contains(named, r.Revision) {
			named = append(named, r.Revision)
		}
		n++
		return n <= maxUnindexed
	})
	return named, n <= maxUnindexed, err
}
