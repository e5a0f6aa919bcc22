package grant

import (
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
)

// A LegacyRequest is what a TokenRequest asks for beside a ticket. The zero value
// asks for nothing. What the RPT carries is as good as the rest.
type LegacyRequest struct {
	Everything  bool // all entitlements
	Permissions []uma.LegacyPermission
	Limit       int // how many resources of Permissions count; 0: all
}

// alsoBearers are the types of tokens that speak for somebody beside access tokens.
func (x *assessment) alsoBearers() []string {
	if x.req.Legacy == nil {
		return nil
	}
	return []string{uma.TypeEntitlement}
}

// resolveLegacy asks for what an entitlement request names.
func (x *assessment) resolveLegacy(ctx context.Context, view uma.View) error {
	q := x.req.Legacy
	if q.Everything {
		return x.resolveEverything(ctx, view)
	}
	if len(q.Permissions) > x.snap.Realm.Policy.MaxPermissions {
		return x.tooMany() // each costs a look-up, found or not
	}
	var ids []uma.ResourceID
	var names []uma.Scope
	for _, p := range q.Permissions {
		if p.By == uma.ByID {
			ids = append(ids, uma.ResourceID(p.Resource))
		}
		names = append(names, p.Scopes...)
	}
	resources, err := x.lookUp(ctx, view, ids, sets.Union(nil, names))
	if err != nil {
		return err
	}
	counted := map[string]bool{}
	for _, p := range q.Permissions {
		if p.By == uma.NoResource {
			if scopes := x.knownOf(p.Scopes); len(scopes) > 0 {
				if err := x.resolveScopes(ctx, view, scopes); err != nil {
					return err
				}
			}
			continue
		}
		if counted[p.Resource] = true; q.Limit > 0 && len(counted) > q.Limit {
			x.unmet.resource = true
			return nil
		}
		x.met = nil
		if err := x.wantLegacy(ctx, view, p, resources); err != nil {
			return err
		}
		x.checkMet(p.Scopes)
	}
	return nil
}

// wantLegacy asks for scopes on the resource that a permission names: by its id,
// or those of its name that the party owns, was given a share of, or that are
// the resource server's own. A scope that is not there is left out; one that the
// resource server does not know is an error.
func (x *assessment) wantLegacy(ctx context.Context, view uma.View, p uma.LegacyPermission, byID map[uma.ResourceID]*uma.Resource) error {
	var found []*uma.Resource
	what := "id"
	if p.By == uma.ByName {
		var err error
		if found, err = x.ofName(ctx, view, p.Resource); err != nil {
			return err
		}
		what = "name"
	} else if r := byID[uma.ResourceID(p.Resource)]; r != nil {
		found = append(found, r)
	}
	if len(found) == 0 {
		return uma.Refuse(uma.InvalidResource, "Resource with "+what+" ["+p.Resource+"] does not exist.", nil)
	}
	if i := slices.IndexFunc(p.Scopes, func(s uma.Scope) bool { return !x.known[s] }); i >= 0 {
		return uma.Refuse(uma.InvalidScope, "Invalid scope "+uma.Quoted(p.Scopes[i:i+1])+".", nil)
	}
	return x.wantAll(ctx, view, found, p.Scopes)
}

// ofName returns the resources that a name means for the party, as in resolveName.
func (x *assessment) ofName(ctx context.Context, view uma.View, name string) ([]*uma.Resource, error) {
	r, err := lookup.ByName(ctx, view, x.server.Key, name, x.server.UUID, x.Who.Subject)
	if err != nil {
		return nil, err
	}
	var found []*uma.Resource
	if r != nil {
		found = []*uma.Resource{r}
	}
	if name == "" || r != nil && r.Owner == x.server.UUID {
		return found, nil // an empty name is that of nothing, not of all that was shared
	}
	_, ids, err := x.sharedWith(ctx, view, name)
	if err != nil {
		return nil, err
	}
	rows, err := x.byID(ctx, view, ids)
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

// asLegacy makes the claims of an RPT those that clients of either age read, both
// shapes of the permissions, and returns those of an access token of the same party and
// client to go with it: see signWithin.
func asLegacy(rpt *uma.Claims, jti string) *uma.Claims {
	access := *rpt
	access.ID, access.Authorization = jti, nil
	rpt.Type, rpt.NotBefore = uma.TypeEntitlement, new(int64)
	rpt.Permissions = rpt.Authorization.Permissions
	for i := range rpt.Permissions {
		p := &rpt.Permissions[i]
		p.SetID, p.SetName, p.ID, p.Name = p.ID, p.Name, "", ""
	}
	return &access
}

// signWithin signs the access token of a legacy RPT. In Keycloak's documentation it is
// the caller's own token. This is a new one, valid for the resource server alone and no
// longer than the RPT, because the resource server must not be able to use the caller's
// token elsewhere.
func (x *assessment) signWithin(ctx context.Context, rpt, access *uma.Claims) error {
	token, err := x.Party.SignOne(ctx, x.snap, access)
	if err != nil {
		return fmt.Errorf("sign access token: %w", err)
	}
	rpt.AccessToken = token
	return nil
}
