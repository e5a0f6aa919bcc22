package sqlite

import (
	"context"
	"math"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const (
	// findPage is how many resources a listing reads in one transaction.
	findPage = 256

	// pageBytes is about how many bytes of resources a listing has in memory.
	pageBytes = 1 << 20

	// maxPartHits is how many resources resource_part may find. Beyond that it is faster
	// to read resources in the order of names, because enough of them match.
	maxPartHits = 2000

	// maxScopeHits is how many scopes may have a part in their names. Beyond that it is
	// faster to read resources in the order of names. The names of at most maxMisses
	// scopes are compared.
	maxScopeHits = 200

	// perHit is how many more resources without a match a listing may read for each match.
	// A part with maxPartHits matches among a million names is in one name of 500.
	perHit = 500
)

// FindResources implements uma.Registrar.
func (s *Store) FindResources(ctx context.Context, server uma.Key, f uma.ResourceFilter, first, max int, each func(*uma.Resource) error) error {
	if max < 0 {
		max = math.MaxInt
	}
	if max == 0 {
		return nil
	}
	l := newListing(server, f, first)
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

	// places are what resource_part found, if byPlaces.
	places   []place
	byPlaces bool
}

func newListing(server uma.Key, f uma.ResourceFilter, first int) *listing {
	return &listing{server: server, filter: rows.FoldFilter(f), first: first}
}

// begin chooses how resources are found.
func (l *listing) begin(c *conn) error {
	f := &l.filter
	switch {
	case f.ID != "" || f.URI != "" || f.Name != "" && f.ExactName:
		return nil
	case rows.IsPart(f.Name) || rows.IsPart(f.Type):
		return l.findParts(c)
	case f.Owner != "":
		return nil
	case f.Scope != "":
		return l.findScopes(c)
	}
	return nil
}

// next reads the next resources, some hundred at most, and returns those that match the
// filter, at most limit and about pageBytes.
func (l *listing) next(c *conn, limit int) ([]*uma.Resource, error) {
	if !l.begun {
		if err := l.begin(c); err != nil {
			return nil, err
		}
		l.begun = true
	}
	if l.done {
		return nil, nil
	}
	places, more, err := l.nextPlaces(c, limit)
	if err != nil {
		return nil, err
	}
	hits, err := l.matching(c, places)
	if err != nil {
		return nil, err
	}
	skipped := min(l.first, len(hits))
	l.first -= skipped
	page, err := readPage(c, hits[skipped:], limit)
	if err != nil {
		return nil, err
	}
	l.hits += skipped + len(page)
	if read := skipped + len(page); read < len(hits) {
		l.moveTo(hits[read-1]) // the page is full
		return page, nil
	}
	if len(places) > 0 {
		l.moveTo(places[len(places)-1])
	}
	l.misses += len(places) - len(hits)
	if more && l.misses > maxMisses+perHit*l.hits {
		return nil, uma.ErrVague
	}
	l.done = !more
	return page, nil
}

// nextPlaces returns the next places to compare, and whether there may be more after them.
func (l *listing) nextPlaces(c *conn, limit int) ([]place, bool, error) {
	switch {
	case l.byPlaces:
		n := min(findPage, len(l.places))
		return l.places[:n], n < len(l.places), nil
	case len(l.scopes) > 0:
		n := maxMerged
		if l.rest().isEmpty() {
			n = min(n, min(l.first, n)+min(limit, n))
		}
		return placesByScope(c, l.server, l.scopes, 0, l.after, n)
	}
	n := findPage
	query, args, rest := l.query()
	if rest.isEmpty() { // every row matches
		n = min(l.first, maxMisses) + min(limit, findPage)
	}
	found, err := list(c, query, append(args, n), scanPlace)
	return found, len(found) == n, err
}

func (l *listing) moveTo(last place) {
	l.after = last
	if l.byPlaces {
		at, _ := slices.BinarySearchFunc(l.places, last, place.compare)
		l.places = l.places[at+1:]
	}
}

// readPage reads resources until it has limit, or about pageBytes of them.
func readPage(c *conn, places []place, limit int) ([]*uma.Resource, error) {
	var page []*uma.Resource
	const some = 16 // these are half a page, if each has all the bytes that it may have
	for bytes := 0; len(places) > 0 && len(page) < limit && bytes < pageBytes; {
		n := min(some, len(places), limit-len(page))
		found, err := resourcesInOrder(c, resourceColumns, places[:n])
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			bytes += rows.ResourceSize(r)
		}
		page, places = append(page, found...), places[n:]
	}
	return page, nil
}

// matching returns the places of the resources that match the filter.
func (l *listing) matching(c *conn, places []place) ([]place, error) {
	if !l.byPlaces && l.rest().isEmpty() {
		return places, nil
	}
	var hits []place
	for len(places) > 0 {
		n := min(findPage, len(places))
		found, err := resourcesAt(c, lightColumns, places[:n])
		if err != nil {
			return nil, err
		}
		for _, at := range places[:n] {
			if r := found[at.resource]; r != nil && rows.MatchesResource(&l.filter, r) { // it may have been deleted or changed since
				hits = append(hits, at)
			}
		}
		places = places[n:]
	}
	return hits, nil
}

// rest returns the filters that nextPlaces does not apply: they are compared with each
// resource.
func (l *listing) rest() filter {
	if len(l.scopes) > 0 {
		f := filter(l.filter)
		f.Scope = ""
		return f
	}
	_, _, rest := l.query()
	return rest
}

// A filter describes the resources of a listing.
type filter uma.ResourceFilter

func (f filter) isEmpty() bool {
	f.ExactName = false
	return f == filter{}
}

// query returns the statement for the next places, which reads an index in the order of
// the list, and the filters that it does not apply.
func (l *listing) query() (query string, args []any, rest filter) {
	rest = filter(l.filter)
	from := `r.name, r.id, r.key FROM resource r WHERE r.server = ?`
	order := `r.name, r.id`
	args = []any{int64(l.server)}
	switch {
	case rest.ID != "":
		from, args, rest.ID = from+` AND r.id = ?`, append(args, string(rest.ID)), ""
	case rest.URI != "":
		from, order = `u.name, u.id, u.resource FROM resource_uri u WHERE u.server = ? AND u.uri = ?`, `u.name, u.id`
		args, rest.URI = append(args, rest.URI), ""
		if rest.Registered != 0 {
			from, args, rest.Registered = from+` AND u.registered = ?`, append(args, int(rest.Registered)), 0
		}
	case rest.Owner != "":
		from, args, rest.Owner = from+` AND r.owner = ?`, append(args, rest.Owner), ""
	case rest.ExactName && rest.Name != "":
		from, args, rest.Name = from+` AND r.name = ?`, append(args, rest.Name), ""
	}
	query = `SELECT ` + from + ` AND (` + order + `) > (?, ?) ORDER BY ` + order + ` LIMIT ? + 0`
	return query, append(args, l.after.name, l.after.id), rest
}

// findScopes finds the scopes whose names have the part in the filter. If there are too
// many, resources are read in the order of names instead.
func (l *listing) findScopes(c *conn) error {
	known, err := texts[uma.Scope](c, `SELECT name FROM scope WHERE server = ? LIMIT ? + 0`, int64(l.server), maxMisses+1)
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

// findParts finds resources in resource_part, which has no order. If there are too
// many, resources are read in the order of names instead.
func (l *listing) findParts(c *conn) error {
	words := []string{`server : "` + serverWord(l.server) + `"`}
	if rows.IsPart(l.filter.Name) {
		words = append(words, `name : `+quoted(l.filter.Name))
	}
	if rows.IsPart(l.filter.Type) {
		words = append(words, `type : `+quoted(l.filter.Type))
	}
	places, err := list(c, `SELECT r.name, r.id, r.key FROM resource_part CROSS JOIN resource r ON r.key = resource_part.rowid
		WHERE resource_part MATCH ? LIMIT ? + 0`, []any{strings.Join(words, ` AND `), maxPartHits + 1}, scanPlace)
	if err != nil || len(places) > maxPartHits {
		return err
	}
	slices.SortFunc(places, place.compare)
	l.places, l.byPlaces = places, true
	return nil
}

// quoted is a string of FTS5's query language.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
