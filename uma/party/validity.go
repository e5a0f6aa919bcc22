package party

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// remainingPermissions returns the permissions of an RPT that are still valid. With an
// owner it returns only those for resources of that owner. A withdrawal changes one row,
// and is noticed here when the token is presented.
func (s *Service) remainingPermissions(ctx context.Context, view uma.View, snap *uma.Snapshot, claims *uma.Claims, owner string) ([]uma.Grant, error) {
	rpt, err := view.RPT(ctx, snap.Realm.Key, claims.ID)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	if server := snap.ByKey[rpt.Server]; server == nil || !server.Enabled || !server.ResourceServer {
		return nil, nil
	}
	now, err := readValidity(ctx, view, rpt)
	if err != nil {
		return nil, err
	}
	var remaining []uma.Grant
	for _, g := range rpt.Permissions {
		if r := now.Resources[g.Resource]; owner != "" && (r == nil || r.Owner != owner) {
			continue
		}
		if g, ok := now.remaining(g); ok {
			remaining = append(remaining, g)
		}
	}
	return remaining, nil
}

// A validity has the rows that grants rest on as they are now.
type validity uma.Validity

// readValidity reads the rows that an RPT rests on. Scopes that were granted because the
// resource's type has them are valid as long as the type has them.
func readValidity(ctx context.Context, view uma.View, rpt *uma.RPT) (*validity, error) {
	now, err := view.Validity(ctx, rpt.Server, rpt.Permissions)
	if err != nil {
		return nil, fmt.Errorf("read the rows that an rpt rests on: %w", err)
	}
	for _, g := range rpt.Permissions {
		r := now.Resources[g.Resource]
		if r == nil || len(g.Inherited) == 0 {
			continue
		}
		ofType, err := view.TypeScopes(ctx, rpt.Server, r.Type, g.Inherited)
		if err != nil {
			return nil, fmt.Errorf("read scopes of type: %w", err)
		}
		all := *r
		all.Scopes = sets.Union(r.Scopes, ofType)
		now.Resources[g.Resource] = &all
	}
	return (*validity)(now), nil
}

// remaining returns a grant without the scopes that are no longer valid, and whether
// anything is left. A scope ends with its resource, when the resource no longer has it,
// when the owner whom it was granted to as the owner no longer owns the resource, and with
// the last of the shares that covered it. A grant that had scopes and has none left has
// ended: no scopes does not mean all.
func (v *validity) remaining(g uma.Grant) (uma.Grant, bool) {
	var resource *uma.Resource
	if g.Resource != "" {
		resource = v.Resources[g.Resource]
		if resource == nil || g.Owner != "" && g.Owner != resource.Owner {
			return g, false
		}
	}
	if len(g.Scopes) == 0 { // of the resource as a whole, as long as the resource has no scopes
		return g, (resource == nil || len(resource.Scopes) == 0) && v.isCovered(g, "")
	}
	var scopes []uma.Scope
	for _, scope := range g.Scopes {
		exists := v.Scopes[scope]
		if resource != nil {
			exists = slices.Contains(resource.Scopes, scope)
		}
		if exists && v.isCovered(g, scope) {
			scopes = append(scopes, scope)
		}
	}
	g.Scopes = scopes
	return g, len(scopes) > 0
}

// isCovered reports whether a scope, or with "" the resource as a whole, is still covered
// by one of the shares that it was granted for; it is, if it was granted for none. A share
// named in rests_on that covers no granted scope is required for all of them.
func (v *validity) isCovered(g uma.Grant, scope uma.Scope) bool {
	covers := func(scopes []uma.Scope) bool {
		return scope == "" && len(scopes) == 0 || slices.Contains(scopes, scope)
	}
	for _, s := range g.Shares {
		if len(s.Scopes) == 0 && len(g.Scopes) > 0 && v.currentShare(s) == nil {
			return false
		}
	}
	granted := false // for a share
	for _, s := range g.Shares {
		if !covers(s.Scopes) {
			continue
		}
		granted = true
		if now := v.currentShare(s); now != nil && covers(now.Scopes) {
			return true
		}
	}
	return !granted
}

// currentShare returns a share that a grant rests on as it is now. It is nil if the share
// is gone or was narrowed to other parties.
func (v *validity) currentShare(s uma.GrantShare) *uma.Share {
	if now := v.Shares[s.ID]; now != nil && now.Audience <= s.Version {
		return now
	}
	return nil
}

// isUnchanged reports whether every row that a grant rests on is as it was.
func (v *validity) isUnchanged(g uma.Grant) bool {
	if g.Resource != "" {
		if r := v.Resources[g.Resource]; r == nil || r.Version != g.Version {
			return false
		}
	}
	for _, s := range g.Shares {
		if now := v.currentShare(s); now == nil || now.Version != s.Version {
			return false
		}
	}
	remaining, ok := v.remaining(g)
	return ok && len(remaining.Scopes) == len(g.Scopes)
}
