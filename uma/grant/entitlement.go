package grant

import (
	"context"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
)

// resolveEntitlement adds the permissions that a request for entitlements names.
func (r *resolver) resolveEntitlement(ctx context.Context) error {
	e := r.req.Entitlement
	if e.Everything {
		return r.resolveEverything(ctx)
	}
	if len(e.Permissions) > r.realm.Realm.Policy.MaxPermissions {
		return r.tooMany() // each costs a look-up, found or not
	}
	var ids []uma.ResourceID
	var names []uma.Scope
	for _, p := range e.Permissions {
		if p.By == ByID {
			ids = append(ids, uma.ResourceID(p.Resource))
		}
		names = append(names, p.Scopes...)
	}
	resources, err := r.loadResources(ctx, ids, sets.Union(nil, names))
	if err != nil {
		return err
	}
	counted := map[string]bool{}
	for _, p := range e.Permissions {
		if p.By == NoResource {
			if scopes := r.knownOf(p.Scopes); len(scopes) > 0 {
				if err := r.resolveScopes(ctx, scopes); err != nil {
					return err
				}
			}
			continue
		}
		if counted[p.Resource] = true; e.Limit > 0 && len(counted) > e.Limit {
			r.requested.unmet.resource = true
			return nil
		}
		r.found = nil
		if err := r.addEntitlement(ctx, p, resources); err != nil {
			return err
		}
		r.noteUnmet(p.Scopes)
	}
	return nil
}

// addEntitlement adds permissions for the resources that a permission names by id or by name;
// see resourcesByName. A scope that a resource does not have is left out; a scope that the
// resource server does not know is an error.
func (r *resolver) addEntitlement(ctx context.Context, p EntitlementPermission, byID map[uma.ResourceID]*uma.Resource) error {
	var found []*uma.Resource
	unknown := uma.ResourceUnknown
	if p.By == ByName {
		var err error
		if found, err = r.resourcesByName(ctx, p.Resource); err != nil {
			return err
		}
		unknown = uma.NameUnknown
	} else if resource := byID[uma.ResourceID(p.Resource)]; resource != nil {
		found = append(found, resource)
	}
	if len(found) == 0 {
		return uma.Reject(uma.InvalidResource, uma.Fault{Kind: unknown, Resource: p.Resource}, nil)
	}
	if i := slices.IndexFunc(p.Scopes, func(s uma.Scope) bool { return !r.known[s] }); i >= 0 {
		return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopeUnknown, Scopes: p.Scopes[i : i+1]}, nil)
	}
	return r.addResources(ctx, found, p.Scopes)
}

// resourcesByName returns the resources that a name means for the party, as in resolveName.
func (r *resolver) resourcesByName(ctx context.Context, name string) ([]*uma.Resource, error) {
	own, err := lookup.ByName(ctx, r.view, r.server.Key, name, r.server.UUID, r.party.Subject)
	if err != nil {
		return nil, err
	}
	var found []*uma.Resource
	if own != nil {
		found = []*uma.Resource{own}
	}
	if name == "" || own != nil && own.Owner == r.server.UUID {
		return found, nil // an empty name would find all that was shared
	}
	_, ids, err := r.sharedWith(ctx, name)
	if err != nil {
		return nil, err
	}
	rows, err := r.resourcesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if rows[id] != nil {
			found = append(found, rows[id])
		}
	}
	return found, nil
}
