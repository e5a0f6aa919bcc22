package uma

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A TicketPermission is an entry of a permission request (FedAuthz §4.1): scopes
// of a resource known by id or name, or scopes alone.
type TicketPermission struct {
	Resource string
	Scopes   []Scope
	Claims   map[string][]string // Keycloak's: pushed by the resource server
}

// RequestTicket returns a ticket for permissions (FedAuthz §4.2). Claims count
// only from the resource server itself.
func (a *Authority) RequestTicket(ctx context.Context, p *Protection, perms []TicketPermission) (string, error) {
	return a.newTicket(ctx, p, perms, fillTicket)
}

// A ticketFiller puts what is asked for into a ticket, as far as it is there.
type ticketFiller func(context.Context, *Protection, View, *Ticket, []TicketPermission) error

// newTicket keeps a ticket for what is asked for and returns its value.
func (a *Authority) newTicket(ctx context.Context, p *Protection, perms []TicketPermission, fill ticketFiller) (string, error) {
	if len(perms) == 0 {
		return "", Refuse(InvalidPermissionRequest, "Invalid permission request.", nil)
	}
	if err := p.checkCount(len(perms)); err != nil {
		return "", err
	}
	err := checkScopes(func(yield func([]Scope) bool) {
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
		pushed += sizeOfClaims(perm.Claims)
	}
	if pushed > maxPushed {
		return "", Refuse(InvalidRequest, "Invalid claims: "+errPushed.Error()+", in all permissions of a ticket together", nil)
	}
	now := a.Now()
	value := newSecret()
	t := &Ticket{
		Hash: Digest(value), Server: p.server.Key, Claims: map[string][]string{}, Round: 1,
		Issued: now, Expires: now.Add(p.snap.Realm.Lifetimes.Ticket),
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return "", fmt.Errorf("open view: %w", err)
	}
	err = fill(ctx, p, view, t, perms)
	closeView(view, &err)
	if err != nil {
		return "", err
	}
	if err := p.checkCount(len(t.Permissions)); err != nil { // one name may be of two resources
		return "", err
	}
	if err := a.Store.SaveTicket(ctx, p.snap.Realm.Key, t); err != nil {
		return "", storing("save ticket", err)
	}
	return value, nil
}

// checkCount bounds the permissions of a ticket.
func (p *Protection) checkCount(permissions int) error {
	if most := p.snap.Realm.Policy.MaxPermissions; permissions > most {
		return Refuse(InvalidRequest, fmt.Sprintf("More than policy.max_permissions (%d) permissions", most), nil)
	}
	return nil
}

// TicketJWT returns a ticket in JWT form: a token around its value, for clients
// that expect one. A ticket that is to be presented after an interval lives longer
// by that. The ticket is stored already, so it is signed even if the request has ended.
func (a *Authority) TicketJWT(ctx context.Context, s *Snapshot, ticket string, interval time.Duration) (string, error) {
	now, url := a.Now(), a.PublicURL.Realm(s)
	jwt, err := a.Issuer.SignOwn(context.WithoutCancel(ctx), s, &Claims{
		ID: a.NewSerial(), Issuer: url, Audience: Audience{url}, Type: TypeTicket, Handle: ticket,
		IssuedAt: now.Unix(), Expires: now.Add(interval + s.Realm.Lifetimes.Ticket).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign ticket: %w", err)
	}
	return jwt, nil
}

// ticketHash is what a presented ticket is kept under, in JWT form or not.
// ErrUnverified: it is a JWT that this server did not sign.
func (a *Authority) ticketHash(ctx context.Context, s *Snapshot, ticket string) ([]byte, error) {
	if !strings.Contains(ticket, ".") { // no character of a ticket's value
		return Digest(ticket), nil
	}
	claims, err := a.Verifier.VerifyTicket(ctx, s, a.PublicURL.Realm(s), ticket)
	if err != nil {
		return nil, fmt.Errorf("ticket in JWT form: %w", err)
	}
	return Digest(claims.Handle), nil
}

// idsOf are what permissions call their resources, as if they were ids.
func idsOf(perms []TicketPermission) []ResourceID {
	var ids []ResourceID
	for _, perm := range perms {
		if perm.Resource != "" {
			ids = append(ids, ResourceID(perm.Resource))
		}
	}
	return ids
}

func fillTicket(ctx context.Context, p *Protection, view View, t *Ticket, perms []TicketPermission) error {
	byID, err := view.ResourcesByID(ctx, p.server.Key, idsOf(perms))
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
func (p *Protection) addScopes(ctx context.Context, view View, t *Ticket, scopes []Scope) error {
	if len(scopes) == 0 {
		return Refuse(InvalidResourceID, "Resource id or name not provided.", nil)
	}
	rows, err := view.KnownScopes(ctx, p.server.Key, scopes)
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, s := range scopes {
		if !slices.ContainsFunc(rows, func(r ScopeRow) bool { return r.Name == s }) {
			return Refuse(InvalidScope, "Scope "+quoted([]Scope{s})+" is invalid", nil)
		}
	}
	t.Permissions = append(t.Permissions, Permission{Scopes: union(nil, scopes)})
	return nil
}

// addResource adds a resource to a ticket: by its id, else the resource server's own of
// that name, or the caller's.
func (p *Protection) addResource(ctx context.Context, view View, t *Ticket, perm TicketPermission, byID []*Resource) error {
	var found []*Resource
	if i := slices.IndexFunc(byID, func(r *Resource) bool { return string(r.ID) == perm.Resource }); i >= 0 {
		found = byID[i : i+1]
	} else {
		r, err := named(ctx, view, p.server.Key, perm.Resource, p.server.UUID, p.id.subject)
		if err != nil {
			return err
		}
		if r != nil {
			found = []*Resource{r}
		}
	}
	if len(found) == 0 {
		return Refuse(InvalidResourceID, "Resource set with id ["+perm.Resource+"] does not exists in this server.", nil)
	}
	for _, r := range found {
		if err := p.checkScopes(ctx, view, r, perm.Scopes); err != nil {
			return err
		}
		t.Permissions = append(t.Permissions, Permission{
			Resource: r.ID, Scopes: union(nil, perm.Scopes), Whole: len(r.Scopes) == 0,
		})
	}
	return nil
}

// checkScopes refuses scopes that are neither the resource's own nor those of a
// resource of its type that the resource server owns.
func (p *Protection) checkScopes(ctx context.Context, view View, r *Resource, scopes []Scope) error {
	others := without(scopes, r.Scopes)
	inherited, err := p.lent(ctx, view, r, others)
	if err != nil {
		return err
	}
	for _, s := range others {
		if !slices.Contains(inherited, s) {
			return Refuse(InvalidScope, "Scope "+quoted([]Scope{s})+" is invalid", nil)
		}
	}
	return nil
}

// lent returns which of some scopes a resource has of its type alone.
func (p *Protection) lent(ctx context.Context, view View, r *Resource, scopes []Scope) ([]Scope, error) {
	if len(scopes) == 0 || r.Type == "" || r.Owner == p.server.UUID {
		return nil, nil
	}
	lent, err := view.TypeScopes(ctx, p.server.Key, r.Type, scopes)
	if err != nil {
		return nil, fmt.Errorf("read scopes of type: %w", err)
	}
	return lent, nil
}
