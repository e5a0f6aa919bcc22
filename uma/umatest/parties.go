package umatest

import (
	"context"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// A world's parties are those of its users that have an identity. View.Linked has the others,
// by issuer and subject: ids of users.

// Linked names an identity.
type Linked struct{ Issuer, Subject string }

func (v *View) party(issuer, subject string) *uma.User {
	for _, u := range v.Users {
		if y := u.Identity; y != nil && y.Issuer == issuer && y.Subject == subject {
			return u
		}
	}
	return v.Users[v.Linked[Linked{issuer, subject}]]
}

func (v *View) PartyOf(_ context.Context, _ uma.Key, issuer, subject string) (*uma.User, error) {
	return row(v.read("PartyOf"), v.party(issuer, subject))
}

func (v *View) IdentitiesOf(_ context.Context, _ uma.Key, id string) ([]uma.Identity, error) {
	var found []uma.Identity
	if u := v.Users[id]; u != nil && u.Identity != nil {
		found = append(found, *u.Identity)
	}
	for y, user := range v.Linked {
		if user == id {
			found = append(found, uma.Identity{Issuer: y.Issuer, Subject: y.Subject})
		}
	}
	return found, v.read("IdentitiesOf")
}

// AdmitParty keeps the party under a.ID, with the name ALIAS/Name.
func (s FakeStore) AdmitParty(_ context.Context, _ uma.Key, a *uma.Admission) (*uma.User, error) {
	v := s.W.View
	u := v.party(a.Identity.Issuer, a.Identity.Subject)
	switch {
	case u == nil:
		y := a.Identity
		u = &uma.User{ID: a.ID, Username: y.Alias + "/" + a.Name, Enabled: true, Origin: uma.FromIssuer, Version: 1, Identity: &y}
		v.Users[u.ID] = u
	case u.Identity == nil:
		return nil, uma.ErrConflict
	}
	if a.Email != "" {
		u.Claims = map[string]any{"email": a.Email}
	}
	return u, s.write()
}

func (s FakeStore) SpendAssertion(_ context.Context, _, client uma.Key, id []byte, _ time.Time) error {
	if s.W.Spent == nil {
		s.W.Spent = map[string]bool{}
	}
	if key := s.W.Snap.ByKey[client].ID + " " + string(id); !s.W.Spent[key] {
		s.W.Spent[key] = true
		return s.write()
	}
	return uma.ErrSpent
}

func (v *View) invitations(is func(*uma.Invitation) bool) (found []uma.Invitation) {
	for _, i := range v.Invited {
		if is(&i) {
			found = append(found, i)
		}
	}
	return found
}

func (v *View) Invitations(_ context.Context, resources []uma.Key) ([]uma.Invitation, error) {
	return v.invitations(func(i *uma.Invitation) bool { return i.TakenBy == "" && slices.Contains(resources, i.Resource) }), v.read("Invitations")
}

func (v *View) InvitationsOf(_ context.Context, _ uma.Key, owner, after string, most int) ([]uma.Invitation, error) {
	found := v.invitations(func(i *uma.Invitation) bool { return i.Owner == owner && i.ID > after })
	return found[:min(most, len(found))], v.read("InvitationsOf")
}

func (s FakeStore) WithdrawInvitation(_ context.Context, _ uma.Key, owner, id string) error {
	v := s.W.View
	there := len(v.Invited)
	v.Invited = slices.DeleteFunc(v.Invited, func(i uma.Invitation) bool { return i.Owner == owner && i.ID == id && i.TakenBy == "" })
	if len(v.Invited) == there {
		return uma.ErrNotFound
	}
	return s.write()
}
