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

// This file has the ways by which a request finds resources that it does not name
// by id: by scope, type, name, everything, and what an RPT carries. URIs are in
// searchuri.go.

// resolveScopes asks for scopes on every resource of the resource server itself that
// has one of them. If there is none, on every resource that it or a realm file
// registered for a user, without those that others manage and did not share. If there
// is none either, for each scope without a resource. A scope that only a user put on a
// resource does not count.
func (x *assessment) resolveScopes(ctx context.Context, view uma.View, scopes []uma.Scope) error {
	var rows []*uma.Resource
	for _, as := range []uma.Registered{uma.OwnOfServer, uma.ForOwner} {
		var err error
		if rows, err = view.Select(ctx, x.server.Key, uma.Selection{AnyScope: scopes, Registered: as}, x.beforeFilter()); err != nil {
			return fmt.Errorf("select resources by scope: %w", err)
		}
		if len(rows) > 0 {
			break
		}
	}
	if len(rows) == 0 {
		for _, s := range scopes {
			x.add(wanted{scopes: []uma.Scope{s}, requested: true})
		}
		return nil
	}
	rows, err := x.notOthers(ctx, view, rows)
	if err != nil {
		return err
	}
	for _, r := range rows {
		x.add(wanted{resource: r, scopes: sets.Within(scopes, r.Scopes), requested: true})
	}
	return nil
}

// typeForms are what `permission` searches by type with.
var typeForms = []string{"resource-type", "resource-type-any", "resource-type-instance", "resource-type-owner"}

// resolveType asks for the resources of a type: `resource-type:T` those of the
// resource server itself, `resource-type-any:T` all, `resource-type-instance:T`
// those of others, `resource-type-owner:T` those of the requesting party.
func (x *assessment) resolveType(ctx context.Context, view uma.View, name string, scopes []uma.Scope) error {
	form, typ, _ := strings.Cut(name, ":")
	q := uma.Selection{Type: typ}
	switch form {
	case "resource-type":
		q.Owner = x.server.UUID
	case "resource-type-any":
	case "resource-type-instance":
		q.NotOwner = x.server.UUID
	case "resource-type-owner":
		q.Owner = x.Who.Subject
	default:
		return x.resolveName(ctx, view, name, scopes)
	}
	if typ == "" {
		return uma.Refuse(uma.InvalidRequest, "permission: a type is missing after "+form+":", nil)
	}
	rows, err := view.Select(ctx, x.server.Key, q, x.beforeFilter())
	if err != nil {
		return fmt.Errorf("select resources by type: %w", err)
	}
	if rows, err = x.notOthers(ctx, view, rows); err != nil {
		return err
	}
	for _, r := range rows {
		w, ok, err := x.on(ctx, view, r, scopes)
		if err != nil {
			return err
		}
		if ok {
			x.add(w)
		}
	}
	return nil
}

// beforeFilter is how many resources are read before notOthers removes some: one more
// than the realm allows. The client's limit counts the resources that remain.
func (x *assessment) beforeFilter() int { return x.snap.Realm.Policy.MaxPermissions + 1 }

// notOthers leaves out what others manage and did not share with the party: a
// search by type or scope must not tell that it is there.
func (x *assessment) notOthers(ctx context.Context, view uma.View, rows []*uma.Resource) ([]*uma.Resource, error) {
	if len(rows) > x.snap.Realm.Policy.MaxPermissions {
		return nil, x.tooMany() // what is left out below must not make room unseen
	}
	managed := func(r *uma.Resource) bool {
		return r.OwnerManaged && r.Owner != x.server.UUID && r.Owner != x.Who.Subject
	}
	var keys []uma.Key
	for _, r := range rows {
		if managed(r) {
			keys = append(keys, r.Key)
		}
	}
	if len(keys) == 0 {
		return rows, nil
	}
	shares, _, err := view.Between(ctx, x.Who.Party(x.asking.ID), keys, x.now)
	if err != nil {
		return nil, fmt.Errorf("read shares: %w", err)
	}
	return slices.DeleteFunc(rows, func(r *uma.Resource) bool {
		return managed(r) && !slices.ContainsFunc(shares, func(s uma.Share) bool { return s.Resource == r.Key })
	}), nil
}

// resolveName asks for the resource server's own resource of that name, and for no
// other if there is one: a user's resource of that name must not answer for it.
// Otherwise it asks for the party's own resource, and for the shared scopes of those
// shared with the party. An unknown name is an error unless another was found before
// it.
func (x *assessment) resolveName(ctx context.Context, view uma.View, name string, scopes []uma.Scope) error {
	own, err := lookup.ByName(ctx, view, x.server.Key, name, x.server.UUID, x.Who.Subject)
	if err != nil {
		return err
	}
	if own != nil {
		if err := x.want(ctx, view, own, scopes); err != nil {
			return err
		}
	}
	if x.Who.Subject == x.server.UUID {
		return nil
	}
	if own == nil || own.Owner != x.server.UUID {
		if err := x.wantShared(ctx, view, name, scopes); err != nil {
			return err
		}
	}
	if len(x.wanted) == 0 {
		return uma.Refuse(uma.InvalidResource, "Resource with id ["+name+"] does not exist.", nil)
	}
	return nil
}

// wantShared asks for what was shared with the party by requests that an owner
// granted: all of it, or only what has a given name.
func (x *assessment) wantShared(ctx context.Context, view uma.View, name string, scopes []uma.Scope) error {
	shared, ids, err := x.sharedWith(ctx, view, name)
	if err != nil {
		return err
	}
	resources, err := x.byID(ctx, view, ids)
	if err != nil {
		return err
	}
	for _, q := range shared {
		r := resources[q.ResourceID]
		switch {
		case r == nil,
			q.Scope == "" && len(r.Scopes) > 0, // shared as a whole, before it had scopes
			q.Scope != "" && len(scopes) > 0 && !slices.Contains(scopes, q.Scope):
			continue
		}
		w := wanted{resource: r, requested: true, named: name != ""}
		if q.Scope != "" {
			w.scopes = []uma.Scope{q.Scope}
		}
		x.add(w)
	}
	return nil
}

// sharedWith reads what was shared with the party by granted requests, and of which
// resources: of no more than a request may ask for, however many there are. The
// requests for a resource follow one another.
func (x *assessment) sharedWith(ctx context.Context, view uma.View, name string) ([]uma.Request, []uma.ResourceID, error) {
	for limit := min(2*x.most(), sharedAtMost); ; limit = min(4*limit, sharedAtMost) {
		shared, err := view.SharedWith(ctx, x.server.Key, x.Who.Subject, name, limit)
		if err != nil {
			return nil, nil, fmt.Errorf("read what was shared: %w", err)
		}
		var ids []uma.ResourceID
		for _, q := range shared {
			if len(ids) == 0 || ids[len(ids)-1] != q.ResourceID {
				ids = append(ids, q.ResourceID)
			}
		}
		if len(ids) > x.most() {
			return shared, ids[:x.most()], nil
		}
		if len(shared) < limit || limit == sharedAtMost {
			return shared, ids, nil
		}
	}
}

// sharedAtMost bounds the scopes that are read of what was shared with a party.
// It is far above policy.max_permissions resources with a few scopes each.
const sharedAtMost = 5000

// resolveEverything asks for all entitlements: the resources of the resource
// server itself, the party's own, and what was shared with it.
func (x *assessment) resolveEverything(ctx context.Context, view uma.View) error {
	owners := []string{x.server.UUID}
	if x.Who.Subject != x.server.UUID {
		owners = append(owners, x.Who.Subject)
	}
	for _, owner := range owners {
		rows, err := view.Select(ctx, x.server.Key, uma.Selection{Owner: owner}, x.most())
		if err != nil {
			return fmt.Errorf("select resources by owner: %w", err)
		}
		for _, r := range rows {
			x.add(wanted{resource: r, scopes: r.Scopes, requested: true})
		}
	}
	if len(owners) == 1 {
		return nil
	}
	return x.wantShared(ctx, view, "", nil)
}

// resolveCarried asks anew for what the RPT carries, after what is requested.
// What is gone meanwhile is left out. With nothing else asked for, what it
// carries is what is requested.
func (x *assessment) resolveCarried(ctx context.Context, view uma.View) error {
	alone := x.ticket == nil && len(x.req.Permissions) == 0
	var ids []uma.ResourceID
	var loose []uma.Scope
	for _, p := range x.rpt.Authorization.Permissions {
		if id := p.Resource(); id == "" {
			loose = append(loose, p.Scopes...)
		} else {
			ids = append(ids, id)
		}
	}
	resources, err := x.byID(ctx, view, ids)
	if err != nil {
		return err
	}
	for _, p := range x.rpt.Authorization.Permissions {
		r := resources[p.Resource()]
		if r == nil || !x.mayCarry(r) {
			continue
		}
		w, ok, err := x.on(ctx, view, r, p.Scopes)
		if err != nil {
			return err
		}
		if !ok || len(p.Scopes) == 0 && len(r.Scopes) > 0 {
			continue
		}
		w.requested, w.carried, w.former, w.listed = alone, true, &p, nil
		x.add(w)
	}
	if len(loose) == 0 || x.req.Strict { // which is for one owner's resources
		return nil
	}
	rows, err := view.KnownScopes(ctx, x.server.Key, loose)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		x.add(wanted{scopes: []uma.Scope{row.Name}, requested: alone, carried: true, former: looseIn(x.rpt, row.Name)})
	}
	return nil
}

// looseIn is the permission of an RPT that has a scope without a resource.
func looseIn(rpt *uma.Claims, scope uma.Scope) *uma.GrantedPermission {
	for i := range rpt.Authorization.Permissions {
		if p := &rpt.Authorization.Permissions[i]; p.Resource() == "" && slices.Contains(p.Scopes, scope) {
			return p
		}
	}
	return nil
}
