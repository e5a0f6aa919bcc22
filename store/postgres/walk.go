package postgres

import (
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A userList is a list of a user's resources at the resource servers of a realm, or at one of them:
// those of an owner, or those for which there are granted requests. It is in the order of names, then
// ids (unless all have one owner, whose names are unique), then resource servers.
type userList struct {
	realm uma.Key
	uma.GrantedFilter
	owned bool // else shared
}

// page returns a page of the list. A part of a name is compared with the first names of the list, and
// then, if the list is long, looked up in an index of trigrams. If it is too short for that, or in too
// many names, more names of the list are compared.
func (l *userList) page(c *conn, p pageSpec) ([]*uma.Resource, error) {
	places, err := l.places(c, p)
	if err != nil {
		return nil, err
	}
	return resourcesInOrder(c, lightColumns, places)
}

func (l *userList) places(c *conn, p pageSpec) ([]place, error) {
	if l.Name == "" {
		query, args := l.walk(p.upTo(), p)
		return list(c, query, args, scanServerPlace)
	}
	part := rows.Fold(l.Name)
	s := search[place]{scan: scanServerPlace, keep: func(at place) bool { return strings.Contains(rows.Fold(at.name), part) }}
	s.list = func(limit int) (string, []any) { return l.walk(limit, pageSpec{0, limit}) }
	if hasTrigram(part) {
		s.indexed = func() ([]place, bool, error) { return l.named(c, part) }
	}
	return s.page(c, p)
}

// walk returns the statement that reads a page of the list, of which up to `most` places are read at
// each resource server.
func (l *userList) walk(most any, p pageSpec) (string, []any) {
	args := arguments{[]any{l.realm}}
	servers := realmServers
	if l.Server != 0 {
		servers += ` AND c.key = ` + args.add(l.Server)
	}
	var next string
	if l.owned {
		next = `SELECT r.name, '' AS id, r.key AS resource FROM resource r WHERE r.server = c.key AND r.owner = ` + args.add(l.Owner) + ` ORDER BY r.name`
	} else {
		next = l.steps(&args)
	}
	return `SELECT w.name, w.id, c.key, w.resource FROM client c CROSS JOIN LATERAL (` + next + ` LIMIT ` + args.add(most) + `) w
		WHERE ` + servers + ` ORDER BY w.name, w.id, c.key LIMIT ` + args.add(p.limit()) + ` OFFSET ` + args.add(p.first), args.args
}

// steps returns a recursion over what is shared at resource server c. A step seeks the next name, and
// id, in an index, and so skips all other requests for the same resource. It makes no more steps than
// rows are read.
func (l *userList) steps(args *arguments) string {
	id, after, order := `''`, `q.resource_name > w.name`, `q.resource_name`
	if l.Owner == "" {
		id, after, order = `q.resource_id`, `(q.resource_name, q.resource_id) > (w.name, w.id)`, `q.resource_name, q.resource_id`
	}
	granted := `SELECT q.resource_name AS name, ` + id + ` AS id, q.resource FROM live_request q WHERE q.server = c.key` + l.index()
	if l.Owner != "" {
		granted += ` AND q.owner = ` + args.add(l.Owner)
	}
	if l.Requester != "" {
		granted += ` AND q.requester = ` + args.add(l.Requester)
	}
	order = ` ORDER BY ` + order + ` LIMIT 1`
	return `WITH RECURSIVE walk AS ((` + granted + order + `)
		UNION ALL SELECT n.* FROM walk w CROSS JOIN LATERAL (` + granted + ` AND ` + after + order + `) n) SELECT * FROM walk`
}

// index names the index that steps need.
func (l *userList) index() string {
	switch {
	case l.Requester == "":
		return byGranted
	case l.Owner == "":
		return byShared
	}
	return byBetween
}

// named returns the places of the list whose names have a part, unless very many resources have it.
func (l *userList) named(c *conn, part string) (found []place, few bool, err error) {
	servers, err := list(c, `SELECT c.key FROM client c WHERE `+realmServers+` AND ($2::bigint = 0 OR c.key = $2)`, []any{l.realm, l.Server}, scanKey)
	if err != nil {
		return nil, false, err
	}
	named, few, err := placesNamed(c, servers, part, "")
	if err != nil || !few {
		return nil, false, err
	}
	args := arguments{[]any{keysOf(named)}}
	id, conditions := `r.id`, ``
	if l.Owner != "" { // a list by name alone
		id, conditions = `''`, ` AND r.owner = `+args.add(l.Owner)
	}
	if !l.owned {
		conditions += ` AND EXISTS (SELECT 1 FROM request q WHERE q.resource = r.key AND q.state = 'granted'`
		if l.Requester != "" {
			conditions += ` AND q.requester = ` + args.add(l.Requester)
		} else {
			conditions += byResource
		}
		conditions += ` OFFSET 0)`
	}
	found, err = list(c, `SELECT r.name, `+id+`, r.server, r.key FROM resource r WHERE r.key = ANY ($1)`+conditions, args.args, scanServerPlace)
	slices.SortFunc(found, place.compare)
	return found, true, err
}
