package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// An Owner is a user who looks after what it owns and what others shared with it:
// who calls the account API.
type Owner struct {
	Snap *uma.Snapshot
	User *uma.User
}

// OwnerOf returns whom the bearer token of the account API speaks for: a user, by an
// ordinary access token. An RPT, which was made for a resource server's eyes, and
// the token of a service account, which owns nothing by itself, are good tokens
// but not for this (RFC 6750 §3.1).
func OwnerOf(s *uma.Snapshot, id *party.Identity) (*Owner, error) {
	switch {
	case id.Restricted():
		return nil, uma.Refuse(uma.InsufficientScope, "The audience of the token does not hold account", nil)
	case id.User == nil:
		return nil, uma.Refuse(uma.InsufficientScope, "The token is not one of a user", nil)
	}
	return &Owner{Snap: s, User: id.User}, nil
}

// An OwnedResource is a resource and the client of its resource server.
type OwnedResource struct {
	*uma.Resource
	Client *uma.Client
}

// A SharedUser is a user with what it was granted of a resource, or asks for. One
// that is gone has an id alone.
type SharedUser struct {
	User     *uma.User
	Requests []uma.Request // in the order of their scopes' names
}

// Scopes are those of the requests; {Everything} for a resource without scopes.
func (u *SharedUser) Scopes() []uma.Scope {
	scopes := make([]uma.Scope, len(u.Requests))
	for i := range u.Requests {
		scopes[i] = askedBy(&u.Requests[i])
	}
	return scopes
}

// asked is what a request is for: a scope, or Everything.
func askedBy(q *uma.Request) uma.Scope {
	if q.Scope == "" {
		return uma.Everything
	}
	return q.Scope
}

// A SharedResource is a resource with whom it is shared, or who asks for it. To
// the one whom it is shared with, or who asks, its only user is its owner.
type SharedResource struct {
	OwnedResource
	Users []SharedUser
}

// OwnedResource returns a resource of the owner. One of somebody else is not
// found.
func (a *Service) OwnedResource(ctx context.Context, o *Owner, id string) (_ *OwnedResource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	return o.resource(ctx, view, id)
}

func (o *Owner) resource(ctx context.Context, view uma.View, id string) (*OwnedResource, error) {
	r, err := view.OwnedResource(ctx, o.Snap.Realm.Key, o.User.ID, uma.ResourceID(id))
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.NotFound, "Resource not found", err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	}
	return &OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}, nil
}

// OwnedResources returns a page of what the owner owns, by name; with a name what
// has it as a part of its own.
func (a *Service) OwnedResources(ctx context.Context, o *Owner, name string, first, max int) (_ []OwnedResource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	rows, err := view.OwnedResources(ctx, o.Snap.Realm.Key, o.User.ID, name, first, max)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	out := make([]OwnedResource, len(rows))
	for i, r := range rows {
		out[i] = OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}
	}
	return out, nil
}

// A GrantedQuery is a search among what an owner shared. Empty members do not
// narrow.
type GrantedQuery struct {
	Name       string // a part of a resource's
	Server     string // client_id of the resource server
	User       string // username
	First, Max int
}

// SharedWithOthers returns a page of the resources that the owner shared, by
// name, with whom.
func (a *Service) SharedWithOthers(ctx context.Context, o *Owner, q *GrantedQuery) (_ []SharedResource, err error) {
	f := uma.GrantedFilter{Owner: o.User.ID, Name: q.Name}
	if q.Server != "" {
		c := o.Snap.Clients[q.Server]
		if c == nil {
			return nil, nil
		}
		f.Server = c.Key
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	if q.User != "" {
		u, err := view.UserByName(ctx, o.Snap.Realm.Key, q.User)
		switch {
		case errors.Is(err, uma.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read user: %w", err)
		}
		f.Requester = u.ID
	}
	return o.shared(ctx, view, f, q.First, q.Max)
}

// SharedWithMe returns a page of the resources that others shared with the
// caller, by name, with their owners and what was granted.
func (a *Service) SharedWithMe(ctx context.Context, o *Owner, name string, first, max int) (_ []SharedResource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	return o.shared(ctx, view, uma.GrantedFilter{Requester: o.User.ID, Name: name}, first, max)
}

// shared reads a page of what a filter describes, then what was granted of it,
// then to whom, or by whom.
func (o *Owner) shared(ctx context.Context, view uma.View, f uma.GrantedFilter, first, max int) ([]SharedResource, error) {
	rows, err := view.SharedResources(ctx, o.Snap.Realm.Key, f, first, max)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	keys := make([]uma.Key, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	requester := f.Requester
	if f.Owner != "" { // who owns a resource sees all whom it is shared with
		requester = ""
	}
	requests, err := view.RequestsFor(ctx, keys, uma.Granted, requester)
	if err != nil {
		return nil, fmt.Errorf("read what was granted: %w", err)
	}
	return o.sharing(ctx, view, rows, requests)
}

// SharingOf returns whom a resource of the owner is shared with.
func (a *Service) SharingOf(ctx context.Context, o *Owner, id string) (*SharedResource, error) {
	return a.requestsFor(ctx, o, id, uma.Granted)
}

// RequestsOf returns who asks for a resource of the owner, and for what.
func (a *Service) RequestsOf(ctx context.Context, o *Owner, id string) (*SharedResource, error) {
	return a.requestsFor(ctx, o, id, uma.Pending)
}

func (a *Service) requestsFor(ctx context.Context, o *Owner, id, state string) (_ *SharedResource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r, err := o.resource(ctx, view, id)
	if err != nil {
		return nil, err
	}
	requests, err := view.RequestsFor(ctx, []uma.Key{r.Key}, state, "")
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	shared, err := o.sharing(ctx, view, []*uma.Resource{r.Resource}, requests)
	if err != nil {
		return nil, err
	}
	return &shared[0], nil
}

// sharing puts requests, which come by resource and requester, under their
// resources and the users on the other side.
func (o *Owner) sharing(ctx context.Context, view uma.View, rows []*uma.Resource, requests []uma.Request) ([]SharedResource, error) {
	users, err := o.others(ctx, view, requests)
	if err != nil {
		return nil, err
	}
	out := make([]SharedResource, len(rows))
	at := make(map[uma.Key]*SharedResource, len(rows))
	for i, r := range rows {
		out[i].OwnedResource = OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}
		at[r.Key] = &out[i]
	}
	for _, q := range requests {
		r, u := at[q.Resource], users[o.other(&q)]
		if last := len(r.Users) - 1; last < 0 || r.Users[last].User != u {
			r.Users = append(r.Users, SharedUser{User: u})
		}
		last := &r.Users[len(r.Users)-1]
		last.Requests = append(last.Requests, q)
	}
	return out, nil
}

// other is the other side of a request: the requester of what the caller owns,
// the owner of the rest.
func (o *Owner) other(q *uma.Request) string {
	if q.Owner == o.User.ID {
		return q.Requester
	}
	return q.Owner
}

// others reads the users on the other side of requests. One that is gone has an id
// alone.
func (o *Owner) others(ctx context.Context, view uma.View, requests []uma.Request) (map[string]*uma.User, error) {
	ids := make([]string, len(requests))
	for i := range requests {
		ids[i] = o.other(&requests[i])
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	users, err := view.UsersByID(ctx, o.Snap.Realm.Key, ids)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, id := range ids {
		if users[id] == nil {
			users[id] = &uma.User{ID: id}
		}
	}
	return users, nil
}
