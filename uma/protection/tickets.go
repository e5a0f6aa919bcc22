package protection

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
)

// A TicketPermission is an entry of a permission request (FedAuthz §4.1): scopes of a
// resource, or scopes alone.
type TicketPermission struct {
	By       By
	Resource string // its id or name; scopes alone: empty, by ByIDOrName
	Scopes   []uma.Scope
	Claims   map[string][]string // Keycloak's: pushed by the resource server
}

// A By says how a permission names its resource.
type By byte

// The ways.
const (
	ByIDOrName By = iota // id, else name: of the resource server's own resource or of the caller's
	ByID
	ByName // of the resource server's own resource, else of the only one of that name
)

// RequestTicket returns a ticket for permissions (FedAuthz §4.2). Claims count
// only from the resource server itself.
func (s *Service) RequestTicket(ctx context.Context, c *Caller, perms []TicketPermission) (string, error) {
	if err := c.checkPermissions(perms); err != nil {
		return "", err
	}
	perms, err := s.findNames(ctx, c, perms)
	if err != nil {
		return "", err
	}
	t, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Ticket, error) { return c.readTicket(ctx, view, perms) })
	if err != nil {
		return "", err
	}
	now := s.Now()
	value := uma.NewHandle(now)
	t.Hash, t.Issued, t.Expires = uma.Digest(value), now, now.Add(c.Snap.Realm.Lifetimes.Ticket)
	if err := s.Store.SaveTicket(ctx, c.Snap.Realm.Key, t); err != nil {
		return "", uma.Tell("save ticket", err)
	}
	return value, nil
}

// checkPermissions refuses a request that is empty or too large, before anything is read.
func (c *Caller) checkPermissions(perms []TicketPermission) error {
	if len(perms) == 0 {
		return uma.Reject(uma.InvalidPermissionRequest, uma.Fault{}, nil)
	}
	if most := c.Snap.Realm.Policy.MaxPermissions; len(perms) > most {
		fault := uma.Fault{Kind: uma.TooManyPermissions, Setting: "policy.max_permissions", Limit: most}
		return uma.Reject(uma.InvalidRequest, fault, nil)
	}
	pushed := 0
	for _, perm := range perms {
		pushed += uma.SizeOfClaims(perm.Claims)
	}
	if pushed > uma.MaxPushed {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TicketClaimsTooLarge, Limit: uma.MaxPushed}, nil)
	}
	return uma.CheckScopes(func(yield func([]uma.Scope) bool) {
		for _, perm := range perms {
			if !yield(perm.Scopes) {
				return
			}
		}
	})
}

// findNames returns the permissions with the ids of the resources that they have ByName.
func (s *Service) findNames(ctx context.Context, c *Caller, perms []TicketPermission) ([]TicketPermission, error) {
	perms = slices.Clone(perms)
	for i, perm := range perms {
		if perm.By != ByName {
			continue
		}
		id, err := s.findName(ctx, c, perm.Resource)
		if err != nil {
			return nil, err
		}
		perms[i].By, perms[i].Resource = ByID, string(id)
	}
	return perms, nil
}

// findName finds the resource of that name which the resource server owns, or else the
// only one. A name that several owners use is not found, rather than the wrong one.
func (s *Service) findName(ctx context.Context, c *Caller, name string) (uma.ResourceID, error) {
	for _, owner := range []string{c.Server.UUID, ""} {
		if name == "" { // would match any name
			break
		}
		var found []*uma.Resource
		err := s.Store.FindResources(ctx, c.Server.Key, uma.ResourceFilter{Name: name, ExactName: true, Owner: owner}, 0, 2, func(r *uma.Resource) error {
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
	return "", uma.Reject(uma.InvalidResourceID, uma.Fault{Kind: uma.ResourceNameUnknown, Name: name}, nil)
}

// readTicket returns a ticket for the permissions, as far as their resources and scopes
// exist.
func (c *Caller) readTicket(ctx context.Context, view uma.View, perms []TicketPermission) (*uma.Ticket, error) {
	rows, err := view.ResourcesByID(ctx, c.Server.Key, idsOf(perms))
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	byID := make(map[string]*uma.Resource, len(rows))
	for _, r := range rows {
		byID[string(r.ID)] = r
	}
	t := &uma.Ticket{Server: c.Server.Key, Claims: map[string][]string{}, Round: 1}
	owner := ""
	if !c.isServer() {
		owner = c.Identity.Subject
	}
	for _, perm := range perms {
		if c.isServer() {
			maps.Copy(t.Claims, perm.Claims)
		}
		r, err := c.readNamed(ctx, view, perm, byID)
		switch {
		case err != nil:
			return nil, err
		case r != nil && c.Rules.OneOwner && owner != "" && r.Owner != owner:
			return nil, uma.Reject(uma.InvalidResourceID, resourceNotRegistered(perm.Resource), nil)
		case r != nil:
			owner = r.Owner
		}
		scopes, err := c.readScopes(ctx, view, r, perm.Scopes)
		switch {
		case err != nil:
			return nil, err
		case len(scopes) == 0 && len(perm.Scopes) > 0:
			continue // by Rules.LeaveOutUnknownScopes
		}
		p := uma.Permission{Scopes: scopes}
		if r != nil {
			p.Resource, p.Whole = r.ID, len(r.Scopes) == 0
		}
		t.Permissions = append(t.Permissions, p)
	}
	return t, nil
}

// idsOf returns what permissions call their resources, as if they were ids.
func idsOf(perms []TicketPermission) []uma.ResourceID {
	var ids []uma.ResourceID
	for _, perm := range perms {
		if perm.Resource != "" {
			ids = append(ids, uma.ResourceID(perm.Resource))
		}
	}
	return ids
}

// readNamed returns the resource that a permission names; nil for scopes alone.
func (c *Caller) readNamed(ctx context.Context, view uma.View, perm TicketPermission, byID map[string]*uma.Resource) (*uma.Resource, error) {
	switch {
	case perm.By == ByIDOrName && perm.Resource == "" && len(perm.Scopes) == 0:
		return nil, uma.Reject(uma.InvalidResourceID, uma.Fault{Kind: uma.NoResourceNamed}, nil)
	case perm.By == ByIDOrName && perm.Resource == "":
		return nil, nil
	}
	r := byID[perm.Resource]
	if r == nil && perm.By == ByIDOrName {
		var err error
		if r, err = lookup.ByName(ctx, view, c.Server.Key, perm.Resource, c.Server.UUID, c.Identity.Subject); err != nil {
			return nil, err
		}
	}
	if r == nil {
		return nil, uma.Reject(uma.InvalidResourceID, resourceNotRegistered(perm.Resource), nil)
	}
	return r, nil
}

// readScopes returns those of the scopes that a resource has, itself or by its type, or
// without a resource those that exist.
func (c *Caller) readScopes(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) ([]uma.Scope, error) {
	known, err := c.readKnown(ctx, view, r, scopes)
	if err != nil {
		return nil, err
	}
	unknown := sets.Without(scopes, known)
	switch {
	case len(unknown) == 0 || c.Rules.LeaveOutUnknownScopes:
		return sets.Within(scopes, known), nil
	case c.Rules.OwnScopesOnly:
		return nil, uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ResourceLacksScope, Resource: string(r.ID), Scopes: unknown}, nil)
	}
	return nil, uma.Reject(uma.InvalidScope, scopeNotRegistered(unknown[0]), nil)
}

func (c *Caller) readKnown(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) ([]uma.Scope, error) {
	switch {
	case r == nil:
		rows, err := view.KnownScopes(ctx, c.Server.Key, scopes)
		if err != nil {
			return nil, fmt.Errorf("read scopes: %w", err)
		}
		var known []uma.Scope
		for _, row := range rows {
			known = append(known, row.Name)
		}
		return known, nil
	case c.Rules.OwnScopesOnly:
		return r.Scopes, nil
	}
	ofType, err := c.readTypeScopes(ctx, view, r, sets.Without(scopes, r.Scopes))
	if len(ofType) == 0 {
		return r.Scopes, err
	}
	return sets.Union(r.Scopes, ofType), err
}

// readTypeScopes returns those of some scopes that a resource has by its type alone.
func (c *Caller) readTypeScopes(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) ([]uma.Scope, error) {
	if len(scopes) == 0 || r.Type == "" || r.Owner == c.Server.UUID {
		return nil, nil
	}
	ofType, err := view.TypeScopes(ctx, c.Server.Key, r.Type, scopes)
	if err != nil {
		return nil, fmt.Errorf("read scopes of type: %w", err)
	}
	return ofType, nil
}

// TicketJWT returns a ticket in JWT form: a token around its value, for clients
// that expect one. A ticket that is to be presented after an interval lives longer
// by that. The ticket is stored already, so it is signed even if the request has ended.
func (s *Service) TicketJWT(ctx context.Context, snap *uma.Snapshot, ticket string, interval time.Duration) (string, error) {
	now, url := s.Now(), s.PublicURL.Realm(snap)
	jwt, err := s.Issuer.SignOwn(context.WithoutCancel(ctx), snap, &uma.Claims{
		ID: s.NewSerial(), Issuer: url, Audience: uma.Audience{url}, Type: uma.TypeTicket, Handle: ticket,
		IssuedAt: now.Unix(), Expires: now.Add(interval + snap.Realm.Lifetimes.Ticket).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign ticket: %w", err)
	}
	return jwt, nil
}
