package postgres

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
	err := scan((*int64)(&q.Key), &q.ID, (*int64)(&q.Server), (*int64)(&q.Resource), (*string)(&q.ResourceID), &q.Owner, &q.Requester,
		(*string)(&q.Scope), &q.ScopeID, &q.State, (*moment)(&q.Created), (*moment)(&q.Decided), &q.Version, &q.ResourceName)
	return q, err
}

// The conditions that name the index of a statement that reads requests q, or policies s: see the
// schema.
const (
	byScope     = ` AND q.key <> -1`
	byShared    = ` AND q.state = 'granted' AND q.key <> -2`
	byGranted   = ` AND q.state = 'granted' AND q.key <> -3`
	byBetween   = ` AND q.state = 'granted' AND q.key <> -4`
	byAsked     = ` AND q.state = 'pending' AND q.key <> -5`
	byAsking    = ` AND q.state = 'pending' AND q.key <> -6`
	byPending   = ` AND q.state = 'pending' AND q.key <> -7`
	byState     = ` AND q.key <> -8`
	byOwner     = ` AND q.key <> -9`
	byRequester = ` AND q.key <> -10`
	byPair      = ` AND q.key <> -11`
	byResource  = ` AND q.key <> -12`
	byRequestID = ` AND q.key <> -13`

	byShareName = ` AND s.key <> -1`
)

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
	if v.rows.Shares != nil || v.ahead.sharing != nil {
		key.Party = memory.PartyText(p)
	}
	found := make([]*memory.Sharing, len(resources))
	var unread []uma.Key
	for i, resource := range resources {
		key.Resource = resource
		var ok bool
		if found[i], ok = memory.Recall(ctx, &v.rows, v.rows.Shares, key); ok {
			continue
		}
		if found[i] = v.ahead.sharing[key]; found[i] == nil {
			unread = append(unread, resource)
			continue
		}
		v.keepSharing(key, found[i])
	}
	if len(unread) == 0 {
		return found, nil
	}
	read, err := readSharing(v.conn(ctx), p, unread)
	if err != nil {
		return nil, err
	}
	for i, resource := range resources {
		if found[i] == nil {
			key.Resource, found[i] = resource, read[resource]
			v.keepSharing(key, found[i])
		}
	}
	return found, nil
}

// keepSharing keeps in memory what was read of a resource.
func (v *view) keepSharing(key memory.SharingKey, found *memory.Sharing) {
	found.Trim()
	memory.Keep(&v.rows, v.rows.Shares, key, found, key.Bytes()+found.Bytes())
}

// readSharing reads the sharing of resources: their requests and policies in one round trip. Most have
// no policies, and then are not looked up with each party.
func readSharing(c *conn, p *uma.Party, resources []uma.Key) (map[uma.Key]*memory.Sharing, error) {
	found := make(map[uma.Key]*memory.Sharing, len(resources))
	for _, resource := range resources {
		found[resource] = &memory.Sharing{}
	}
	requests := question{`SELECT` + requestColumns + `FROM live_request q WHERE q.resource = ANY ($1) AND q.requester = $2`,
		[]any{resources, p.ID}, func(scan scanFunc) error {
			q, err := scanRequest(scan)
			if err == nil {
				found[q.Resource].AddRequest(&q)
			}
			return err
		}}
	policies := question{`SELECT` + shareColumns + `FROM share s WHERE s.key = ANY (ARRAY (SELECT x.share FROM share_party x
			WHERE x.resource = ANY (ARRAY (SELECT r FROM unnest($1::bigint[]) r WHERE EXISTS (SELECT 1 FROM share_party WHERE resource = r OFFSET 0)))
			AND x.party = ANY ($2)))`,
		[]any{resources, rows.PartiesOf(p)}, func(scan scanFunc) error {
			s, err := scanShare(scan)
			if err == nil {
				of := found[s.Resource]
				of.Policies = append(of.Policies, *s)
			}
			return err
		}}
	return found, reading("what is shared with a party", c.ask(requests, policies))
}

// SharedWith implements uma.Shares.
func (v *view) SharedWith(ctx context.Context, server uma.Key, requester, name string, limit int) ([]uma.Request, error) {
	c := v.conn(ctx)
	if limit <= 0 {
		return nil, nil
	}
	query := `SELECT` + requestColumns + `FROM live_request q
		WHERE q.server = $1 AND q.requester = $2` + byShared + `
		ORDER BY q.resource_name, q.resource_id, q.id LIMIT $3`
	args := []any{server, requester, limit}
	if name != "" {
		query = `SELECT` + requestColumns + `FROM live_request q
			WHERE q.server = $1 AND q.requester = $2` + byShared + ` AND q.resource_name = $4
			ORDER BY q.resource_id, q.id LIMIT $3`
		args = append(args, name)
	}
	found, err := list(c, query, args, scanRequest)
	return found, reading("shared resources", err)
}

// Request implements uma.Shares.
func (v *view) Request(ctx context.Context, server uma.Key, id string) (*uma.Request, error) {
	return requestRow(v.conn(ctx), `SELECT`+requestColumns+`FROM live_request q WHERE q.server = $1 AND q.id = $2`+byRequestID, server, id)
}

func requestRow(c *conn, query string, args ...any) (*uma.Request, error) {
	q, err := oneRow(c, query, args, scanRequest)
	if err != nil {
		return nil, reading("request", err)
	}
	return &q, nil
}
