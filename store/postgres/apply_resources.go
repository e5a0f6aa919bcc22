package postgres

import (
	"fmt"
	"maps"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A resourceBatch applies some resources of a change. It reads and locks the rows that they are
// about together, and inserts new ones together. What it has read is changed along with the rows.
type resourceBatch struct {
	*applier
	tx     *conn
	byID   map[resourceID]*uma.Resource
	byName map[ownedName]*uma.Resource

	self   map[uma.Key]string // ids of resource servers as owners
	claims map[uma.Key]claims // of the rows that are to be changed

	// What write is to write: changes of rows in their order, then new rows by resource server.
	changes steps
	fresh   map[uma.Key][]*uma.Resource      // have no keys yet
	scopes  map[uma.Key]map[uma.Scope]string // with their ids
}

// A resourceID is the id of a resource at its resource server.
type resourceID struct {
	server uma.Key
	id     uma.ResourceID
}

// An ownedName is the name of a resource of an owner.
type ownedName struct {
	server      uma.Key
	owner, name string
}

// asideName begins the name of a resource that is renamed aside: no name has control characters.
const asideName = "\x01"

// Many resources by their ids, and by their owners and names. OFFSET 0: each is looked up by its index.
const (
	resourcesByIDs = `unnest($1::bigint[], $2::text[]) x (server, id),
		LATERAL (SELECT * FROM resource r WHERE r.server = x.server AND r.id = x.id OFFSET 0) r`
	resourcesByNames = `unnest($1::bigint[], $2::text[], $3::text[]) x (server, owner, name),
		LATERAL (SELECT * FROM resource r WHERE r.server = x.server AND r.owner = x.owner AND r.name = x.name OFFSET 0) r`
)

// applyResources is a part for resources.
func (a *applier) applyResources(tx *conn, from, to int) (done int, err error) {
	change := a.Resources[from:to]
	b := &resourceBatch{
		applier: a, tx: tx, byID: map[resourceID]*uma.Resource{}, byName: map[ownedName]*uma.Resource{}, self: map[uma.Key]string{},
		fresh: map[uma.Key][]*uma.Resource{}, scopes: map[uma.Key]map[uma.Scope]string{},
	}
	next := make([]*uma.Resource, len(change))
	for i := range change {
		if next[i], err = b.next(&change[i]); err != nil {
			return 0, err
		}
	}
	if err := b.read(change, next); err != nil {
		return 0, reading("resources", err)
	}
	for ; done < len(change) && tx.wrote+len(b.changes.commands) < applyRows; done++ {
		if err := b.apply(&change[done], next[done]); err != nil {
			return 0, err
		}
	}
	return done, b.write()
}

// next returns a resource of the change with its server and owner.
func (b *resourceBatch) next(c *uma.ResourceChange) (*uma.Resource, error) {
	server, err := b.server(c.ServerID)
	if err != nil {
		return nil, err
	}
	b.self[server.Key] = server.UUID
	next := c.Resource
	next.Server, next.Owner, next.Origin = server.Key, server.UUID, uma.FromFile
	if c.OwnerName != "" {
		owner, ok := b.owners[rows.Fold(c.OwnerName)]
		if !ok {
			return nil, fmt.Errorf("the realm file has no user %s: %w", c.OwnerName, uma.ErrNotFound)
		}
		next.Owner = owner
	}
	return &next, nil
}

// read reads the rows that have the id or the name of a resource of the batch, and locks those that
// are to be changed.
func (b *resourceBatch) read(change []uma.ResourceChange, next []*uma.Resource) error {
	var ids, names columns
	for i, r := range next {
		if !change[i].GeneratedID {
			ids.add(int64(r.Server), string(r.ID))
		}
		names.add(int64(r.Server), r.Owner, r.Name)
	}
	if err := b.readRows(&ids, resourcesByIDs); err != nil {
		return err
	}
	if err := b.readRows(&names, resourcesByNames); err != nil {
		return err
	}
	changed := b.toChange(change, next)
	if !b.DryRun {
		var keys columns
		for _, r := range changed {
			keys.add(int64(r.Key))
			b.forget(r)
		}
		if err := b.readRows(&keys, `(SELECT * FROM resource WHERE key = ANY($1) ORDER BY key FOR UPDATE) r`); err != nil {
			return err
		}
		changed = b.toChange(change, next)
	}
	var err error
	b.claims, err = claimsOfAll(b.tx, changed)
	return err
}

// toChange returns the rows that are to be changed.
func (b *resourceBatch) toChange(change []uma.ResourceChange, next []*uma.Resource) (all []*uma.Resource) {
	for i, r := range next {
		old, other := b.find(&change[i], r)
		if old != nil && (b.drifted[old.Key] || !isSame(old, r)) {
			all = append(all, old)
		}
		if other != nil {
			all = append(all, other)
		}
	}
	return all
}

// readRows reads the present state of rows.
func (b *resourceBatch) readRows(by *columns, from string) error {
	if by.count == 0 {
		return nil
	}
	found, err := resources(b.tx, `SELECT`+resourceColumns+`FROM `+from, by.args()...)
	for _, r := range found {
		b.forget(b.byID[resourceID{r.Server, r.ID}])
		b.note(r)
	}
	return err
}

// note notes the present state of a row.
func (b *resourceBatch) note(r *uma.Resource) {
	b.byID[resourceID{r.Server, r.ID}] = r
	b.byName[ownedName{r.Server, r.Owner, r.Name}] = r
}

// forget undoes note. r may be nil.
func (b *resourceBatch) forget(r *uma.Resource) {
	if r == nil {
		return
	}
	delete(b.byID, resourceID{r.Server, r.ID})
	delete(b.byName, ownedName{r.Server, r.Owner, r.Name})
}

func (b *resourceBatch) apply(c *uma.ResourceChange, next *uma.Resource) error {
	old, other := b.find(c, next)
	if isFresh(old) || isFresh(other) {
		if err := b.write(); err != nil {
			return err
		}
	}
	if !b.Resource(old, next, old != nil && b.drifted[old.Key]) {
		b.forgetDrift(old.Key)
		return nil
	}
	if err := b.makeRoom(c, other); err != nil {
		return err
	}
	b.addScopes(next.Server, c)
	if old == nil {
		b.fresh[next.Server] = append(b.fresh[next.Server], next)
		b.note(next)
		return nil
	}
	return b.update(old, next, uma.FromFile)
}

// addScopes gathers the scopes of a resource, with the ids of the change.
func (b *resourceBatch) addScopes(server uma.Key, c *uma.ResourceChange) {
	if b.scopes[server] == nil {
		b.scopes[server] = map[uma.Scope]string{}
	}
	for i, name := range c.Scopes {
		b.scopes[server][name] = c.ScopeIDs[i]
	}
}

// update replaces a row, by an origin: see claimsAfter.
func (b *resourceBatch) update(old, next *uma.Resource, by uma.Origin) error {
	u := replacement{old: old, next: next, self: b.self[old.Server], had: b.claims[old.Key], by: by}
	b.claims[old.Key] = claimsAfter(u.had, old, next, by)
	b.forget(old)
	b.note(next)
	return writing("resource", u.addTo(&b.changes))
}

// forgetDrift is for a resource that was changed over an API, and is as the file says
// again.
func (b *resourceBatch) forgetDrift(key uma.Key) {
	if !b.drifted[key] {
		return
	}
	b.changes.add(command{query: `UPDATE resource SET drifted = false WHERE key = $1`, args: []any{key}})
}

// find returns the row of a resource of the file, nil for a new one, and another row that has its
// name and owner, if there is one.
func (b *resourceBatch) find(c *uma.ResourceChange, next *uma.Resource) (old, other *uma.Resource) {
	if !c.GeneratedID {
		old = b.byID[resourceID{next.Server, next.ID}]
	}
	other = b.byName[ownedName{next.Server, next.Owner, next.Name}]
	switch {
	case other == nil || other == old:
		return old, nil
	case old == nil && !b.named.ResourceID(c.ServerID, other.ID):
		return other, nil
	}
	return old, other
}

// isSame reports whether a row is as the file says. Its id and key need not be those of next.
func isSame(old, next *uma.Resource) bool {
	same := *next
	same.Key, same.ID, same.Version = old.Key, old.ID, old.Version
	return rows.SameResource(old, &same)
}

// isFresh reports whether a row is still to be inserted. r may be nil.
func isFresh(r *uma.Resource) bool { return r != nil && r.Key == 0 }

// makeRoom renames another row that has the name of a resource of the file, if a later
// row of the file gives that row a name: two resources of a file may swap their names.
func (b *resourceBatch) makeRoom(c *uma.ResourceChange, other *uma.Resource) error {
	if other == nil {
		return nil
	}
	if !b.named.ResourceID(c.ServerID, other.ID) {
		return fmt.Errorf("resource %s: another resource has that name and owner: %w", c.Name, uma.ErrConflict)
	}
	aside := *other
	aside.Name = asideName + string(other.ID)
	return b.update(other, &aside, uma.FromOwner) // its own row of the file decides on its claims
}

// write writes what is gathered: changes, new resources, and the scopes that resource servers do not know.
func (b *resourceBatch) write() error {
	for _, server := range slices.Sorted(maps.Keys(b.scopes)) {
		var scopes []uma.ScopeRow
		for name, id := range b.scopes[server] {
			scopes = append(scopes, uma.ScopeRow{ID: id, Name: name})
		}
		b.changes.add(insertScopes(server, scopes, uma.FromAPI))
	}
	clear(b.scopes)
	if err := b.changes.run(b.tx); err != nil {
		return writing("resources", taken(err))
	}
	b.changes = steps{}
	for _, server := range slices.Sorted(maps.Keys(b.fresh)) {
		if err := insertResources(b.tx, server, b.fresh[server]); err != nil {
			return err
		}
	}
	clear(b.fresh)
	return nil
}
