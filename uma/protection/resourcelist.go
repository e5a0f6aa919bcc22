package protection

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/uripath"
)

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

// describePage is the number of resources whose owners and scopes are read at a time.
const describePage = 100

// DescribeResources is FindResources with the name of each resource's owner and the ids
// of its scopes.
func (s *Service) DescribeResources(ctx context.Context, c *Caller, q *ResourceQuery, each func(*ResourceView) error) error {
	page := make([]*uma.Resource, 0, describePage)
	flush := func() error {
		err := s.describe(ctx, c, page, each)
		page = page[:0]
		return err
	}
	err := s.FindResources(ctx, c, q, func(r *uma.Resource) error {
		if page = append(page, r); len(page) < describePage {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// describe calls each for a page of resources, after the view that their names and ids
// are read from is closed: a slow client must not keep it open.
func (s *Service) describe(ctx context.Context, c *Caller, page []*uma.Resource, each func(*ResourceView) error) error {
	if len(page) == 0 {
		return nil
	}
	names, err := uma.Read(ctx, s.Store, func(view uma.View) (*pageNames, error) { return c.readPageNames(ctx, view, page) })
	if err != nil {
		return err
	}
	for _, r := range page {
		view := &ResourceView{Resource: r, OwnerName: names.owners[r.Owner], ScopeRows: make([]uma.ScopeRow, len(r.Scopes))}
		for i, name := range r.Scopes {
			view.ScopeRows[i] = uma.ScopeRow{ID: names.scopes[name], Name: name}
		}
		if err := each(view); err != nil {
			return err
		}
	}
	return nil
}

// pageNames are the names of owners by their ids, and the ids of scopes by their names.
type pageNames struct {
	owners map[string]string
	scopes map[uma.Scope]string
}

// readPageNames reads what a page of resources refers to.
func (c *Caller) readPageNames(ctx context.Context, view uma.View, page []*uma.Resource) (*pageNames, error) {
	owners, scopes := map[string]bool{}, map[uma.Scope]string{}
	for _, r := range page {
		owners[r.Owner] = true
		for _, name := range r.Scopes {
			scopes[name] = ""
		}
	}
	names, err := c.names(ctx, view, slices.Collect(maps.Keys(owners)))
	if err != nil {
		return nil, err
	}
	rows, err := view.KnownScopes(ctx, c.Server.Key, slices.Collect(maps.Keys(scopes)))
	if err != nil {
		return nil, fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		scopes[row.Name] = row.ID
	}
	return &pageNames{names, scopes}, nil
}
