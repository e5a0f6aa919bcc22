package account

import (
	"errors"
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// A permission is a user with the scopes of a resource that were granted to the user, or
// that the user asks for. If the resource has no scopes, `*` is the resource as a whole; an
// empty list would withdraw everything.
type permission struct {
	shownUser
	Scopes  []uma.Scope `json:"scopes"`
	Invited bool        `json:"invited,omitempty"` // username and email are an address that no user has yet
}

// A shownUser is a user as other users see it.
type shownUser struct {
	Username  string `json:"username"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Email     string `json:"email,omitempty"`
}

func showUser(u *uma.User) shownUser {
	claim := func(name string) string { s, _ := u.Claims[name].(string); return s }
	return shownUser{
		Username: u.Username, FirstName: claim("given_name"), LastName: claim("family_name"), Email: claim("email"),
	}
}

// showUsers shows the users of a resource and, for its owner, the addresses that are invited.
func showUsers(r *account.SharedResource) []permission {
	out := make([]permission, len(r.Users), len(r.Users)+len(r.Invitations))
	for i := range r.Users {
		out[i] = permission{shownUser: showUser(r.Users[i].User), Scopes: r.Users[i].Scopes()}
	}
	for i := range r.Invitations {
		v := &r.Invitations[i]
		out = append(out, permission{shownUser{Username: v.Email, Email: v.Email}, account.InvitedScopes(v), true})
	}
	return out
}

// Permissions serves GET /account/resources/{id}/permissions: the users whom the resource is
// shared with.
func (f *Face) Permissions(x *wire.Exchange, owner *account.Owner) error {
	r, err := f.Core.Account.SharingOf(x.Context(), owner, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, showUsers(r))
}

// Requests serves GET /account/resources/{id}/permissions/requests: the users who ask for the
// resource.
func (f *Face) Requests(x *wire.Exchange, owner *account.Owner) error {
	r, err := f.Core.Account.RequestsOf(x.Context(), owner, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, showUsers(r))
}

// Share serves PUT /account/resources/{id}/permissions: each listed user then has exactly the
// listed scopes. An e-mail address that no user has is invited.
func (f *Face) Share(x *wire.Exchange, owner *account.Owner) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	grants, err := parsePermissions(body)
	if err != nil {
		return err
	}
	if err := f.Core.Account.ShareWith(x.Context(), owner, x.Param("id"), grants, account.ShareOptions{}); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

func parsePermissions(body wire.Value) ([]account.UserScopes, error) {
	switch {
	case body.Kind != wire.Array && body.Kind != wire.Absent:
		return nil, wire.Invalid("the body must be an array of permissions")
	case len(body.List) == 0:
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{}, nil)
	}
	grants := make([]account.UserScopes, len(body.List))
	for i, e := range body.List {
		if e.Kind != wire.Object {
			return nil, wire.Invalid("each permission must be an object")
		}
		var err error
		if grants[i].User, err = e.String("username"); err != nil {
			return nil, err
		}
		if grants[i].Scopes, err = e.Scopes("scopes"); err != nil {
			return nil, err
		}
		switch {
		case grants[i].User == "":
			return nil, wire.Invalid("username is missing")
		case grants[i].Scopes == nil: // it would withdraw everything
			return nil, wire.Invalid("scopes is missing")
		}
	}
	return grants, nil
}

// User serves GET /account/resources/{id}/user: a user whom the owner could share the resource
// with, by name or e-mail address.
func (f *Face) User(x *wire.Exchange, owner *account.Owner) error {
	params, err := x.Query()
	if err != nil {
		return err
	}
	if _, err := f.Core.Account.OwnedResource(x.Context(), owner, x.Param("id")); err != nil {
		return err
	}
	u, err := f.Core.Account.FindUser(x.Context(), owner, params.Get("value"))
	if e, ok := errors.AsType[*uma.Error](err); ok && e.Reason == uma.UnknownUser {
		return x.Empty(http.StatusNoContent)
	}
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, struct {
		ID string `json:"id"`
		shownUser
	}{u.ID, showUser(u)})
}

// Profile serves GET /account: the caller.
func (f *Face) Profile(x *wire.Exchange, owner *account.Owner) error {
	u := owner.User
	verified, _ := u.Claims["email_verified"].(bool)
	if u.Identity != nil { // of a party no other address is kept
		verified = u.Claims["email"] != nil
	}
	return x.JSON(http.StatusOK, struct {
		ID string `json:"id"`
		shownUser
		EmailVerified bool `json:"emailVerified"`
	}{u.ID, showUser(u), verified})
}
