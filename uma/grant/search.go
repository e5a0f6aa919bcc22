package grant

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
)

// This file has the ways by which a request finds resources that it does not name by id:
// by scope, type, name, everything, and what an RPT carries. URIs are in searchuri.go.

// resolveScopes adds permissions for scopes without a named resource:
//
//  1. on every resource of the resource server itself that has one of the scopes;
//  2. if there is none, on every resource that the resource server or a realm file registered
//     for a user, without those that the user manages and did not share with the party;
//  3. if there is none either, one for each scope, without a resource.
//
// A scope that only a user put on a resource does not count.
func (r *resolver) resolveScopes(ctx context.Context, scopes []uma.Scope) error {
	var rows []*uma.Resource
	for _, as := range []uma.Registered{uma.OwnOfServer, uma.ForOwner} {
		var err error
		if rows, err = r.view.Select(ctx, r.server.Key, uma.Selection{AnyScope: scopes, Registered: as}, r.searchLimit()); err != nil {
			return fmt.Errorf("select resources by scope: %w", err)
		}
		if len(rows) > 0 {
			break
		}
	}
	if len(rows) == 0 {
		for _, s := range scopes {
			r.add(permission{scopes: []uma.Scope{s}, requested: true})
		}
		return nil
	}
	rows, err := r.withoutUnshared(ctx, rows)
	if err != nil {
		return err
	}
	for _, resource := range rows {
		r.add(permission{resource: resource, scopes: sets.Within(scopes, resource.Scopes), requested: true})
	}
	return nil
}

// typeForms are the prefixes of a `permission` parameter that searches by type.
var typeForms = []string{"resource-type", "resource-type-any", "resource-type-instance", "resource-type-owner"}

// resolveType adds the resources of a type: `resource-type:T` those of the resource
// server itself, `resource-type-any:T` all, `resource-type-instance:T` those of others,
// `resource-type-owner:T` those of the requesting party.
func (r *resolver) resolveType(ctx context.Context, name string, scopes []uma.Scope) error {
	form, typ, _ := strings.Cut(name, ":")
	selection := uma.Selection{Type: typ}
	switch form {
	case "resource-type":
		selection.Owner = r.server.UUID
	case "resource-type-any":
	case "resource-type-instance":
		selection.NotOwner = r.server.UUID
	case "resource-type-owner":
		selection.Owner = r.party.Subject
	default:
		return r.resolveName(ctx, name, scopes)
	}
	if typ == "" {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TypeMissing, Value: form}, nil)
	}
	rows, err := r.view.Select(ctx, r.server.Key, selection, r.searchLimit())
	if err != nil {
		return fmt.Errorf("select resources by type: %w", err)
	}
	if rows, err = r.withoutUnshared(ctx, rows); err != nil {
		return err
	}
	for _, resource := range rows {
		p, ok, err := r.permissionOn(ctx, resource, scopes)
		if err != nil {
			return err
		}
		if ok {
			r.add(p)
		}
	}
	return nil
}

// searchLimit is how many resources a search reads before withoutUnshared removes some: one
// more than the realm allows. The client's limit counts the resources that remain.
func (r *resolver) searchLimit() int { return r.realm.Realm.Policy.MaxPermissions + 1 }

// withoutUnshared removes the resources that other owners manage and did not share with the
// party: a search by type or scope must not reveal that they exist. Before that it refuses
// more resources than a request may have: the rest was not read, and would be missing without
// notice.
func (r *resolver) withoutUnshared(ctx context.Context, rows []*uma.Resource) ([]*uma.Resource, error) {
	if len(rows) > r.realm.Realm.Policy.MaxPermissions {
		return nil, r.tooMany()
	}
	managed := func(resource *uma.Resource) bool {
		return resource.OwnerManaged && resource.Owner != r.server.UUID && resource.Owner != r.party.Subject
	}
	var keys []uma.Key
	for _, resource := range rows {
		if managed(resource) {
			keys = append(keys, resource.Key)
		}
	}
	if len(keys) == 0 {
		return rows, nil
	}
	shares, _, err := r.view.Between(ctx, r.party.Party(r.client.ID), keys, r.now)
	if err != nil {
		return nil, fmt.Errorf("read shares: %w", err)
	}
	return slices.DeleteFunc(rows, func(resource *uma.Resource) bool {
		return managed(resource) && !slices.ContainsFunc(shares, func(s uma.Share) bool { return s.Resource == resource.Key })
	}), nil
}

// resolveName adds the resource server's own resource of that name, and no other if there is
// one: a user's resource must not stand in for it. Otherwise it adds the party's own resource
// of that name, and the scopes of other users' resources of that name that were shared with
// the party. An unknown name is an error unless the request has another permission by then.
func (r *resolver) resolveName(ctx context.Context, name string, scopes []uma.Scope) error {
	own, err := lookup.ByName(ctx, r.view, r.server.Key, name, r.server.UUID, r.party.Subject)
	if err != nil {
		return err
	}
	if own != nil {
		if err := r.addResource(ctx, own, scopes); err != nil {
			return err
		}
	}
	if r.party.Subject == r.server.UUID {
		return nil
	}
	if own == nil || own.Owner != r.server.UUID {
		if err := r.addShared(ctx, name, scopes); err != nil {
			return err
		}
	}
	if len(r.requested.permissions) == 0 {
		return uma.Reject(uma.InvalidResource, uma.Fault{Kind: uma.ResourceUnknown, Resource: name}, nil)
	}
	return nil
}

// addShared adds what was shared with the party by requests that owners granted: with a
// name only resources of that name.
func (r *resolver) addShared(ctx context.Context, name string, scopes []uma.Scope) error {
	shared, ids, err := r.sharedWith(ctx, name)
	if err != nil {
		return err
	}
	resources, err := r.resourcesByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, share := range shared {
		resource := resources[share.ResourceID]
		switch {
		case resource == nil,
			share.Scope == "" && len(resource.Scopes) > 0, // shared as a whole, before it had scopes
			share.Scope != "" && len(scopes) > 0 && !slices.Contains(scopes, share.Scope):
			continue
		}
		p := permission{resource: resource, requested: true, named: name != ""}
		if share.Scope != "" {
			p.scopes = []uma.Scope{share.Scope}
		}
		r.add(p)
	}
	return nil
}

// sharedWith returns the granted requests of the party, those of one resource after one
// another, and the ids of their resources: not more ids than a request may have permissions.
func (r *resolver) sharedWith(ctx context.Context, name string) ([]uma.Request, []uma.ResourceID, error) {
	for limit := min(2*r.limit(), sharedAtMost); ; limit = min(4*limit, sharedAtMost) {
		shared, err := r.view.SharedWith(ctx, r.server.Key, r.party.Subject, name, limit)
		if err != nil {
			return nil, nil, fmt.Errorf("read what was shared: %w", err)
		}
		var ids []uma.ResourceID
		for _, share := range shared {
			if len(ids) == 0 || ids[len(ids)-1] != share.ResourceID {
				ids = append(ids, share.ResourceID)
			}
		}
		if len(ids) > r.limit() {
			return shared, ids[:r.limit()], nil
		}
		if len(shared) < limit || limit == sharedAtMost {
			return shared, ids, nil
		}
	}
}

// sharedAtMost bounds the granted requests that are read. It is far above
// policy.max_permissions resources with a few scopes each.
const sharedAtMost = 5000

// resolveEverything adds all entitlements: the resources of the resource server
// itself, the party's own, and what was shared with it.
func (r *resolver) resolveEverything(ctx context.Context) error {
	owners := []string{r.server.UUID}
	if r.party.Subject != r.server.UUID {
		owners = append(owners, r.party.Subject)
	}
	for _, owner := range owners {
		rows, err := r.view.Select(ctx, r.server.Key, uma.Selection{Owner: owner}, r.limit())
		if err != nil {
			return fmt.Errorf("select resources by owner: %w", err)
		}
		for _, resource := range rows {
			r.add(permission{resource: resource, scopes: resource.Scopes, requested: true})
		}
	}
	if len(owners) == 1 {
		return nil
	}
	return r.addShared(ctx, "", nil)
}

// resolveCarried adds the permissions that the RPT carries, after the requested ones, without
// what no longer exists. If the request asks for nothing else, they are the requested ones.
func (r *resolver) resolveCarried(ctx context.Context) error {
	alone := r.ticket == nil && len(r.req.Permissions) == 0
	carried := r.rpt.Authorization.Permissions
	var ids []uma.ResourceID
	var loose []uma.Scope // without a resource
	for _, p := range carried {
		if id := p.Resource(); id == "" {
			loose = append(loose, p.Scopes...)
		} else {
			ids = append(ids, id)
		}
	}
	resources, err := r.resourcesByID(ctx, ids)
	if err != nil {
		return err
	}
	for i := range carried {
		if resource := resources[carried[i].Resource()]; resource != nil && r.mayCarry(resource) {
			if err := r.addCarried(ctx, &carried[i], resource, alone); err != nil {
				return err
			}
		}
	}
	if len(loose) == 0 || r.req.Rules.OneOwner { // a scope without a resource is no owner's
		return nil
	}
	rows, err := r.view.KnownScopes(ctx, r.server.Key, loose)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		r.add(permission{scopes: []uma.Scope{row.Name}, requested: alone, carried: true, former: looseIn(r.rpt, row.Name)})
	}
	return nil
}

// addCarried adds what is left of a permission of the RPT.
func (r *resolver) addCarried(ctx context.Context, former *uma.GrantedPermission, resource *uma.Resource, alone bool) error {
	p, ok, err := r.permissionOn(ctx, resource, former.Scopes)
	if err != nil {
		return err
	}
	if !ok || len(former.Scopes) == 0 && len(resource.Scopes) > 0 {
		return nil
	}
	p.requested, p.carried, p.former, p.listed = alone, true, former, nil
	r.add(p)
	return nil
}

// mayCarry reports whether a permission on a resource may go into an RPT beside what is
// requested.
func (r *resolver) mayCarry(resource *uma.Resource) bool {
	return !r.req.Rules.OneOwner || !slices.ContainsFunc(r.requested.permissions, func(p *permission) bool {
		return p.requested && p.resource != nil && p.resource.Owner != resource.Owner
	})
}

// looseIn returns the permission of an RPT that has a scope without a resource.
func looseIn(rpt *uma.Claims, scope uma.Scope) *uma.GrantedPermission {
	for i := range rpt.Authorization.Permissions {
		if p := &rpt.Authorization.Permissions[i]; p.Resource() == "" && slices.Contains(p.Scopes, scope) {
			return p
		}
	}
	return nil
}
