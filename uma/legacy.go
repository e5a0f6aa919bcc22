package uma

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Keycloak's Authorization API before version 4: the same
// assessment as at the token endpoint, asked for and answered in other shapes.

// TypeEntitlement is the `typ` claim of its RPTs.
const TypeEntitlement = "kc_ett"

// Reasons of its permission endpoint alone.
const (
	NoResourceSet          Reason = "invalid_resource_set_id"
	UnknownResourceSet     Reason = "nonexistent_resource_set_id"
	UnknownResourceSetName Reason = "nonexistent_resource_set_name"
)

// A LegacyBy says how a LegacyPermission names its resource.
type LegacyBy byte

// The ways.
const (
	NoResource LegacyBy = iota // scopes alone
	ByID
	ByName
)

// A LegacyPermission is an entry of an entitlement or a permission request.
type LegacyPermission struct {
	By       LegacyBy
	Resource string
	Scopes   []Scope
}

// A LegacyRequest is what a TokenRequest asks for beside a ticket. The zero value
// asks for nothing. What the RPT carries is as good as the rest.
type LegacyRequest struct {
	Everything  bool // all entitlements
	Permissions []LegacyPermission
	Limit       int // how many resources of Permissions count; 0: all
}

// LegacyCaller checks the bearer token of a request, which may be an RPT of the
// same API, and that it holds a realm role, if that is not empty.
func (a *Authority) LegacyCaller(ctx context.Context, s *Snapshot, c *Caller, role string) error {
	id, err := a.presented(ctx, s, c, NoPAT, TypeEntitlement)
	if err != nil || role == "" {
		return err
	}
	now, _, _ := id.roles()
	if id.claims.RealmAccess == nil || !slices.Contains(id.claims.RealmAccess.Roles, role) || !slices.Contains(now, role) {
		return Refuse(InsufficientScope, "Requires "+role+" scope.", nil)
	}
	return nil
}

// LegacyPAT returns whom a PAT speaks for: a resource server's service account,
// and nobody else.
func (a *Authority) LegacyPAT(ctx context.Context, s *Snapshot, c *Caller) (*Protection, error) {
	id, err := a.presented(ctx, s, c, NoPAT)
	switch {
	case err != nil:
		return nil, err
	case id.restricted():
		return nil, Refuse(NoPAT, "", errElsewhere)
	case id.user != nil:
		return nil, Refuse(ResourceServerBad, "Client application with id ["+id.subject+"] does not exist in realm ["+s.Realm.Name+"]", nil)
	case !id.client.ResourceServer:
		return nil, Refuse(NotAResourceServer, "Client application ["+id.client.ID+"] is not registered as resource server.", nil)
	case !id.protects():
		return nil, Refuse(NoProtectionScope, "Requires uma_protection scope.", nil)
	}
	return &Protection{snap: s, server: id.client, id: id}, nil
}

// LegacyTicket is RequestTicket as it was. Scopes that are not there are left
// out, and a permission with no others too: a ticket may be for nothing at all.
func (a *Authority) LegacyTicket(ctx context.Context, p *Protection, perms []LegacyPermission) (string, error) {
	if err := p.checkCount(len(perms)); err != nil {
		return "", err
	}
	asked := make([]TicketPermission, len(perms))
	for i, perm := range perms {
		asked[i] = TicketPermission{Resource: perm.Resource, Scopes: perm.Scopes}
		switch {
		case perm.By == NoResource && len(perm.Scopes) == 0:
			return "", Refuse(NoResourceSet, "Resource id or name not provided.", nil)
		case perm.By == ByID && perm.Resource == "":
			return "", unknownResourceSet("")
		case perm.By == ByName:
			id, err := a.idOfName(ctx, p, perm.Resource)
			if err != nil {
				return "", err
			}
			asked[i].Resource = string(id)
		}
	}
	return a.newTicket(ctx, p, asked, fillLegacy)
}

func unknownResourceSet(id string) error {
	return Refuse(UnknownResourceSet, "Resource set with id["+id+"] does not exists in this server.", nil)
}

// idOfName finds the resource of that name which the resource server owns, or
// else the only one. Names were unique when this API was made; what several
// owners have is not found, rather than the wrong one.
func (a *Authority) idOfName(ctx context.Context, p *Protection, name string) (ResourceID, error) {
	unknown := Refuse(UnknownResourceSetName, "Resource set with name["+name+"] does not exists in this server.", nil)
	if name == "" { // which would be any
		return "", unknown
	}
	var found []*Resource
	for _, owner := range []string{p.server.UUID, ""} {
		err := a.Store.FindResources(ctx, p.server.Key, ResourceFilter{Name: name, ExactName: true, Owner: owner}, 0, 2, func(r *Resource) error {
			found = append(found, r)
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("find resource by name: %w", err)
		}
		if len(found) == 1 {
			return found[0].ID, nil
		}
	}
	return "", unknown
}

func fillLegacy(ctx context.Context, p *Protection, view View, t *Ticket, perms []TicketPermission) error {
	var alone []Scope
	for _, perm := range perms {
		if perm.Resource == "" {
			alone = append(alone, perm.Scopes...)
		}
	}
	byID, err := view.ResourcesByID(ctx, p.server.Key, idsOf(perms))
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	rows, err := view.KnownScopes(ctx, p.server.Key, union(nil, alone))
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, perm := range perms {
		var there []Scope
		entry := Permission{Resource: ResourceID(perm.Resource)}
		if perm.Resource == "" {
			for _, row := range rows {
				there = append(there, row.Name)
			}
		} else {
			i := slices.IndexFunc(byID, func(r *Resource) bool { return r.ID == entry.Resource })
			if i < 0 {
				return unknownResourceSet(perm.Resource)
			}
			r := byID[i]
			lent, err := p.lent(ctx, view, r, without(perm.Scopes, r.Scopes))
			if err != nil {
				return err
			}
			there, entry.Whole = union(r.Scopes, lent), len(r.Scopes) == 0
		}
		if entry.Scopes = within(perm.Scopes, there); len(entry.Scopes) == 0 && len(perm.Scopes) > 0 {
			continue
		}
		t.Permissions = append(t.Permissions, entry)
	}
	return nil
}

// alsoBearers are the types of tokens that speak for somebody beside access tokens.
func (x *assessment) alsoBearers() []string {
	if x.req.Legacy == nil {
		return nil
	}
	return []string{TypeEntitlement}
}

// resolveLegacy asks for what an entitlement request names.
func (x *assessment) resolveLegacy(ctx context.Context, view View) error {
	q := x.req.Legacy
	if q.Everything {
		return x.resolveEverything(ctx, view)
	}
	if len(q.Permissions) > x.snap.Realm.Policy.MaxPermissions {
		return x.tooMany() // each costs a look-up, found or not
	}
	var ids []ResourceID
	var names []Scope
	for _, p := range q.Permissions {
		if p.By == ByID {
			ids = append(ids, ResourceID(p.Resource))
		}
		names = append(names, p.Scopes...)
	}
	resources, err := x.lookUp(ctx, view, ids, union(nil, names))
	if err != nil {
		return err
	}
	counted := map[string]bool{}
	for _, p := range q.Permissions {
		if p.By == NoResource {
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
func (x *assessment) wantLegacy(ctx context.Context, view View, p LegacyPermission, byID map[ResourceID]*Resource) error {
	var found []*Resource
	what := "id"
	if p.By == ByName {
		var err error
		if found, err = x.ofName(ctx, view, p.Resource); err != nil {
			return err
		}
		what = "name"
	} else if r := byID[ResourceID(p.Resource)]; r != nil {
		found = append(found, r)
	}
	if len(found) == 0 {
		return Refuse(InvalidResource, "Resource with "+what+" ["+p.Resource+"] does not exist.", nil)
	}
	if i := slices.IndexFunc(p.Scopes, func(s Scope) bool { return !x.known[s] }); i >= 0 {
		return Refuse(InvalidScope, "Invalid scope "+quoted(p.Scopes[i:i+1])+".", nil)
	}
	return x.wantAll(ctx, view, found, p.Scopes)
}

// ofName returns the resources that a name means for the party, as in resolveName.
func (x *assessment) ofName(ctx context.Context, view View, name string) ([]*Resource, error) {
	r, err := named(ctx, view, x.server.Key, name, x.server.UUID, x.who.subject)
	if err != nil {
		return nil, err
	}
	var found []*Resource
	if r != nil {
		found = []*Resource{r}
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
func asLegacy(rpt *Claims, jti string) *Claims {
	access := *rpt
	access.ID, access.Authorization = jti, nil
	rpt.Type, rpt.NotBefore = TypeEntitlement, new(int64)
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
func (x *assessment) signWithin(ctx context.Context, rpt, access *Claims) error {
	token, err := x.signOne(ctx, x.snap, access)
	if err != nil {
		return fmt.Errorf("sign access token: %w", err)
	}
	rpt.AccessToken = token
	return nil
}

// resource is the id in either shape.
func (p *GrantedPermission) Resource() ResourceID {
	if p.ID == "" {
		return p.SetID
	}
	return p.ID
}

// plain is how introspection shows the claims of an RPT: of any age as today's,
// with what is left of its permissions.
func plain(c *Claims, left []Grant) *Claims {
	shown := *c
	shown.Authorization = &Authorization{Permissions: granted(left)}
	shown.Type, shown.Permissions, shown.AccessToken = TypeBearer, nil, ""
	return &shown
}

// revokeWithin revokes the access token in an RPT along with that.
func (a *Authority) revokeWithin(ctx context.Context, s *Snapshot, rpt *Claims) error {
	if rpt.AccessToken == "" {
		return nil
	}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), rpt.AccessToken)
	switch {
	case errors.Is(err, ErrUnverified):
		return nil // its key is gone, so nobody accepts it
	case err != nil:
		return fmt.Errorf("verify access token: %w", err)
	}
	if err := a.Store.Revoke(ctx, s.Realm.Key, claims.ID, fromUnix(claims.Expires)); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}
