package postgres

import (
	"context"
	"math/rand/v2"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The bounds of a sample: how many types of resources, and how many rows of them or of
// users, are looked at.
const (
	maxSampledTypes = 1_000
	maxSampledRows  = 100_000
)

// scatter is an SQL expression by which keys are in an order that depends on a seed alone.
// The products fit into 64 bits.
const (
	scatter      = `((key % 2147483647) * $1 + $2) % 2147483647`
	scatterPrime = 1<<31 - 1
)

func scattered(seed uint64) []any {
	random := rand.New(rand.NewPCG(seed, 0))
	return []any{1 + random.Int64N(scatterPrime-1), random.Int64N(scatterPrime)}
}

// UsersAfter implements uma.Population.
func (s *Store) UsersAfter(ctx context.Context, realm uma.Key, after string, limit int) ([]*uma.User, error) {
	return fetch(ctx, s, "users", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+partyColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.folded > $2 ORDER BY u.folded LIMIT $3`,
			[]any{realm, rows.Fold(after), limit}, scanOnlyParty)
	})
}

func scanOnlyParty(scan scanFunc) (*uma.User, error) { return scanParty(scan) }

// SampleUsers implements uma.Population.
func (s *Store) SampleUsers(ctx context.Context, realm uma.Key, n int, seed uint64) ([]*uma.User, error) {
	return fetch(ctx, s, "a sample of users", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+partyColumns+`FROM (
				SELECT key FROM (
					SELECT key, place, row_number() OVER (PARTITION BY roles, client_roles, groups ORDER BY place, key) AS turn
					FROM (SELECT key, roles, client_roles, groups, enabled, `+scatter+` AS place
						FROM users WHERE realm = $3 ORDER BY id LIMIT $4) first
					WHERE enabled) turns
				ORDER BY turn, place, key LIMIT $5) picked
			JOIN users u ON u.key = picked.key`+ownIdentity+` ORDER BY u.folded`,
			append(scattered(seed), realm, maxSampledRows, n), scanOnlyParty)
	})
}

// SampleResources implements uma.Population.
func (s *Store) SampleResources(ctx context.Context, server uma.Key, n int, seed uint64) ([]*uma.Resource, error) {
	return fetch(ctx, s, "a sample of resources", func(c *conn) ([]*uma.Resource, error) {
		types, err := texts[string](c, `WITH RECURSIVE t (type) AS (
				(SELECT type FROM resource WHERE server = $1 ORDER BY type LIMIT 1)
				UNION ALL SELECT (SELECT type FROM resource WHERE server = $1 AND type > t.type ORDER BY type LIMIT 1)
				FROM t WHERE t.type IS NOT NULL)
			SELECT type FROM (SELECT type FROM t LIMIT $2) t WHERE type IS NOT NULL`, server, maxSampledTypes+1)
		if err != nil || len(types) == 0 {
			return nil, err
		}
		each := max(n, maxSampledRows/len(types)) // of a type
		return resources(c, `SELECT`+resourceColumns+`FROM (
				SELECT x.key FROM unnest($4::text[]) WITH ORDINALITY t (type, nth) CROSS JOIN (VALUES (true), (false)) o (own)
				CROSS JOIN LATERAL (
					SELECT key, row_number() OVER (ORDER BY `+scatter+`, key) AS turn
					FROM (SELECT r.key FROM resource r WHERE r.server = $3 AND `+ofType(`t.type`, `o.own`)+` LIMIT $5) first
					ORDER BY turn LIMIT $6) x
				ORDER BY x.turn, t.nth, o.own DESC LIMIT $6) picked
			JOIN resource r ON r.key = picked.key ORDER BY r.name, r.id`,
			append(scattered(seed), server, types, each, n)...)
	})
}

// ScopesOfTypes implements uma.Population.
func (s *Store) ScopesOfTypes(ctx context.Context, server uma.Key, types []string) (map[string][]uma.Scope, error) {
	return fetch(ctx, s, "scopes of types", func(c *conn) (map[string][]uma.Scope, error) {
		found := map[string][]uma.Scope{}
		err := c.rows(`SELECT type, scope FROM type_scope WHERE server = $1 AND type = ANY($2) ORDER BY type, scope LIMIT $3`,
			[]any{server, array(types), maxSampledRows}, func(scan scanFunc) error {
				var typ string
				var scope uma.Scope
				err := scan(&typ, &scope)
				found[typ] = append(found[typ], scope)
				return err
			})
		return found, err
	})
}
