package protection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// A RequestInput is a stored permission request as Keycloak's endpoint
// `permission/ticket` takes it.
type RequestInput struct {
	ID                       string
	Resource                 string
	Requester, RequesterName string // subject id or username
	Scope, ScopeName         string // id or name
	Granted                  bool
}

// A RequestView is a request with the names that go with its ids.
type RequestView struct {
	uma.Request
	OwnerName, RequesterName string
}

// CreateRequest stores a request, or with Granted a share, in the name of the
// resource's owner.
func (a *Service) CreateRequest(ctx context.Context, p *Caller, in *RequestInput) (*RequestView, error) {
	q, err := a.newRequest(ctx, p, in)
	if err != nil {
		return nil, err
	}
	switch err := a.Store.CreateRequest(ctx, q); {
	case errors.Is(err, uma.ErrConflict):
		return nil, uma.Refuse(uma.InvalidPermission, "Permission already exists", err)
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.InvalidResourceID, "Resource set with id ["+in.Resource+"] does not exists in this server.", err)
	case err != nil:
		return nil, uma.Storing("create request", err)
	}
	return &RequestView{Request: *q}, nil
}

// newRequest checks a request in the order that Keycloak does.
func (a *Service) newRequest(ctx context.Context, p *Caller, in *RequestInput) (_ *uma.Request, err error) {
	bad := func(text string) error { return uma.Refuse(uma.InvalidPermission, text, nil) }
	switch {
	case in.ID != "":
		return nil, bad("created permissions should not have id")
	case in.Resource == "":
		return nil, bad("created permissions should have resource")
	case in.Scope == "" && in.ScopeName == "":
		return nil, bad("created permissions should have scope or scopeName")
	case in.Requester == "" && in.RequesterName == "":
		return nil, bad("created permissions should have requester or requesterName")
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r, err := view.Resource(ctx, p.Server.Key, uma.ResourceID(in.Resource))
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.InvalidResourceID, "Resource set with id ["+in.Resource+"] does not exists in this server.", err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	case !p.isServer() && r.Owner != p.Identity.Subject:
		return nil, uma.Refuse(uma.NotOwner, "permissions for ["+in.Resource+"] can be only created by the owner or by the resource server itself", nil)
	case !r.OwnerManaged:
		return nil, bad("permission can only be created for resources with user-managed access enabled")
	}
	requester, err := p.userOf(ctx, view, cmp.Or(in.Requester, in.RequesterName))
	switch {
	case err != nil:
		return nil, err
	case requester == "":
		return nil, bad("Requester does not exists in this server as user.")
	}
	name := cmp.Or(in.Scope, in.ScopeName)
	scope, err := view.Scope(ctx, p.Server.Key, name)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.InvalidScope, "Scope ["+name+"] is invalid", err)
	case err != nil:
		return nil, fmt.Errorf("read scope: %w", err)
	case !slices.Contains(r.Scopes, scope.Name):
		return nil, uma.Refuse(uma.InvalidResourceID, "Resource set with id ["+in.Resource+"] does not have Scope ["+string(scope.Name)+"]", nil)
	}
	q := &uma.Request{
		ID: a.NewID(), Server: p.Server.Key, Resource: r.Key, ResourceID: r.ID, ResourceName: r.Name, Owner: r.Owner,
		Requester: requester, Scope: scope.Name, ScopeID: scope.ID, State: uma.Pending, Created: a.Now(), Decided: a.Now(),
	}
	if in.Granted {
		q.State = uma.Granted
	}
	return q, nil
}

// request returns a stored request, which has not been denied.
func (a *Service) request(ctx context.Context, p *Caller, id string) (_ *uma.Request, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	q, err := view.Request(ctx, p.Server.Key, id)
	switch {
	case errors.Is(err, uma.ErrNotFound) || err == nil && q.State == uma.Refused:
		return nil, uma.Refuse(uma.InvalidRequest, "invalid_ticket", err)
	case err != nil:
		return nil, fmt.Errorf("read request: %w", err)
	}
	return q, nil
}

// UpdateRequest is the owner's answer, or the resource server's in its stead:
// granted makes the request a share; not granted keeps a pending one as denied,
// hidden, so that it is not asked again for a while, and withdraws a share.
func (a *Service) UpdateRequest(ctx context.Context, p *Caller, in *RequestInput) error {
	q, err := a.request(ctx, p, in.ID)
	if err != nil {
		return err
	}
	if !p.isServer() && q.Owner != p.Identity.Subject {
		return uma.Refuse(uma.NotOwner, "permissions for ["+string(q.ResourceID)+"] can be updated only by the owner or by the resource server", nil)
	}
	switch err := a.Store.DecideRequest(ctx, p.Server.Key, q.ID, in.Granted, a.Now()); {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.InvalidRequest, "invalid_ticket", err)
	case err != nil:
		return uma.Storing("decide request", err)
	}
	return nil
}

// DeleteRequest removes a request or share, for its owner, its requester or the
// resource server.
func (a *Service) DeleteRequest(ctx context.Context, p *Caller, id string) error {
	q, err := a.request(ctx, p, id)
	if err != nil {
		return err
	}
	if !p.isServer() && q.Owner != p.Identity.Subject && q.Requester != p.Identity.Subject {
		return uma.Refuse(uma.NotOwner, "permissions for ["+string(q.ResourceID)+"] can be deleted only by the owner, the requester, or the resource server", nil)
	}
	switch err := a.Store.DeleteRequest(ctx, p.Server.Key, q.ID); {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.InvalidRequest, "invalid_ticket", err)
	case err != nil:
		return uma.Storing("delete request", err)
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

// FindRequests calls each for the requests that match, by id, of those the caller
// may see: the resource server all of its own, a user those in which it has a
// part.
func (a *Service) FindRequests(ctx context.Context, p *Caller, q *RequestQuery, each func(*RequestView) error) error {
	return uma.Pages(uma.RequestPage, q.First, q.Max, func(last *RequestView, first, n int) ([]RequestView, error) {
		after := ""
		if last != nil {
			after = last.ID
		}
		return a.requestsAfter(ctx, p, q, after, first, n)
	}, each)
}

// requestsAfter reads a page of what matches.
func (a *Service) requestsAfter(ctx context.Context, p *Caller, q *RequestQuery, after string, first, n int) (_ []RequestView, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	f, nobody, err := p.filter(ctx, view, q)
	if err != nil || nobody {
		return nil, err
	}
	f.After = after
	rows, err := view.FindRequests(ctx, p.Server.Key, f, first, n)
	if err != nil {
		return nil, fmt.Errorf("find requests: %w", err)
	}
	var names map[string]string
	if q.ReturnNames && len(rows) > 0 {
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.Owner, r.Requester)
		}
		slices.Sort(ids)
		if names, err = p.namesOf(ctx, view, slices.Compact(ids)); err != nil {
			return nil, err
		}
	}
	out := make([]RequestView, len(rows))
	for i, r := range rows {
		out[i] = RequestView{Request: r, OwnerName: names[r.Owner], RequesterName: names[r.Requester]}
	}
	return out, nil
}

// CountRequests counts what FindRequests would return without a page.
func (a *Service) CountRequests(ctx context.Context, p *Caller, q *RequestQuery) (_ int, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return 0, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	f, nobody, err := p.filter(ctx, view, q)
	if err != nil || nobody {
		return 0, err
	}
	n, err := view.CountRequests(ctx, p.Server.Key, f)
	if err != nil {
		return 0, fmt.Errorf("count requests: %w", err)
	}
	return n, nil
}

// filter turns a query into what the store narrows by; nobody says that it names
// someone who is not there, so that nothing matches.
func (p *Caller) filter(ctx context.Context, view uma.View, q *RequestQuery) (f uma.RequestFilter, nobody bool, err error) {
	f = uma.RequestFilter{Resource: uma.ResourceID(q.ResourceID), ScopeID: q.ScopeID, Granted: q.Granted}
	for _, party := range []struct {
		name string
		id   *string
	}{{q.Owner, &f.Owner}, {q.Requester, &f.Requester}} {
		if party.name == "" {
			continue
		}
		if *party.id, err = p.subjectOf(ctx, view, party.name); err != nil || *party.id == "" {
			return f, true, err
		}
	}
	if !p.isServer() {
		f.Party = p.Identity.Subject
	}
	return f, false, nil
}
