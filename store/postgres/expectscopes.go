package postgres

import (
	"slices"

	"example.com/umpire/uma"
)

// aheadScopes are the scopes of a resource server that a view has read before it was asked for them.
type aheadScopes struct {
	server uma.Key
	asked  []uma.Scope
	rows   []uma.ScopeRow // those of them that the server knows
	types  map[string][]uma.Scope
}

// known returns which of the scopes the server knows, if they were read.
func (a *aheadScopes) known(server uma.Key, names []uma.Scope) (found []uma.ScopeRow, ok bool) {
	if !a.covers(server, names) {
		return nil, false
	}
	for _, row := range a.rows {
		if slices.Contains(names, row.Name) {
			found = append(found, row)
		}
	}
	return found, true
}

// ofType returns which of the scopes resources have from their type, if they were read.
func (a *aheadScopes) ofType(server uma.Key, typ string, names []uma.Scope) (found []uma.Scope, ok bool) {
	of, read := a.types[typ]
	if !read || !a.covers(server, names) {
		return nil, false
	}
	for _, scope := range of {
		if slices.Contains(names, scope) {
			found = append(found, scope)
		}
	}
	return found, true
}

func (a *aheadScopes) covers(server uma.Key, names []uma.Scope) bool {
	return server == a.server && len(names) > 0 &&
		!slices.ContainsFunc(names, func(s uma.Scope) bool { return !slices.Contains(a.asked, s) })
}

// askScopes asks which of the scopes the server knows, and which the types of the resources that are
// named give them. A resource server's own resources have no others than their own.
func (x *expecting) askScopes() {
	if x.Server == 0 || len(x.Scopes) == 0 || len(x.Resources) == 0 {
		return
	}
	a := &x.scopes
	*a = aheadScopes{server: x.Server, asked: x.Scopes, types: map[string][]uma.Scope{}}
	x.ask(scopesWithNames, []any{x.Server, array(x.Scopes)}, func(scan scanFunc) error {
		row, err := scanScope(scan)
		a.rows = append(a.rows, row)
		return err
	})
	x.ask(`WITH `+named+` SELECT t.type, t.scope FROM type_scope t WHERE t.server = $4 AND t.scope = ANY($7)
		AND t.type = ANY (ARRAY (SELECT r.type FROM resource r WHERE r.key = ANY (ARRAY (SELECT key FROM named)) AND r.type <> ''))`,
		x.args(array(x.Scopes)), func(scan scanFunc) error {
			var typ string
			var scope uma.Scope
			err := scan(&typ, (*string)(&scope))
			a.types[typ] = append(a.types[typ], scope)
			return err
		})
}
