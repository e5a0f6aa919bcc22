package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// lockPolicies locks the policies of realms until the transaction ends, so that one change follows the
// other. The row of a proposal is that lock: a realm may have a policy before the realm is made.
func lockPolicies(tx *conn, realms ...string) error {
	_, err := tx.exec(`INSERT INTO policy_proposal (realm) SELECT DISTINCT x.realm FROM unnest($1::text[]) x (realm) ORDER BY 1
		ON CONFLICT (realm) DO UPDATE SET taken = policy_proposal.taken`, realms)
	return writing("policy proposal", err)
}

// ActivatePolicy implements uma.Revisions.
func (s *Store) ActivatePolicy(ctx context.Context, a *uma.Activation) (uma.Key, error) {
	files, err := rows.PackFiles(a.Revision)
	if err != nil {
		return 0, writing("policy revision", err)
	}
	var key uma.Key
	err = s.write(ctx, func(tx *conn) error {
		if err := lockPolicies(tx, a.Revision.Realm); err != nil {
			return err
		}
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

// takeProposal remembers the content that is taken. If its revision is in force already, the period has
// a content from now on that is known.
func takeProposal(tx *conn, a *uma.Activation) error {
	_, err := tx.all(
		command{query: `UPDATE policy_proposal SET taken = $2, content = '', source = '', at = 0, problem = '', report = '' WHERE realm = $1`,
			args: []any{a.Revision.Realm, a.Content}},
		command{query: `UPDATE policy_period SET content = $1 WHERE realm = $2 AND until = 0 AND revision = $3`,
			args: []any{a.Content, a.Revision.Realm, a.Revision.Hash}})
	return writing("policy proposal", err)
}

// beginPeriod ends the period in force and begins the next. RPTs have the generation that their grant
// rests on, so that those granted until now are found by it. A grant that is committed before the
// period ends with the revision, because it has this generation; one that comes later finds another.
func beginPeriod(tx *conn, a *uma.Activation, files []rows.File) (uma.Key, error) {
	r := a.Revision
	if err := saveRevision(tx, r, files); err != nil {
		return 0, err
	}
	var key uma.Key
	_, err := tx.all(
		command{query: `UPDATE policy_period SET until = $1 WHERE realm = $2 AND until = 0`, args: []any{millis(r.Since), r.Realm}},
		command{query: `INSERT INTO policy_period (realm, revision, content, since, until, author, source, note, pinned, confirm_by, report)
			VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10) RETURNING key`,
			args: []any{r.Realm, r.Hash, a.Content, millis(r.Since), a.By, a.Source, a.Note, a.Pinned, millis(a.ConfirmBy), a.Report},
			dest: []any{&key}})
	if err != nil {
		return 0, writing("policy period", err)
	}
	var realm uma.Key
	var generation int64
	switch err := tx.row(`SELECT key, generation FROM realm WHERE name = $1 FOR NO KEY UPDATE`, []any{r.Realm}, &realm, &generation); {
	case errors.Is(err, uma.ErrNotFound):
		return key, nil
	case err != nil:
		return 0, reading("realm "+r.Realm, err)
	}
	if len(a.Withdrawn) > 0 {
		_, err := tx.exec(`INSERT INTO withdrawn_revision (realm, revision, generation) SELECT DISTINCT $1::bigint, x.hash, $2::bigint
			FROM unnest($3::text[]) x (hash)
			ON CONFLICT (realm, revision) DO UPDATE SET generation = excluded.generation`, realm, generation, a.Withdrawn)
		if err != nil {
			return 0, writing("withdrawn revisions", err)
		}
	}
	return key, raiseGeneration(tx, realm)
}

// raiseAll raises the generation of the store, and of no realm.
const raiseAll = `UPDATE counter SET value = value + 1 WHERE name = 'generation'`

// ReleasePolicy implements uma.Revisions. The generation of the realm stays, because what is decided
// does not change.
func (s *Store) ReleasePolicy(ctx context.Context, realm string) error {
	return s.changePeriod(ctx, realm, fmt.Errorf("policy of realm %s: %w", realm, uma.ErrNotFound),
		`UPDATE policy_period SET pinned = false WHERE realm = $1 AND until = 0`)
}

// ConfirmPolicy implements uma.Revisions.
func (s *Store) ConfirmPolicy(ctx context.Context, realm string, period uma.Key, note string, now time.Time) error {
	return s.changePeriod(ctx, realm, fmt.Errorf("unconfirmed policy of realm %s: %w", realm, uma.ErrNotFound),
		`UPDATE policy_period SET confirm_by = 0, note = $2 WHERE realm = $1 AND key = $3 AND until = 0 AND confirm_by > $4`,
		note, period, millis(now))
}

// changePeriod runs a statement that changes the period in force of the realm $1, or returns missing.
func (s *Store) changePeriod(ctx context.Context, realm string, missing error, query string, args ...any) error {
	return s.write(ctx, func(tx *conn) error {
		if err := lockPolicies(tx, realm); err != nil {
			return err
		}
		n, err := tx.exec(query, append([]any{realm}, args...)...)
		switch {
		case err != nil:
			return writing("policy period", err)
		case n == 0:
			return missing
		}
		_, err = tx.exec(raiseAll)
		return writing("generation", err)
	})
}

// NoteProposal implements uma.Revisions.
func (s *Store) NoteProposal(ctx context.Context, realm string, p uma.Proposal) error {
	err := s.writeAll(ctx, command{query: `INSERT INTO policy_proposal (realm, content, source, at, problem, report) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (realm) DO UPDATE SET content = excluded.content, source = excluded.source, at = excluded.at, problem = excluded.problem,
		report = excluded.report`, args: []any{realm, p.Content, p.Source, millis(p.At), p.Problem, p.Report}})
	return writing("policy proposal", err)
}

// PolicyState implements uma.Revisions.
func (s *Store) PolicyState(ctx context.Context, realm string) (*uma.PolicyState, error) {
	return fetch(ctx, s, "policy of realm "+realm, func(c *conn) (*uma.PolicyState, error) { return policyState(c, realm) })
}

func policyState(c *conn, realm string) (*uma.PolicyState, error) {
	state := &uma.PolicyState{}
	active, err := list(c, `SELECT`+periodColumns+`FROM policy_period WHERE realm = $1 AND until = 0`, []any{realm}, scanPeriod)
	if err != nil {
		return nil, reading("policy period", err)
	}
	if len(active) > 0 {
		state.Active = &active[0]
	}
	w := &state.Waiting
	err = c.row(`SELECT taken, content, source, at, problem, report FROM policy_proposal WHERE realm = $1`, []any{realm},
		&state.Taken, &w.Content, &w.Source, (*moment)(&w.At), &w.Problem, &w.Report)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return nil, reading("policy proposal", err)
	}
	return state, nil
}

// PolicyPeriods implements uma.Revisions.
func (s *Store) PolicyPeriods(ctx context.Context, realm string, before uma.Key, limit int) ([]uma.Period, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return fetch(ctx, s, "policy periods", func(c *conn) ([]uma.Period, error) {
		return list(c, `SELECT`+periodColumns+`FROM policy_period WHERE realm = $1 AND key < $2 ORDER BY key DESC LIMIT $3`,
			[]any{realm, before, limit}, scanPeriod)
	})
}

const periodColumns = ` key, realm, revision, content, since, until, author, source, note, pinned, confirm_by, report `

func scanPeriod(scan scanFunc) (uma.Period, error) {
	var p uma.Period
	err := scan(&p.Key, &p.Realm, &p.Revision, &p.Content, (*moment)(&p.Since), (*moment)(&p.Until),
		&p.By, &p.Source, &p.Note, &p.Pinned, (*moment)(&p.ConfirmBy), &p.Report)
	return p, err
}

// RevisionInForce implements uma.Revisions.
func (s *Store) RevisionInForce(ctx context.Context, realm string) (*uma.Revision, error) {
	return s.revisionBy(ctx, "policy in force of realm "+realm, func(c *conn, r *storedRevision) error {
		r.Realm = realm
		return c.row(`SELECT r.key, r.hash, r.opa, r.umpire, p.since FROM policy_period p JOIN revision r ON r.realm = p.realm AND r.hash = p.revision
			WHERE p.realm = $1 AND p.until = 0`, []any{realm}, &r.key, &r.Hash, &r.OPA, &r.Umpire, (*moment)(&r.Since))
	})
}

// Revision implements uma.Revisions.
func (s *Store) Revision(ctx context.Context, realm, hash string) (*uma.Revision, error) {
	return s.revisionBy(ctx, "policy revision", func(c *conn, r *storedRevision) error {
		r.Realm, r.Hash = realm, hash
		return c.row(`SELECT key, opa, umpire, since FROM revision WHERE realm = $1 AND hash = $2`,
			[]any{realm, hash}, &r.key, &r.OPA, &r.Umpire, (*moment)(&r.Since))
	})
}

const (
	// revisionGrace is how long a revision stays after another replaced it: decisions in progress
	// may still be stored with its hash.
	revisionGrace = 15 * time.Second

	// revisionsAtOnce is how many revisions are removed at a time: each may have thousands of files.
	revisionsAtOnce = 10
)

// unusedRevisions finds revisions that nothing names, all of them or those with the keys $3.
const unusedRevisions = `WITH kept AS MATERIALIZED (
		SELECT realm, revision FROM policy_period WHERE until = 0 OR until > $1
		UNION SELECT realm, revision FROM (
			SELECT realm, revision, row_number() OVER (PARTITION BY realm ORDER BY max(key) DESC) AS nth
			FROM policy_period GROUP BY realm, revision) AS last WHERE nth <= $2)
	SELECT r.key, r.realm FROM revision r WHERE ($3::bigint[] IS NULL OR r.key = ANY($3))
	AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.realm = r.realm AND k.revision = r.hash)
	AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.revision = r.hash) LIMIT $4`

// PruneRevisions implements uma.Revisions. A revision stays, too, if a record of another realm names
// its hash.
func (s *Store) PruneRevisions(ctx context.Context, now time.Time) (int, error) {
	unused := func(tx *conn, among []uma.Key) (keys []uma.Key, realms []string, err error) {
		err = tx.rows(unusedRevisions, []any{millis(now.Add(-revisionGrace)), uma.KeepRevisions, among, revisionsAtOnce}, func(scan scanFunc) error {
			var key uma.Key
			var realm string
			err := scan(&key, &realm)
			keys, realms = append(keys, key), append(realms, realm)
			return err
		})
		return keys, realms, reading("policy revisions that no record names", err)
	}
	var removed int
	err := s.write(ctx, func(tx *conn) error {
		removed = 0
		keys, realms, err := unused(tx, nil)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := lockPolicies(tx, realms...); err != nil {
			return err
		}
		if keys, _, err = unused(tx, keys); err != nil { // one may have been activated meanwhile
			return err
		}
		removed = len(keys)
		return deleteRevisions(tx, keys)
	})
	return removed, err
}
