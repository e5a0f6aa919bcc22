package sqlite

import (
	"context"
	"slices"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const requestColumns = ` q.key, q.id, q.server, q.resource, q.resource_id, q.owner, q.requester, q.scope,` +
	` q.scope_id, q.state, q.created, q.decided, q.version, q.resource_name `

func scanRequest(scan scanFunc) (uma.Request, error) {
	var q uma.Request
	err := scan((*integer)(&q.Key), &q.ID, (*integer)(&q.Server), (*integer)(&q.Resource), (*namedText)(&q.ResourceID),
		&q.Owner, &q.Requester, (*namedText)(&q.Scope), &q.ScopeID, &q.State,
		(*moment)(&q.Created), (*moment)(&q.Decided), (*integer)(&q.Version), &q.ResourceName)
	return q, err
}

// Between implements uma.Shares.
func (v *view) Between(ctx context.Context, p *uma.Party, resources []uma.Key, since time.Time) ([]uma.Share, []uma.Request, error) {
	if len(resources) > 1 {
		resources = slices.Compact(slices.Sorted(slices.Values(resources)))
	}
	found, err := v.sharingOf(ctx, p, resources)
	if err != nil {
		return nil, nil, err
	}
	shares, requests := memory.Between(found, since)
	return shares, requests, nil
}

// sharingOf returns the sharing of each resource.
func (v *view) sharingOf(ctx context.Context, p *uma.Party, resources []uma.Key) ([]*memory.Sharing, error) {
	var key memory.SharingKey
	if v.Shares != nil {
		key.Party = memory.PartyText(p)
	}
	found := make([]*memory.Sharing, len(resources))
	var unread []uma.Key
	for i, resource := range resources {
		key.Resource = resource
		var ok bool
		if found[i], ok = memory.Recall(ctx, &v.View, v.Shares, key); !ok {
			unread = append(unread, resource)
		}
	}
	if len(unread) == 0 {
		return found, nil
	}
	read, err := readSharing(v.reader(ctx), p, unread)
	if err != nil {
		return nil, err
	}
	for i, resource := range resources {
		if found[i] == nil {
			key.Resource, found[i] = resource, read[resource]
			found[i].Trim()
			memory.Keep(&v.View, v.Shares, key, found[i], key.Bytes()+found[i].Bytes())
		}
	}
	return found, nil
}

// readSharing reads the sharing of resources. Most have no policies. Therefore the statement
// that reads the requests has one more row, of key 0, if there are policies, and only then they
// are read.
func readSharing(c *conn, p *uma.Party, resources []uma.Key) (map[uma.Key]*memory.Sharing, error) {
	found := make(map[uma.Key]*memory.Sharing, len(resources))
	for _, resource := range resources {
		found[resource] = &memory.Sharing{}
	}
	policies := false
	query, args := betweenOne, []any{int64(resources[0]), p.ID}
	if len(resources) > 1 {
		query, args[0] = betweenMany, rows.KeysText(resources)
	}
	err := c.rows(query, args, func(scan scanFunc) error {
		q, err := scanRequest(scan)
		switch of := found[q.Resource]; {
		case err != nil:
			return err
		case q.Key == 0:
			policies = true
		default:
			of.AddRequest(&q)
		}
		return nil
	})
	if err != nil || !policies {
		return found, reading("requests between a party and owners", err)
	}
	all, err := policiesFor(c, p, resources)
	for _, s := range all {
		of := found[s.Resource]
		of.Policies = append(of.Policies, *s)
	}
	return found, reading("policies for a party", err)
}

const (
	betweenOne = `SELECT` + requestColumns + `FROM live_request q WHERE q.resource = ?1 AND q.requester = ?2
		UNION ALL ` + policiesRow + ` WHERE EXISTS (SELECT 1 FROM share_party WHERE resource = ?1)`
	betweenMany = `SELECT` + requestColumns + `FROM live_request q
		WHERE q.resource IN (SELECT value FROM json_each(?1)) AND q.requester = ?2
		UNION ALL ` + policiesRow + ` WHERE EXISTS
		(SELECT 1 FROM share_party WHERE resource IN (SELECT value FROM json_each(?1)))`

	policiesRow = `SELECT 0, '', 0, 0, '', '', '', '', '', '', 0, 0, 0, ''`
)

// SharedWith implements uma.Shares.
func (v *view) SharedWith(ctx context.Context, server uma.Key, requester, name string, limit int) ([]uma.Request, error) {
	c := v.reader(ctx)
	if limit <= 0 {
		return nil, nil
	}
	query := `SELECT` + requestColumns + `FROM live_request q
		WHERE q.server = ? AND q.requester = ? AND q.state = 'granted'
		ORDER BY q.resource_name, q.resource_id, q.id LIMIT ? + 0`
	args := []any{int64(server), requester, limit}
	if name != "" {
		query = `SELECT` + requestColumns + `FROM live_request q
			WHERE q.server = ? AND q.requester = ? AND q.state = 'granted' AND q.resource_name = ?
			ORDER BY q.resource_id, q.id LIMIT ? + 0`
		args = []any{int64(server), requester, name, limit}
	}
	found, err := list(c, query, args, scanRequest)
	return found, reading("shared resources", err)
}

// Request implements uma.Shares.
func (v *view) Request(ctx context.Context, server uma.Key, id string) (*uma.Request, error) {
	c := v.reader(ctx)
	return requestRow(c, `SELECT`+requestColumns+`FROM live_request q WHERE q.server = ? AND q.id = ?`, int64(server), id)
}

func requestRow(c *conn, query string, args ...any) (*uma.Request, error) {
	q, err := oneRow(c, query, args, scanRequest)
	if err != nil {
		return nil, reading("request", err)
	}
	return &q, nil
}
