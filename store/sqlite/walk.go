package sqlite

import (
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// A userList is a list of resources by name that has something to do with a user, at
// the resource servers of realm ?1: ?2 owns them, ?3 was granted something of them,
// and ?4 is the resource server, unless it is 0. Those of one name are in the order of
// ids, unless one owner has them, then of resource servers.
type userList struct {
	walk string // in the order of the list
	hits string // among resources that were found
}

var (
	owned = userList{
		walk: walkOfOwner(`SELECT o.name FROM resource o WHERE o.server = w.server AND o.owner = ?2
			AND o.name > w.name ORDER BY o.name LIMIT 1`),
		hits: hitsWhere(`''`, `r.owner = ?2`),
	}
	sharedBy = userList{
		walk: walkOfOwner(`SELECT q.resource_name FROM ` + granted + ` AND q.server = w.server AND q.owner = ?2
			AND q.resource_name > w.name ORDER BY q.resource_name LIMIT 1`),
		hits: hitsWhere(`''`, hasGranted+` AND q.owner = ?2)`),
	}
	between = userList{
		walk: walkOfOwner(`SELECT q.resource_name FROM ` + granted + ` AND q.server = w.server AND q.owner = ?2
			AND q.requester = ?3 AND q.resource_name > w.name ORDER BY q.resource_name LIMIT 1`),
		hits: hitsWhere(`''`, hasGranted+` AND q.owner = ?2 AND q.requester = ?3)`),
	}
	sharedWith = userList{
		walk: walkOver(`(SELECT q.resource_name`+nextGranted+`), (SELECT q.resource_id`+nextGranted+`)`, `r.id = w.id`),
		hits: hitsWhere(`r.id`, hasGranted+` AND q.requester = ?3)`),
	}
)

const (
	granted    = `live_request q WHERE q.state = 'granted'`
	hasGranted = `EXISTS (SELECT 1 FROM ` + granted + ` AND q.server = r.server AND q.resource_name = r.name AND q.resource_id = r.id`

	nextGranted = ` FROM ` + granted + ` AND q.server = w.server AND q.requester = ?3
		AND (q.resource_name, q.resource_id) > (+w.name, +w.id) ORDER BY q.resource_name, q.resource_id LIMIT 1`
)

// walkOver returns the statement of a walk, whose steps lead from one name and id to the
// next at the same resource server, over all that an index has of the first: after the
// last they are NULL. The steps at several resource servers come in order, since SQLite
// takes the least row of those that are yet to be stepped from. What a page skips is
// stepped over in the index alone.
func walkOver(next, found string) string {
	return `WITH RECURSIVE walk (server, name, id) AS (
		SELECT c.key, '', '' FROM client c WHERE ` + realmServers + ` AND (?4 = 0 OR c.key = ?4)
		UNION ALL SELECT w.server, ` + next + ` FROM walk w WHERE w.name IS NOT NULL ORDER BY 2, 3, 1)
	SELECT w.name, w.id, w.server, r.key
	FROM (SELECT server, name, id FROM walk WHERE name > '' LIMIT ?5 + 0 OFFSET ?6) w
	CROSS JOIN resource r ON r.server = w.server AND ` + found
}

// walkOfOwner is walkOver for resources of one owner, which their names tell apart.
func walkOfOwner(next string) string {
	return walkOver(`(`+next+`), ''`, `r.owner = ?2 AND r.name = w.name`)
}

func hitsWhere(id, condition string) string {
	return `SELECT r.name, ` + id + `, r.server, r.key FROM resource r WHERE r.key IN (SELECT value FROM json_each(?5)) AND ` + condition + `
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = r.server AND ` + realmServers + ` AND (?4 = 0 OR c.key = ?4))`
}

// pageOf returns a page of a list. A part of a name is sought in the index for parts;
// one that is too short for it, or in too many names, by a walk.
func pageOf(c *conn, of *userList, realm uma.Key, f uma.GrantedFilter, p pageSpec) ([]*uma.Resource, error) {
	args := []any{int64(realm), f.Owner, f.Requester, int64(f.Server)}
	places, err := placesOf(c, of, args, fold(f.Name), p)
	if err != nil {
		return nil, err
	}
	return resourcesInOrder(c, lightColumns, places)
}

func placesOf(c *conn, of *userList, args []any, part string, p pageSpec) ([]place, error) {
	if part == "" {
		return list(c, of.walk, p.limit(args), scanServerPlace)
	}
	if !isPart(part) {
		return placesNamed(c, of, args, part, p)
	}
	keys, err := list(c, `SELECT rowid FROM resource_part WHERE resource_part MATCH ? LIMIT ? + 0`,
		[]any{`name : ` + quoted(part), maxPartHits + 1}, scanKey)
	switch {
	case err != nil:
		return nil, err
	case len(keys) > maxPartHits:
		return placesNamed(c, of, args, part, p)
	}
	places, err := list(c, of.hits, append(args, keysText(keys)), scanServerPlace)
	slices.SortFunc(places, place.compare)
	return pageIn(places, p), err
}

// placesNamed walks until the page is full, or to the end.
func placesNamed(c *conn, of *userList, args []any, part string, p pageSpec) ([]place, error) {
	named := func(at place) bool { return strings.Contains(fold(at.name), part) }
	return filterPage(c, of.walk, wholeList.limit(args), scanServerPlace, named, p)
}

func scanServerPlace(scan scanFunc) (place, error) {
	var p place
	err := scan(&p.name, &p.id, (*integer)(&p.server), (*integer)(&p.resource))
	return p, err
}
