package postgres

import (
	"fmt"

	"example.com/umpire/uma"
)

// manyRows is how many requests, and how many parties of policies, are deleted together with their
// resource.
const manyRows = 200

// removeResource deletes a resource with its requests and shares. Its row is locked FOR UPDATE: who
// adds a request or a share locks it, too. self is the id of its resource server as an owner.
func removeResource(tx *conn, r *uma.Resource, self string) error {
	_, err := tx.all(removal(r, self)...)
	return writing("resource", err)
}

// removal returns the commands of removeResource. Many requests or parties are deleted later, by
// Sweep: the key of the resource, which is never used again, is then in dropped. Nobody sees these
// rows until then. Requests are read through live_request, which leaves out those of dropped
// resources; parties are read with their share, which is deleted with the resource.
func removal(r *uma.Resource, self string) []command {
	args := []any{r.Key}
	commands := []command{
		{query: fmt.Sprintf(`INSERT INTO dropped (resource) SELECT $1::bigint
			WHERE EXISTS (SELECT 1 FROM request WHERE resource = $1 OFFSET %[1]d)
			OR EXISTS (SELECT 1 FROM share_party WHERE resource = $1 OFFSET %[1]d)`, manyRows), args: args},
		{query: `DELETE FROM request WHERE resource = $1 AND NOT EXISTS (SELECT 1 FROM dropped WHERE resource = $1)`, args: args},
		{query: `DELETE FROM share_party WHERE resource = $1 AND NOT EXISTS (SELECT 1 FROM dropped WHERE resource = $1)`, args: args},
		{query: `DELETE FROM resource WHERE key = $1`, args: args},
	}
	return append(commands, removeDerived(r, r.Owner == self)...)
}

// A lockedResource is a resource that a transaction is about to change, with the id of its resource server
// as an owner.
type lockedResource struct {
	*uma.Resource
	self    string
	drifted bool
}

// lockResources locks the resources that there are of some keys, after their resource servers, in the
// order of their keys.
func lockResources(tx *conn, keys []uma.Key) ([]lockedResource, error) {
	found, err := list(tx, `SELECT`+resourceColumns+`, c.uuid, r.drifted FROM client c JOIN resource r ON r.server = c.key
		WHERE r.key = ANY($1) ORDER BY r.key FOR KEY SHARE OF c FOR UPDATE OF r`, []any{keyArray(keys)},
		func(scan scanFunc) (l lockedResource, err error) {
			l.Resource, err = scanResource(func(dest ...any) error { return scan(append(dest, &l.self, &l.drifted)...) })
			return l, err
		})
	return found, reading("resources", err)
}

// keyArray is a list of keys as an argument.
func keyArray(keys []uma.Key) []int64 {
	list := make([]int64, len(keys))
	for i, key := range keys {
		list[i] = int64(key)
	}
	return list
}
