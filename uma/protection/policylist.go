package protection

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// A PolicyQuery is a search among the caller's policies. Empty members do not
// narrow.
type PolicyQuery struct {
	Name     string // a part, without case
	Resource string // id or name
	Scope    string // id or name
}

// PolicyFilter turns a search into a filter of FindPolicies. NotFound: it names a
// resource that the caller does not own, or a scope that does not exist.
func (s *Service) PolicyFilter(ctx context.Context, c *Caller, q *PolicyQuery) (*uma.UserPolicyFilter, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*uma.UserPolicyFilter, error) {
		f := &uma.UserPolicyFilter{Name: q.Name}
		if q.Resource != "" {
			r, err := c.readOwnResource(ctx, view, q.Resource)
			if err != nil {
				return nil, err
			}
			f.Resource = r.ID
		}
		if q.Scope == "" {
			return f, nil
		}
		scope, err := view.Scope(ctx, c.Server.Key, q.Scope)
		if err != nil {
			return nil, uma.Tell("read scope", err, uma.Means(uma.ErrNotFound, uma.NotFound, scopeNotRegistered(uma.Scope(q.Scope))))
		}
		f.Scope = scope.Name
		return f, nil
	})
}

// readOwnResource returns a resource that the caller owns, by its id or name.
func (c *Caller) readOwnResource(ctx context.Context, view uma.View, idOrName string) (*uma.Resource, error) {
	r, err := view.Resource(ctx, c.Server.Key, uma.ResourceID(idOrName))
	if errors.Is(err, uma.ErrNotFound) || err == nil && r.Owner != c.Identity.Subject {
		r, err = view.ResourceByName(ctx, c.Server.Key, c.Identity.Subject, idOrName)
	}
	if err != nil {
		return nil, uma.Tell("read resource", err, resourceNotFound(idOrName))
	}
	return r, nil
}

// policyPage is how many policies a listing reads at a time. It is smaller than
// uma.RequestPage because a policy names up to 16 KiB, and a page is in memory until the
// client has read it.
const policyPage = 50

// FindPolicies calls each for the caller's policies that match, by name.
func (s *Service) FindPolicies(ctx context.Context, c *Caller, f *uma.UserPolicyFilter, first, most int, each func(*PolicyView) error) error {
	return uma.Pages(policyPage, first, most, func(last *PolicyView, first, n int) ([]PolicyView, error) {
		return uma.Read(ctx, s.Store, func(view uma.View) ([]PolicyView, error) {
			page := *f
			if last != nil {
				page.After = last.Name
			}
			rows, err := view.FindShares(ctx, c.Server.Key, c.Identity.Subject, page, first, n)
			if err != nil {
				return nil, fmt.Errorf("find policies: %w", err)
			}
			return c.policyViews(ctx, view, rows)
		})
	}, each)
}
