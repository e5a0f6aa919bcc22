package protection

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"example.com/umpire/uma"
)

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
