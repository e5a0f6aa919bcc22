package sqlite

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The bounds of a sample: how many types of resources, and how many rows of a type or of
// users, are looked at.
const (
	maxSampledTypes = 1_000
	maxSampledRows  = 100_000
)

// scatter is an SQL expression by which keys are in an order that depends on a seed alone.
// The products fit into 64 bits.
const (
	scatter      = `((key % 2147483647) * ? + ?) % 2147483647`
	scatterPrime = 1<<31 - 1
)

func scattered(seed uint64) []any {
	random := rand.New(rand.NewPCG(seed, 0))
	return []any{1 + random.Int64N(scatterPrime-1), random.Int64N(scatterPrime)}
}

// UsersAfter implements uma.Population.
func (s *Store) UsersAfter(ctx context.Context, realm uma.Key, after string, limit int) ([]*uma.User, error) {
	return fetch(ctx, s, "users", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+partyColumns+`FROM user u`+ownIdentity+` WHERE u.realm = ? AND u.folded > ? ORDER BY u.folded LIMIT ? + 0`,
			[]any{int64(realm), rows.Fold(after), limit}, scanParty)
	})
}

func scanParty(scan scanFunc) (*uma.User, error) {
	u := &uma.User{}
	return u, scan(partyFields(u)...)
}

// SampleUsers implements uma.Population.
func (s *Store) SampleUsers(ctx context.Context, realm uma.Key, n int, seed uint64) ([]*uma.User, error) {
	return fetch(ctx, s, "a sample of users", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+partyColumns+`FROM user u`+ownIdentity+` WHERE u.key IN (
			SELECT key FROM (
				SELECT key, place, row_number() OVER (PARTITION BY roles, client_roles, groups ORDER BY place, key) AS turn
				FROM (SELECT key, roles, client_roles, groups, `+scatter+` AS place
					FROM user WHERE realm = ? AND enabled ORDER BY id LIMIT ? + 0))
			ORDER BY turn, place, key LIMIT ? + 0) ORDER BY u.folded`,
			append(scattered(seed), int64(realm), maxSampledRows, n), scanParty)
	})
}

// SampleResources implements uma.Population.
func (s *Store) SampleResources(ctx context.Context, server uma.Key, n int, seed uint64) ([]*uma.Resource, error) {
	return fetch(ctx, s, "a sample of resources", func(c *conn) ([]*uma.Resource, error) {
		types, err := texts[string](c, `WITH RECURSIVE t (type) AS (
				SELECT (SELECT type FROM resource WHERE server = ?1 ORDER BY type LIMIT 1)
				UNION ALL SELECT (SELECT type FROM resource WHERE server = ?1 AND type > t.type ORDER BY type LIMIT 1)
				FROM t WHERE t.type IS NOT NULL LIMIT ?2 + 0)
			SELECT type FROM t WHERE type IS NOT NULL`, int64(server), maxSampledTypes+1)
		if err != nil {
			return nil, err
		}
		var groups [][]uma.Key
		for _, typ := range types {
			for _, own := range []bool{true, false} {
				keys, err := list(c, `SELECT key FROM (SELECT key FROM resource WHERE server = ? AND type = ? AND own = ? ORDER BY name, id LIMIT ? + 0)
					ORDER BY `+scatter+`, key LIMIT ? + 0`,
					slices.Concat([]any{int64(server), typ, own, maxSampledRows}, scattered(seed), []any{n}), scanKey)
				if err != nil {
					return nil, err
				}
				groups = append(groups, keys)
			}
		}
		found, err := resources(c, `SELECT`+resourceColumns+`FROM json_each(?) x CROSS JOIN resource r ON r.key = x.value`, rows.KeysText(rows.InTurn(groups, n)))
		slices.SortFunc(found, func(a, b *uma.Resource) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
		return found, err
	})
}

// ScopesOfTypes implements uma.Population.
func (s *Store) ScopesOfTypes(ctx context.Context, server uma.Key, types []string) (map[string][]uma.Scope, error) {
	return fetch(ctx, s, "scopes of types", func(c *conn) (map[string][]uma.Scope, error) {
		found := map[string][]uma.Scope{}
		err := c.rows(`SELECT t.type, t.scope FROM json_each(?) x CROSS JOIN type_scope t ON t.server = ? AND t.type = x.value LIMIT ? + 0`,
			[]any{rows.ListText(types), int64(server), maxSampledRows}, func(scan scanFunc) error {
				var typ string
				var scope uma.Scope
				err := scan(&typ, (*namedText)(&scope))
				found[typ] = append(found[typ], scope)
				return err
			})
		return found, err
	})
}
