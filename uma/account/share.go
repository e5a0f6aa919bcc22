package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// UserScopes are scopes for a user.
type UserScopes struct {
	User   string      // username or e-mail address
	Scopes []uma.Scope // none takes all back; {Everything}: a resource without scopes
}

// ShareHow says more of how a resource is shared.
type ShareHow struct {
	Only  bool // users that are not named lose what they had
	New   bool // only if it is shared with nobody
	There bool // only if it is shared with somebody

	// Seen is the sharing that the owner looked at: only if it is still so. nil:
	// whatever it is.
	Seen *SharedResource
}

// maxUserScopes is how many users may be named at a time.
const maxUserScopes = 1000

// ShareWith makes of the sharing of a resource what its owner says: each user that
// is named has exactly the scopes that are named, whatever it asked for.
func (a *Service) ShareWith(ctx context.Context, o *Owner, id string, grants []UserScopes, how ShareHow) error {
	c, err := a.shareChange(ctx, o, id, grants)
	if err != nil {
		return err
	}
	c.Only, c.New, c.There = how.Only, how.New, how.There
	if how.Seen != nil {
		c.Seen = how.Seen.versions()
	}
	switch err := a.Store.ShareResource(ctx, c); {
	case errors.Is(err, uma.ErrNotFound), errors.Is(err, uma.ErrConflict) && how.There:
		return uma.Refuse(uma.NotFound, "Resource not found", err)
	case errors.Is(err, uma.ErrConflict):
		return uma.Refuse(uma.Conflict, "The resource is shared already", err)
	case errors.Is(err, uma.ErrMoved):
		return uma.Refuse(uma.Conflict, "What is shared has changed meanwhile", err)
	case err != nil:
		return uma.Storing("share resource", err)
	}
	return nil
}

// versions are those of all that is granted.
func (r *SharedResource) versions() map[string]int64 {
	versions := map[string]int64{}
	for _, u := range r.Users {
		for _, q := range u.Requests {
			versions[q.ID] = q.Version
		}
	}
	return versions
}

// shareChange checks what an owner says of a resource and finds out who the users
// are.
func (a *Service) shareChange(ctx context.Context, o *Owner, id string, grants []UserScopes) (_ *uma.ShareChange, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r, err := o.resource(ctx, view, id)
	switch {
	case err != nil:
		return nil, err
	case !r.OwnerManaged && slices.ContainsFunc(grants, func(g UserScopes) bool { return len(g.Scopes) > 0 }):
		return nil, uma.Refuse(uma.InvalidPermission, "The resource is not managed by its owner", nil) // who may still take back
	case len(grants) > maxUserScopes:
		return nil, uma.Refuse(uma.InvalidPermission, fmt.Sprintf("At most %d users can be named at a time", maxUserScopes), nil)
	}
	c := &uma.ShareChange{
		Realm: o.Snap.Realm.Key, Resource: r.Key, Owner: o.User.ID, Grants: make(map[string][]uma.Scope, len(grants)),
		NewID: a.NewID, Now: a.Now(),
	}
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = g.User
	}
	users, err := view.UsersNamed(ctx, o.Snap.Realm.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, g := range grants {
		if err := checkShared(r.Resource, g.Scopes); err != nil {
			return nil, err
		}
		u, err := onlyUser(g.User, users)
		switch {
		case err != nil:
			return nil, err
		case u.ID == o.User.ID:
			return nil, uma.Refuse(uma.InvalidPermission, "A resource cannot be shared with its owner", nil)
		}
		if _, twice := c.Grants[u.ID]; twice {
			return nil, uma.Refuse(uma.InvalidPermission, "User ["+g.User+"] is named twice", nil)
		}
		c.Grants[u.ID] = sets.Union([]uma.Scope{}, g.Scopes)
	}
	return c, nil
}

// checkScopes refuses scopes that the resource does not have. One without any is
// shared as a whole.
func checkShared(r *uma.Resource, scopes []uma.Scope) error {
	for _, s := range scopes {
		whole := s == uma.Everything && len(r.Scopes) == 0
		if !whole && !slices.Contains(r.Scopes, s) {
			return uma.Refuse(uma.InvalidScope, "Scope ["+string(s)+"] is invalid", nil)
		}
	}
	return nil
}

// FindUser returns the user with that name or e-mail address, for an owner who is
// about to share something.
func (a *Service) FindUser(ctx context.Context, o *Owner, nameOrEmail string) (_ *uma.User, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	users, err := view.UsersNamed(ctx, o.Snap.Realm.Key, []string{nameOrEmail})
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return onlyUser(nameOrEmail, users)
}

// onlyUser returns the one user that a name or e-mail address can mean. One user's
// name may be another's address: who shares with the one must not share with the
// other.
func onlyUser(nameOrEmail string, users map[string][]*uma.User) (*uma.User, error) {
	switch found := users[nameOrEmail]; len(found) {
	case 0:
		return nil, uma.Refuse(uma.UnknownUser, "", nil)
	case 1:
		return found[0], nil
	}
	return nil, uma.Refuse(uma.AmbiguousUser, "["+nameOrEmail+"] is the name or e-mail address of several users: name the user by a name that is nobody else's address", nil)
}
