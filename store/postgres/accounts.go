package postgres

import (
	"context"
	"errors"

	"example.com/umpire/uma"
)

// realmServers is the condition that client c is a resource server of realm $1. A realm has few of
// them: a list of what a user has at all of them reads an index once for each, and merges.
const realmServers = `c.realm = $1 AND c.resource_server`

// OwnedResource implements uma.Accounts.
func (v *view) OwnedResource(ctx context.Context, realm uma.Key, owner string, id uma.ResourceID) (*uma.Resource, error) {
	return resourceRow(v.conn(ctx), `SELECT`+resourceColumns+`FROM client c JOIN resource r ON r.server = c.key AND r.id = $2
		WHERE `+realmServers+` AND r.owner = $3`, realm, id, owner)
}

// RealmRequest implements uma.Accounts.
func (v *view) RealmRequest(ctx context.Context, realm uma.Key, id string) (*uma.Request, error) {
	return requestRow(v.conn(ctx), `SELECT`+requestColumns+`FROM client c JOIN live_request q ON q.server = c.key AND q.id = $2`+byRequestID+`
		WHERE `+realmServers, realm, id)
}

// OwnedResources implements uma.Accounts.
func (v *view) OwnedResources(ctx context.Context, realm uma.Key, owner, name string, first, max int) ([]*uma.Resource, error) {
	l := userList{realm: realm, GrantedFilter: uma.GrantedFilter{Owner: owner, Name: name}, owned: true}
	found, err := l.page(v.conn(ctx), pageSpec{first, max})
	return found, reading("owned resources", err)
}

// SharedResources implements uma.Accounts.
func (v *view) SharedResources(ctx context.Context, realm uma.Key, f uma.GrantedFilter, first, max int) ([]*uma.Resource, error) {
	if f.Owner == "" && f.Requester == "" {
		return nil, reading("shared resources", errors.New("neither an owner nor a requester is given"))
	}
	l := userList{realm: realm, GrantedFilter: f}
	found, err := l.page(v.conn(ctx), pageSpec{first, max})
	return found, reading("shared resources", err)
}

// RequestsFor implements uma.Accounts. There are few pending requests, which have an index.
func (v *view) RequestsFor(ctx context.Context, resources []uma.Key, state, requester string) ([]uma.Request, error) {
	if len(resources) == 0 {
		return nil, nil
	}
	args := arguments{[]any{resources}}
	query := `SELECT` + requestColumns + `FROM live_request q WHERE q.resource = ANY ($1)`
	switch {
	case state == uma.Pending:
		query += byPending
	case requester == "":
		query += byResource + ` AND q.state = ` + args.add(state)
	default:
		query += ` AND q.state = ` + args.add(state)
	}
	if requester != "" {
		query += ` AND q.requester = ` + args.add(requester)
	}
	found, err := list(v.conn(ctx), query+` ORDER BY q.resource, q.requester, q.scope`, args.args, scanRequest)
	return found, reading("requests for resources", err)
}

// PendingOf implements uma.Accounts.
func (v *view) PendingOf(ctx context.Context, realm uma.Key, owner, after string, max int) ([]uma.Request, error) {
	return v.pending(ctx, `q.owner = $1`+byAsked, owner, realm, after, max)
}

// PendingBy implements uma.Accounts.
func (v *view) PendingBy(ctx context.Context, realm uma.Key, requester, after string, max int) ([]uma.Request, error) {
	return v.pending(ctx, `q.requester = $1`+byAsking, requester, realm, after, max)
}

// pending reads a page of the pending requests in which one user is the owner, or the requester. An
// index finds them by the id of the user alone; the condition on the realm leaves out those of
// another realm, should it have a user with the same id.
func (v *view) pending(ctx context.Context, condition, user string, realm uma.Key, after string, max int) ([]uma.Request, error) {
	if max <= 0 {
		return nil, nil
	}
	found, err := list(v.conn(ctx), `SELECT`+requestColumns+`FROM live_request q WHERE `+condition+` AND q.id > $2
		AND (SELECT c.realm = $3 FROM client c WHERE c.key = q.server) ORDER BY q.id LIMIT $4`,
		[]any{user, after, realm, max}, scanRequest)
	return found, reading("pending requests", err)
}

// PendingBeside implements uma.Accounts.
func (v *view) PendingBeside(ctx context.Context, requests []uma.Key) ([]uma.Request, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	found, err := list(v.conn(ctx), `SELECT`+requestColumns+`FROM (SELECT DISTINCT resource, requester FROM request WHERE key = ANY ($1)) o
		CROSS JOIN LATERAL (SELECT * FROM live_request q WHERE q.resource = o.resource AND q.requester = o.requester`+byPending+` OFFSET 0) q
		ORDER BY q.resource, q.requester, q.scope`, []any{requests}, scanRequest)
	return found, reading("requests", err)
}
