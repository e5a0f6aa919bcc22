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

// A TicketPermission is an entry of a permission request (FedAuthz §4.1): scopes
// of a resource known by id or name, or scopes alone.
type TicketPermission struct {
	Resource string
	Scopes   []uma.Scope
	Claims   map[string][]string // Keycloak's: pushed by the resource server
}

// RequestTicket returns a ticket for permissions (FedAuthz §4.2). Claims count
// only from the resource server itself.
func (a *Service) RequestTicket(ctx context.Context, p *Caller, perms []TicketPermission) (string, error) {
	return a.newTicket(ctx, p, perms, fillTicket)
}

// A ticketFiller puts what is asked for into a ticket, as far as it is there.
type ticketFiller func(context.Context, *Caller, uma.View, *uma.Ticket, []TicketPermission) error

// newTicket keeps a ticket for what is asked for and returns its value.
func (a *Service) newTicket(ctx context.Context, p *Caller, perms []TicketPermission, fill ticketFiller) (string, error) {
	if len(perms) == 0 {
		return "", uma.Reject(uma.InvalidPermissionRequest, uma.Fault{}, nil)
	}
	if err := p.checkCount(len(perms)); err != nil {
		return "", err
	}
	err := uma.CheckScopes(func(yield func([]uma.Scope) bool) {
		for _, perm := range perms {
			if !yield(perm.Scopes) {
				return
			}
		}
	})
	if err != nil {
		return "", err
	}
	pushed := 0
	for _, perm := range perms {
		pushed += uma.SizeOfClaims(perm.Claims)
	}
	if pushed > uma.MaxPushed {
		return "", uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TicketClaimsTooLarge, Limit: uma.MaxPushed}, nil)
	}
	now := a.Now()
	value := uma.NewSecret()
	t := &uma.Ticket{
		Hash: uma.Digest(value), Server: p.Server.Key, Claims: map[string][]string{}, Round: 1,
		Issued: now, Expires: now.Add(p.Snap.Realm.Lifetimes.Ticket),
	}
	_, err = uma.Read(ctx, a.Store, func(view uma.View) (struct{}, error) { return struct{}{}, fill(ctx, p, view, t, perms) })
	if err != nil {
		return "", err
	}
	if err := p.checkCount(len(t.Permissions)); err != nil { // one name may be of two resources
		return "", err
	}
	if err := a.Store.SaveTicket(ctx, p.Snap.Realm.Key, t); err != nil {
		return "", uma.Tell("save ticket", err)
	}
	return value, nil
}

// checkCount bounds the permissions of a ticket.
func (p *Caller) checkCount(permissions int) error {
	if most := p.Snap.Realm.Policy.MaxPermissions; permissions > most {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TooManyPermissions, Setting: "policy.max_permissions", Limit: most}, nil)
	}
	return nil
}

// TicketJWT returns a ticket in JWT form: a token around its value, for clients
// that expect one. A ticket that is to be presented after an interval lives longer
// by that. The ticket is stored already, so it is signed even if the request has ended.
func (a *Service) TicketJWT(ctx context.Context, s *uma.Snapshot, ticket string, interval time.Duration) (string, error) {
	now, url := a.Now(), a.PublicURL.Realm(s)
	jwt, err := a.Issuer.SignOwn(context.WithoutCancel(ctx), s, &uma.Claims{
		ID: a.NewSerial(), Issuer: url, Audience: uma.Audience{url}, Type: uma.TypeTicket, Handle: ticket,
		IssuedAt: now.Unix(), Expires: now.Add(interval + s.Realm.Lifetimes.Ticket).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign ticket: %w", err)
	}
	return jwt, nil
}

// idsOf are what permissions call their resources, as if they were ids.
func idsOf(perms []TicketPermission) []uma.ResourceID {
	var ids []uma.ResourceID
	for _, perm := range perms {
		if perm.Resource != "" {
			ids = append(ids, uma.ResourceID(perm.Resource))
		}
	}
	return ids
}

func fillTicket(ctx context.Context, p *Caller, view uma.View, t *uma.Ticket, perms []TicketPermission) error {
	byID, err := view.ResourcesByID(ctx, p.Server.Key, idsOf(perms))
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	for _, perm := range perms {
		if p.isServer() {
			maps.Copy(t.Claims, perm.Claims)
		}
		if perm.Resource == "" {
			err = p.addScopes(ctx, view, t, perm.Scopes)
		} else {
			err = p.addResource(ctx, view, t, perm, byID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addScopes adds scopes without a resource to a ticket.
func (p *Caller) addScopes(ctx context.Context, view uma.View, t *uma.Ticket, scopes []uma.Scope) error {
	if len(scopes) == 0 {
		return uma.Reject(uma.InvalidResourceID, uma.Fault{Kind: uma.NoResourceNamed}, nil)
	}
	rows, err := view.KnownScopes(ctx, p.Server.Key, scopes)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, s := range scopes {
		if !slices.ContainsFunc(rows, func(r uma.ScopeRow) bool { return r.Name == s }) {
			return uma.Reject(uma.InvalidScope, scopeNotRegistered(s), nil)
		}
	}
	t.Permissions = append(t.Permissions, uma.Permission{Scopes: sets.Union(nil, scopes)})
	return nil
}

// addResource adds a resource to a ticket: by its id, else the resource server's own of
// that name, or the caller's.
func (p *Caller) addResource(ctx context.Context, view uma.View, t *uma.Ticket, perm TicketPermission, byID []*uma.Resource) error {
	var found []*uma.Resource
	if i := slices.IndexFunc(byID, func(r *uma.Resource) bool { return string(r.ID) == perm.Resource }); i >= 0 {
		found = byID[i : i+1]
	} else {
		r, err := lookup.ByName(ctx, view, p.Server.Key, perm.Resource, p.Server.UUID, p.Identity.Subject)
		if err != nil {
			return err
		}
		if r != nil {
			found = []*uma.Resource{r}
		}
	}
	if len(found) == 0 {
		return uma.Reject(uma.InvalidResourceID, resourceNotRegistered(perm.Resource), nil)
	}
	for _, r := range found {
		if err := p.checkScopes(ctx, view, r, perm.Scopes); err != nil {
			return err
		}
		t.Permissions = append(t.Permissions, uma.Permission{
			Resource: r.ID, Scopes: sets.Union(nil, perm.Scopes), Whole: len(r.Scopes) == 0,
		})
	}
	return nil
}

// checkScopes refuses scopes that are neither the resource's own nor those of a
// resource of its type that the resource server owns.
func (p *Caller) checkScopes(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) error {
	others := sets.Without(scopes, r.Scopes)
	inherited, err := p.lent(ctx, view, r, others)
	if err != nil {
		return err
	}
	for _, s := range others {
		if !slices.Contains(inherited, s) {
			return uma.Reject(uma.InvalidScope, scopeNotRegistered(s), nil)
		}
	}
	return nil
}

// lent returns which of some scopes a resource has of its type alone.
func (p *Caller) lent(ctx context.Context, view uma.View, r *uma.Resource, scopes []uma.Scope) ([]uma.Scope, error) {
	if len(scopes) == 0 || r.Type == "" || r.Owner == p.Server.UUID {
		return nil, nil
	}
	lent, err := view.TypeScopes(ctx, p.Server.Key, r.Type, scopes)
	if err != nil {
		return nil, fmt.Errorf("read scopes of type: %w", err)
	}
	return lent, nil
}
