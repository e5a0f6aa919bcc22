package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// A big change is committed in batches. One ends after so many steps or, since what
// goes may take much with it, once so many rows were changed.
const (
	applyBatch = 500
	applyRows  = 5000
)

// An applier carries a RealmChange out. A change is a list of steps, a row each,
// which look at their row when they run; so the steps may be committed in batches
// and the rest still be right when something else wrote in between.
type applier struct {
	*uma.RealmChange
	report uma.RealmReport
	steps  []func(tx *conn) error

	changed  bool
	finished bool // the last step has run

	realm   uma.Key                // from the first step on
	servers map[string]*uma.Client // rows by client_id, from the steps of the clients on
	owners  map[string]string      // subject ids by folded username, from the steps of the users on
	named   named
	gone    leftovers
	drifted map[uma.Key]bool    // resources
	known   map[knownScope]bool // that the change has met

	// Resources of the batch whose parts are yet to be made known.
	fresh []*uma.Resource
	parts map[uma.Key]*uma.Resource
}

type knownScope struct {
	server uma.Key
	name   uma.Scope
}

// named are the keys of what the change names.
type named struct {
	clients, users map[string]bool            // by client_id, by folded username
	scopes         map[string]map[string]bool // by client_id and name
	ids            map[resourceName]bool      // with the id that the file gives
	names          map[resourceName]bool
}

// A resourceName is a server by client_id and an id, or an owner by folded
// username and a name.
type resourceName struct{ server, owner, name string }

// ApplyRealm implements uma.Realms.
func (s *Store) ApplyRealm(ctx context.Context, c *uma.RealmChange) (*uma.RealmReport, error) {
	a := &applier{
		RealmChange: c, servers: map[string]*uma.Client{}, owners: map[string]string{},
		drifted: map[uma.Key]bool{}, known: map[knownScope]bool{}, parts: map[uma.Key]*uma.Resource{},
	}
	a.nameAll()
	if err := s.read(ctx, a.findLeftovers); err != nil {
		return nil, fmt.Errorf("compare with the realm as it is: %w", err)
	}
	if blocked := a.gone.blocked(); len(blocked) > 0 && !c.Prune && !c.Lenient {
		return &uma.RealmReport{Kept: blocked}, uma.ErrPrune
	}
	a.plan()
	if c.DryRun {
		return &a.report, s.tryApply(ctx, a)
	}
	for done := 0; done < len(a.steps); {
		n := 0
		err := s.writeAlone(ctx, func(tx *conn) (err error) {
			n, err = a.run(tx, a.steps[done:min(done+applyBatch, len(a.steps))])
			return err
		})
		if err != nil {
			return &a.report, err
		}
		done += n
		if c.Progress != nil {
			c.Progress(done, len(a.steps))
		}
	}
	return &a.report, nil
}

// errDryRun makes the transaction of a dry run roll back.
var errDryRun = errors.New("dry run")

// tryApply makes a whole change and rolls it back.
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

// run runs the first of the steps and returns how many. Once something has changed,
// and until the generation is raised, the realm bears a mark and is that of no file:
// a change that is cut short is finished, or taken back, by the next.
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
	if a.changed && !a.finished {
		if _, err := tx.exec(`UPDATE realm SET applying = 1, fingerprint = NULL WHERE key = ?`, int64(a.realm)); err != nil {
			return 0, writing("realm", err)
		}
	}
	return done, a.writeParts(tx)
}

// totalChanges is how many rows a connection has changed, triggers and all.
func totalChanges(tx *conn) (n int64, err error) {
	err = tx.row(`SELECT total_changes()`, nil, &n)
	return n, reading("number of changes", err)
}

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

func (a *applier) nameAll() {
	a.named = named{
		clients: map[string]bool{}, users: map[string]bool{}, scopes: map[string]map[string]bool{},
		ids: map[resourceName]bool{}, names: map[resourceName]bool{},
	}
	scope := func(server string, name uma.Scope) {
		if a.named.scopes[server] == nil {
			a.named.scopes[server] = map[string]bool{}
		}
		a.named.scopes[server][string(name)] = true
	}
	for _, c := range a.Clients {
		a.named.clients[c.ID] = true
	}
	for _, u := range a.Users {
		a.named.users[fold(u.Username)] = true
	}
	for server, rows := range a.Scopes {
		for _, row := range rows {
			scope(server, row.Name)
		}
	}
	for i := range a.Resources {
		r := &a.Resources[i]
		for _, name := range r.Scopes {
			scope(r.ServerID, name)
		}
		a.named.names[resourceName{r.ServerID, fold(r.OwnerName), r.Name}] = true
		if !r.GeneratedID {
			a.named.ids[resourceName{server: r.ServerID, name: string(r.ID)}] = true
		}
	}
}

// plan lists the steps. What goes makes room for what comes, but for the rows that
// others hang on; the generation is raised by the last step.
func (a *applier) plan() {
	a.step(a.beginRealm)
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
			a.step(func(tx *conn) error { return a.takeScope(tx, key, uma.Scope(l.id)) })
		}
		a.step(func(tx *conn) error { return a.dropScope(tx, l) })
	}
	for _, l := range a.gone.users {
		for _, key := range l.holders {
			a.step(func(tx *conn) error { return takeUser(tx, key, l.id) })
		}
		a.step(func(tx *conn) error { return a.dropUser(tx, l) })
	}
	for _, l := range a.gone.clients {
		a.step(func(tx *conn) error { return a.dropClient(tx, l) })
	}
	a.step(a.finishRealm)
}

func (a *applier) step(run func(tx *conn) error) { a.steps = append(a.steps, run) }

// beginRealm makes the realm if it is new, with its key.
func (a *applier) beginRealm(tx *conn) error {
	text, err := settingsText(&a.Realm)
	if err != nil {
		return writing("realm", err)
	}
	r, _, err := realmRow(tx, a.Realm.Name)
	switch {
	case err == nil:
		a.realm = r.Key
	case errors.Is(err, uma.ErrNotFound):
		a.created("realm %s", a.Realm.Name)
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
	a.changed = a.changed || added
	return err
}

// finishRealm keeps the settings and the fingerprint, and raises the generation if
// anything changed.
func (a *applier) finishRealm(tx *conn) error {
	a.finished = true
	text, err := settingsText(&a.Realm)
	if err != nil {
		return writing("realm", err)
	}
	_, had, err := realmRow(tx, a.Realm.Name)
	if err != nil {
		return err
	}
	if had != text {
		a.updated("realm %s", a.Realm.Name)
	}
	applying, err := tx.exists(`SELECT 1 FROM realm WHERE key = ? AND applying = 1`, int64(a.realm))
	if err != nil {
		return reading("realm", err)
	}
	_, err = tx.exec(`UPDATE realm SET settings = ?, fingerprint = ?, applying = 0
		WHERE key = ? AND (settings <> ?1 OR fingerprint IS NOT ?2 OR applying = 1)`, text, a.Fingerprint, int64(a.realm))
	if err != nil || !a.changed && !applying {
		return writing("realm", err)
	}
	return raiseGeneration(tx, a.realm)
}

func (a *applier) created(format string, args ...any) {
	a.changed = true
	a.report.Created = append(a.report.Created, fmt.Sprintf(format, args...))
}

func (a *applier) updated(format string, args ...any) {
	a.changed = true
	a.report.Updated = append(a.report.Updated, fmt.Sprintf(format, args...))
}

func (a *applier) adopted(format string, args ...any) {
	a.changed = true
	a.report.Adopted = append(a.report.Adopted, fmt.Sprintf(format, args...))
}

func (a *applier) removed(what string) {
	a.changed = true
	a.report.Removed = append(a.report.Removed, what)
}
