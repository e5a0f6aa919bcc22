package sqlite

import "example.com/umpire/uma"

// removeResource removes a resource and all that was asked and shared of it. What is
// many goes later, by Sweep: the key of the resource, which no other will have, is
// kept in dropped. Requests are read through live_request, which has none of dropped
// resources; parties are nothing without their share.
func removeResource(tx *conn, r *uma.Resource) error {
	own, err := isOwn(tx, r)
	if err != nil {
		return err
	}
	if err := removeIndex(tx, r, own); err != nil {
		return err
	}
	key := int64(r.Key)
	many, err := anyOf(tx,
		change{`SELECT 1 FROM request WHERE resource = ? LIMIT 1 OFFSET ?`, []any{key, sweepBatch}},
		change{`SELECT 1 FROM share_party WHERE resource = ? LIMIT 1 OFFSET ?`, []any{key, sweepBatch}})
	if err != nil {
		return reading("what a resource has", err)
	}
	removal := []change{{`DELETE FROM resource WHERE key = ?`, []any{key}}} // with its shares and, unless dropped, all of theirs
	if many {
		removal = append([]change{{`INSERT INTO dropped (resource) VALUES (?)`, []any{key}}}, removal...)
	}
	if err := runAll(tx, removal); err != nil {
		return err
	}
	return removeParts(tx, r.Key)
}

// droppedRows remove what is left of dropped resources, and these when nothing is.
func droppedRows() []change {
	limit := []any{sweepBatch}
	return []change{
		{`DELETE FROM request WHERE key IN
			(SELECT q.key FROM dropped d CROSS JOIN request q ON q.resource = d.resource LIMIT ? + 0)`, limit},
		{`DELETE FROM share_party WHERE (resource, party, share) IN
			(SELECT x.resource, x.party, x.share FROM dropped d CROSS JOIN share_party x ON x.resource = d.resource LIMIT ? + 0)`, limit},
		{`DELETE FROM dropped WHERE resource IN (SELECT d.resource FROM dropped d
			WHERE NOT EXISTS (SELECT 1 FROM request q WHERE q.resource = d.resource)
			AND NOT EXISTS (SELECT 1 FROM share_party x WHERE x.resource = d.resource) LIMIT ? + 0)`, limit},
	}
}
