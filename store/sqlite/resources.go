package sqlite

import (
	"context"
	"errors"
	"strings"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const resourceColumns = ` r.key, r.id, r.server, r.owner, r.name, r.display_name, r.type, r.icon_uri,` +
	` r.uris, r.scopes, r.owner_managed, r.attributes, r.origin, r.texts, r.version `

// lightColumns are resourceColumns without attributes and texts, which lists of
// accounts do not show and searches do not compare.
var lightColumns = strings.NewReplacer(`r.attributes`, `''`, `r.texts`, `''`).Replace(resourceColumns)

func scanResource(scan scanFunc) (*uma.Resource, error) {
	r := &uma.Resource{}
	err := scan((*integer)(&r.Key), (*namedText)(&r.ID), (*integer)(&r.Server), &r.Owner, &r.Name, &r.DisplayName,
		&r.Type, &r.IconURI, (*names)(&r.URIs), (*scopes)(&r.Scopes), &r.OwnerManaged,
		document{&r.Attributes}, (*namedText)(&r.Origin), document{&r.Texts}, (*integer)(&r.Version))
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
	return resourceRow(c, `SELECT`+resourceColumns+`FROM resource r WHERE r.server = ? AND r.id = ?`,
		int64(server), string(id))
}

func resourceByName(c *conn, server uma.Key, owner, name string) (*uma.Resource, error) {
	return resourceRow(c, `SELECT`+resourceColumns+`FROM resource r WHERE r.server = ? AND r.owner = ? AND r.name = ?`,
		int64(server), owner, name)
}

// Resource implements uma.Resources.
func (v *view) Resource(ctx context.Context, server uma.Key, id uma.ResourceID) (*uma.Resource, error) {
	key := memory.ResourceKey{Server: server, ID: id}
	if r, ok := memory.Recall(ctx, &v.View, v.Resources, key); ok {
		return r, nil
	}
	r, err := resourceByID(v.reader(ctx), server, id)
	if err == nil {
		key.ID = r.ID
		memory.Keep(&v.View, v.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return r, err
}

// ResourcesByID implements uma.Resources.
func (v *view) ResourcesByID(ctx context.Context, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	if v.Resources == nil {
		return resourcesByID(v.reader(ctx), server, ids)
	}
	var found []*uma.Resource
	var unread []uma.ResourceID
	asked := make(map[uma.ResourceID]bool, len(ids))
	for _, id := range ids {
		if asked[id] {
			continue
		}
		asked[id] = true
		if r, ok := memory.Recall(ctx, &v.View, v.Resources, memory.ResourceKey{Server: server, ID: id}); ok {
			found = append(found, r)
		} else {
			unread = append(unread, id)
		}
	}
	if len(unread) == 0 {
		return found, nil
	}
	read, err := resourcesByID(v.reader(ctx), server, unread)
	for _, r := range read {
		key := memory.ResourceKey{Server: server, ID: r.ID}
		memory.Keep(&v.View, v.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return append(found, read...), err
}

func resourcesByID(c *conn, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, arg := inList(ids)
	found, err := resources(c, `SELECT`+resourceColumns+`FROM resource r WHERE r.server = ? AND r.id`+in,
		int64(server), arg)
	return found, reading("resources", err)
}

// ResourceByName implements uma.Resources.
func (v *view) ResourceByName(ctx context.Context, server uma.Key, owner, name string) (*uma.Resource, error) {
	key := memory.ResourceKey{Server: server, Owner: owner, Name: name}
	if r, ok := memory.Recall(ctx, &v.View, v.Resources, key); ok {
		return r, nil
	}
	r, err := resourceByName(v.reader(ctx), server, owner, name)
	if err == nil {
		key.Owner, key.Name = r.Owner, r.Name
		memory.Keep(&v.View, v.Resources, key, r, key.Bytes()+memory.ResourceBytes(r))
	}
	return r, err
}

// KnownScopes implements uma.Resources.
func (v *view) KnownScopes(ctx context.Context, server uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	c := v.reader(ctx)
	return knownScopes(c, server, names)
}

func knownScopes(c *conn, server uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	if len(names) == 0 {
		return nil, nil
	}
	in, arg := inList(names)
	found, err := list(c, `SELECT id, name FROM scope WHERE server = ? AND name`+in,
		[]any{int64(server), arg}, func(scan scanFunc) (uma.ScopeRow, error) {
			var row uma.ScopeRow
			err := scan(&row.ID, (*namedText)(&row.Name))
			return row, err
		})
	return found, reading("scopes", err)
}

// TypeScopes implements uma.Resources.
func (v *view) TypeScopes(ctx context.Context, server uma.Key, typ string, names []uma.Scope) ([]uma.Scope, error) {
	c := v.reader(ctx)
	if len(names) == 0 {
		return nil, nil
	}
	in, arg := inList(names)
	found, err := texts[uma.Scope](c, `SELECT scope FROM type_scope WHERE server = ? AND type = ? AND scope`+in,
		int64(server), typ, arg)
	return found, reading("scopes of a type", err)
}

// URIShapes implements uma.Resources.
func (v *view) URIShapes(ctx context.Context, server uma.Key) ([]string, error) {
	c := v.reader(ctx)
	return uriShapes(c, server)
}

func uriShapes(c *conn, server uma.Key) ([]string, error) {
	shapes, err := texts[string](c, `SELECT shape FROM uri_shape WHERE server = ?`, int64(server))
	return shapes, reading("shapes of URIs", err)
}

// URICandidates implements uma.Resources.
func (v *view) URICandidates(ctx context.Context, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	c := v.reader(ctx)
	return uriCandidates(c, server, keys)
}

func uriCandidates(c *conn, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := list(c, `SELECT uri, id FROM uri_pattern
		WHERE server = ? AND key IN (SELECT value FROM json_each(?))`,
		[]any{int64(server), rows.ListText(keys)}, func(scan scanFunc) (uma.URICandidate, error) {
			var u uma.URICandidate
			err := scan(&u.URI, (*namedText)(&u.Resource))
			return u, err
		})
	return found, reading("URIs", err)
}

// Scope implements uma.Resources.
func (v *view) Scope(ctx context.Context, server uma.Key, idOrName string) (uma.ScopeRow, error) {
	c := v.reader(ctx)
	var row uma.ScopeRow
	err := c.row(`SELECT id, name FROM scope WHERE server = ? AND id = ?`, []any{int64(server), idOrName},
		&row.ID, (*namedText)(&row.Name))
	if errors.Is(err, uma.ErrNotFound) {
		err = c.row(`SELECT id, name FROM scope WHERE server = ? AND name = ?`, []any{int64(server), idOrName},
			&row.ID, (*namedText)(&row.Name))
	}
	return row, reading("scope", err)
}
