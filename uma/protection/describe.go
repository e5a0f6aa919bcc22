package protection

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"example.com/umpire/uma"
)

// describePage is how many resources are described by one reading.
const describePage = 100

// DescribeResources is FindResources with the name of each resource's owner and the ids
// of its scopes, which are read for a page of resources at a time.
func (a *Service) DescribeResources(ctx context.Context, p *Caller, q *ResourceQuery, each func(*ResourceView) error) error {
	page := make([]*uma.Resource, 0, describePage)
	flush := func() error {
		err := a.describe(ctx, p, page, each)
		page = page[:0]
		return err
	}
	err := a.FindResources(ctx, p, q, func(r *uma.Resource) error {
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

// describe reads the names and ids for a page of resources. The view is closed before
// each is called: a slow client must not keep it open.
func (a *Service) describe(ctx context.Context, p *Caller, page []*uma.Resource, each func(*ResourceView) error) error {
	if len(page) == 0 {
		return nil
	}
	owners, scopes, err := a.ownersAndScopes(ctx, p, page)
	if err != nil {
		return err
	}
	for _, r := range page {
		view := &ResourceView{Resource: r, OwnerName: owners[r.Owner], ScopeRows: make([]uma.ScopeRow, len(r.Scopes))}
		for i, name := range r.Scopes {
			view.ScopeRows[i] = uma.ScopeRow{ID: scopes[name], Name: name}
		}
		if err := each(view); err != nil {
			return err
		}
	}
	return nil
}

// ownersAndScopes returns the names of the resources' owners by their ids, and the
// ids of their scopes by their names.
func (a *Service) ownersAndScopes(ctx context.Context, p *Caller, page []*uma.Resource) (owners map[string]string, scopes map[uma.Scope]string, err error) {
	asked := map[string]bool{}
	scopes = map[uma.Scope]string{}
	for _, r := range page {
		asked[r.Owner] = true
		for _, name := range r.Scopes {
			scopes[name] = ""
		}
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	if owners, err = p.namesOf(ctx, view, slices.Collect(maps.Keys(asked))); err != nil {
		return nil, nil, err
	}
	rows, err := view.KnownScopes(ctx, p.Server.Key, slices.Collect(maps.Keys(scopes)))
	if err != nil {
		return nil, nil, fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		scopes[row.Name] = row.ID
	}
	return owners, scopes, nil
}
