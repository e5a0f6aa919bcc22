package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/umpire/uma"
)

// Select implements uma.Resources.
func (v *view) Select(ctx context.Context, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	found, err := selectResources(v.conn(ctx), server, q, limit)
	return found, reading("resources", err)
}

// selectResources reads the first entries of an index.
//
// BETWEEN x AND x is =, except for what PostgreSQL makes of it: see TestSelectionsAreBounded. With = it
// may read the index of all names, because that has the same order and most resources are of one owner
// or type: for the few of another it would read all. With BETWEEN, and the column in ORDER BY, only one
// index has the order.
func selectResources(c *conn, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	switch {
	case limit <= 0:
		return nil, nil
	case q.Owner != "" && q.Type != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = $1 AND r.owner = $2 AND r.type BETWEEN $3 AND $3 ORDER BY r.type, r.name, r.id LIMIT $4`,
			server, q.Owner, q.Type, limit)
	case q.Owner != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource r
			WHERE r.server = $1 AND r.owner BETWEEN $2 AND $2 ORDER BY r.owner, r.name LIMIT $3`,
			server, q.Owner, limit)
	case q.Type != "":
		return selectByType(c, server, q.Type, q.NotOwner, limit)
	case len(q.AnyScope) > 0:
		return selectByScope(c, server, q.AnyScope, q.Registered, limit)
	case q.URI != "" && q.Registered != 0:
		return resources(c, `SELECT`+resourceColumns+`FROM resource_uri u JOIN resource r ON r.key = u.resource
			WHERE u.server = $1 AND `+isURI(`u.uri`, `$2`)+` AND u.registered = $3 ORDER BY u.name, u.id LIMIT $4`,
			server, q.URI, q.Registered, limit)
	case q.URI != "":
		return resources(c, `SELECT`+resourceColumns+`FROM resource_uri u JOIN resource r ON r.key = u.resource
			WHERE u.server = $1 AND `+isURI(`u.uri`, `$2`)+` ORDER BY u.name, u.id LIMIT $3`,
			server, q.URI, limit)
	}
	return nil, errors.New("an empty selection")
}

// selectByType reads the resource server's own resources apart from those of users, so that own
// resources that the selection leaves out are not read. The owner is compared as an expression, which
// PostgreSQL has no statistics of: if it expects that most have that owner, it reads all and sorts them.
func selectByType(c *conn, server uma.Key, typ, notOwner string, limit int) ([]*uma.Resource, error) {
	const of = `(SELECT` + resourceColumns + `FROM resource r WHERE r.server = $1 AND (r.owner || '') <> $3 AND `
	return resources(c, of+ofType(`$2`, `false`)+` LIMIT $4) UNION ALL `+
		of+`NOT EXISTS (SELECT 1 FROM client WHERE key = $1 AND uuid = $3) AND `+ofType(`$2`, `true`)+` LIMIT $4)
		ORDER BY name, id LIMIT $4`, server, typ, notOwner, limit)
}

// ofType is the condition that a resource is of a type, and own or not, with the order of its index.
func ofType(typ, own string) string {
	return `r.type = ` + typ + ` AND r.own BETWEEN ` + own + ` AND ` + own + ` ORDER BY r.own, r.name, r.id`
}

// selectByScope reads the first entries of each scope: among these are the first of all.
func selectByScope(c *conn, server uma.Key, anyScope []uma.Scope, registered uma.Registered, limit int) ([]*uma.Resource, error) {
	args := []any{server, array(distinct(anyScope)), limit}
	of := `s.scope = x.scope ORDER BY s.name, s.id`
	if registered != 0 {
		of = `s.scope = x.scope AND s.registered BETWEEN $4 AND $4 ORDER BY s.registered, s.name, s.id`
		args = append(args, registered)
	}
	return resources(c, `SELECT`+resourceColumns+`FROM (
			SELECT DISTINCT s.name, s.id, s.resource FROM unnest($2::text[]) x (scope) CROSS JOIN LATERAL (
				SELECT s.name, s.id, s.resource FROM resource_scope s WHERE s.server = $1 AND `+of+` LIMIT $3) s
			ORDER BY s.name, s.id LIMIT $3) s
		JOIN resource r ON r.key = s.resource ORDER BY r.name, r.id`, args...)
}

// distinct returns each value once, sorted.
func distinct[T ~string](values []T) []T {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
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

// sortedPlaces sorts places. One that is there twice is in the list once.
func sortedPlaces(all []place) []place {
	slices.SortFunc(all, place.compare)
	return slices.Compact(all)
}

const (
	// maxMerged is about how many entries of scopes are merged at a time, and minMerged the least of
	// each scope. A resource that has several of the scopes has an entry for each.
	maxMerged = 1024
	minMerged = 16
)

// placesByScope returns the first places after one of the resources that have any of the scopes, each
// once, and whether there may be more. resource_scope has the entries of one scope in the order of
// places. Of each scope as many are read; where the entries of one scope end, those of others are
// only known up to there. Of each scope at most n are read.
func placesByScope(c *conn, server uma.Key, anyScope []uma.Scope, after place, n int) (found []place, more bool, err error) {
	each := min(n, max(minMerged, maxMerged/len(anyScope)))
	counts := make([]int, len(anyScope))
	last := make([]place, len(anyScope))
	err = c.rows(`SELECT x.n, s.name, s.id, s.resource FROM unnest($2::text[]) WITH ORDINALITY x (scope, n) CROSS JOIN LATERAL (
			SELECT s.name, s.id, s.resource FROM resource_scope s WHERE s.server = $1 AND s.scope = x.scope AND (s.name, s.id) > ($3, $4)
			ORDER BY s.name, s.id LIMIT $5) s ORDER BY x.n, s.name, s.id`,
		[]any{server, array(anyScope), after.name, after.id, each}, func(scan scanFunc) error {
			var n int
			var p place
			if err := scan(&n, &p.name, &p.id, &p.resource); err != nil {
				return err
			}
			counts[n-1]++
			last[n-1] = p
			found = append(found, p)
			return nil
		})
	if err != nil {
		return nil, false, err
	}
	found = sortedPlaces(found)
	for i, count := range counts {
		if count < each {
			continue
		}
		more = true
		if end, there := slices.BinarySearchFunc(found, last[i], place.compare); there {
			found = found[:end+1]
		}
	}
	return found, more, nil
}

// resourcesAt reads the resources of these places, by key. One that was deleted is left
// out.
func resourcesAt(c *conn, columns string, places []place) (map[uma.Key]*uma.Resource, error) {
	if len(places) == 0 {
		return nil, nil
	}
	found, err := resources(c, `SELECT`+columns+`FROM resource r WHERE r.key = ANY($1)`, keysOf(places))
	byKey := make(map[uma.Key]*uma.Resource, len(found))
	for _, r := range found {
		byKey[r.Key] = r
	}
	return byKey, err
}

func keysOf(places []place) []int64 {
	keys := make([]int64, len(places))
	for i := range places {
		keys[i] = int64(places[i].resource)
	}
	return keys
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
