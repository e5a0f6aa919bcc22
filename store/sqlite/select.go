package sqlite

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/umpire/uma"
)

// Select implements uma.Resources.
func (v *view) Select(ctx context.Context, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	c, err := v.reader(ctx)
	if err != nil {
		return nil, err
	}
	found, err := selectResources(c, server, q, limit)
	return found, reading("resources", err)
}

func selectResources(c *conn, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	switch {
	case limit <= 0:
		return nil, nil
	case q.Owner != "" && q.Type != "":
		return list(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = ? AND r.owner = ? AND r.type = ? ORDER BY r.name, r.id LIMIT ? + 0`,
			[]any{int64(server), q.Owner, q.Type, limit}, scanResource)
	case q.Owner != "":
		return list(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = ? AND r.owner = ? ORDER BY r.name LIMIT ? + 0`,
			[]any{int64(server), q.Owner, limit}, scanResource)
	case q.Type != "":
		return selectByType(c, server, q.Type, q.NotOwner, limit)
	case len(q.AnyScope) > 0:
		return selectByScope(c, server, q.AnyScope, limit)
	case q.URI != "":
		return list(c, `SELECT`+resourceColumns+`FROM resource_uri u JOIN resource r ON r.key = u.resource
			WHERE u.server = ? AND u.uri = ? ORDER BY u.name, u.id LIMIT ? + 0`,
			[]any{int64(server), q.URI, limit}, scanResource)
	}
	return nil, errors.New("an empty selection")
}

// selectByType reads the resource server's own resources and those of others
// apart, so that to leave out the own ones does not mean to read them.
func selectByType(c *conn, server uma.Key, typ, notOwner string, limit int) ([]*uma.Resource, error) {
	const query = `SELECT` + resourceColumns + `FROM resource r
		WHERE r.server = ? AND r.type = ? AND r.own = ? AND r.owner <> ? ORDER BY r.name, r.id LIMIT ? + 0`
	found, err := list(c, query, []any{int64(server), typ, false, notOwner, limit}, scanResource)
	if err != nil {
		return nil, err
	}
	self, err := c.exists(`SELECT 1 FROM client WHERE key = ? AND uuid = ?`, int64(server), notOwner)
	if err != nil || self {
		return found, err
	}
	own, err := list(c, query, []any{int64(server), typ, true, notOwner, limit}, scanResource)
	if err != nil {
		return nil, err
	}
	found = append(found, own...)
	slices.SortFunc(found, func(a, b *uma.Resource) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(limit, len(found))], nil
}

func selectByScope(c *conn, server uma.Key, anyOf []uma.Scope, limit int) ([]*uma.Resource, error) {
	places, err := placesByScope(c, server, anyOf, place{}, limit)
	if err != nil {
		return nil, err
	}
	return resourcesAt(c, places)
}

// A place is where a resource stands in the order of lists: by name, then id, and in
// those of several resource servers by these.
type place struct {
	name, id         string
	server, resource uma.Key
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.name, q.name), cmp.Compare(p.id, q.id), cmp.Compare(p.server, q.server))
}

// placesByScope returns the first places after one of the resources that have any
// of the scopes. It merges one short list for each scope, since an index knows the
// order of one only.
func placesByScope(c *conn, server uma.Key, anyOf []uma.Scope, after place, limit int) ([]place, error) {
	var all []place
	for _, scope := range anyOf {
		found, err := list(c, `SELECT name, id, resource FROM resource_scope
			WHERE server = ? AND scope = ? AND (name, id) > (?, ?) ORDER BY name, id LIMIT ? + 0`,
			[]any{int64(server), string(scope), after.name, after.id, limit}, scanPlace)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, place.compare)
	all = slices.Compact(all)
	return all[:min(limit, len(all))], nil
}

func scanPlace(scan func(dest ...any) error) (place, error) {
	var p place
	return p, scan(&p.name, &p.id, (*integer)(&p.resource))
}

// resourcesAt reads the resources of these places, in their order: json_each has it,
// and CROSS JOIN keeps it. uma.ErrNotFound: one of them is gone.
func resourcesAt(c *conn, places []place) ([]*uma.Resource, error) {
	keys := make([]uma.Key, len(places))
	for i := range places {
		keys[i] = places[i].resource
	}
	found, err := list(c, `SELECT`+resourceColumns+`FROM json_each(?) x CROSS JOIN resource r ON r.key = x.value`,
		[]any{keysText(keys)}, scanResource)
	if err == nil && len(found) < len(places) {
		err = uma.ErrNotFound
	}
	return found, err
}
