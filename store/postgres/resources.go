package postgres

import (
	"context"
	"fmt"
	"strings"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const resourceColumns = ` r.key, r.id, r.server, r.owner, r.name, r.display_name, r.type, r.icon_uri,` +
	` r.uris, r.scopes, r.owner_managed, r.attributes, r.origin, r.texts, r.version `

// lightColumns are resourceColumns without attributes and texts, which lists of
// accounts do not show and searches do not compare.
var lightColumns = strings.NewReplacer(`r.attributes`, `'' AS attributes`, `r.texts`, `'' AS texts`).Replace(resourceColumns)

func scanResource(scan scanFunc) (*uma.Resource, error) {
	r := &uma.Resource{}
	err := scan(&r.Key, &r.ID, &r.Server, &r.Owner, &r.Name, &r.DisplayName, &r.Type, &r.IconURI, (*names)(&r.URIs), (*scopes)(&r.Scopes),
		&r.OwnerManaged, document{&r.Attributes}, &r.Origin, document{&r.Texts}, &r.Version)
	return r, err
}

// resources reads those that a query finds.
func resources(c *conn, query string, args ...any) ([]*uma.Resource, error) {
	return list(c, query, args, func(scan scanFunc) (*uma.Resource, error) {
		r, err := scanResource(scan)
		if err != nil {
			return nil, err
		}
		return r, c.spend(rows.ResourceSize(r))
	})
}

func resourceRow(c *conn, query string, args ...any) (*uma.Resource, error) {
	r, err := oneRow(c, query, args, scanResource)
	return r, reading("resource", err)
}

func resourceByID(c *conn, server uma.Key, id uma.ResourceID) (*uma.Resource, error) {
	return resourceRow(c, `SELECT`+resourceColumns+`FROM resource r WHERE r.server = $1 AND r.id = $2`, server, id)
}

// lockResource is resourceByID for a resource that the transaction changes. It locks the row, after that
// of the resource server, whose id as an owner it returns, too.
func lockResource(tx *conn, server uma.Key, id uma.ResourceID) (r *uma.Resource, self string, err error) {
	return lockResourceWhere(tx, `r.server = $1 AND r.id = $2`, server, id)
}

// lockResourceAt is lockResource by key.
func lockResourceAt(tx *conn, key uma.Key) (r *uma.Resource, self string, err error) {
	return lockResourceWhere(tx, `r.key = $1`, key)
}

func lockResourceWhere(tx *conn, condition string, args ...any) (r *uma.Resource, self string, err error) {
	r, err = oneRow(tx, `SELECT`+resourceColumns+`, c.uuid FROM client c JOIN resource r ON r.server = c.key
		WHERE `+condition+` FOR KEY SHARE OF c FOR UPDATE OF r`, args, func(scan scanFunc) (*uma.Resource, error) {
		return scanResource(func(dest ...any) error { return scan(append(dest, &self)...) })
	})
	return r, self, reading("resource", err)
}

func resourceByName(c *conn, server uma.Key, owner, name string) (*uma.Resource, error) {
	return resourceRow(c, `SELECT`+resourceColumns+`FROM resource r WHERE r.server = $1 AND r.owner = $2 AND r.name = $3`,
		server, owner, name)
}

// Resource implements uma.Resources.
func (v *view) Resource(ctx context.Context, server uma.Key, id uma.ResourceID) (*uma.Resource, error) {
	key := memory.ResourceKey{Server: server, ID: id}
	if r, ok := memory.Recall(ctx, &v.rows, v.rows.Resources, key); ok {
		return r, nil
	}
	r, ok := v.ahead.resource(key)
	var err error
	if !ok {
		r, err = resourceByID(v.conn(ctx), server, id)
	} else if r == nil {
		err = reading("resource", uma.ErrNotFound)
	}
	if err == nil {
		key.ID = r.ID
		memory.Keep(&v.rows, v.rows.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return r, err
}

// ResourcesByID implements uma.Resources.
func (v *view) ResourcesByID(ctx context.Context, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	var found []*uma.Resource
	var unread []uma.ResourceID
	asked := make(map[uma.ResourceID]bool, len(ids))
	for _, id := range ids {
		if asked[id] {
			continue
		}
		asked[id] = true
		key := memory.ResourceKey{Server: server, ID: id}
		r, ok := memory.Recall(ctx, &v.rows, v.rows.Resources, key)
		if !ok {
			r, ok = v.ahead.resource(key)
		}
		switch {
		case !ok:
			unread = append(unread, id)
		case r != nil:
			found = append(found, r)
		}
	}
	if len(unread) == 0 {
		return found, nil
	}
	read, err := resourcesByID(v.conn(ctx), server, unread)
	for _, r := range read {
		key := memory.ResourceKey{Server: server, ID: r.ID}
		memory.Keep(&v.rows, v.rows.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return append(found, read...), err
}

const resourcesWithIDs = `SELECT` + resourceColumns + `FROM resource r WHERE r.server = $1 AND r.id = ANY($2)`

func resourcesByID(c *conn, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := resources(c, resourcesWithIDs, server, array(ids))
	return found, reading("resources", err)
}

// ResourceByName implements uma.Resources.
func (v *view) ResourceByName(ctx context.Context, server uma.Key, owner, name string) (*uma.Resource, error) {
	key := memory.ResourceKey{Server: server, Owner: owner, Name: name}
	if r, ok := memory.Recall(ctx, &v.rows, v.rows.Resources, key); ok {
		return r, nil
	}
	r, ok := v.ahead.resource(key)
	var err error
	if !ok {
		r, err = resourceByName(v.conn(ctx), server, owner, name)
	} else if r == nil {
		err = reading("resource", uma.ErrNotFound)
	}
	if err == nil {
		key.Owner, key.Name = r.Owner, r.Name
		memory.Keep(&v.rows, v.rows.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return r, err
}

// KnownScopes implements uma.Resources.
func (v *view) KnownScopes(ctx context.Context, server uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	if found, ok := v.ahead.scopes.known(server, names); ok {
		return found, nil
	}
	return knownScopes(v.conn(ctx), server, names)
}

func knownScopes(c *conn, server uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found, err := list(c, scopesWithNames, []any{server, array(names)}, scanScope)
	return found, reading("scopes", err)
}

const scopesWithNames = `SELECT id, name FROM scope WHERE server = $1 AND name = ANY($2)`

func scanScope(scan scanFunc) (uma.ScopeRow, error) {
	var row uma.ScopeRow
	err := scan(&row.ID, &row.Name)
	return row, err
}

// TypeScopes implements uma.Resources.
func (v *view) TypeScopes(ctx context.Context, server uma.Key, typ string, names []uma.Scope) ([]uma.Scope, error) {
	if found, ok := v.ahead.scopes.ofType(server, typ, names); ok {
		return found, nil
	}
	c := v.conn(ctx)
	if len(names) == 0 {
		return nil, nil
	}
	found, err := texts[uma.Scope](c, `SELECT scope FROM type_scope WHERE server = $1 AND type = $2 AND scope = ANY($3)`,
		server, typ, array(names))
	return found, reading("scopes of a type", err)
}

// URIShapes implements uma.Resources.
func (v *view) URIShapes(ctx context.Context, server uma.Key) ([]string, error) {
	return uriShapes(v.conn(ctx), server)
}

func uriShapes(c *conn, server uma.Key) ([]string, error) {
	shapes, err := texts[string](c, `SELECT shape FROM uri_shape WHERE server = $1`, server)
	return shapes, reading("shapes of URIs", err)
}

// isURI is the condition that a column is a URI, or its key, for the indexes: see long_digest in the schema.
func isURI(column, uri string) string {
	return fmt.Sprintf(`left(%[1]s, 400) = left(%[2]s, 400) AND long_digest(%[1]s) = long_digest(%[2]s) AND %[1]s = %[2]s`, column, uri)
}

// URICandidates implements uma.Resources.
func (v *view) URICandidates(ctx context.Context, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	return uriCandidates(v.conn(ctx), server, keys)
}

func uriCandidates(c *conn, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := list(c, `SELECT p.uri, p.id FROM (SELECT DISTINCT unnest($2::text[])) x (key), LATERAL (SELECT p.uri, p.id FROM uri_pattern p
		WHERE p.server = $1 AND `+isURI(`p.key`, `x.key`)+` OFFSET 0) p`,
		[]any{server, keys}, func(scan scanFunc) (uma.URICandidate, error) {
			var u uma.URICandidate
			err := scan(&u.URI, &u.Resource)
			return u, err
		})
	return found, reading("URIs", err)
}

// Scope implements uma.Resources.
func (v *view) Scope(ctx context.Context, server uma.Key, idOrName string) (uma.ScopeRow, error) {
	row, err := oneRow(v.conn(ctx), `SELECT id, name FROM scope WHERE server = $1 AND id = $2
		UNION ALL SELECT id, name FROM scope WHERE server = $1 AND name = $2`, []any{server, idOrName}, scanScope)
	return row, reading("scope", err)
}
