package sqlite

import (
	"context"
	"errors"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// realmServers is the condition that client c is a resource server of realm ?1. A realm
// has few of them: a list of what a user has at all of them reads an index once for
// each, and merges.
const realmServers = `c.realm = ?1 AND json_extract(c.details, '$.resource_server')`

// OwnedResource implements uma.Accounts.
func (v *view) OwnedResource(ctx context.Context, realm uma.Key, owner string, id uma.ResourceID) (*uma.Resource, error) {
	c := v.reader(ctx)
	return resourceRow(c, `SELECT`+resourceColumns+`FROM client c JOIN resource r ON r.server = c.key AND r.id = ?2
		WHERE `+realmServers+` AND r.owner = ?3`, int64(realm), string(id), owner)
}

// RealmRequest implements uma.Accounts.
func (v *view) RealmRequest(ctx context.Context, realm uma.Key, id string) (*uma.Request, error) {
	c := v.reader(ctx)
	return realmRequest(c, realm, id)
}

func realmRequest(c *conn, realm uma.Key, id string) (*uma.Request, error) {
	return requestRow(c, `SELECT`+requestColumns+`FROM client c JOIN live_request q ON q.server = c.key AND q.id = ?2
		WHERE `+realmServers, int64(realm), id)
}

// OwnedResources implements uma.Accounts.
func (v *view) OwnedResources(ctx context.Context, realm uma.Key, owner, name string, first, max int) ([]*uma.Resource, error) {
	c := v.reader(ctx)
	found, err := pageOf(c, &owned, realm, uma.GrantedFilter{Owner: owner, Name: name}, pageSpec{first, max})
	return found, reading("owned resources", err)
}

// SharedResources implements uma.Accounts.
func (v *view) SharedResources(ctx context.Context, realm uma.Key, f uma.GrantedFilter, first, max int) ([]*uma.Resource, error) {
	c := v.reader(ctx)
	of := &between
	switch {
	case f.Owner == "" && f.Requester == "":
		return nil, reading("shared resources", errors.New("neither an owner nor a requester is given"))
	case f.Requester == "":
		of = &sharedBy
	case f.Owner == "":
		of = &sharedWith
	}
	found, err := pageOf(c, of, realm, f, pageSpec{first, max})
	return found, reading("shared resources", err)
}

// RequestsFor implements uma.Accounts.
func (v *view) RequestsFor(ctx context.Context, resources []uma.Key, state, requester string) ([]uma.Request, error) {
	c := v.reader(ctx)
	if len(resources) == 0 {
		return nil, nil
	}
	query := `SELECT` + requestColumns + `FROM live_request q WHERE q.resource IN (SELECT value FROM json_each(?)) AND q.state = `
	args := []any{rows.KeysText(resources)}
	if state == uma.Pending {
		query += `'pending'` // not a parameter, so that SQLite uses the index request_pending
	} else {
		query, args = query+`?`, append(args, state)
	}
	if requester != "" {
		query, args = query+` AND q.requester = ?`, append(args, requester)
	}
	found, err := list(c, query+` ORDER BY q.resource, q.requester, q.scope`, args, scanRequest)
	return found, reading("requests for resources", err)
}

// PendingOf implements uma.Accounts.
func (v *view) PendingOf(ctx context.Context, realm uma.Key, owner, after string, max int) ([]uma.Request, error) {
	return v.pending(ctx, `q.owner`, owner, realm, after, max)
}

// PendingBy implements uma.Accounts.
func (v *view) PendingBy(ctx context.Context, realm uma.Key, requester, after string, max int) ([]uma.Request, error) {
	return v.pending(ctx, `q.requester`, requester, realm, after, max)
}

// pending reads a page of the pending requests in which one user is the owner, or the
// requester. An index finds them by the id of the user alone; the condition on the
// realm leaves out those of another realm, should it have a user with the same id.
func (v *view) pending(ctx context.Context, column, user string, realm uma.Key, after string, max int) ([]uma.Request, error) {
	c := v.reader(ctx)
	if max <= 0 {
		return nil, nil
	}
	found, err := list(c, `SELECT`+requestColumns+`FROM live_request q WHERE `+column+` = ? AND q.state = 'pending' AND q.id > ?
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = q.server AND c.realm = ?) ORDER BY q.id LIMIT ? + 0`,
		[]any{user, after, int64(realm), max}, scanRequest)
	return found, reading("pending requests", err)
}
