package sqlite

import (
	"context"
	"errors"

	"example.com/umpire/uma"
)

// maxWalk is how many of a user's resources are looked at for a part of a name.
const maxWalk = 10_000

// realmServers is the condition that c is a resource server of realm ?1. There are few
// of them, so what a user has at all of them is sought at each, in the order of an
// index, and merged.
const realmServers = `c.realm = ?1 AND json_extract(c.details, '$.resource_server')`

// OwnedResource implements uma.Accounts.
func (v *view) OwnedResource(ctx context.Context, realm uma.Key, owner string, id uma.ResourceID) (*uma.Resource, error) {
	c, err := v.reader(ctx)
	if err != nil {
		return nil, err
	}
	return resourceRow(c, `SELECT`+resourceColumns+`FROM client c JOIN resource r ON r.server = c.key AND r.id = ?2
		WHERE `+realmServers+` AND r.owner = ?3`, int64(realm), string(id), owner)
}

// RealmRequest implements uma.Accounts.
func (v *view) RealmRequest(ctx context.Context, realm uma.Key, id string) (*uma.Request, error) {
	c, err := v.reader(ctx)
	if err != nil {
		return nil, err
	}
	return realmRequest(c, realm, id)
}

func realmRequest(c *conn, realm uma.Key, id string) (*uma.Request, error) {
	return requestRow(c, `SELECT`+requestColumns+`FROM client c JOIN request q ON q.server = c.key AND q.id = ?2
		WHERE `+realmServers, int64(realm), id)
}

// OwnedResources implements uma.Accounts.
func (v *view) OwnedResources(ctx context.Context, realm uma.Key, owner, name string, first, max int) ([]*uma.Resource, error) {
	c, err := v.reader(ctx)
	if err != nil {
		return nil, err
	}
	found, err := walkResources(c, ownedWalk, name, first, max, int64(realm), owner, "", 0)
	return found, reading("owned resources", err)
}

// SharedResources implements uma.Accounts.
func (v *view) SharedResources(ctx context.Context, realm uma.Key, f uma.SharedFilter, first, max int) ([]*uma.Resource, error) {
	c, err := v.reader(ctx)
	if err != nil {
		return nil, err
	}
	var found []*uma.Resource
	switch {
	case f.Owner != "" && f.Requester != "":
		found, err = walkResources(c, betweenWalk, f.Name, first, max, int64(realm), f.Owner, f.Requester, int64(f.Server))
	case f.Owner != "":
		found, err = walkResources(c, grantedWalk, f.Name, first, max, int64(realm), f.Owner, "", int64(f.Server))
	case f.Requester != "":
		found, err = walkResources(c, sharedWalk, f.Name, first, max, int64(realm), "", f.Requester, int64(f.Server))
	default:
		err = errors.New("an empty filter")
	}
	return found, reading("shared resources", err)
}

// walkResources returns a page of the resources that a walk leads to. Those with a part
// in their names are among the first maxWalk.
func walkResources(c *conn, walk, name string, first, max int, args ...any) ([]*uma.Resource, error) {
	limit := -1
	if name != "" {
		limit = maxWalk
	}
	return list(c, walk, append(args, fold(name), max, first, limit), scanResource)
}

// walkOver returns the statement of a walk. A walk goes through the resources of a user at the resource servers of a realm, in
// the order of name and id. Each of its steps leads from one resource to the next at
// the same resource server, over all that an index has of the first; the steps of
// several servers are taken in order, since the least in the queue is the next.
func walkOver(from, next string) string {
	return `WITH RECURSIVE walk (server, name, id, resource) AS (
		SELECT c.key, '', '', 0 FROM client c WHERE ` + realmServers + from + `
		UNION ALL
		SELECT w.server, ` + next + ` ORDER BY 2, 3 LIMIT ?8 + 0)
	SELECT` + resourceColumns + `FROM walk w CROSS JOIN resource r ON r.key = w.resource
	WHERE w.resource > 0 AND instr(r.name_folded, ?5) LIMIT ?6 + 0 OFFSET ?7`
}

// walkGranted is a walk over granted requests.
func walkGranted(of string) string {
	return walkOver(` AND (?4 = 0 OR c.key = ?4)`, `q.resource_name, q.resource_id, q.resource FROM walk w JOIN request q ON q.key =
		(SELECT n.key FROM request n WHERE n.server = w.server AND `+of+` AND n.state = 'granted'
		 AND (n.resource_name, n.resource_id) > (+w.name, +w.id) ORDER BY n.resource_name, n.resource_id LIMIT 1)`)
}

var (
	ownedWalk = walkOver(``, `n.name, n.id, n.key FROM walk w JOIN resource n ON n.key =
		(SELECT o.key FROM resource o WHERE o.server = w.server AND o.owner = ?2 AND o.name > w.name ORDER BY o.name LIMIT 1)`)
	grantedWalk = walkGranted(`n.owner = ?2`)
	sharedWalk  = walkGranted(`n.requester = ?3`)
	betweenWalk = walkGranted(`n.owner = ?2 AND n.requester = ?3`)
)

// RequestsFor implements uma.Accounts.
func (v *view) RequestsFor(ctx context.Context, resources []uma.Key, state, requester string) ([]uma.Request, error) {
	c, err := v.reader(ctx)
	if err != nil || len(resources) == 0 {
		return nil, err
	}
	query := `SELECT` + requestColumns + `FROM request q WHERE q.resource IN (SELECT value FROM json_each(?)) AND q.state = `
	args := []any{keysText(resources)}
	if state == uma.Pending {
		query += `'pending'` // which an index has alone
	} else {
		query, args = query+`?`, append(args, state)
	}
	if requester != "" {
		query, args = query+` AND q.requester = ?`, append(args, requester)
	}
	found, err := list(c, query+` ORDER BY q.resource, q.requester, q.scope`, args, scanRequest)
	return found, reading("requests for resources", err)
}

// PendingRequests implements uma.Accounts.
func (v *view) PendingRequests(ctx context.Context, realm uma.Key, f uma.SharedFilter, after string, max int) ([]uma.Request, error) {
	c, err := v.reader(ctx)
	if err != nil || max <= 0 {
		return nil, err
	}
	var query, user string
	switch f {
	case uma.SharedFilter{Owner: f.Owner}:
		query, user = pendingOf(`q.owner`), f.Owner
	case uma.SharedFilter{Requester: f.Requester}:
		query, user = pendingOf(`q.requester`), f.Requester
	}
	if user == "" {
		return nil, reading("pending requests", errors.New("they are those of one user"))
	}
	found, err := list(c, query, []any{user, after, int64(realm), max}, scanRequest)
	return found, reading("pending requests", err)
}

// pendingOf returns the statement for a page of what one user is asked for, or asks
// for. Ids of users are those of one realm; that it is this one is only made sure of.
func pendingOf(user string) string {
	return `SELECT` + requestColumns + `FROM request q WHERE ` + user + ` = ? AND q.state = 'pending' AND q.id > ?
		AND EXISTS (SELECT 1 FROM client c WHERE c.key = q.server AND c.realm = ?) ORDER BY q.id LIMIT ? + 0`
}
