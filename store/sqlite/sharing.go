package sqlite

import (
	"cmp"
	"context"
	"slices"
	"time"

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

// share returns a granted request in the form of a share, as decisions see it.
func share(q *uma.Request) uma.Share {
	s := uma.Share{
		Key: q.Key, ID: q.ID, Kind: uma.ByRequest, Server: q.Server, Resource: q.Resource, ResourceID: q.ResourceID,
		Owner: q.Owner, Users: []string{q.Requester}, Strategy: unanimous, Version: q.Version,
	}
	if q.Scope != "" {
		s.Scopes = []uma.Scope{q.Scope}
	}
	return s
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
	var shares, policies []uma.Share
	var requests []uma.Request
	for _, one := range found {
		shares, policies = append(shares, one.granted...), append(policies, one.policies...)
		for _, q := range one.others {
			if q.State == uma.Pending || q.Decided.After(since) {
				requests = append(requests, q)
			}
		}
	}
	slices.SortFunc(policies, func(a, b uma.Share) int { return cmp.Compare(a.Key, b.Key) })
	return append(shares, policies...), requests, nil
}

// A sharing is what there is between a party and one resource, whenever it was decided.
type sharing struct {
	granted  []uma.Share   // by requests
	others   []uma.Request // pending and denied
	policies []uma.Share
}

// trim gives back what the lists were allocated beyond their lengths.
func (s *sharing) trim() {
	s.granted, s.others, s.policies = trimmed(s.granted), trimmed(s.others), trimmed(s.policies)
}

func trimmed[T any](list []T) []T {
	if cap(list) == len(list) {
		return list
	}
	return append(make([]T, 0, len(list)), list...)
}

// sharingOf returns the sharing of each resource.
func (v *view) sharingOf(ctx context.Context, p *uma.Party, resources []uma.Key) ([]*sharing, error) {
	var key sharingKey
	if v.shares != nil {
		key.party = partyText(p)
	}
	found := make([]*sharing, len(resources))
	var unread []uma.Key
	for i, resource := range resources {
		key.resource = resource
		var ok bool
		if found[i], ok = recall(ctx, v, v.shares, key); !ok {
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
			key.resource, found[i] = resource, read[resource]
			found[i].trim()
			keep(v, v.shares, key, found[i], key.bytes()+found[i].bytes())
		}
	}
	return found, nil
}

// readSharing reads the sharing of resources. Most have no policies. Therefore the statement
// that reads the requests has one more row, of key 0, if there are policies, and only then they
// are read.
func readSharing(c *conn, p *uma.Party, resources []uma.Key) (map[uma.Key]*sharing, error) {
	found := make(map[uma.Key]*sharing, len(resources))
	for _, resource := range resources {
		found[resource] = &sharing{}
	}
	policies := false
	query, args := betweenOne, []any{int64(resources[0]), p.ID}
	if len(resources) > 1 {
		query, args[0] = betweenMany, keysText(resources)
	}
	err := c.rows(query, args, func(scan scanFunc) error {
		q, err := scanRequest(scan)
		switch of := found[q.Resource]; {
		case err != nil:
			return err
		case q.Key == 0:
			policies = true
		case q.State == uma.Granted:
			of.granted = append(of.granted, share(&q))
		default:
			of.others = append(of.others, q)
		}
		return nil
	})
	if err != nil || !policies {
		return found, reading("requests between a party and owners", err)
	}
	all, err := policiesFor(c, p, resources)
	for _, s := range all {
		of := found[s.Resource]
		of.policies = append(of.policies, *s)
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
