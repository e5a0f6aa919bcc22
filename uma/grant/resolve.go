package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// A resolver finds the permissions that a question asks for. It reads only what the
// request names (Keycloak's createPermissions).
type resolver struct {
	*question // its requested, shares and requests are not read yet
	view      uma.View

	requested requested
	found     []permission           // by the `permission` parameter that is being resolved
	known     map[uma.Scope]bool     // the scopes in the request that the resource server knows
	ofTypes   map[string][]uma.Scope // see scopesOfType
}

// signInScopes are those of OpenID Connect Core §5.4 and §11.
var signInScopes = []uma.Scope{"openid", "profile", "email", "address", "phone", "offline_access"}

// resolve returns the permissions that a question asks for.
func resolve(ctx context.Context, view uma.View, q *question) (requested, error) {
	r := &resolver{question: q, view: view}
	var err error
	switch {
	case q.ticket != nil:
		err = r.resolveTicket(ctx)
	case q.req.Entitlement != nil:
		err = r.resolveEntitlement(ctx)
	case len(q.req.Permissions) > 0:
		err = r.resolvePermissions(ctx)
	case q.req.RPT == "":
		err = r.resolveEverything(ctx)
	}
	if err == nil && q.rpt != nil {
		err = r.resolveCarried(ctx)
	}
	if err == nil && len(r.requested.permissions) > q.realm.Realm.Policy.MaxPermissions {
		err = r.tooMany()
	}
	return r.requested, err
}

func (r *resolver) tooMany() error {
	return uma.Reject(uma.InvalidRequest, uma.Fault{
		Kind: uma.TooManyPermissions, Setting: "policy.max_permissions", Limit: r.realm.Realm.Policy.MaxPermissions,
	}, nil)
}

// limit is the number of permissions after which resolving stops: the client's
// response_permissions_limit, beyond which permissions are cut off, or one more than the
// realm's policy.max_permissions, so that resolve sees that there are too many.
func (r *resolver) limit() int {
	most := r.realm.Realm.Policy.MaxPermissions + 1
	if r.req.Limit > 0 {
		return min(r.req.Limit, most)
	}
	return most
}

func (r *resolver) full() bool { return len(r.requested.permissions) >= r.limit() }

// add appends a permission, or joins it with an earlier one for the same resource. Beyond
// the limit it leaves the permission out.
func (r *resolver) add(p permission) {
	if p.named {
		r.found = append(r.found, p)
	}
	if have := r.requested.find(&p); have != nil {
		have.join(p)
		return
	}
	if r.full() {
		if p.requested && (p.named || r.ticket != nil) {
			r.requested.unmet.resource = true
		}
		return
	}
	if p.requested {
		p.asked = p.scopes
	}
	r.requested.permissions = append(r.requested.permissions, &p)
}

// learnScopes finds out which of the named scopes the resource server knows. It looks up
// only those that none of the resources has.
func (r *resolver) learnScopes(ctx context.Context, names []uma.Scope, resources map[uma.ResourceID]*uma.Resource) error {
	r.known = make(map[uma.Scope]bool, len(names))
	asked := sets.Has(names)
	for _, res := range resources {
		for _, s := range res.Scopes {
			if asked(s) {
				r.known[s] = true
			}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(names), func(s uma.Scope) bool { return r.known[s] })
	if len(rest) == 0 {
		return nil
	}
	rows, err := r.view.KnownScopes(ctx, r.server.Key, rest)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		r.known[row.Name] = true
	}
	return nil
}

// knownOf returns the scopes that the resource server knows.
func (r *resolver) knownOf(scopes []uma.Scope) []uma.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s uma.Scope) bool { return !r.known[s] })
}

// loadResources reads resources by their ids, and finds out which of the named scopes the
// resource server knows.
func (r *resolver) loadResources(ctx context.Context, ids []uma.ResourceID, names []uma.Scope) (map[uma.ResourceID]*uma.Resource, error) {
	resources, err := r.resourcesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	return resources, r.learnScopes(ctx, names, resources)
}

// resourcesByID reads resources by their ids; ids of no resource are left out.
func (r *resolver) resourcesByID(ctx context.Context, ids []uma.ResourceID) (map[uma.ResourceID]*uma.Resource, error) {
	switch len(ids) {
	case 0:
		return nil, nil
	case 1:
		switch res, err := r.view.Resource(ctx, r.server.Key, ids[0]); {
		case errors.Is(err, uma.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read resource: %w", err)
		default:
			return map[uma.ResourceID]*uma.Resource{res.ID: res}, nil
		}
	}
	rows, err := r.view.ResourcesByID(ctx, r.server.Key, ids)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	out := make(map[uma.ResourceID]*uma.Resource, len(rows))
	for _, res := range rows {
		out[res.ID] = res
	}
	return out, nil
}

// resolveTicket adds the permissions of the ticket. A ticket whose resource is gone, or has
// lost all the scopes that the ticket is for, is unusable: empty does not mean all.
func (r *resolver) resolveTicket(ctx context.Context) error {
	var ids []uma.ResourceID
	var alone []uma.Scope
	for _, p := range r.ticket.Permissions {
		if p.Resource != "" {
			ids = append(ids, p.Resource)
		} else {
			alone = append(alone, p.Scopes...)
		}
	}
	resources, err := r.loadResources(ctx, ids, sets.Union(nil, alone))
	if err != nil {
		return err
	}
	for _, p := range r.ticket.Permissions {
		if p.Resource == "" {
			err = r.resolveTicketScopes(ctx, p)
		} else {
			err = r.resolveTicketResource(ctx, p, resources[p.Resource])
		}
		if err != nil {
			return err
		}
	}
	return r.checkAvailable(resources)
}

func (r *resolver) resolveTicketScopes(ctx context.Context, p uma.Permission) error {
	scopes := r.knownOf(p.Scopes)
	if len(scopes) == 0 {
		return uma.Reject(uma.UnusableTicket, uma.Fault{}, nil)
	}
	r.requested.unmet.scope = r.requested.unmet.scope || len(scopes) < len(p.Scopes)
	return r.resolveScopes(ctx, scopes)
}

func (r *resolver) resolveTicketResource(ctx context.Context, p uma.Permission, resource *uma.Resource) error {
	if resource == nil {
		return uma.Reject(uma.UnusableTicket, uma.Fault{}, nil)
	}
	extra := sets.Within(sets.Within(r.req.Scopes, r.client.Scopes), resource.Scopes) // UMA Grant §3.3.4
	w, ok, err := r.permissionOn(ctx, resource, sets.Union(p.Scopes, extra))
	if err != nil {
		return err
	}
	if !ok || !p.Whole && len(w.scopes) == 0 {
		return uma.Reject(uma.UnusableTicket, uma.Fault{}, nil)
	}
	r.requested.unmet.scope = r.requested.unmet.scope || len(sets.Without(p.Scopes, w.scopes)) > 0
	w.named = true
	r.add(w)
	return nil
}

// checkAvailable refuses a scope that no resource of the ticket has (§3.3.6).
func (r *resolver) checkAvailable(resources map[uma.ResourceID]*uma.Resource) error {
	if !r.req.Rules.UnavailableScopeIsError {
		return nil
	}
	var available []uma.Scope
	for _, p := range r.ticket.Permissions {
		available = append(available, p.Scopes...)
		if res := resources[p.Resource]; res != nil {
			available = append(available, res.Scopes...)
		}
	}
	for _, s := range r.req.Scopes {
		if !slices.Contains(available, s) {
			return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopeUnavailable, Scopes: []uma.Scope{s}}, nil)
		}
	}
	return nil
}

// permissionOn returns the permission for scopes on a resource. Without scopes it is for all
// that the resource has. Otherwise it is for those that the resource has itself or from its
// type: a user's resource has the scopes of the resource server's own resources of the same
// type. ok is false if it has none of the scopes.
func (r *resolver) permissionOn(ctx context.Context, resource *uma.Resource, scopes []uma.Scope) (p permission, ok bool, err error) {
	p = permission{resource: resource, requested: true}
	if len(scopes) == 0 {
		p.scopes = resource.Scopes
		return p, true, nil
	}
	own := sets.Within(scopes, resource.Scopes)
	if len(own) < len(scopes) && resource.Type != "" && resource.Owner != r.server.UUID {
		others := sets.Without(scopes, resource.Scopes)
		if p.inherited, err = r.scopesOfType(ctx, resource.Type, others); err != nil {
			return p, false, err
		}
	}
	p.scopes = sets.Within(scopes, sets.Union(own, p.inherited))
	p.listed = p.scopes
	return p, len(p.scopes) > 0, nil
}

// scopesOfType returns the scopes that resources have from their type. It reads them once for
// all resources of the type with the same scopes.
func (r *resolver) scopesOfType(ctx context.Context, typ string, scopes []uma.Scope) ([]uma.Scope, error) {
	key := typ
	for _, s := range scopes {
		key += "#" + string(s) // no scope name has a #
	}
	if of, ok := r.ofTypes[key]; ok {
		return of, nil
	}
	of, err := r.view.TypeScopes(ctx, r.server.Key, typ, scopes)
	if err != nil {
		return nil, fmt.Errorf("read scopes of type: %w", err)
	}
	if r.ofTypes == nil {
		r.ofTypes = map[string][]uma.Scope{}
	}
	r.ofTypes[key] = of
	return of, nil
}

// resolvePermissions adds the permissions that the `permission` parameters name.
func (r *resolver) resolvePermissions(ctx context.Context) error {
	if len(r.req.Permissions) > r.realm.Realm.Policy.MaxPermissions && (r.req.Limit == 0 || r.req.ByURI) {
		return r.tooMany() // each costs a look-up, found or not; all URIs are looked up before any is cut off
	}
	var ids []uma.ResourceID
	names := slices.Clone(r.req.Scopes)
	for _, p := range r.req.Permissions {
		if p.Resource != "" && !r.req.ByURI {
			ids = append(ids, uma.ResourceID(p.Resource))
		}
		names = append(names, p.Scopes...)
	}
	resources, err := r.loadResources(ctx, ids, sets.Union(nil, names))
	if err != nil {
		return err
	}
	byURI, err := r.resourcesByURIs(ctx) // all of them, before anything is said of scopes
	if err != nil {
		return err
	}
	for _, p := range r.mergePermissions(byURI) {
		if r.full() {
			r.requested.unmet.resource = r.requested.unmet.resource || r.namesResource(p)
			continue
		}
		r.found = nil
		if err := r.resolvePermission(ctx, p, resources, byURI); err != nil {
			return err
		}
		if r.namesResource(p) {
			r.noteUnmet(p.Scopes)
		}
	}
	return nil
}

// resolvePermission adds the permissions that one `permission` parameter names. If all its
// scopes are unknown, that is an error: without them, the parameter would ask for all scopes.
// The scopes of OpenID Connect do not count: some clients send them with every grant.
func (r *resolver) resolvePermission(ctx context.Context, p AskedPermission, byID map[uma.ResourceID]*uma.Resource, byURI map[string][]*uma.Resource) error {
	scopes := r.knownOf(sets.Union(p.Scopes, r.req.Scopes))
	if named := sets.Union(sets.Union(nil, p.Scopes), sets.Without(r.req.Scopes, signInScopes)); len(named) > 0 && len(scopes) == 0 {
		return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopesUnknown, Scopes: named}, nil)
	}
	switch resource := byID[uma.ResourceID(p.Resource)]; {
	case p.Resource == "":
		return r.resolveScopes(ctx, scopes)
	case r.req.ByURI:
		return r.addResources(ctx, byURI[p.Resource], scopes)
	case resource != nil:
		return r.addResource(ctx, resource, scopes)
	case strings.HasPrefix(p.Resource, "resource-type"):
		return r.resolveType(ctx, p.Resource, scopes)
	}
	return r.resolveName(ctx, p.Resource, scopes)
}

// namesResource reports whether a parameter names a resource by id, name or URI, and does not
// search by type or scope.
func (r *resolver) namesResource(p AskedPermission) bool {
	form, _, _ := strings.Cut(p.Resource, ":")
	return p.Resource != "" && (r.req.ByURI || !slices.Contains(typeForms, form))
}

// noteUnmet notes what a parameter names and r.found lacks: the resource, if nothing was
// found, or scopes that none of the resources has.
func (r *resolver) noteUnmet(scopes []uma.Scope) {
	var there []uma.Scope
	var ids []uma.ResourceID
	for _, p := range r.found {
		there = append(there, p.scopes...)
		ids = sets.Union(ids, []uma.ResourceID{p.resource.ID})
	}
	w := &r.requested
	if len(ids) > 1 {
		w.several = sets.Union(w.several, ids)
	}
	w.unmet.resource = w.unmet.resource || len(r.found) == 0
	w.unmet.scope = w.unmet.scope || len(sets.Without(scopes, there)) > 0
}

// addResources adds permissions for scopes on the resources that one name or URI finds.
func (r *resolver) addResources(ctx context.Context, found []*uma.Resource, scopes []uma.Scope) error {
	for _, resource := range found {
		if err := r.addResource(ctx, resource, scopes); err != nil {
			return err
		}
	}
	return nil
}

// addResource adds a permission for scopes on a resource that the request names.
func (r *resolver) addResource(ctx context.Context, resource *uma.Resource, scopes []uma.Scope) error {
	p, ok, err := r.permissionOn(ctx, resource, scopes)
	if err != nil || !ok {
		return err
	}
	p.named = true
	r.add(p)
	return nil
}
