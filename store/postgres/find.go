package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const (
	// findPage is about how many resources a listing reads in one transaction.
	findPage = 256

	// walkPage is how many resources it compares in one transaction.
	walkPage = 2 * findPage

	// pageBytes is about how many bytes of resources a listing has in memory.
	pageBytes = 1 << 20

	// maxScopeHits is how many scopes may have a part in their names. Beyond that it is
	// faster to read resources in the order of names. The names of at most maxMisses
	// scopes are compared.
	maxScopeHits = 200

	// perHit is how many more resources without a match a listing may read for each match.
	// A part with maxPartHits matches among a million names is in one name of 500.
	perHit = 500

	// fewHits is how many resources there are for each match of a part that is looked up in the index of
	// parts, if the names that were compared first have no more.
	fewHits = 64
)

// FindResources implements uma.Registrar.
func (s *Store) FindResources(ctx context.Context, server uma.Key, f uma.ResourceFilter, first, max int, each func(*uma.Resource) error) error {
	if max < 0 {
		max = math.MaxInt
	}
	if max == 0 {
		return nil
	}
	l := &listing{server: server, filter: rows.FoldFilter(f), first: first}
	return eachPage(ctx, s, func(c *conn) ([]*uma.Resource, bool, error) {
		page, err := l.next(c, max)
		max -= len(page)
		return page, max > 0 && !l.done, reading("resources", err)
	}, each)
}

// A listing finds the resources that a filter describes, page by page, in the order of
// names and ids.
type listing struct {
	server uma.Key
	filter uma.ResourceFilter
	first  int   // matches that are still to be skipped
	after  place // the last that was read
	begun  bool
	done   bool

	hits, misses int

	// scopes are those with filter.Scope as a part of their names, if resources are
	// found by them.
	scopes []uma.Scope

	// places are those that are left of what the index of parts found, if byPlaces.
	places   []place
	byPlaces bool
	sought   bool // the index of parts was asked
}

// next reads the next resources, some hundred at most, and returns those that match the
// filter, at most limit and about pageBytes.
func (l *listing) next(c *conn, limit int) ([]*uma.Resource, error) {
	if err := l.choose(c); err != nil || l.done {
		return nil, err
	}
	s, err := l.step(c, limit)
	if err != nil {
		return nil, err
	}
	skipped := min(l.first, len(s.hits))
	l.first -= skipped
	page, err := readPage(c, s.hits[skipped:], limit)
	if err != nil {
		return nil, err
	}
	l.hits += skipped + len(page)
	if read := skipped + len(page); read < len(s.hits) {
		l.moveTo(s.hits[read-1]) // the page is full
		return page, nil
	}
	if s.read > 0 {
		l.moveTo(s.last)
	}
	l.misses += s.read - len(s.hits)
	if s.more && l.misses > maxMisses+perHit*l.hits {
		return nil, uma.ErrVague
	}
	l.done = !s.more
	return page, nil
}

// choose chooses how resources are found. A part of a name or type is first compared along the index of
// names. If that finds few, as a rare part is not in the first of many names, the index of parts is asked.
func (l *listing) choose(c *conn) error {
	f := &l.filter
	begun := l.begun
	l.begun = true
	switch {
	case f.ID != "" || f.URI != "" || f.Name != "" && f.ExactName:
		return nil
	case hasTrigram(f.Name) || hasTrigram(f.Type):
		if l.sought || l.misses < walkPage || l.misses < fewHits*l.hits {
			return nil
		}
		l.sought = true
		return l.findParts(c)
	case f.Owner == "" && f.Scope != "" && !begun:
		return l.findScopes(c)
	}
	return nil
}

func (l *listing) moveTo(last place) {
	l.after = last
	if l.byPlaces {
		at, _ := slices.BinarySearchFunc(l.places, last, place.compare)
		l.places = l.places[at+1:]
	}
}

// A step of a listing.
type step struct {
	hits []place // those that match
	read int     // how many were compared
	last place   // of these
	more bool    // there may be more after the last
}

// step compares the next resources.
func (l *listing) step(c *conn, limit int) (s step, err error) {
	switch {
	case l.byPlaces:
		next := l.places[:min(findPage, len(l.places))]
		return l.compare(c, next, len(next) < len(l.places))
	case len(l.scopes) > 0 && l.filter.Type == "" && l.filter.Name == "":
		s.hits, s.more, err = placesByScope(c, l.server, l.scopes, l.after, min(l.first, maxMisses)+min(limit, findPage))
		if s.read = len(s.hits); s.read > 0 {
			s.last = s.hits[s.read-1]
		}
		return s, err
	case len(l.scopes) > 0:
		places, more, err := placesByScope(c, l.server, l.scopes, l.after, maxMerged)
		if err != nil {
			return s, err
		}
		return l.compare(c, places, more)
	}
	return l.walk(c, limit)
}

// compare returns those of some places whose resources match. They may have been deleted or changed since
// they were found.
func (l *listing) compare(c *conn, places []place, more bool) (step, error) {
	s := step{read: len(places), more: more}
	if len(places) == 0 {
		return s, nil
	}
	s.last = places[len(places)-1]
	q := &arguments{}
	found, err := list(c, `SELECT r.key FROM resource r WHERE r.key = ANY(`+q.add(keysOf(places))+`) AND r.server = `+q.add(l.server)+
		` AND `+matching(l.filter, q), q.args, scanKey)
	if err != nil {
		return s, err
	}
	there := make(map[uma.Key]bool, len(found))
	for _, key := range found {
		there[key] = true
	}
	for _, at := range places {
		if there[at.resource] {
			s.hits = append(s.hits, at)
		}
	}
	return s, nil
}

func scanKey(scan scanFunc) (key uma.Key, err error) {
	err = scan(&key)
	return key, err
}

// walk reads the next places along an index in the order of the list. About the order by owners see selectResources.
func (l *listing) walk(c *conn, limit int) (s step, err error) {
	q := &arguments{}
	rest := l.filter
	server := q.add(l.server)
	from, at, order := `resource r WHERE r.server = `+server, `r.name, r.id`, ``
	switch {
	case rest.ID != "":
		from, rest.ID = from+` AND r.id = `+q.add(rest.ID), ""
	case rest.URI != "":
		from = `resource_uri u JOIN resource r ON r.key = u.resource WHERE u.server = ` + server + ` AND ` + isURI(`u.uri`, q.add(rest.URI))
		at, rest.URI = `u.name, u.id`, ""
		if rest.Registered != 0 {
			from, rest.Registered = from+` AND u.registered = `+q.add(rest.Registered), 0
		}
	case rest.Owner != "":
		owner := q.add(rest.Owner)
		from += ` AND r.owner <= ` + owner + ` AND (r.owner, r.name) >= (` + owner + `, ` + q.add(l.after.name) + `)`
		order, rest.Owner = `r.owner, `, ""
	case rest.ExactName && rest.Name != "":
		from, rest.Name = from+` AND r.name = `+q.add(rest.Name), ""
	}
	n, hit := walkPage, matching(rest, q)
	if hit == everyRow {
		n = min(l.first, maxMisses) + min(limit, findPage)
	}
	query := fmt.Sprintf(`SELECT %[1]s, r.key, %[2]s FROM %[3]s AND (%[1]s) > (%[4]s, %[5]s) ORDER BY %[6]s%[1]s LIMIT %[7]s`,
		at, hit, from, q.add(l.after.name), q.add(l.after.id), order, q.add(n))
	err = c.rows(query, q.args, func(scan scanFunc) error {
		var matches bool
		err := scan(&s.last.name, &s.last.id, &s.last.resource, &matches)
		s.read++
		if matches {
			s.hits = append(s.hits, s.last)
		}
		return err
	})
	s.more = s.read == n
	return s, err
}

// arguments are those of a query that is put together.
type arguments struct{ args []any }

// add adds an argument and returns its parameter.
func (a *arguments) add(value any) string {
	a.args = append(a.args, value)
	return fmt.Sprintf("$%d", len(a.args))
}

const everyRow = `true`

// matching is the condition that the resource r matches a folded filter: see rows.MatchesResource.
func matching(f uma.ResourceFilter, q *arguments) string {
	var all []string
	add := func(set bool, condition string, value any) {
		if set {
			all = append(all, fmt.Sprintf(condition, q.add(value)))
		}
	}
	add(f.ID != "", `r.id = %s`, f.ID)
	add(f.Owner != "", `r.owner = %s`, f.Owner)
	add(f.Name != "" && f.ExactName, `r.name = %s`, f.Name)
	add(f.Name != "" && !f.ExactName, `strpos(r.name_folded, %s) > 0`, f.Name)
	add(f.Type != "", `strpos(r.type_folded, %s) > 0`, f.Type)
	add(f.Scope != "", `EXISTS (SELECT 1 FROM unnest(r.scopes) s WHERE strpos(s, %s) > 0)`, f.Scope)
	add(f.URI != "", `EXISTS (SELECT 1 FROM resource_uri u WHERE u.server = r.server AND `+isURI(`u.uri`, `%[1]s`)+` AND u.name = r.name AND u.id = r.id)`, f.URI)
	if len(all) == 0 {
		return everyRow
	}
	return strings.Join(all, ` AND `)
}

// readPage reads resources until it has limit, or about pageBytes of them.
func readPage(c *conn, places []place, limit int) ([]*uma.Resource, error) {
	if len(places) == 0 {
		return nil, nil
	}
	places = places[:min(len(places), limit, findPage)]
	return resources(c, `SELECT`+resourceColumns+`FROM (
			SELECT r.*, sum(octet_length(r.attributes) + octet_length(r.texts) + pg_column_size(r.uris) + pg_column_size(r.scopes))
				OVER (ORDER BY r.name, r.id) AS bytes, row_number() OVER (ORDER BY r.name, r.id) AS nth
			FROM resource r WHERE r.key = ANY($1)) r
		WHERE r.bytes < $2 OR r.nth = 1 ORDER BY r.name, r.id`, keysOf(places), pageBytes)
}

// findScopes finds the scopes whose names have the part in the filter. If there are too
// many, resources are read in the order of names instead.
func (l *listing) findScopes(c *conn) error {
	known, err := texts[uma.Scope](c, `SELECT name FROM scope WHERE server = $1 LIMIT $2`, l.server, maxMisses+1)
	if err != nil || len(known) > maxMisses {
		return err
	}
	found := slices.DeleteFunc(known, func(s uma.Scope) bool { return !strings.Contains(string(s), l.filter.Scope) })
	l.done = len(found) == 0
	if len(found) <= maxScopeHits {
		l.scopes = found
	}
	return nil
}

// findParts finds the resources that are left in the index of parts, which has no order. If it cannot,
// the listing goes on along the index of names.
func (l *listing) findParts(c *conn) error {
	places, found, err := placesNamed(c, []uma.Key{l.server}, l.filter.Name, l.filter.Type)
	if err != nil || !found {
		return err
	}
	after := l.after
	after.server = l.server
	l.places, l.byPlaces = slices.DeleteFunc(places, func(p place) bool { return p.compare(after) <= 0 }), true
	return nil
}
