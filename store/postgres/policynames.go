package postgres

import (
	"context"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// typesOf begins the queries for types ($2) that resources of the resource servers of a realm
// ($1) have. Each type is looked up in the index of each server.
const typesOf = ` FROM unnest($2::text[]) WITH ORDINALITY t (type, nth) WHERE EXISTS (
	SELECT 1 FROM realm JOIN client c ON c.realm = realm.key AND c.resource_server
	CROSS JOIN LATERAL (SELECT 1 FROM resource r WHERE r.server = c.key AND r.type = t.type`

// TypesInUse implements uma.Realms.
func (s *Store) TypesInUse(ctx context.Context, realm string, types []string) ([]string, error) {
	return fetch(ctx, s, "types in use", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT t.type`+typesOf+` LIMIT 1) r WHERE realm.name = $1) ORDER BY t.nth`, realm, array(types))
	})
}

// PolicyNames implements uma.Realms. The rows of type_scope are those of resources that the
// resource server owns.
func (s *Store) PolicyNames(ctx context.Context, realm string, types []string) (*uma.PolicyNames, error) {
	return fetch(ctx, s, "names of realm "+realm, func(c *conn) (*uma.PolicyNames, error) {
		names, text := &uma.PolicyNames{}, ""
		err := c.row(`SELECT names FROM realm WHERE name = $1`, []any{realm}, &text)
		if err != nil {
			return nil, err
		}
		if names.File, err = rows.ReadNames(text); err != nil {
			return nil, fmt.Errorf("read names: %w", err)
		}
		names.Own, err = list(c, `SELECT t.type, t.scope FROM realm JOIN client c ON c.realm = realm.key AND c.resource_server
			CROSS JOIN LATERAL (SELECT type, scope FROM type_scope WHERE server = c.key ORDER BY type, scope LIMIT $2) t
			WHERE realm.name = $1 LIMIT $2`,
			[]any{realm, uma.MaxOwnNames + 1}, scanTypeScope)
		if err != nil {
			return nil, err
		}
		if len(names.Own) > uma.MaxOwnNames {
			names.Own, names.More = names.Own[:uma.MaxOwnNames], true
		}
		more, err := list(c, `SELECT t.type, ''`+typesOf+` AND r.own LIMIT 1) r WHERE realm.name = $1) ORDER BY t.nth`,
			[]any{realm, array(types)}, scanTypeScope)
		names.Own = append(names.Own, more...)
		return names, err
	})
}

func scanTypeScope(scan scanFunc) (t uma.TypeScope, err error) {
	err = scan(&t.Type, &t.Scope)
	return t, err
}
