package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A large change is committed in batches. A batch ends after applyBatch rows of the change or,
// because deleting one row can delete many others, after applyRows changed rows.
const (
	applyBatch = 500
	applyRows  = 5000
)

// lookAgain is how often a batch is tried in which there was a row that it had not found.
const lookAgain = 3

// An applier applies a RealmChange part by part. A part reads and locks the rows that it is about
// when it runs. Therefore the change may be committed in batches: what others write between two
// batches does no harm.
type applier struct {
	*uma.RealmChange
	applyState
	parts []applyPart
	named *rows.Named
	gone  leftovers

	realm   uma.Key                // set by the first part
	servers map[string]*uma.Client // by client_id; set by the part for clients
	owners  map[string]string      // subject ids by folded username; set by the part for users
	drifted map[uma.Key]bool       // resources that were changed over an API
}

// An applyState is what a batch changes besides rows, and what is put back if it is run again.
type applyState struct {
	rows.Applied
	finished bool    // the last part has run
	policy   uma.Key // the last from which the user was removed who is being deleted
}

// An applyPart applies some rows of the change. run applies those from one number up to, not
// including, another, or fewer of them, and returns how many.
type applyPart struct {
	rows int
	run  func(tx *conn, from, to int) (done int, err error)
}

// ApplyRealm implements uma.Realms. One change of a realm is applied at a time.
func (s *Store) ApplyRealm(ctx context.Context, c *uma.RealmChange) (*uma.RealmReport, error) {
	a := &applier{
		RealmChange: c, named: rows.NamedBy(c), servers: map[string]*uma.Client{}, owners: map[string]string{},
		drifted: map[uma.Key]bool{},
	}
	if c.DryRun {
		return &a.Report, s.tryApply(ctx, a)
	}
	turn, err := s.awaitTurn(ctx, c.Realm.Name)
	if err != nil {
		return &a.Report, fmt.Errorf("wait until another change of the realm is applied: %w", err)
	}
	defer turn.end()
	if err := s.readPatiently(ctx, a.prepare); err != nil { // all users and resources of the realm
		return &a.Report, err
	}
	for done, total := 0, a.total(); done < total; {
		if err := turn.check(ctx); err != nil {
			return &a.Report, err
		}
		n, err := s.applyBatch(ctx, a, done)
		if err != nil {
			return &a.Report, err
		}
		done += n
		if c.Progress != nil {
			c.Progress(done, total)
		}
	}
	return &a.Report, nil
}

// applyBatch applies the rows of the change from a number on until a batch is full, in a
// transaction, and returns how many it applied. If there is a row now that was not there when the
// batch looked for it, the batch looks again.
func (s *Store) applyBatch(ctx context.Context, a *applier, from int) (done int, err error) {
	before := a.applyState
	for n := 1; ; n++ {
		err = s.write(ctx, func(tx *conn) (err error) {
			a.applyState = before
			done, err = a.run(tx, from)
			return err
		})
		if !errors.Is(err, uma.ErrConflict) || n == lookAgain {
			return done, err
		}
	}
}

// tryApply applies the whole change in one transaction, and rolls it back. Grants go on meanwhile.
func (s *Store) tryApply(ctx context.Context, a *applier) error {
	if s.slots == nil {
		return errReadOnly
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return s.acquiring(ctx, err)
	}
	defer pg.Release()
	tx := newConn(ctx, pg.Conn(), beginWrite)
	defer s.rollback(tx)
	if err := a.prepare(tx); err != nil {
		return err
	}
	for done, total := 0, a.total(); done < total; {
		n, err := a.run(tx, done)
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// prepare compares the change with the realm as it is, and makes the plan. It returns
// uma.ErrPrune if leftovers are to be kept.
func (a *applier) prepare(c *conn) error {
	if err := a.findLeftovers(c); err != nil {
		return fmt.Errorf("compare with the realm as it is: %w", err)
	}
	if len(a.Report.Kept) > 0 {
		return uma.ErrPrune
	}
	a.plan()
	return nil
}

// plan lists the parts. Resources are deleted before new ones are stored, which may
// have their names. Scopes, users and clients are deleted afterwards, because resources
// refer to them. The last part raises the generation.
func (a *applier) plan() {
	a.part(1, a.one(func(tx *conn, _ int) error { return a.beginRealm(tx) }))
	a.part(1, a.one(func(tx *conn, _ int) error { return a.applyIssuers(tx) }))
	a.part(len(a.Clients), a.applyClients)
	a.part(len(a.Users), a.applyUsers)
	a.part(len(a.gone.resources), a.dropResources)
	for _, server := range slices.Sorted(maps.Keys(a.Scopes)) {
		a.part(len(a.Scopes[server]), a.applyScopes(server, a.Scopes[server]))
	}
	a.part(len(a.Resources), a.applyResources)
	for _, l := range a.gone.scopes {
		a.part(len(l.holders), a.one(func(tx *conn, i int) error { return a.removeScopeFromResource(tx, l.holders[i], uma.Scope(l.id)) }))
		a.part(1, a.one(func(tx *conn, _ int) error { return a.dropScope(tx, l) }))
	}
	for _, l := range a.gone.users {
		a.part(len(l.holders), a.one(func(tx *conn, i int) error { return removeUserFromShare(tx, l.holders[i], l.id) }))
		a.part(1, a.repeated(func(tx *conn, _ int) (bool, error) { return a.dropUser(tx, l) }))
	}
	a.part(len(a.gone.clients), a.repeated(func(tx *conn, i int) (bool, error) { return a.dropClient(tx, a.gone.clients[i]) }))
	a.part(1, a.one(func(tx *conn, _ int) error { return a.finishRealm(tx) }))
}

// locking is the clause that locks the rows of a query, which may be changed. A dry run only locks
// those that it changes: it takes as long as all batches together.
func (a *applier) locking(clause string) string {
	if a.DryRun {
		return ``
	}
	return clause
}

func (a *applier) part(rows int, run func(tx *conn, from, to int) (int, error)) {
	a.parts = append(a.parts, applyPart{rows, run})
}

// one runs a part row by row, until the batch is full.
func (a *applier) one(run func(tx *conn, i int) error) func(tx *conn, from, to int) (int, error) {
	return func(tx *conn, from, to int) (done int, err error) {
		for ; done < to-from && tx.wrote < applyRows; done++ {
			if err := run(tx, from+done); err != nil {
				return done, err
			}
		}
		return done, nil
	}
}

// repeated is one for a part whose rows may have too many dependent rows for a batch. As long as run reports that there
// are more, it is called again, in the next batch.
func (a *applier) repeated(run func(tx *conn, i int) (more bool, err error)) func(tx *conn, from, to int) (int, error) {
	return func(tx *conn, from, to int) (done int, err error) {
		for done < to-from && tx.wrote < applyRows {
			more, err := run(tx, from+done)
			if err != nil {
				return done, err
			}
			if more {
				tx.wrote = max(tx.wrote, applyRows)
			} else {
				done++
			}
		}
		return done, nil
	}
}

func (a *applier) total() (rows int) {
	for _, p := range a.parts {
		rows += p.rows
	}
	return rows
}

// run applies the rows of the change from a number on until a batch is full, and returns how many
// it applied. From the first change to the last part the realm is applying and has no fingerprint,
// so an interrupted apply runs again.
func (a *applier) run(tx *conn, from int) (done int, err error) {
	if a.realm != 0 && !a.DryRun {
		if _, err := tx.exec(`SELECT 1 FROM realm WHERE key = $1 FOR NO KEY UPDATE`, a.realm); err != nil {
			return 0, reading("realm", err)
		}
	}
	tx.wrote = 0
	for _, p := range a.parts {
		for from < p.rows && done < applyBatch && tx.wrote < applyRows {
			n, err := p.run(tx, from, min(p.rows, from+applyBatch-done))
			if err != nil {
				return 0, err
			}
			from, done = from+n, done+n
		}
		if from < p.rows {
			break
		}
		from -= p.rows
	}
	if !a.Changed || a.finished || a.DryRun {
		return done, nil
	}
	_, err = tx.exec(`UPDATE realm SET applying = true, fingerprint = NULL WHERE key = $1 AND (NOT applying OR fingerprint IS NOT NULL)`, a.realm)
	return done, writing("realm", err)
}

// beginRealm stores the realm, and its signing key, if they do not exist.
func (a *applier) beginRealm(tx *conn) error {
	text, err := rows.SettingsText(&a.Realm)
	if err != nil {
		return writing("realm", err)
	}
	read := lockRealm
	if a.DryRun {
		read = realmRow
	}
	r, _, err := read(tx, a.Realm.Name)
	switch {
	case err == nil:
		a.realm = r.Key
	case errors.Is(err, uma.ErrNotFound):
		a.Created("realm " + a.Realm.Name)
		a.realm, err = tx.insert(`INSERT INTO realm (name, settings, generation, applying) VALUES ($1, $2, 0, true) RETURNING key`,
			a.Realm.Name, text)
		if err != nil {
			return writing("realm", err)
		}
	default:
		return err
	}
	if a.Key == nil {
		return nil
	}
	added, err := addKey(tx, a.realm, *a.Key, time.Time{})
	a.Changed = a.Changed || added
	return err
}

// finishRealm stores the settings and the fingerprint, and raises the generation if
// anything changed.
func (a *applier) finishRealm(tx *conn) error {
	a.finished = true
	text, err := rows.SettingsText(&a.Realm)
	if err != nil {
		return writing("realm", err)
	}
	names, err := rows.NamesText(a.Names)
	if err != nil {
		return writing("names of the realm", err)
	}
	var had string
	var applying bool
	err = tx.row(`SELECT settings, applying FROM realm WHERE key = $1`, []any{a.realm}, &had, &applying)
	if err != nil {
		return reading("realm", err)
	}
	if had != text {
		a.Updated("realm " + a.Realm.Name)
	}
	if a.DryRun {
		return nil
	}
	_, err = tx.exec(`UPDATE realm SET settings = $1, fingerprint = $2, applying = false, names = $3
		WHERE key = $4 AND (settings <> $1 OR fingerprint IS DISTINCT FROM $2 OR applying OR names <> $3)`, text, a.Fingerprint, names, a.realm)
	if err != nil || !a.Changed && !applying {
		return writing("realm", err)
	}
	return raiseGeneration(tx, a.realm)
}
