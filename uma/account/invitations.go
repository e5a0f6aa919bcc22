package account

import (
	"context"
	"fmt"

	"example.com/umpire/uma"
)

// An InvitedAddress is an invitation of an owner, with the resource that it is for.
type InvitedAddress struct {
	uma.Invitation
	Name  string    // of the resource
	Taker *uma.User // who has taken it, with an id alone if that user no longer exists; nil while nobody has
}

// InvitedScopes are the scopes of an invitation; {Everything} for a resource without scopes.
func InvitedScopes(v *uma.Invitation) []uma.Scope {
	if len(v.Scopes) == 0 {
		return []uma.Scope{uma.Everything}
	}
	return v.Scopes
}

// InvitationsBy calls each for the invitations of an owner, taken or not, by id.
func (s *Service) InvitationsBy(ctx context.Context, o *Owner, each func(*InvitedAddress) error) error {
	return uma.Pages(uma.RequestPage, 0, -1, func(last *InvitedAddress, _, n int) ([]InvitedAddress, error) {
		after := ""
		if last != nil {
			after = last.ID
		}
		return uma.Read(ctx, s.Store, func(view uma.View) ([]InvitedAddress, error) { return o.readInvited(ctx, view, after, n) })
	}, each)
}

// readInvited reads a page of an owner's invitations.
func (o *Owner) readInvited(ctx context.Context, view uma.View, after string, n int) ([]InvitedAddress, error) {
	page, err := view.InvitationsOf(ctx, o.Snap.Realm.Key, o.User.ID, after, n)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read invitations: %w", err)
	case len(page) == 0:
		return nil, nil
	}
	resources, takers := map[uma.Key][]uma.ResourceID{}, []string{}
	for _, v := range page {
		resources[v.Server] = append(resources[v.Server], v.ResourceID)
		if v.TakenBy != "" {
			takers = append(takers, v.TakenBy)
		}
	}
	byKey, err := readResources(ctx, view, resources)
	if err != nil {
		return nil, err
	}
	users, err := o.readUsers(ctx, view, takers)
	if err != nil {
		return nil, err
	}
	out := make([]InvitedAddress, len(page))
	for i, v := range page {
		out[i] = InvitedAddress{Invitation: v, Taker: users[v.TakenBy]}
		if r := byKey[v.Resource]; r != nil {
			out[i].Name = r.Name
		}
	}
	return out, nil
}

// WithdrawInvitation withdraws an invitation of the owner that nobody has taken. One that
// somebody has taken is not found: what was granted by it is withdrawn as any share is.
func (s *Service) WithdrawInvitation(ctx context.Context, o *Owner, id string) error {
	if err := s.Store.WithdrawInvitation(ctx, o.Snap.Realm.Key, o.User.ID, id); err != nil {
		return uma.Tell("withdraw invitation", err,
			uma.Means(uma.ErrNotFound, uma.NotFound, uma.Fault{Kind: uma.InvitationUnknown, Value: id}))
	}
	return nil
}
