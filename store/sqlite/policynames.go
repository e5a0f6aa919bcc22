package sqlite

import (
	"context"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// PolicyNames implements uma.Realms. The rows of type_scope are those of resources that the
// resource server owns.
func (s *Store) PolicyNames(ctx context.Context, realm string, types []string) (*uma.PolicyNames, error) {
	return fetch(ctx, s, "names of realm "+realm, func(c *conn) (*uma.PolicyNames, error) {
		names, text := &uma.PolicyNames{}, ""
		if err := c.row(`SELECT names FROM realm WHERE name = ?`, []any{realm}, &text); err != nil {
			return nil, err
		}
		var err error
		if names.File, err = rows.ReadNames(text); err != nil {
			return nil, fmt.Errorf("read names: %w", err)
		}
		names.Own, err = list(c, `SELECT type_scope.type, type_scope.scope FROM realm CROSS JOIN client c ON c.realm = realm.key
			CROSS JOIN type_scope ON type_scope.server = c.key
			WHERE realm.name = ? AND json_extract(c.details, '$.resource_server') LIMIT ? + 0`,
			[]any{realm, uma.MaxOwnNames + 1}, scanTypeScope)
		if err != nil {
			return nil, err
		}
		if len(names.Own) > uma.MaxOwnNames {
			names.Own, names.More = names.Own[:uma.MaxOwnNames], true
		}
		more, err := list(c, `SELECT t.value, '' FROM json_each(?) t WHERE EXISTS (
			SELECT 1 FROM realm CROSS JOIN client c ON c.realm = realm.key CROSS JOIN resource r ON r.server = c.key
			WHERE realm.name = ? AND json_extract(c.details, '$.resource_server') AND r.type = t.value AND r.own = 1) ORDER BY t.key`,
			[]any{rows.ListText(types), realm}, scanTypeScope)
		names.Own = append(names.Own, more...)
		return names, err
	})
}

func scanTypeScope(scan scanFunc) (t uma.TypeScope, err error) {
	err = scan(&t.Type, &t.Scope)
	return t, err
}
