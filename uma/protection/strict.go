package protection

import (
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// What the protection API does as Federated Authorization has it, for the faces
// that add nothing to it.

// asRegistered fills in what the specification leaves out of a description: a
// name, which this server knows resources by, and that the owner looks after
// the sharing, unless the resource server is the owner.
func asRegistered(r *uma.Resource, server *uma.Client) {
	if r.Name == "" {
		r.Name = string(r.ID)
	}
	r.OwnerManaged = r.Owner != server.UUID
}

// asBefore keeps what a description of the specification has no words for.
func asBefore(r *uma.Resource, old *uma.Resource) {
	if r.Name == "" {
		r.Name = string(r.ID)
	}
	r.OwnerManaged, r.DisplayName, r.URIs = old.OwnerManaged, old.DisplayName, old.URIs
}

// ListOwn calls each for the resources that the PAT's owner has at the resource
// server (§3.2.5), by name.
func (a *Service) ListOwn(ctx context.Context, p *Caller, each func(*uma.Resource) error) error {
	return a.Store.FindResources(ctx, p.Server.Key, uma.ResourceFilter{Owner: p.Identity.Subject}, 0, -1, each)
}

// RequestStrictTicket is RequestTicket without Keycloak's additions (§4): of
// resources by their ids alone, with scopes that were registered for each, all
// of one owner, and with a user's PAT of that user.
func (a *Service) RequestStrictTicket(ctx context.Context, p *Caller, perms []TicketPermission) (string, error) {
	return a.newTicket(ctx, p, perms, fillStrictly)
}

func fillStrictly(ctx context.Context, p *Caller, view uma.View, t *uma.Ticket, perms []TicketPermission) error {
	rows, err := view.ResourcesByID(ctx, p.Server.Key, idsOf(perms))
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	found := make(map[uma.ResourceID]*uma.Resource, len(rows))
	for _, r := range rows {
		found[r.ID] = r
	}
	owner := ""
	if !p.isServer() {
		owner = p.Identity.Subject
	}
	for _, perm := range perms {
		r := found[uma.ResourceID(perm.Resource)]
		if r == nil || owner != "" && r.Owner != owner {
			return uma.Reject(uma.InvalidResourceID, resourceNotRegistered(perm.Resource), nil)
		}
		owner = r.Owner
		if slices.ContainsFunc(perm.Scopes, func(s uma.Scope) bool { return !slices.Contains(r.Scopes, s) }) {
			return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ResourceLacksScope, Resource: perm.Resource, Scopes: perm.Scopes}, nil)
		}
		t.Permissions = append(t.Permissions, uma.Permission{
			Resource: r.ID, Scopes: sets.Union(nil, perm.Scopes), Whole: len(r.Scopes) == 0,
		})
	}
	return nil
}
