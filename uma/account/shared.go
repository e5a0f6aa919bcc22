package account

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// A SharedUser is a user with the requests of one resource that were granted to the user,
// or that are pending. A user who no longer exists has an id alone.
type SharedUser struct {
	User     *uma.User
	Requests []uma.Request // by name of the scope
}

// Scopes are those of the requests; {Everything} for a resource without scopes.
func (u *SharedUser) Scopes() []uma.Scope {
	scopes := make([]uma.Scope, len(u.Requests))
	for i := range u.Requests {
		scopes[i] = requestedScope(&u.Requests[i])
	}
	return scopes
}

// requestedScope is the scope that a request is for, or Everything.
func requestedScope(q *uma.Request) uma.Scope {
	if q.Scope == "" {
		return uma.Everything
	}
	return q.Scope
}

// A SharedResource is a resource with the users whom it is shared with, or who ask for
// it. For a caller who is one of those users, its only user is its owner.
type SharedResource struct {
	OwnedResource
	Users       []SharedUser
	Invitations []uma.Invitation // that nobody has taken, by address; for its owner alone
}

// IsShared reports whether the resource is shared with anybody, or somebody is invited.
func (r *SharedResource) IsShared() bool { return len(r.Users)+len(r.Invitations) > 0 }

// versions are the versions of the granted requests, by id, and of the invitations, which have
// none.
func (r *SharedResource) versions() map[string]int64 {
	versions := map[string]int64{}
	for _, u := range r.Users {
		for _, q := range u.Requests {
			versions[q.ID] = q.Version
		}
	}
	for _, v := range r.Invitations {
		versions[v.ID] = 0
	}
	return versions
}

// A GrantedQuery is a search among the resources that the owner shared. Empty members do
// not narrow.
type GrantedQuery struct {
	Name       string // a part of a resource's
	Server     string // client_id of the resource server
	User       string // username
	First, Max int
}

// SharedWithOthers returns a page of the resources that the owner shared, by name, with the
// users whom they are shared with.
func (s *Service) SharedWithOthers(ctx context.Context, o *Owner, q *GrantedQuery) ([]SharedResource, error) {
	f := uma.GrantedFilter{Owner: o.User.ID, Name: q.Name}
	if q.Server != "" {
		c := o.Snap.Clients[q.Server]
		if c == nil {
			return nil, nil
		}
		f.Server = c.Key
	}
	return uma.Read(ctx, s.Store, func(view uma.View) ([]SharedResource, error) {
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
		return o.readShared(ctx, view, f, q.First, q.Max)
	})
}

// SharedWithMe returns a page of the resources that others shared with the caller, by
// name, with their owners and the granted requests.
func (s *Service) SharedWithMe(ctx context.Context, o *Owner, name string, first, limit int) ([]SharedResource, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) ([]SharedResource, error) {
		return o.readShared(ctx, view, uma.GrantedFilter{Requester: o.User.ID, Name: name}, first, limit)
	})
}

// readShared reads a page of the resources that a filter describes, then the granted
// requests for them, then the other parties.
func (o *Owner) readShared(ctx context.Context, view uma.View, f uma.GrantedFilter, first, limit int) ([]SharedResource, error) {
	rows, err := view.SharedResources(ctx, o.Snap.Realm.Key, f, first, limit)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	keys := make([]uma.Key, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	requester := f.Requester
	if f.Owner != "" { // the owner of a resource sees all users whom it is shared with
		requester = ""
	}
	requests, err := view.RequestsFor(ctx, keys, uma.Granted, requester)
	if err != nil {
		return nil, fmt.Errorf("read granted requests: %w", err)
	}
	shared, err := o.sharedResources(ctx, view, rows, requests)
	if err != nil || f.Owner == "" {
		return shared, err
	}
	return shared, readInvitations(ctx, view, shared)
}

// readInvitations adds the invitations for resources that nobody has taken.
func readInvitations(ctx context.Context, view uma.View, shared []SharedResource) error {
	keys, byKey := make([]uma.Key, len(shared)), make(map[uma.Key]*SharedResource, len(shared))
	for i := range shared {
		keys[i], byKey[shared[i].Key] = shared[i].Key, &shared[i]
	}
	invitations, err := view.Invitations(ctx, keys)
	if err != nil {
		return fmt.Errorf("read invitations: %w", err)
	}
	for _, v := range invitations {
		r := byKey[v.Resource]
		r.Invitations = append(r.Invitations, v)
	}
	return nil
}

// SharingOf returns a resource of the owner with the users whom it is shared with.
func (s *Service) SharingOf(ctx context.Context, o *Owner, id string) (*SharedResource, error) {
	return s.requestsFor(ctx, o, id, uma.Granted)
}

// RequestsOf returns a resource of the owner with the users who ask for it.
func (s *Service) RequestsOf(ctx context.Context, o *Owner, id string) (*SharedResource, error) {
	return s.requestsFor(ctx, o, id, uma.Pending)
}

func (s *Service) requestsFor(ctx context.Context, o *Owner, id, state string) (*SharedResource, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*SharedResource, error) {
		r, err := o.resource(ctx, view, id)
		if err != nil {
			return nil, err
		}
		requests, err := view.RequestsFor(ctx, []uma.Key{r.Key}, state, "")
		if err != nil {
			return nil, fmt.Errorf("read requests: %w", err)
		}
		shared, err := o.sharedResources(ctx, view, []*uma.Resource{r.Resource}, requests)
		if err == nil && state == uma.Granted {
			err = readInvitations(ctx, view, shared)
		}
		if err != nil {
			return nil, err
		}
		return &shared[0], nil
	})
}

// sharedResources groups requests, which are sorted by resource and requester, by resource
// and other party.
func (o *Owner) sharedResources(ctx context.Context, view uma.View, rows []*uma.Resource, requests []uma.Request) ([]SharedResource, error) {
	users, err := o.readOthers(ctx, view, requests)
	if err != nil {
		return nil, err
	}
	out := make([]SharedResource, len(rows))
	byKey := make(map[uma.Key]*SharedResource, len(rows))
	for i, r := range rows {
		out[i].OwnedResource = OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}
		byKey[r.Key] = &out[i]
	}
	for _, q := range requests {
		r, u := byKey[q.Resource], users[o.otherParty(&q)]
		if last := len(r.Users) - 1; last < 0 || r.Users[last].User != u {
			r.Users = append(r.Users, SharedUser{User: u})
		}
		last := &r.Users[len(r.Users)-1]
		last.Requests = append(last.Requests, q)
	}
	return out, nil
}
