package protection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/uripath"
)

// taken is the refusal for a store's ErrConflict.
func taken(name string, err error) error {
	if uri, ok := errors.AsType[*uma.URITakenError](err); ok {
		return uma.Refuse(uma.Conflict, "URI ["+uri.URI+"] belongs to another resource.", err)
	}
	return uma.Refuse(uma.Conflict, "Resource with name ["+name+"] already exists.", err)
}

// CreateResource registers a resource (FedAuthz §3.2.1) for the caller or, when
// the resource server itself asks, for the owner that it names.
func (a *Service) CreateResource(ctx context.Context, p *Caller, in *ResourceInput) (*ResourceView, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := p.checkReach(in); err != nil {
		return nil, err
	}
	r := in.resource(p)
	r.ID, r.Owner = uma.ResourceID(a.NewID()), p.Identity.Subject
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	if in.Owner != "" && p.isServer() {
		r.Owner, err = p.subjectOf(ctx, view, in.Owner)
	}
	var ownerName string
	if err == nil && r.Owner != "" {
		ownerName, err = p.nameOf(ctx, view, r.Owner)
	}
	uma.CloseView(view, &err)
	switch {
	case err != nil:
		return nil, err
	case r.Owner == "":
		return nil, uma.Refuse(uma.InvalidRequest, "Owner must be a valid username or user identifier. If the resource server, the client id or null.", nil)
	}
	if in.Strict {
		asRegistered(r, p.Server)
	}
	switch err := a.Store.CreateResource(ctx, r, a.NewID); {
	case errors.Is(err, uma.ErrConflict):
		return nil, taken(r.Name, err)
	case err != nil:
		return nil, uma.Storing("create resource", err)
	}
	rows, err := a.scopeRows(ctx, p, r.Scopes)
	if err != nil { // the resource is there all the same; only the ids of its scopes are missing
		a.Log(ctx, "read scopes of a new resource", "resource", r.ID, "err", err)
		for _, name := range r.Scopes {
			rows = append(rows, uma.ScopeRow{Name: name})
		}
	}
	return &ResourceView{Resource: r, OwnerName: ownerName, ScopeRows: rows}, nil
}

func (a *Service) scopeRows(ctx context.Context, p *Caller, names []uma.Scope) (_ []uma.ScopeRow, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	rows, err := view.KnownScopes(ctx, p.Server.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read scopes: %w", err)
	}
	return rows, nil
}

// ReadResource returns a resource that the caller may manage: the resource
// server any of its own, a user those it owns.
func (a *Service) ReadResource(ctx context.Context, p *Caller, id string) (_ *uma.Resource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r, err := view.Resource(ctx, p.Server.Key, uma.ResourceID(id))
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.NotFound, "Resource not found", err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	case !p.isServer() && r.Owner != p.Identity.Subject:
		return nil, uma.Refuse(uma.Forbidden, "You don't have permission to manage this resource", nil)
	}
	return r, nil
}

// ReplaceResource replaces a description (FedAuthz §3.2.3). Owner and id stay;
// attributes stay unless new ones are given.
func (a *Service) ReplaceResource(ctx context.Context, p *Caller, id string, in *ResourceInput) error {
	old, err := a.ReadResource(ctx, p, id)
	if err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	if err := p.checkReach(in); err != nil {
		return err
	}
	r := in.resource(p)
	r.ID, r.Owner = old.ID, old.Owner
	if in.Strict {
		asBefore(r, old)
	}
	switch err := a.Store.ReplaceResource(ctx, r, a.NewID); {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.NotFound, "Resource not found", err)
	case errors.Is(err, uma.ErrConflict):
		return taken(r.Name, err)
	case err != nil:
		return uma.Storing("replace resource", err)
	}
	return nil
}

// DeleteResource ends the protection of a resource (FedAuthz §3.2.4), with all
// that was asked and shared of it.
func (a *Service) DeleteResource(ctx context.Context, p *Caller, id string) error {
	r, err := a.ReadResource(ctx, p, id)
	if err != nil {
		return err
	}
	switch err := a.Store.DeleteResource(ctx, p.Server.Key, r.ID); {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.NotFound, "Resource not found", err)
	case err != nil:
		return uma.Storing("delete resource", err)
	}
	return nil
}

// A ResourceQuery is a search among resources. Empty members do not narrow.
type ResourceQuery struct {
	ID, Name, URI, Owner, Type, Scope string
	ExactName                         bool
	MatchingURI                       bool // if no resource has the URI, the one whose pattern matches it best
	First, Max                        int  // Max < 0: no limit
}

// FindResources calls each for the resources that the caller may manage and that
// match, by name.
func (a *Service) FindResources(ctx context.Context, p *Caller, q *ResourceQuery, each func(*uma.Resource) error) error {
	f := uma.ResourceFilter{ID: uma.ResourceID(q.ID), Name: q.Name, ExactName: q.ExactName, Type: q.Type, Scope: q.Scope}
	nobody, err := a.narrowToOwner(ctx, p, q.Owner, &f)
	if err != nil || nobody {
		return err
	}
	if q.URI == "" {
		return a.Store.FindResources(ctx, p.Server.Key, f, max(q.First, 0), q.Max, each)
	}
	path, err := uripath.Normalize(q.URI)
	if err != nil {
		return nil // nothing has such a URI
	}
	f.URI = uripath.Fold(path)
	narrow := f.Owner != "" || f.ID != "" // to what is listed whoever else has the URI
	if !narrow {
		if f.Registered, err = a.registeredAs(ctx, p, path); err != nil {
			return err
		}
	}
	found := false
	if narrow || f.Registered != 0 {
		err = a.Store.FindResources(ctx, p.Server.Key, f, max(q.First, 0), q.Max, func(r *uma.Resource) error {
			found = true
			return each(r)
		})
	}
	if err != nil || found || !q.MatchingURI || q.Max == 0 || q.First > 0 {
		return err
	}
	return a.findMatching(ctx, p, path, &f, each)
}

// registeredAs says which resources with a path as their URI answer for it, by who
// registered it; 0 for none.
func (a *Service) registeredAs(ctx context.Context, p *Caller, path string) (as uma.Registered, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return 0, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	_, as, err = lookup.ByURI(ctx, view, p.Server.Key, path, false, 1)
	return as, err
}

// narrowToOwner resolves the owner that a search names. A user sees its own.
func (a *Service) narrowToOwner(ctx context.Context, p *Caller, owner string, f *uma.ResourceFilter) (nobody bool, err error) {
	if owner != "" {
		view, err := a.Store.View(ctx)
		if err != nil {
			return false, fmt.Errorf("open view: %w", err)
		}
		f.Owner, err = p.subjectOf(ctx, view, owner)
		uma.CloseView(view, &err)
		if err != nil || f.Owner == "" {
			return true, err
		}
	}
	if !p.isServer() {
		if f.Owner != "" && f.Owner != p.Identity.Subject {
			return true, nil
		}
		f.Owner = p.Identity.Subject
	}
	return false, nil
}

// findMatching calls each for the resource whose pattern matches a path best (the last
// by name if several have that pattern), if the other filters match it.
func (a *Service) findMatching(ctx context.Context, p *Caller, path string, f *uma.ResourceFilter, each func(*uma.Resource) error) error {
	view, err := a.Store.View(ctx)
	if err != nil {
		return fmt.Errorf("open view: %w", err)
	}
	rows, _, err := lookup.ByPattern(ctx, view, p.Server.Key, path)
	uma.CloseView(view, &err)
	if err != nil || len(rows) == 0 || !matches(f, rows[len(rows)-1]) {
		return err
	}
	return each(rows[len(rows)-1])
}

// matches compares everything but the URI, as the store does.
func matches(f *uma.ResourceFilter, r *uma.Resource) bool {
	part := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	return (f.ID == "" || r.ID == f.ID) && (f.Owner == "" || r.Owner == f.Owner) && part(r.Type, f.Type) &&
		(f.ExactName && (f.Name == "" || r.Name == f.Name) || !f.ExactName && part(r.Name, f.Name)) &&
		(f.Scope == "" || slices.ContainsFunc(r.Scopes, func(s uma.Scope) bool { return strings.Contains(string(s), f.Scope) }))
}
