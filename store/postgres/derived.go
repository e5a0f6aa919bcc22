package postgres

import (
	"cmp"
	"maps"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// derived are the rows of resources of one server in the tables that find resources: resource_scope,
// resource_uri, uri_pattern, uri_shape and type_scope.
type derived struct {
	server       uma.Key
	scopes, uris map[indexed]uma.Registered
	patterns     map[pattern]bool
	shapes       map[string]int64    // how many URIs have the shape
	types        map[typeScope]int64 // how many resources of the type have the scope
}

// An indexed is a scope or a URI of a resource.
type indexed struct {
	text     string
	name, id string
	resource uma.Key
}

func (e indexed) compare(f indexed) int {
	return cmp.Or(cmp.Compare(e.text, f.text), cmp.Compare(e.name, f.name), cmp.Compare(e.id, f.id))
}

// A pattern is a URI that the resource server registered for itself.
type pattern struct{ key, uri, id string }

func (p pattern) compare(q pattern) int {
	return cmp.Or(cmp.Compare(p.key, q.key), cmp.Compare(p.uri, q.uri), cmp.Compare(p.id, q.id))
}

type typeScope struct{ typ, scope string }

func (t typeScope) compare(u typeScope) int {
	return cmp.Or(cmp.Compare(t.typ, u.typ), cmp.Compare(t.scope, u.scope))
}

func compareText[T ~string](a, b T) int { return cmp.Compare(a, b) }

func newDerived(server uma.Key) *derived {
	return &derived{
		server: server, scopes: map[indexed]uma.Registered{}, uris: map[indexed]uma.Registered{},
		patterns: map[pattern]bool{}, shapes: map[string]int64{}, types: map[typeScope]int64{},
	}
}

// add adds the rows of a resource with these claims.
func (d *derived) add(r *uma.Resource, own bool, c claims) {
	registered := func(claimed bool) uma.Registered {
		switch {
		case own:
			return uma.OwnOfServer
		case claimed:
			return uma.ByOwner
		}
		return uma.ForOwner
	}
	for _, scope := range r.Scopes {
		e := indexed{string(scope), r.Name, string(r.ID), r.Key}
		if _, twice := d.scopes[e]; twice {
			continue
		}
		d.scopes[e] = registered(c.scopes[e.text])
		if own && r.Type != "" {
			d.types[typeScope{r.Type, e.text}]++
		}
	}
	for _, uri := range r.URIs {
		e := indexed{uripath.Fold(uri), r.Name, string(r.ID), r.Key}
		d.uris[e] = registered(c.uris[e.text])
		key, shape := uripath.Key(uri)
		p := pattern{key, uri, string(r.ID)}
		if !own || d.patterns[p] {
			continue
		}
		d.patterns[p] = true
		if shape != "" {
			d.shapes[shape]++
		}
	}
}

// changeDerived returns the commands that make the rows was into is. was are those of the resource old.
// The rows of types and shapes are shared by many resources, and locked until the end of the
// transaction: they come last, in one order.
func changeDerived(old *uma.Resource, was, is *derived) (commands []command) {
	server := is.server
	if gone := texting(beside(was.scopes, is.scopes)); len(gone) > 0 {
		commands = append(commands, command{query: `DELETE FROM resource_scope WHERE server = $1 AND scope = ANY($2) AND name = $3 AND id = $4`,
			args: []any{server, gone, old.Name, old.ID}})
	}
	if gone := texting(beside(was.uris, is.uris)); len(gone) > 0 {
		commands = append(commands, command{query: `DELETE FROM resource_uri u USING unnest($2::text[]) x (uri)
			WHERE u.server = $1 AND ` + isURI(`u.uri`, `x.uri`) + ` AND u.name = $3 AND u.id = $4`,
			args: []any{server, gone, old.Name, old.ID}})
	}
	if added := beside(is.scopes, was.scopes); len(added) > 0 {
		commands = append(commands, insertEntries(server, added, is.scopes,
			`INSERT INTO resource_scope (server, scope, name, id, resource, registered)`))
	}
	if added := beside(is.uris, was.uris); len(added) > 0 {
		commands = append(commands, insertEntries(server, added, is.uris,
			`INSERT INTO resource_uri (server, uri, name, id, resource, registered)`))
	}
	commands = append(commands, changePatterns(old, was, is)...)
	return append(commands, changeCounters(was, is)...)
}

// beside returns the entries that are not, or not registered so, among others, sorted.
func beside(all, others map[indexed]uma.Registered) (found []indexed) {
	for e, registered := range all {
		if others[e] != registered {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, indexed.compare)
	return found
}

// texting returns the scopes or URIs of entries.
func texting(all []indexed) []string {
	list := make([]string, len(all))
	for i, e := range all {
		list[i] = e.text
	}
	return list
}

func insertEntries(server uma.Key, all []indexed, registered map[indexed]uma.Registered, into string) command {
	var cols columns
	for _, e := range all {
		cols.add(e.text, e.name, e.id, int64(e.resource), int64(registered[e]))
	}
	return command{query: into + ` SELECT $6, x.* FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) x`,
		args: append(cols.args(), server)}
}

func changePatterns(old *uma.Resource, was, is *derived) (commands []command) {
	var gone []string
	var added columns
	for _, p := range slices.SortedFunc(maps.Keys(was.patterns), pattern.compare) {
		if !is.patterns[p] {
			gone = append(gone, p.key, p.uri)
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(is.patterns), pattern.compare) {
		if !was.patterns[p] {
			added.add(p.key, p.uri, p.id)
		}
	}
	for pair := range slices.Chunk(gone, 2) {
		commands = append(commands, command{query: `DELETE FROM uri_pattern WHERE server = $1 AND ` + isURI(`key`, `$2`) + ` AND uri = $3 AND id = $4`,
			args: []any{is.server, pair[0], pair[1], old.ID}})
	}
	if added.count > 0 {
		commands = append(commands, command{query: `INSERT INTO uri_pattern (server, key, uri, id)
			SELECT $4, x.* FROM unnest($1::text[], $2::text[], $3::text[]) x`, args: append(added.args(), is.server)})
	}
	return commands
}

// changeCounters changes the numbers of uses, and deletes the rows of what is no longer used.
func changeCounters(was, is *derived) (commands []command) {
	var types, shapes, noTypes, noShapes columns
	for _, t := range slices.SortedFunc(maps.Keys(joined(was.types, is.types)), typeScope.compare) {
		switch more := is.types[t] - was.types[t]; {
		case more < 0:
			noTypes.add(t.typ, t.scope)
			fallthrough
		case more > 0:
			types.add(t.typ, t.scope, more)
		}
	}
	for _, shape := range slices.Sorted(maps.Keys(joined(was.shapes, is.shapes))) {
		switch more := is.shapes[shape] - was.shapes[shape]; {
		case more < 0:
			noShapes.add(shape)
			fallthrough
		case more > 0:
			shapes.add(shape, more)
		}
	}
	add := func(cols columns, query string) {
		if cols.count > 0 {
			commands = append(commands, command{query: query, args: append(cols.args(), is.server)})
		}
	}
	add(types, `INSERT INTO type_scope AS t (server, type, scope, uses)
		SELECT $4, x.* FROM unnest($1::text[], $2::text[], $3::bigint[]) x
		ON CONFLICT (server, type, scope) DO UPDATE SET uses = t.uses + excluded.uses`)
	add(noTypes, `DELETE FROM type_scope t USING unnest($1::text[], $2::text[]) x (type, scope)
		WHERE t.server = $3 AND t.type = x.type AND t.scope = x.scope AND t.uses <= 0`)
	add(shapes, `INSERT INTO uri_shape AS s (server, shape, uses)
		SELECT $3, x.* FROM unnest($1::text[], $2::bigint[]) x
		ON CONFLICT (server, shape) DO UPDATE SET uses = s.uses + excluded.uses`)
	add(noShapes, `DELETE FROM uri_shape WHERE shape = ANY($1) AND server = $2 AND uses <= 0`)
	return commands
}

// joined has the keys of both maps.
func joined[K comparable](a, b map[K]int64) map[K]int64 {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// removeDerived returns the commands that remove the rows of a resource.
func removeDerived(r *uma.Resource, own bool) []command {
	was := newDerived(r.Server)
	was.add(r, own, claims{})
	return changeDerived(r, was, newDerived(r.Server))
}
