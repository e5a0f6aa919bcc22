package sqlite

import (
	"slices"

	"example.com/umpire/uma"
)

// maxWalk is how many names a walk looks at for a part that is in so many names of
// the store that the index for parts is of no help.
const maxWalk = 10_000

// A userList is a list of resources by name and id that has something to do with a
// user, at the resource servers of realm ?1: ?2 owns them, ?3 was granted something
// of them, and ?4 is the resource server, unless it is 0.
type userList struct {
	walk string // in the order of the list
	hits string // among resources that were found
}

var (
	owned = userList{
		walk: walkOver(`n.name, n.id, n.key FROM walk w JOIN resource n ON n.key = (SELECT o.key FROM resource o
			WHERE o.server = w.server AND o.owner = ?2 AND o.name > w.name ORDER BY o.name LIMIT 1)`),
		hits: hitsWhere(`r.owner = ?2`),
	}
	sharedBy   = granted(`q.owner = ?2`)
	sharedWith = granted(`q.requester = ?3`)
	between    = granted(`q.owner = ?2 AND q.requester = ?3`)
)

// granted is the list of resources for which there are granted requests of a user.
func granted(of string) userList {
	const granted = `FROM request q WHERE q.state = 'granted' AND `
	return userList{
		walk: walkOver(`n.resource_name, n.resource_id, n.resource FROM walk w JOIN request n ON n.key = (SELECT q.key ` +
			granted + of + ` AND q.server = w.server AND (q.resource_name, q.resource_id) > (+w.name, +w.id)
			ORDER BY q.resource_name, q.resource_id LIMIT 1)`),
		hits: hitsWhere(`EXISTS (SELECT 1 ` +
			granted + of + ` AND q.server = r.server AND q.resource_name = r.name AND q.resource_id = r.id)`),
	}
}

// walkOver returns the statement of a walk. Each of its steps leads from one resource
// to the next at the same resource server, over all that the index has of the first.
// The steps at several resource servers come in order, since SQLite takes the least
// row of those that are yet to be stepped from. It stops at the end of the page.
func walkOver(next string) string {
	return `WITH RECURSIVE walk (server, name, id, resource) AS (
		SELECT c.key, '', '', 0 FROM client c WHERE ` + realmServers + ` AND (?4 = 0 OR c.key = ?4)
		UNION ALL SELECT w.server, ` + next + ` ORDER BY 2, 3 LIMIT ?5 + 0)
	SELECT` + resourceColumns + `FROM walk w CROSS JOIN resource r ON r.key = w.resource
	WHERE w.resource > 0 AND instr(r.name_folded, ?6) LIMIT ?7 + 0 OFFSET ?8`
}

func hitsWhere(condition string) string {
	return `SELECT r.name, r.id, r.key FROM resource r WHERE r.key IN (SELECT value FROM json_each(?5)) AND ` + condition + `
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = r.server AND ` + realmServers + ` AND (?4 = 0 OR c.key = ?4))`
}

// pageOf returns a page of a list. A part of a name is sought in the index for parts;
// one that is too short for it, or in too many names, by a walk.
func pageOf(c *conn, of *userList, realm uma.Key, f uma.SharedFilter, first, max int) ([]*uma.Resource, error) {
	args := []any{int64(realm), f.Owner, f.Requester, int64(f.Server)}
	part, limit := fold(f.Name), -1
	if isPart(part) {
		keys, err := list(c, `SELECT rowid FROM resource_part WHERE resource_part MATCH ? LIMIT ? + 0`,
			[]any{`name : ` + quoted(part), maxPartHits + 1}, scanKey)
		if err != nil {
			return nil, err
		}
		if len(keys) <= maxPartHits {
			return hitsOf(c, of, append(args, keysText(keys)), first, max)
		}
	}
	if part != "" {
		limit = maxWalk
	}
	return list(c, of.walk, append(args, limit, part, max, first), scanResource)
}

// hitsOf returns a page of those among the hits of the index for parts that are in
// the list.
func hitsOf(c *conn, of *userList, args []any, first, max int) ([]*uma.Resource, error) {
	places, err := list(c, of.hits, args, scanPlace)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(places, place.compare)
	return resourcesAt(c, pageIn(places, first, max))
}
