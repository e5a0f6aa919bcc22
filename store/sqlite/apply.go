package sqlite

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

// A large change is committed in batches. A batch ends after applyBatch steps or, because
// deleting one row can delete many others, after applyRows changed rows.
const (
	applyBatch = 500
	applyRows  = 5000
)

// An applier applies a RealmChange as a list of steps. A step is about one row, which
// it reads when it runs. Therefore steps may be committed in batches: what others write
// between two batches does no harm.
type applier struct {
	*uma.RealmChange
	rows.Applied
	steps []func(tx *conn) error

	finished bool // the last step has run

	realm   uma.Key                // set by the first step
	servers map[string]*uma.Client // by client_id; set by the steps for clients
	owners  map[string]string      // subject ids by folded username; set by the steps for users
	named   *rows.Named
	gone    leftovers
	drifted map[uma.Key]bool    // resources that were changed over an API
	known   map[knownScope]bool // scopes that a step has stored, or found

	// Resources of the batch that writeParts is to add to resource_part, or to update there.
	fresh []*uma.Resource
	parts map[uma.Key]*uma.Resource
}

type knownScope struct {
	server uma.Key
	name   uma.Scope
}

// ApplyRealm implements uma.Realms.
func (s *Store) ApplyRealm(ctx context.Context, c *uma.RealmChange) (*uma.RealmReport, error) {
	a := &applier{
		RealmChange: c, servers: map[string]*uma.Client{}, owners: map[string]string{},
		drifted: map[uma.Key]bool{}, known: map[knownScope]bool{}, parts: map[uma.Key]*uma.Resource{},
		named: rows.NamedBy(c),
	}
	if err := s.read(ctx, a.findLeftovers); err != nil {
		return nil, fmt.Errorf("compare with the realm as it is: %w", err)
	}
	if len(a.Report.Kept) > 0 {
		return &a.Report, uma.ErrPrune
	}
	a.plan()
	if c.DryRun {
		return &a.Report, s.tryApply(ctx, a)
	}
	for done := 0; done < len(a.steps); {
		n := 0
		err := s.writeAlone(ctx, func(tx *conn) (err error) {
			n, err = a.run(tx, a.steps[done:min(done+applyBatch, len(a.steps))])
			return err
		})
		if err != nil {
			return &a.Report, err
		}
		done += n
		if c.Progress != nil {
			c.Progress(done, len(a.steps))
		}
	}
	return &a.Report, nil
}

// errDryRun makes the transaction of a dry run roll back.
var errDryRun = errors.New("dry run")

// tryApply applies the whole change in one transaction, and rolls it back.
func (s *Store) tryApply(ctx context.Context, a *applier) error {
	err := s.writeAlone(ctx, func(tx *conn) error {
		for done := 0; done < len(a.steps); {
			n, err := a.run(tx, a.steps[done:min(done+applyBatch, len(a.steps))])
			if err != nil {
				return err
			}
			done += n
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// run runs steps until a batch is full, and returns how many it ran. From the first
// change to the last step the realm has applying=1 and no fingerprint, so an
// interrupted apply runs again.
func (a *applier) run(tx *conn, steps []func(tx *conn) error) (done int, err error) {
	before, err := totalChanges(tx)
	for after := before; err == nil && done < len(steps) && after-before < applyRows; done++ {
		if err = steps[done](tx); err == nil {
			after, err = totalChanges(tx)
		}
	}
	if err != nil {
		return 0, err
	}
	if a.Changed && !a.finished {
		if _, err := tx.exec(`UPDATE realm SET applying = 1, fingerprint = NULL WHERE key = ?`, int64(a.realm)); err != nil {
			return 0, writing("realm", err)
		}
	}
	return done, a.writeParts(tx)
}

// totalChanges returns how many rows a connection has changed, including those that
// triggers changed.
func totalChanges(tx *conn) (n int64, err error) {
	err = tx.row(`SELECT total_changes()`, nil, &n)
	return n, reading("number of changes", err)
}

// writeParts updates resource_part for the resources of a batch, in the order of their
// keys: see addParts.
func (a *applier) writeParts(tx *conn) error {
	for _, key := range slices.Sorted(maps.Keys(a.parts)) {
		if err := setParts(tx, a.parts[key]); err != nil {
			return err
		}
	}
	for _, r := range a.fresh {
		if err := addParts(tx, r); err != nil {
			return err
		}
	}
	clear(a.parts)
	a.fresh = a.fresh[:0]
	return nil
}

// plan lists the steps. Resources are deleted before new ones are stored, which may
// have their names. Scopes, users and clients are deleted afterwards, because resources
// refer to them. The last step raises the generation.
func (a *applier) plan() {
	a.step(a.beginRealm)
	a.step(a.applyIssuers)
	for _, c := range a.Clients {
		a.step(func(tx *conn) error { return a.applyClient(tx, c) })
	}
	for _, u := range a.Users {
		a.step(func(tx *conn) error { return a.applyUser(tx, u) })
	}
	for _, r := range a.gone.resources {
		a.step(func(tx *conn) error { return a.dropResource(tx, r) })
	}
	for server, rows := range a.Scopes {
		for _, row := range rows {
			a.step(func(tx *conn) error { return a.applyScope(tx, server, row) })
		}
	}
	for i := range a.Resources {
		a.step(func(tx *conn) error { return a.applyResource(tx, &a.Resources[i]) })
	}
	for _, l := range a.gone.scopes {
		for _, key := range l.holders {
			a.step(func(tx *conn) error { return a.removeScopeFromResource(tx, key, uma.Scope(l.id)) })
		}
		a.step(func(tx *conn) error { return a.dropScope(tx, l) })
	}
	for _, l := range a.gone.users {
		for _, key := range l.holders {
			a.step(func(tx *conn) error { return removeUserFromShare(tx, key, l.id) })
		}
		a.step(func(tx *conn) error { return a.dropUser(tx, l) })
	}
	for _, l := range a.gone.clients {
		a.step(func(tx *conn) error { return a.dropClient(tx, l) })
	}
	a.step(a.finishRealm)
}

func (a *applier) step(run func(tx *conn) error) { a.steps = append(a.steps, run) }

// beginRealm stores the realm, and its signing key, if they do not exist.
func (a *applier) beginRealm(tx *conn) error {
	text, err := rows.SettingsText(&a.Realm)
	if err != nil {
		return writing("realm", err)
	}
	r, _, err := realmRow(tx, a.Realm.Name)
	switch {
	case err == nil:
		a.realm = r.Key
	case errors.Is(err, uma.ErrNotFound):
		a.Created("realm " + a.Realm.Name)
		a.realm, err = tx.insert(`INSERT INTO realm (name, settings, generation, applying) VALUES (?, ?, 0, 1)`,
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
	_, had, err := realmRow(tx, a.Realm.Name)
	if err != nil {
		return err
	}
	if had != text {
		a.Updated("realm " + a.Realm.Name)
	}
	applying, err := tx.exists(`SELECT 1 FROM realm WHERE key = ? AND applying = 1`, int64(a.realm))
	if err != nil {
		return reading("realm", err)
	}
	_, err = tx.exec(`UPDATE realm SET settings = ?1, fingerprint = ?2, applying = 0, names = ?3
		WHERE key = ?4 AND (settings <> ?1 OR fingerprint IS NOT ?2 OR applying = 1 OR names <> ?3)`, text, a.Fingerprint, names, int64(a.realm))
	if err != nil || !a.Changed && !applying {
		return writing("realm", err)
	}
	return raiseGeneration(tx, a.realm)
}
