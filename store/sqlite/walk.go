package sqlite

import (
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A userList has the statements of a list of a user's resources. ?1 is the realm, ?2
// the owner, ?3 the user with whom they are shared, ?4 the resource server, or 0 for
// all of the realm. The list is in the order of names, then ids (unless all have one
// owner, whose names are unique), then resource servers.
type userList struct {
	walk string // reads a page of the list, in its order
	hits string // reads those of the list among the resources ?5
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

// walkOver returns the statement of a walk. A step of its recursion seeks the next name
// and id at the same resource server in an index, and so skips all other rows with the
// same name. After the last they are NULL. The resource servers are merged, because
// SQLite continues with the least row of the queue. Places that a page skips are only
// read in the index.
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

// pageOf returns a page of a list. A part of a name is looked up in resource_part. If
// it is too short for that, or in too many names, a walk compares all names of the
// list.
func pageOf(c *conn, of *userList, realm uma.Key, f uma.GrantedFilter, p pageSpec) ([]*uma.Resource, error) {
	args := []any{int64(realm), f.Owner, f.Requester, int64(f.Server)}
	places, err := placesOf(c, of, args, rows.Fold(f.Name), p)
	if err != nil {
		return nil, err
	}
	return resourcesInOrder(c, lightColumns, places)
}

func placesOf(c *conn, of *userList, args []any, part string, p pageSpec) ([]place, error) {
	if part == "" {
		return list(c, of.walk, p.limit(args), scanServerPlace)
	}
	if !rows.IsPart(part) {
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
	places, err := list(c, of.hits, append(args, rows.KeysText(keys)), scanServerPlace)
	slices.SortFunc(places, place.compare)
	return rows.PageIn(places, p.first, p.max), err
}

// placesNamed walks until the page is full, or to the end.
func placesNamed(c *conn, of *userList, args []any, part string, p pageSpec) ([]place, error) {
	named := func(at place) bool { return strings.Contains(rows.Fold(at.name), part) }
	return filterPage(c, of.walk, wholeList.limit(args), scanServerPlace, named, p)
}

func scanServerPlace(scan scanFunc) (place, error) {
	var p place
	err := scan(&p.name, &p.id, (*integer)(&p.server), (*integer)(&p.resource))
	return p, err
}
