package account

import (
	"net/http"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// An invitation is the representation of a share with an e-mail address that no user had.
type invitation struct {
	ID       string          `json:"id"`
	Resource invitedResource `json:"resource"`
	Email    string          `json:"email"`
	Scopes   []uma.Scope     `json:"scopes"` // `*`: the resource as a whole
	Created  time.Time       `json:"created"`
	Taken    time.Time       `json:"taken,omitzero"`
	TakenBy  *shownUser      `json:"takenBy,omitempty"`
}

type invitedResource struct {
	ID   uma.ResourceID `json:"_id"`
	Name string         `json:"name"`
}

func showInvitation(v *account.InvitedAddress) *invitation {
	out := &invitation{
		ID: v.ID, Resource: invitedResource{v.ResourceID, v.Name}, Email: v.Email, Scopes: account.InvitedScopes(&v.Invitation),
		Created: v.Created, Taken: v.Taken,
	}
	if v.Taker != nil {
		taker := showUser(v.Taker)
		out.TakenBy = &taker
	}
	return out
}

// Invitations serves GET /account/resources/invitations: the invitations of the caller, also
// those that somebody has taken.
func (f *Face) Invitations(x *wire.Exchange, owner *account.Owner) error {
	return x.Array(func(add func(any) error) error {
		return f.Core.Account.InvitationsBy(x.Context(), owner, func(v *account.InvitedAddress) error { return add(showInvitation(v)) })
	})
}

// WithdrawInvitation serves DELETE /account/resources/invitations/{id}.
func (f *Face) WithdrawInvitation(x *wire.Exchange, owner *account.Owner) error {
	if err := f.Core.Account.WithdrawInvitation(x.Context(), owner, x.Param("id")); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}
