package sqlite

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Select implements uma.Resources.
func (v *view) Select(ctx context.Context, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	c := v.reader(ctx)
	found, err := selectResources(c, server, q, limit)
	return found, reading("resources", err)
}

func selectResources(c *conn, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	switch {
	case limit <= 0:
		return nil, nil
	case q.Owner != "" && q.Type != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = ? AND r.owner = ? AND r.type = ? ORDER BY r.name, r.id LIMIT ? + 0`,
			int64(server), q.Owner, q.Type, limit)
	case q.Owner != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = ? AND r.owner = ? ORDER BY r.name LIMIT ? + 0`,
			int64(server), q.Owner, limit)
	case q.Type != "":
		return selectByType(c, server, q.Type, q.NotOwner, limit)
	case len(q.AnyScope) > 0:
		return selectByScope(c, server, q.AnyScope, q.Registered, limit)
	case q.URI != "" && q.Registered != 0:
		return resources(c, `SELECT`+resourceColumns+`FROM resource_uri u JOIN resource r ON r.key = u.resource
			WHERE u.server = ? AND u.uri = ? AND u.registered = ? ORDER BY u.name, u.id LIMIT ? + 0`,
			int64(server), q.URI, int(q.Registered), limit)
	case q.URI != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource_uri u JOIN resource r ON r.key = u.resource
			WHERE u.server = ? AND u.uri = ? ORDER BY u.name, u.id LIMIT ? + 0`,
			int64(server), q.URI, limit)
	}
	return nil, errors.New("an empty selection")
}

// selectByType reads the resource server's own resources and those of users by separate
// queries, so that own resources that the selection leaves out are not read.
func selectByType(c *conn, server uma.Key, typ, notOwner string, limit int) ([]*uma.Resource, error) {
	const query = `SELECT` + resourceColumns + `FROM resource r
		WHERE r.server = ? AND r.type = ? AND r.own = ? AND r.owner <> ? ORDER BY r.name, r.id LIMIT ? + 0`
	found, err := resources(c, query, int64(server), typ, false, notOwner, limit)
	if err != nil {
		return nil, err
	}
	self, err := c.exists(`SELECT 1 FROM client WHERE key = ? AND uuid = ?`, int64(server), notOwner)
	if err != nil || self {
		return found, err
	}
	own, err := resources(c, query, int64(server), typ, true, notOwner, limit)
	if err != nil {
		return nil, err
	}
	found = append(found, own...)
	slices.SortFunc(found, func(a, b *uma.Resource) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(limit, len(found))], nil
}

func selectByScope(c *conn, server uma.Key, anyScope []uma.Scope, registered uma.Registered, limit int) ([]*uma.Resource, error) {
	var places []place
	for after, more := (place{}), true; more && len(places) < limit; {
		var next []place
		var err error
		if next, more, err = placesByScope(c, server, anyScope, registered, after, maxMerged); err != nil {
			return nil, err
		}
		if places = append(places, next...); more {
			after = next[len(next)-1]
		}
	}
	return resourcesInOrder(c, resourceColumns, places[:min(limit, len(places))])
}

// A place is the position of a resource in a list: by name, then id, and in lists over
// several resource servers then by these.
type place struct {
	name, id         string
	server, resource uma.Key
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.name, q.name), cmp.Compare(p.id, q.id), cmp.Compare(p.server, q.server))
}

// maxMerged is how many entries of scopes are merged at a time. A resource that has
// several of the scopes has an entry for each.
const maxMerged = 2 * findPage

// placesByScope returns the first places after one of the resources that have any of
// the scopes, each once, and whether there may be more. resource_scope has the entries
// of one scope in the order of places. The recursion has a cursor for each scope, and
// SQLite steps the one with the least entry. So it reads at most n entries, and one for
// each scope.
func placesByScope(c *conn, server uma.Key, anyScope []uma.Scope, registered uma.Registered, after place, n int) (found []place, more bool, err error) {
	args := []any{int64(server), rows.ListText(anyScope), after.name, after.id, n}
	next := ` FROM resource_scope s WHERE s.server = ?1 AND s.scope = w.scope`
	if registered != 0 {
		next += ` AND s.registered = ?6`
		args = append(args, int(registered))
	}
	next += ` AND (s.name, s.id) > (+w.name, +w.id) ORDER BY s.name, s.id LIMIT 1`
	all, err := list(c, `WITH RECURSIVE walk (scope, name, id) AS (
			SELECT x.value, ?3, ?4 FROM json_each(?2) x
			UNION ALL SELECT w.scope, (SELECT s.name`+next+`), (SELECT s.id`+next+`) FROM walk w WHERE w.name IS NOT NULL ORDER BY 2, 3)
		SELECT w.name, w.id, s.resource
		FROM (SELECT scope, name, id FROM walk WHERE (name, id) > (?3, ?4) LIMIT ?5 + 0) w
		CROSS JOIN resource_scope s ON s.server = ?1 AND s.scope = w.scope AND s.name = w.name AND s.id = w.id`,
		args, scanPlace)
	return slices.Compact(all), len(all) == n, err
}

func scanPlace(scan scanFunc) (place, error) {
	var p place
	err := scan(&p.name, &p.id, (*integer)(&p.resource))
	return p, err
}

// resourcesAt reads the resources of these places, by key. One that was deleted is left
// out.
func resourcesAt(c *conn, columns string, places []place) (map[uma.Key]*uma.Resource, error) {
	if len(places) == 0 {
		return nil, nil
	}
	keys := make([]uma.Key, len(places))
	for i := range places {
		keys[i] = places[i].resource
	}
	found, err := resources(c, `SELECT`+columns+`FROM json_each(?) x CROSS JOIN resource r ON r.key = x.value`, rows.KeysText(keys))
	byKey := make(map[uma.Key]*uma.Resource, len(found))
	for _, r := range found {
		byKey[r.Key] = r
	}
	return byKey, err
}

// resourcesInOrder reads the resources of these places, in their order.
func resourcesInOrder(c *conn, columns string, places []place) ([]*uma.Resource, error) {
	found, err := resourcesAt(c, columns, places)
	if err != nil {
		return nil, err
	}
	list := make([]*uma.Resource, len(places))
	for i, at := range places {
		if list[i] = found[at.resource]; list[i] == nil {
			return nil, uma.ErrNotFound
		}
	}
	return list, nil
}
