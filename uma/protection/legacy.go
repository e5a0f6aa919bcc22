package protection

import (
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/sets"
)

// LegacyPAT returns whom a PAT speaks for: a resource server's service account,
// and nobody else.
func LegacyPAT(s *uma.Snapshot, id *party.Identity) (*Caller, error) {
	switch {
	case id.Restricted():
		return nil, uma.Reject(uma.NoPAT, uma.Fault{}, party.ErrElsewhere)
	case id.User != nil:
		return nil, uma.Reject(uma.ResourceServerBad, uma.Fault{Kind: uma.NotServiceAccount, User: id.Subject, Name: s.Realm.Name}, nil)
	case !id.Client.ResourceServer:
		return nil, uma.Reject(uma.NotAResourceServer, uma.Fault{Kind: uma.NotResourceServer, Client: id.Client.ID}, nil)
	case !id.Protects():
		return nil, uma.Reject(uma.NoProtectionScope, uma.Fault{}, nil)
	}
	return &Caller{Snap: s, Server: id.Client, Identity: id}, nil
}

// LegacyTicket is RequestTicket as it was. Scopes that are not there are left
// out, and a permission with no others too: a ticket may be for nothing at all.
func (a *Service) LegacyTicket(ctx context.Context, p *Caller, perms []uma.LegacyPermission) (string, error) {
	if err := p.checkCount(len(perms)); err != nil {
		return "", err
	}
	asked := make([]TicketPermission, len(perms))
	for i, perm := range perms {
		asked[i] = TicketPermission{Resource: perm.Resource, Scopes: perm.Scopes}
		switch {
		case perm.By == uma.NoResource && len(perm.Scopes) == 0:
			return "", uma.Reject(uma.NoResourceSet, uma.Fault{Kind: uma.NoResourceNamed}, nil)
		case perm.By == uma.ByID && perm.Resource == "":
			return "", unknownResourceSet("")
		case perm.By == uma.ByName:
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
	return uma.Reject(uma.UnknownResourceSet, resourceNotRegistered(id), nil)
}

// idOfName finds the resource of that name which the resource server owns, or
// else the only one. Names were unique when this API was made; what several
// owners have is not found, rather than the wrong one.
func (a *Service) idOfName(ctx context.Context, p *Caller, name string) (uma.ResourceID, error) {
	unknown := uma.Reject(uma.UnknownResourceSetName, uma.Fault{Kind: uma.ResourceNameUnknown, Name: name}, nil)
	if name == "" { // which would be any
		return "", unknown
	}
	var found []*uma.Resource
	for _, owner := range []string{p.Server.UUID, ""} {
		err := a.Store.FindResources(ctx, p.Server.Key, uma.ResourceFilter{Name: name, ExactName: true, Owner: owner}, 0, 2, func(r *uma.Resource) error {
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

func fillLegacy(ctx context.Context, p *Caller, view uma.View, t *uma.Ticket, perms []TicketPermission) error {
	var alone []uma.Scope
	for _, perm := range perms {
		if perm.Resource == "" {
			alone = append(alone, perm.Scopes...)
		}
	}
	byID, err := view.ResourcesByID(ctx, p.Server.Key, idsOf(perms))
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	rows, err := view.KnownScopes(ctx, p.Server.Key, sets.Union(nil, alone))
	if err != nil {
		return fmt.Errorf("read scopes: %w", err)
	}
	for _, perm := range perms {
		var there []uma.Scope
		entry := uma.Permission{Resource: uma.ResourceID(perm.Resource)}
		if perm.Resource == "" {
			for _, row := range rows {
				there = append(there, row.Name)
			}
		} else {
			i := slices.IndexFunc(byID, func(r *uma.Resource) bool { return r.ID == entry.Resource })
			if i < 0 {
				return unknownResourceSet(perm.Resource)
			}
			r := byID[i]
			lent, err := p.lent(ctx, view, r, sets.Without(perm.Scopes, r.Scopes))
			if err != nil {
				return err
			}
			there, entry.Whole = sets.Union(r.Scopes, lent), len(r.Scopes) == 0
		}
		if entry.Scopes = sets.Within(perm.Scopes, there); len(entry.Scopes) == 0 && len(perm.Scopes) > 0 {
			continue
		}
		t.Permissions = append(t.Permissions, entry)
	}
	return nil
}
