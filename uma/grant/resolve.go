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

// A wanted permission is one resource (or none) and the scopes on it to decide:
// those that are requested, and those that an earlier RPT carries.
type wanted struct {
	resource  *uma.Resource // nil: scopes asked for without a resource
	scopes    []uma.Scope   // requested and carried; empty: the resource has none
	inherited []uma.Scope   // of scopes: of the resource's type, not its own

	requested bool        // not only carried
	asked     []uma.Scope // of scopes: the requested ones
	listed    []uma.Scope // of asked: those that the request lists; without any, it asks for the resource
	named     bool        // by id, name or URI, or by the ticket: not found by a search
	carried   bool
	former    *uma.GrantedPermission // in the RPT, if nothing but that asks for it
}

// unmet are the permissions in a request that get no decision.
type unmet struct {
	resource bool // one that leads nowhere, has none of the scopes asked for, or is beyond the limit
	scope    bool // one that no resource of that name has
}

// signInScopes are those of OpenID Connect Core §5.4 and §11.
var signInScopes = []uma.Scope{"openid", "profile", "email", "address", "phone", "offline_access"}

// whatIsAsked resolves what the request names to resources and scopes
// (Keycloak's createPermissions), reading only what it names.
func (x *assessment) whatIsAsked(ctx context.Context, view uma.View) error {
	var err error
	switch {
	case x.ticket != nil:
		err = x.resolveTicket(ctx, view)
	case x.req.Legacy != nil:
		err = x.resolveLegacy(ctx, view)
	case len(x.req.Permissions) > 0:
		err = x.resolvePermissions(ctx, view)
	case x.req.RPT == "":
		err = x.resolveEverything(ctx, view)
	}
	if err != nil {
		return err
	}
	if x.rpt != nil {
		if err := x.resolveCarried(ctx, view); err != nil {
			return err
		}
	}
	if len(x.wanted) > x.snap.Realm.Policy.MaxPermissions {
		return x.tooMany()
	}
	return nil
}

func (x *assessment) tooMany() error {
	most := x.snap.Realm.Policy.MaxPermissions
	return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("The request resolves to more than policy.max_permissions (%d) permissions", most), nil)
}

// most is how many permissions are worth resolving: the client's limit, which
// cuts, or one more than the realm's, which refuses.
func (x *assessment) most() int {
	if x.req.Limit > 0 {
		return min(x.req.Limit, x.snap.Realm.Policy.MaxPermissions+1)
	}
	return x.snap.Realm.Policy.MaxPermissions + 1
}

func (x *assessment) full() bool { return len(x.wanted) >= x.most() }

// add asks for scopes on a resource, after what was asked for before. The same
// resource twice is one permission with the scopes of both; named once with scopes and
// once without, as in Keycloak, with those scopes alone.
func (x *assessment) add(w wanted) {
	if w.named {
		x.met = append(x.met, w)
	}
	i := slices.IndexFunc(x.wanted, func(have *wanted) bool {
		if w.resource == nil || have.resource == nil {
			return w.resource == have.resource && slices.Equal(w.scopes, have.scopes)
		}
		return have.resource.ID == w.resource.ID
	})
	if i < 0 {
		if x.full() {
			x.unmet.resource = x.unmet.resource || w.requested && (w.named || x.ticket != nil)
			return
		}
		if w.requested {
			w.asked = w.scopes
		}
		x.wanted = append(x.wanted, &w)
		return
	}
	have := x.wanted[i]
	have.former = nil
	if have.named && w.named && w.requested && len(have.listed) > 0 != (len(w.listed) > 0) { // Mixed and Mixed#write
		if len(w.listed) == 0 {
			w.scopes = nil
		} else {
			have.scopes, have.asked = nil, nil
		}
	}
	have.scopes = sets.Union(have.scopes, w.scopes)
	have.inherited = sets.Union(have.inherited, w.inherited)
	have.named = have.named || w.named
	have.carried = have.carried || w.carried
	if w.requested {
		have.requested = true
		have.asked = sets.Union(have.asked, w.scopes)
		have.listed = sets.Union(have.listed, w.listed)
	}
}

// learnScopes finds out which scopes the resource server knows: those of the
// resources at hand, and others that it has to look up.
func (x *assessment) learnScopes(ctx context.Context, view uma.View, names []uma.Scope, resources map[uma.ResourceID]*uma.Resource) error {
	x.known = make(map[uma.Scope]bool, len(names))
	asked := sets.Has(names)
	for _, r := range resources {
		for _, s := range r.Scopes {
			if asked(s) {
				x.known[s] = true
			}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(names), func(s uma.Scope) bool { return x.known[s] })
	if len(rest) == 0 {
		return nil
	}
	rows, err := view.KnownScopes(ctx, x.server.Key, rest)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, row := range rows {
		x.known[row.Name] = true
	}
	return nil
}

// knownOf are those of some scopes that the resource server knows.
func (x *assessment) knownOf(scopes []uma.Scope) []uma.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s uma.Scope) bool { return !x.known[s] })
}

// lookUp reads resources by their ids, and which of the scopes, theirs included,
// the resource server knows.
func (x *assessment) lookUp(ctx context.Context, view uma.View, ids []uma.ResourceID, names []uma.Scope) (map[uma.ResourceID]*uma.Resource, error) {
	resources, err := x.byID(ctx, view, ids)
	if err != nil {
		return nil, err
	}
	return resources, x.learnScopes(ctx, view, names, resources)
}

// resolveTicket asks for what the ticket is for. One whose resource is gone, or
// has lost all the scopes it was for, is unusable: empty is not all.
func (x *assessment) resolveTicket(ctx context.Context, view uma.View) error {
	var ids []uma.ResourceID
	var alone []uma.Scope
	for _, p := range x.ticket.Permissions {
		if p.Resource != "" {
			ids = append(ids, p.Resource)
		} else {
			alone = append(alone, p.Scopes...)
		}
	}
	resources, err := x.lookUp(ctx, view, ids, sets.Union(nil, alone))
	if err != nil {
		return err
	}
	extra := sets.Within(x.req.Scopes, x.asking.Scopes) // UMA Grant §3.3.4
	for _, p := range x.ticket.Permissions {
		if p.Resource == "" {
			scopes := x.knownOf(p.Scopes)
			if len(scopes) == 0 {
				return uma.Refuse(uma.UnusableTicket, "", nil)
			}
			x.unmet.scope = x.unmet.scope || len(scopes) < len(p.Scopes)
			if err := x.resolveScopes(ctx, view, scopes); err != nil {
				return err
			}
			continue
		}
		r := resources[p.Resource]
		if r == nil {
			return uma.Refuse(uma.UnusableTicket, "", nil)
		}
		w, ok, err := x.on(ctx, view, r, sets.Union(p.Scopes, sets.Within(extra, r.Scopes)))
		if err != nil {
			return err
		}
		if !ok || !p.Whole && len(w.scopes) == 0 {
			return uma.Refuse(uma.UnusableTicket, "", nil)
		}
		x.unmet.scope = x.unmet.scope || len(sets.Without(p.Scopes, w.scopes)) > 0
		w.named = true
		x.add(w)
	}
	return x.checkAvailable(resources)
}

// on is the permission for scopes on a resource: all that it has when none are
// asked for, else those it has of its own or of its type (a resource of the
// resource server itself lends its scopes to others of its type). It is not ok
// when none of the scopes asked for are there.
func (x *assessment) on(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) (w wanted, ok bool, err error) {
	w = wanted{resource: r, requested: true}
	if len(scopes) == 0 {
		w.scopes = r.Scopes
		return w, true, nil
	}
	own := sets.Within(scopes, r.Scopes)
	if len(own) < len(scopes) && r.Type != "" && r.Owner != x.server.UUID {
		others := sets.Without(scopes, r.Scopes)
		if w.inherited, err = x.lentByType(ctx, view, r.Type, others); err != nil {
			return w, false, err
		}
	}
	w.scopes = sets.Within(scopes, sets.Union(own, w.inherited))
	w.listed = w.scopes
	return w, len(w.scopes) > 0, nil
}

// lentByType reads which of some scopes a type lends, once for all resources of
// the type that are asked for alike.
func (x *assessment) lentByType(ctx context.Context, view uma.View, typ string, scopes []uma.Scope) ([]uma.Scope, error) {
	key := typ + "#" + uma.Listed(scopes) // no scope name has a #
	if lent, ok := x.lent[key]; ok {
		return lent, nil
	}
	lent, err := view.TypeScopes(ctx, x.server.Key, typ, scopes)
	if err != nil {
		return nil, fmt.Errorf("read scopes of type: %w", err)
	}
	if x.lent == nil {
		x.lent = map[string][]uma.Scope{}
	}
	x.lent[key] = lent
	return lent, nil
}

// byID reads resources by their ids, those that are there.
func (x *assessment) byID(ctx context.Context, view uma.View, ids []uma.ResourceID) (map[uma.ResourceID]*uma.Resource, error) {
	if len(ids) == 1 {
		switch r, err := view.Resource(ctx, x.server.Key, ids[0]); {
		case err == nil:
			return map[uma.ResourceID]*uma.Resource{r.ID: r}, nil
		case errors.Is(err, uma.ErrNotFound):
			return nil, nil
		default:
			return nil, fmt.Errorf("read resource: %w", err)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := view.ResourcesByID(ctx, x.server.Key, ids)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	out := make(map[uma.ResourceID]*uma.Resource, len(rows))
	for _, r := range rows {
		out[r.ID] = r
	}
	return out, nil
}

// resolvePermissions asks for what the `permission` parameters name.
func (x *assessment) resolvePermissions(ctx context.Context, view uma.View) error {
	if len(x.req.Permissions) > x.snap.Realm.Policy.MaxPermissions && (x.req.Limit == 0 || x.req.ByURI) {
		return x.tooMany() // each costs a look-up, found or not; all URIs are looked up before any is cut off
	}
	var ids []uma.ResourceID
	names := slices.Clone(x.req.Scopes)
	for _, p := range x.req.Permissions {
		if p.Resource != "" && !x.req.ByURI {
			ids = append(ids, uma.ResourceID(p.Resource))
		}
		names = append(names, p.Scopes...)
	}
	resources, err := x.lookUp(ctx, view, ids, sets.Union(nil, names))
	if err != nil {
		return err
	}
	byURI, err := x.byURIs(ctx, view) // all of them, before anything is said of scopes
	if err != nil {
		return err
	}
	for _, p := range x.asPermissions(byURI) {
		if x.full() {
			x.unmet.resource = x.unmet.resource || x.names(p)
			continue
		}
		x.met = nil
		// Scopes that are all unknown are an error: left out, they would be none,
		// which asks for all. Those of OpenID Connect are about the sign-in, and
		// some clients send them with every grant.
		scopes := x.knownOf(sets.Union(p.Scopes, x.req.Scopes))
		if named := sets.Union(sets.Union(nil, p.Scopes), sets.Without(x.req.Scopes, signInScopes)); len(named) > 0 && len(scopes) == 0 {
			return uma.Refuse(uma.InvalidScope, "One of the given scopes "+uma.Quoted(named)+" is invalid", nil)
		}
		switch r := resources[uma.ResourceID(p.Resource)]; {
		case p.Resource == "":
			err = x.resolveScopes(ctx, view, scopes)
		case x.req.ByURI:
			err = x.wantAll(ctx, view, byURI[p.Resource], scopes)
		case r != nil:
			err = x.want(ctx, view, r, scopes)
		case strings.HasPrefix(p.Resource, "resource-type"):
			err = x.resolveType(ctx, view, p.Resource, scopes)
		default:
			err = x.resolveName(ctx, view, p.Resource, scopes)
		}
		if err != nil {
			return err
		}
		if x.names(p) {
			x.checkMet(p.Scopes)
		}
	}
	return nil
}

// names reports whether a permission names a resource, and does not search for some.
func (x *assessment) names(p AskedPermission) bool {
	form, _, _ := strings.Cut(p.Resource, ":")
	return p.Resource != "" && (x.req.ByURI || !slices.Contains(typeForms, form))
}

// checkMet notes the scopes named with a resource that no resource has, after add was
// called for everything that the name finds.
func (x *assessment) checkMet(scopes []uma.Scope) {
	var there []uma.Scope
	var ids []uma.ResourceID
	for _, w := range x.met {
		there = append(there, w.scopes...)
		ids = sets.Union(ids, []uma.ResourceID{w.resource.ID})
	}
	if len(ids) > 1 {
		x.several = sets.Union(x.several, ids)
	}
	x.unmet.resource = x.unmet.resource || len(x.met) == 0
	x.unmet.scope = x.unmet.scope || len(sets.Without(scopes, there)) > 0
}

// wantAll asks for scopes on the resources that one name or URI finds.
func (x *assessment) wantAll(ctx context.Context, view uma.View, found []*uma.Resource, scopes []uma.Scope) error {
	for _, r := range found {
		if err := x.want(ctx, view, r, scopes); err != nil {
			return err
		}
	}
	return nil
}

// want asks for scopes on a resource that was named.
func (x *assessment) want(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) error {
	w, ok, err := x.on(ctx, view, r, scopes)
	if err != nil || !ok {
		return err
	}
	w.named = true
	x.add(w)
	return nil
}
