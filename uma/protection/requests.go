package protection

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// A RequestInput is a permission request in the body of Keycloak's endpoint
// `permission/ticket`.
type RequestInput struct {
	ID                       string
	Resource                 string
	Requester, RequesterName string // subject id or username
	Scope, ScopeName         string // id or name
	Granted                  bool
}

// A RequestView is a permission request with the names of its owner and requester.
type RequestView struct {
	uma.Request
	OwnerName, RequesterName string
}

// CreateRequest stores a request, or with Granted a share, in the name of the
// resource's owner.
func (s *Service) CreateRequest(ctx context.Context, c *Caller, in *RequestInput) (*RequestView, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	q, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Request, error) { return c.readRequestInput(ctx, view, in) })
	if err != nil {
		return nil, err
	}
	q.ID, q.State, q.Created, q.Decided = s.NewID(), uma.Pending, s.Now(), s.Now()
	if in.Granted {
		q.State = uma.Granted
	}
	if err := s.Store.CreateRequest(ctx, q); err != nil {
		return nil, uma.Tell("create request", err,
			uma.Means(uma.ErrConflict, uma.InvalidPermission, uma.Fault{Kind: uma.PermissionExists}),
			uma.Means(uma.ErrNotFound, uma.InvalidResourceID, resourceNotRegistered(in.Resource)))
	}
	return &RequestView{Request: *q}, nil
}

// check refuses a body that lacks what a new request must have.
func (in *RequestInput) check() error {
	incomplete := func(parameter string) error {
		return uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.PermissionIncomplete, Parameter: parameter}, nil)
	}
	switch {
	case in.ID != "":
		return uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.PermissionHasID}, nil)
	case in.Resource == "":
		return incomplete("resource")
	case in.Scope == "" && in.ScopeName == "":
		return incomplete("scope or scopeName")
	case in.Requester == "" && in.RequesterName == "":
		return incomplete("requester or requesterName")
	}
	return nil
}

// readRequestInput reads what a new request names, in the order of Keycloak's checks.
func (c *Caller) readRequestInput(ctx context.Context, view uma.View, in *RequestInput) (*uma.Request, error) {
	r, err := view.Resource(ctx, c.Server.Key, uma.ResourceID(in.Resource))
	switch {
	case err != nil:
		return nil, uma.Tell("read resource", err, uma.Means(uma.ErrNotFound, uma.InvalidResourceID, resourceNotRegistered(in.Resource)))
	case !c.manages(r):
		return nil, uma.Reject(uma.NotOwner, uma.Fault{Kind: uma.MayNotCreate, Resource: in.Resource}, nil)
	case !r.OwnerManaged:
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.NotOwnerManaged, Resource: in.Resource}, nil)
	}
	name := cmp.Or(in.Requester, in.RequesterName)
	requester, err := c.userID(ctx, view, name)
	switch {
	case err != nil:
		return nil, err
	case requester == "":
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.RequesterUnknown, User: name}, nil)
	}
	scope, err := view.Scope(ctx, c.Server.Key, cmp.Or(in.Scope, in.ScopeName))
	switch {
	case err != nil:
		return nil, uma.Tell("read scope", err, uma.Means(uma.ErrNotFound, uma.InvalidScope, scopeNotRegistered(uma.Scope(cmp.Or(in.Scope, in.ScopeName)))))
	case !slices.Contains(r.Scopes, scope.Name):
		fault := uma.Fault{Kind: uma.ResourceLacksScope, Resource: in.Resource, Scopes: []uma.Scope{scope.Name}}
		return nil, uma.Reject(uma.InvalidResourceID, fault, nil)
	}
	return &uma.Request{
		Server: c.Server.Key, Resource: r.Key, ResourceID: r.ID, ResourceName: r.Name, Owner: r.Owner,
		Requester: requester, Scope: scope.Name, ScopeID: scope.ID,
	}, nil
}

var requestUnknown = uma.Fault{Kind: uma.RequestUnknown}

// readRequest reads a request that has not been denied.
func (s *Service) readRequest(ctx context.Context, c *Caller, id string) (*uma.Request, error) {
	q, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Request, error) { return view.Request(ctx, c.Server.Key, id) })
	switch {
	case err != nil:
		return nil, uma.Tell("read request", err, uma.Means(uma.ErrNotFound, uma.InvalidRequest, requestUnknown))
	case q.State == uma.Refused:
		return nil, uma.Reject(uma.InvalidRequest, requestUnknown, nil)
	}
	return q, nil
}

// UpdateRequest is the owner's answer, or the resource server's in the owner's name.
// Granted makes the request a share. Otherwise a share is withdrawn, and a pending
// request is kept as denied and hidden, so that it is not asked again for a while.
func (s *Service) UpdateRequest(ctx context.Context, c *Caller, in *RequestInput) error {
	q, err := s.readRequest(ctx, c, in.ID)
	if err != nil {
		return err
	}
	if !c.isServer() && q.Owner != c.Identity.Subject {
		return uma.Reject(uma.NotOwner, uma.Fault{Kind: uma.MayNotUpdate, Resource: string(q.ResourceID)}, nil)
	}
	if err := s.Store.DecideRequest(ctx, c.Server.Key, q.ID, in.Granted, s.Now()); err != nil {
		return uma.Tell("decide request", err, uma.Means(uma.ErrNotFound, uma.InvalidRequest, requestUnknown))
	}
	return nil
}

// DeleteRequest removes a request or share, for its owner, its requester or the
// resource server.
func (s *Service) DeleteRequest(ctx context.Context, c *Caller, id string) error {
	q, err := s.readRequest(ctx, c, id)
	if err != nil {
		return err
	}
	if !c.isServer() && q.Owner != c.Identity.Subject && q.Requester != c.Identity.Subject {
		return uma.Reject(uma.NotOwner, uma.Fault{Kind: uma.MayNotDelete, Resource: string(q.ResourceID)}, nil)
	}
	if err := s.Store.DeleteRequest(ctx, c.Server.Key, q.ID); err != nil {
		return uma.Tell("delete request", err, uma.Means(uma.ErrNotFound, uma.InvalidRequest, requestUnknown))
	}
	return nil
}

// A RequestQuery is a search among requests. Empty members do not narrow.
type RequestQuery struct {
	ScopeID          string // id or name
	ResourceID       string
	Owner, Requester string // subject id or username
	Granted          *bool
	ReturnNames      bool
	First, Max       int // Max < 0: no limit
}

// FindRequests calls each for the requests that match, by id, of those that the caller
// may see: the resource server sees all that are for its resources, a user those that
// it owns or made.
func (s *Service) FindRequests(ctx context.Context, c *Caller, q *RequestQuery, each func(*RequestView) error) error {
	return uma.Pages(uma.RequestPage, q.First, q.Max, func(last *RequestView, first, n int) ([]RequestView, error) {
		return uma.Read(ctx, s.Store, func(view uma.View) ([]RequestView, error) {
			f, nobody, err := c.requestFilter(ctx, view, q)
			if err != nil || nobody {
				return nil, err
			}
			if last != nil {
				f.After = last.ID
			}
			rows, err := view.FindRequests(ctx, c.Server.Key, f, first, n)
			if err != nil {
				return nil, fmt.Errorf("find requests: %w", err)
			}
			return c.requestViews(ctx, view, rows, q.ReturnNames)
		})
	}, each)
}

// requestViews returns requests with the names of their owners and requesters, if these
// are asked for.
func (c *Caller) requestViews(ctx context.Context, view uma.View, rows []uma.Request, withNames bool) ([]RequestView, error) {
	var names map[string]string
	if withNames && len(rows) > 0 {
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.Owner, r.Requester)
		}
		slices.Sort(ids)
		var err error
		if names, err = c.names(ctx, view, slices.Compact(ids)); err != nil {
			return nil, err
		}
	}
	views := make([]RequestView, len(rows))
	for i, r := range rows {
		views[i] = RequestView{Request: r, OwnerName: names[r.Owner], RequesterName: names[r.Requester]}
	}
	return views, nil
}

// CountRequests counts what FindRequests finds without First and Max.
func (s *Service) CountRequests(ctx context.Context, c *Caller, q *RequestQuery) (int, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (int, error) {
		f, nobody, err := c.requestFilter(ctx, view, q)
		if err != nil || nobody {
			return 0, err
		}
		n, err := view.CountRequests(ctx, c.Server.Key, f)
		if err != nil {
			return 0, fmt.Errorf("count requests: %w", err)
		}
		return n, nil
	})
}

// requestFilter turns a query into a filter of the store. With nobody, the query names
// an owner or a requester who does not exist, and nothing matches.
func (c *Caller) requestFilter(ctx context.Context, view uma.View, q *RequestQuery) (f uma.RequestFilter, nobody bool, err error) {
	f = uma.RequestFilter{Resource: uma.ResourceID(q.ResourceID), ScopeID: q.ScopeID, Granted: q.Granted}
	for _, party := range []struct {
		name string
		id   *string
	}{{q.Owner, &f.Owner}, {q.Requester, &f.Requester}} {
		if party.name == "" {
			continue
		}
		if *party.id, err = c.subjectID(ctx, view, party.name); err != nil || *party.id == "" {
			return f, true, err
		}
	}
	if !c.isServer() {
		f.Party = c.Identity.Subject
	}
	return f, false, nil
}
