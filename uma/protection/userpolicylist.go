package protection

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// A UserPolicyQuery is a search among the caller's policies. Empty members do not
// narrow.
type UserPolicyQuery struct {
	Name     string // a part, without case
	Resource string // id or name
	Scope    string // id or name
}

// UserPolicyFilter turns a search into what FindShares narrows by. NotFound: it names a
// resource that the caller does not own, or a scope that nobody knows.
func (a *Service) UserPolicyFilter(ctx context.Context, p *Caller, q *UserPolicyQuery) (_ *uma.UserPolicyFilter, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	f := &uma.UserPolicyFilter{Name: q.Name}
	if q.Resource != "" {
		r, err := p.ownResource(ctx, view, q.Resource)
		if err != nil {
			return nil, err
		}
		f.Resource = r.ID
	}
	if q.Scope == "" {
		return f, nil
	}
	scope, err := view.Scope(ctx, p.Server.Key, q.Scope)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.NotFound, "Scope ["+q.Scope+"] cannot be found", err)
	case err != nil:
		return nil, fmt.Errorf("read scope: %w", err)
	}
	f.Scope = scope.Name
	return f, nil
}

// ownResource returns a resource of the caller's by its id or name.
func (p *Caller) ownResource(ctx context.Context, view uma.View, idOrName string) (*uma.Resource, error) {
	r, err := view.Resource(ctx, p.Server.Key, uma.ResourceID(idOrName))
	if errors.Is(err, uma.ErrNotFound) || err == nil && r.Owner != p.Identity.Subject {
		r, err = view.ResourceByName(ctx, p.Server.Key, p.Identity.Subject, idOrName)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.NotFound, "Resource ["+idOrName+"] cannot be found", err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	}
	return r, nil
}

// policyPage is how many policies a listing reads at a time: one names up to 16 KiB, and
// a page is in memory for as long as a client takes.
const policyPage = 50

// FindShares calls each for the caller's policies that match, by name.
func (a *Service) FindShares(ctx context.Context, p *Caller, f *uma.UserPolicyFilter, first, most int, each func(*ShareView) error) error {
	return uma.Pages(policyPage, first, most, func(last *ShareView, first, n int) (_ []ShareView, err error) {
		view, err := a.Store.View(ctx)
		if err != nil {
			return nil, fmt.Errorf("open view: %w", err)
		}
		defer uma.CloseView(view, &err)
		page := *f
		if last != nil {
			page.After = last.Name
		}
		rows, err := view.FindShares(ctx, p.Server.Key, p.Identity.Subject, page, first, n)
		if err != nil {
			return nil, fmt.Errorf("find shares: %w", err)
		}
		return p.shareViews(ctx, view, rows)
	}, each)
}
