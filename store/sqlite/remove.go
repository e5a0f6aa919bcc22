package sqlite

import "example.com/umpire/uma"

// removeResource deletes a resource with its requests and shares. Many requests or
// parties are deleted later, by Sweep: the key of the resource, which is never used
// again, is then in dropped. Nobody sees these rows until then. Requests are read
// through live_request, which leaves out those of dropped resources; parties are read
// with their share.
func removeResource(tx *conn, r *uma.Resource) error {
	own, err := isOwn(tx, r)
	if err != nil {
		return err
	}
	if err := removeIndex(tx, r, own); err != nil {
		return err
	}
	key := int64(r.Key)
	many, err := anyRow(tx,
		command{`SELECT 1 FROM request WHERE resource = ? LIMIT 1 OFFSET ?`, []any{key, sweepBatch}},
		command{`SELECT 1 FROM share_party WHERE resource = ? LIMIT 1 OFFSET ?`, []any{key, sweepBatch}})
	if err != nil {
		return reading("rows of a resource", err)
	}
	// This deletes its shares, too, and its requests and parties, unless it is dropped.
	removal := []command{{`DELETE FROM resource WHERE key = ?`, []any{key}}}
	if many {
		removal = append([]command{{`INSERT INTO dropped (resource) VALUES (?)`, []any{key}}}, removal...)
	}
	if err := runAll(tx, removal); err != nil {
		return err
	}
	return removeParts(tx, r.Key)
}

// anyRow reports whether one of the queries has a row.
func anyRow(c *conn, queries ...command) (bool, error) {
	for _, q := range queries {
		there, err := c.exists(q.query, q.args...)
		if err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// droppedRows returns the commands that delete rows of dropped resources, and entries
// of dropped that have no rows left.
func droppedRows() []command {
	limit := []any{sweepBatch}
	return []command{
		{`DELETE FROM request WHERE key IN
			(SELECT q.key FROM dropped d CROSS JOIN request q ON q.resource = d.resource LIMIT ? + 0)`, limit},
		{`DELETE FROM share_party WHERE (resource, party, share) IN
			(SELECT x.resource, x.party, x.share FROM dropped d CROSS JOIN share_party x ON x.resource = d.resource LIMIT ? + 0)`, limit},
		{`DELETE FROM dropped WHERE resource IN (SELECT d.resource FROM dropped d
			WHERE NOT EXISTS (SELECT 1 FROM request q WHERE q.resource = d.resource)
			AND NOT EXISTS (SELECT 1 FROM share_party x WHERE x.resource = d.resource) LIMIT ? + 0)`, limit},
	}
}
