package sqlite

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/umpire/uma"
)

const (
	// findPage is how many resources a listing reads in one transaction.
	findPage = 256

	// maxPartHits is how many resources the index for parts of names may find and
	// still be faster than a walk in the order of names, which then meets a hit
	// often enough.
	maxPartHits = 2000
)

// FindResources implements uma.Registrar.
func (s *Store) FindResources(ctx context.Context, server uma.Key, f uma.ResourceFilter, first, max int, each func(*uma.Resource) error) error {
	if max < 0 {
		max = math.MaxInt
	}
	l := newListing(server, f)
	for max > 0 && !l.done {
		var page []*uma.Resource
		err := s.read(ctx, func(c *conn) error {
			var err error
			page, err = l.next(c, first, min(max, findPage))
			return reading("resources", err)
		})
		if err != nil {
			return err
		}
		first = 0
		max -= len(page)
		for _, r := range page {
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// A listing is a walk through the resources that a filter describes, in the order
// of names and ids.
type listing struct {
	server uma.Key
	filter uma.ResourceFilter
	after  place
	begun  bool
	done   bool

	// scopes are those that filter.Scope is a part of, when they are the way to
	// the resources.
	scopes []uma.Scope

	// places are all that the index for parts found, when that is the way.
	places   []place
	byPlaces bool
}

func newListing(server uma.Key, f uma.ResourceFilter) *listing {
	f.Type = fold(f.Type)
	if !f.ExactName {
		f.Name = fold(f.Name)
	}
	return &listing{server: server, filter: f}
}

// begin chooses the way to the resources.
func (l *listing) begin(c *conn) error {
	f := &l.filter
	switch {
	case f.ID != "" || f.URI != "" || f.Owner != "" || f.Name != "" && f.ExactName:
		return nil
	case isPart(f.Name) || isPart(f.Type):
		return l.findParts(c)
	case f.Scope != "":
		var err error
		l.scopes, err = texts[uma.Scope](c, `SELECT name FROM scope WHERE server = ? AND instr(name, ?)`, int64(l.server), f.Scope)
		l.done = len(l.scopes) == 0
		return err
	}
	return nil
}

// isPart reports whether the index for parts knows strings of that length.
func isPart(s string) bool { return utf8.RuneCountInString(s) >= 3 }

// next returns at most limit resources after those it returned before.
func (l *listing) next(c *conn, skip, limit int) ([]*uma.Resource, error) {
	if !l.begun {
		if err := l.begin(c); err != nil {
			return nil, err
		}
		l.begun = true
	}
	switch {
	case l.done:
		return nil, nil
	case l.byPlaces:
		return l.nextPlaces(c, skip, limit)
	case len(l.scopes) > 0:
		return l.nextByScope(c, skip, limit)
	}
	query, args := l.query()
	page, err := list(c, query, append(args, limit, skip), scanResource)
	if err == nil {
		l.advance(page, limit)
	}
	return page, err
}

func (l *listing) advance(page []*uma.Resource, limit int) {
	if len(page) < limit {
		l.done = true
		return
	}
	last := page[len(page)-1]
	l.after = place{name: last.Name, id: string(last.ID)}
}

// query returns the statement for a page. Its first conditions choose an index
// that is in the order of the list; the rest is compared row by row, which the +
// says.
func (l *listing) query() (string, []any) {
	f := l.filter
	from, server, key, after, order := `resource r`, `r.server = ?`, "", `(r.name, r.id) > (?, ?)`, `r.name, r.id`
	var keyed string
	switch {
	case f.ID != "":
		key, keyed, f.ID = ` AND r.id = ?`, string(f.ID), ""
	case f.URI != "":
		from = `resource_uri u JOIN resource r ON r.key = u.resource`
		server, after, order = `u.server = ?`, `(u.name, u.id) > (?, ?)`, `u.name, u.id`
		key, keyed, f.URI = ` AND u.uri = ?`, f.URI, ""
	case f.Owner != "":
		key, keyed, f.Owner = ` AND r.owner = ?`, f.Owner, ""
	case f.ExactName && f.Name != "":
		key, keyed, f.Name = ` AND r.name = ?`, f.Name, ""
	}
	args := []any{int64(l.server)}
	if key != "" {
		args = append(args, keyed)
	}
	args = append(args, l.after.name, l.after.id)
	rest, more := restOf(f)
	return `SELECT` + resourceColumns + `FROM ` + from + ` WHERE ` + server + key + ` AND ` + after + rest +
		` ORDER BY ` + order + ` LIMIT ? + 0 OFFSET ?`, append(args, more...)
}

// restOf returns the conditions that are compared row by row.
func restOf(f uma.ResourceFilter) (string, []any) {
	var rest string
	var args []any
	add := func(condition, value string) {
		rest, args = rest+` AND `+condition, append(args, value)
	}
	if f.URI != "" {
		add(`EXISTS (SELECT 1 FROM resource_uri x
			WHERE x.server = r.server AND x.uri = ? AND x.name = r.name AND x.id = r.id)`, f.URI)
	}
	if f.Owner != "" {
		add(`+r.owner = ?`, f.Owner)
	}
	switch {
	case f.Name != "" && f.ExactName:
		add(`+r.name = ?`, f.Name)
	case f.Name != "":
		add(`instr(r.name_folded, ?)`, f.Name)
	}
	if f.Type != "" {
		add(`instr(r.type_folded, ?)`, f.Type)
	}
	if f.Scope != "" {
		add(`EXISTS (SELECT 1 FROM json_each(r.scopes) x WHERE instr(x.value, ?))`, f.Scope)
	}
	return rest, args
}

// nextByScope merges the resources of the scopes that match. The other conditions
// are looked at afterwards.
func (l *listing) nextByScope(c *conn, skip, limit int) ([]*uma.Resource, error) {
	var page []*uma.Resource
	for len(page) < limit && !l.done {
		places, err := placesByScope(c, l.server, l.scopes, l.after, findPage)
		if err != nil {
			return nil, err
		}
		found, err := resourcesAt(c, places)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			l.after = place{name: r.Name, id: string(r.ID)}
			switch {
			case !l.matches(r):
			case skip > 0:
				skip--
			default:
				page = append(page, r)
			}
			if len(page) == limit {
				return page, nil
			}
		}
		l.done = len(places) < findPage
	}
	return page, nil
}

// matches reports whether r is what the filter describes.
func (l *listing) matches(r *uma.Resource) bool {
	f := &l.filter
	name := strings.Contains(fold(r.Name), f.Name)
	if f.ExactName && f.Name != "" {
		name = r.Name == f.Name
	}
	return name && (f.ID == "" || r.ID == f.ID) &&
		(f.Owner == "" || r.Owner == f.Owner) &&
		strings.Contains(fold(r.Type), f.Type) &&
		(f.Scope == "" || slices.ContainsFunc(r.Scopes, func(s uma.Scope) bool { return strings.Contains(string(s), f.Scope) })) &&
		(f.URI == "" || slices.ContainsFunc(r.URIs, func(u string) bool { return uma.FoldURI(u) == f.URI }))
}

// findParts asks the index for parts, which knows no order. When it finds too
// many, the walk in the order of names takes its place.
func (l *listing) findParts(c *conn) error {
	words := []string{`server : "` + serverWord(l.server) + `"`}
	if isPart(l.filter.Name) {
		words = append(words, `name : `+quoted(l.filter.Name))
	}
	if isPart(l.filter.Type) {
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

func (l *listing) nextPlaces(c *conn, skip, limit int) ([]*uma.Resource, error) {
	var page []*uma.Resource
	for len(l.places) > 0 && len(page) < limit {
		found, err := resourcesAt(c, l.places[:1])
		l.places = l.places[1:]
		switch {
		case errors.Is(err, uma.ErrNotFound): // removed since an earlier page
		case err != nil:
			return nil, err
		case !l.matches(found[0]):
		case skip > 0:
			skip--
		default:
			page = append(page, found[0])
		}
	}
	l.done = len(l.places) == 0
	return page, nil
}
