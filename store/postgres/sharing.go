package postgres

import (
	"example.com/umpire/uma"
)

const requestColumns = ` q.key, q.id, q.server, q.resource, q.resource_id, q.owner, q.requester, q.scope,` +
	` q.scope_id, q.state, q.created, q.decided, q.version, q.resource_name `

func scanRequest(scan scanFunc) (uma.Request, error) {
	var q uma.Request
	err := scan((*int64)(&q.Key), &q.ID, (*int64)(&q.Server), (*int64)(&q.Resource), (*string)(&q.ResourceID), &q.Owner, &q.Requester,
		(*string)(&q.Scope), &q.ScopeID, &q.State, (*moment)(&q.Created), (*moment)(&q.Decided), &q.Version, &q.ResourceName)
	return q, err
}

func requestRow(c *conn, query string, args ...any) (*uma.Request, error) {
	q, err := oneRow(c, query, args, scanRequest)
	if err != nil {
		return nil, reading("request", err)
	}
	return &q, nil
}
