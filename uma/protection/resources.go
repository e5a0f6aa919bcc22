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

// CreateResource registers a resource (FedAuthz §3.2.1) for the caller or, when
// the resource server itself asks, for the owner that it names.
func (s *Service) CreateResource(ctx context.Context, c *Caller, in *ResourceInput) (*ResourceView, error) {
	if err := c.check(in); err != nil {
		return nil, err
	}
	o, err := uma.Read(ctx, s.Store, func(view uma.View) (owner, error) { return c.readOwner(ctx, view, in.Owner) })
	if err != nil {
		return nil, err
	}
	r := c.newResource(in, uma.ResourceID(s.NewID()), o.id)
	if err := s.Store.CreateResource(ctx, r, s.NewID); err != nil {
		return nil, tellTaken("create resource", r, err)
	}
	scopes, err := s.scopeRows(ctx, c, r.Scopes)
	if err != nil { // the resource is stored; only the ids of its scopes are missing
		s.Log(ctx, "read scopes of a new resource", "resource", r.ID, "err", err)
		for _, name := range r.Scopes {
			scopes = append(scopes, uma.ScopeRow{Name: name})
		}
	}
	return &ResourceView{Resource: r, OwnerName: o.name, ScopeRows: scopes}, nil
}

// An owner is the owner of a new resource.
type owner struct{ id, name string }

// readOwner reads who becomes the owner of a new resource: the caller or, if the resource
// server calls and names one, that one.
func (c *Caller) readOwner(ctx context.Context, view uma.View, named string) (o owner, err error) {
	o.id = c.Identity.Subject
	if named != "" && c.isServer() {
		if o.id, err = c.subjectID(ctx, view, named); err != nil {
			return o, err
		}
		if o.id == "" {
			return o, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.OwnerUnknown, Owner: named}, nil)
		}
	}
	names, err := c.names(ctx, view, []string{o.id})
	o.name = names[o.id]
	return o, err
}

// tellTaken is uma.Tell for a resource whose name or URI may be another's.
func tellTaken(doing string, r *uma.Resource, err error, also ...uma.Meaning) error {
	taken := uma.Fault{Kind: uma.ResourceNameTaken, Name: r.Name}
	if uri, ok := errors.AsType[*uma.URITakenError](err); ok {
		taken = uma.Fault{Kind: uma.URITaken, Value: uri.URI}
	}
	return uma.Tell(doing, err, append(also, uma.Means(uma.ErrConflict, uma.Conflict, taken))...)
}

// scopeRows reads the ids of scopes.
func (s *Service) scopeRows(ctx context.Context, c *Caller, names []uma.Scope) ([]uma.ScopeRow, error) {
	if len(names) == 0 {
		return nil, nil
	}
	return uma.Read(ctx, s.Store, func(view uma.View) ([]uma.ScopeRow, error) {
		rows, err := view.KnownScopes(ctx, c.Server.Key, names)
		if err != nil {
			return nil, fmt.Errorf("read scopes: %w", err)
		}
		return rows, nil
	})
}

// ReadResource returns a resource that the caller may manage.
func (s *Service) ReadResource(ctx context.Context, c *Caller, id string) (*uma.Resource, error) {
	r, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Resource, error) {
		return view.Resource(ctx, c.Server.Key, uma.ResourceID(id))
	})
	switch {
	case err != nil:
		return nil, uma.Tell("read resource", err, resourceNotFound(id))
	case !c.manages(r):
		return nil, uma.Reject(uma.Forbidden, uma.Fault{}, nil)
	}
	return r, nil
}

func resourceNotFound(id string) uma.Meaning {
	return uma.Means(uma.ErrNotFound, uma.NotFound, resourceNotRegistered(id))
}

// ReplaceResource replaces a description (FedAuthz §3.2.3). Owner and id stay;
// attributes stay unless new ones are given.
func (s *Service) ReplaceResource(ctx context.Context, c *Caller, id string, in *ResourceInput) error {
	old, err := s.ReadResource(ctx, c, id)
	if err != nil {
		return err
	}
	if err := c.check(in); err != nil {
		return err
	}
	r := c.replacedResource(in, old)
	if err := s.Store.ReplaceResource(ctx, r, s.NewID); err != nil {
		return tellTaken("replace resource", r, err, resourceNotFound(id))
	}
	return nil
}

// DeleteResource ends the protection of a resource (FedAuthz §3.2.4) and deletes the
// requests and shares for it.
func (s *Service) DeleteResource(ctx context.Context, c *Caller, id string) error {
	r, err := s.ReadResource(ctx, c, id)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteResource(ctx, c.Server.Key, r.ID); err != nil {
		return uma.Tell("delete resource", err, resourceNotFound(id))
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
func (s *Service) FindResources(ctx context.Context, c *Caller, q *ResourceQuery, each func(*uma.Resource) error) error {
	f := uma.ResourceFilter{ID: uma.ResourceID(q.ID), Name: q.Name, ExactName: q.ExactName, Type: q.Type, Scope: q.Scope}
	nobody, err := s.filterByOwner(ctx, c, q.Owner, &f)
	if err != nil || nobody {
		return err
	}
	if q.URI == "" {
		return s.Store.FindResources(ctx, c.Server.Key, f, max(q.First, 0), q.Max, each)
	}
	path, err := uripath.Normalize(q.URI)
	if err != nil {
		return nil // nothing has such a URI
	}
	f.URI = uripath.Fold(path)
	narrow := f.Owner != "" || f.ID != "" // then it does not matter who else has the URI
	if !narrow {
		if f.Registered, err = s.registeredAs(ctx, c, path); err != nil {
			return err
		}
	}
	found := false
	if narrow || f.Registered != 0 {
		err = s.Store.FindResources(ctx, c.Server.Key, f, max(q.First, 0), q.Max, func(r *uma.Resource) error {
			found = true
			return each(r)
		})
	}
	if err != nil || found || !q.MatchingURI || q.Max == 0 || q.First > 0 {
		return err
	}
	return s.findByPattern(ctx, c, path, &f, each)
}

// ListOwn calls each for the resources that the caller owns (FedAuthz §3.2.5), by name.
func (s *Service) ListOwn(ctx context.Context, c *Caller, each func(*uma.Resource) error) error {
	return s.Store.FindResources(ctx, c.Server.Key, uma.ResourceFilter{Owner: c.Identity.Subject}, 0, -1, each)
}

// registeredAs returns who registered the URI of the resources that answer for a path;
// 0 if no resource has that URI.
func (s *Service) registeredAs(ctx context.Context, c *Caller, path string) (uma.Registered, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (uma.Registered, error) {
		_, as, err := lookup.ByURI(ctx, view, c.Server.Key, path, false, 1)
		return as, err
	})
}

// filterByOwner narrows a filter to the owner that a search names, and for a user to that
// user. With nobody, nothing can match.
func (s *Service) filterByOwner(ctx context.Context, c *Caller, owner string, f *uma.ResourceFilter) (nobody bool, err error) {
	if owner != "" {
		f.Owner, err = uma.Read(ctx, s.Store, func(view uma.View) (string, error) { return c.subjectID(ctx, view, owner) })
		if err != nil || f.Owner == "" {
			return true, err
		}
	}
	if !c.isServer() {
		if f.Owner != "" && f.Owner != c.Identity.Subject {
			return true, nil
		}
		f.Owner = c.Identity.Subject
	}
	return false, nil
}

// findByPattern calls each for the resource whose pattern matches a path best (the last
// by name if several have that pattern), if the other filters match it.
func (s *Service) findByPattern(ctx context.Context, c *Caller, path string, f *uma.ResourceFilter, each func(*uma.Resource) error) error {
	rows, err := uma.Read(ctx, s.Store, func(view uma.View) ([]*uma.Resource, error) {
		rows, _, err := lookup.ByPattern(ctx, view, c.Server.Key, path)
		return rows, err
	})
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
