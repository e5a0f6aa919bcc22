package account

import (
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// UserScopes are the scopes that a user is to have.
type UserScopes struct {
	User   string      // username or e-mail address
	Scopes []uma.Scope // none withdraws all; {Everything}: a resource without scopes
}

// ShareOptions are conditions and effects of sharing a resource.
type ShareOptions struct {
	Only  bool // users that are not named lose what they had
	New   bool // fail if it is shared with anybody
	There bool // fail if it is shared with nobody

	// Seen is the sharing that the owner looked at: fail if it has changed. nil: do not
	// compare.
	Seen *SharedResource
}

// maxUserScopes is how many users one call may name.
const maxUserScopes = 1000

// ShareWith changes whom a resource of the owner is shared with: each user that is named
// then has exactly the scopes that are named, whatever the user asked for.
func (s *Service) ShareWith(ctx context.Context, o *Owner, id string, grants []UserScopes, options ShareOptions) error {
	c, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.ShareChange, error) {
		return s.shareChange(ctx, view, o, id, grants)
	})
	if err != nil {
		return err
	}
	c.Only, c.New, c.There = options.Only, options.New, options.There
	if options.Seen != nil {
		c.Seen = options.Seen.versions()
	}
	if err := s.Store.ShareResource(ctx, c); err != nil {
		conflict := uma.Means(uma.ErrConflict, uma.Conflict, uma.Fault{Kind: uma.SharedAlready, Resource: id})
		if options.There {
			conflict = notOwned(uma.ErrConflict, id)
		}
		return uma.Tell("share resource", err, notOwned(uma.ErrNotFound, id), conflict,
			uma.Means(uma.ErrMoved, uma.Conflict, uma.Fault{Kind: uma.SharingChanged, Resource: id}))
	}
	return nil
}

// shareChange checks what an owner wants to share and looks the users up.
func (s *Service) shareChange(ctx context.Context, view uma.View, o *Owner, id string, grants []UserScopes) (*uma.ShareChange, error) {
	r, err := o.resource(ctx, view, id)
	switch {
	case err != nil:
		return nil, err
	case !r.OwnerManaged && slices.ContainsFunc(grants, func(g UserScopes) bool { return len(g.Scopes) > 0 }): // the owner may still withdraw
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.MayNotShare, Resource: id}, nil)
	case len(grants) > maxUserScopes:
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.TooManyUsers, Limit: maxUserScopes}, nil)
	}
	c := &uma.ShareChange{
		Realm: o.Snap.Realm.Key, Resource: r.Key, Owner: o.User.ID, Grants: make(map[string][]uma.Scope, len(grants)),
		NewID: s.NewID, Now: s.Now(),
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
		if err := checkScopes(r.Resource, g.Scopes); err != nil {
			return nil, err
		}
		u, err := onlyUser(g.User, users)
		switch {
		case err != nil:
			return nil, err
		case u.ID == o.User.ID:
			return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.SharedWithOwner}, nil)
		}
		if _, twice := c.Grants[u.ID]; twice {
			return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.UserNamedTwice, User: g.User}, nil)
		}
		c.Grants[u.ID] = sets.Union([]uma.Scope{}, g.Scopes)
	}
	return c, nil
}

// checkScopes refuses scopes that the resource does not have. A resource without scopes is
// shared as a whole.
func checkScopes(r *uma.Resource, scopes []uma.Scope) error {
	for _, scope := range scopes {
		whole := scope == uma.Everything && len(r.Scopes) == 0
		if !whole && !slices.Contains(r.Scopes, scope) {
			return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopeNotOfResource, Scopes: []uma.Scope{scope}}, nil)
		}
	}
	return nil
}

// FindUser returns the user with that name or e-mail address, whom an owner wants to share
// a resource with.
func (s *Service) FindUser(ctx context.Context, o *Owner, nameOrEmail string) (*uma.User, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*uma.User, error) {
		users, err := view.UsersNamed(ctx, o.Snap.Realm.Key, []string{nameOrEmail})
		if err != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
		return onlyUser(nameOrEmail, users)
	})
}

// onlyUser returns the user that a name or e-mail address means. The name of one user may be
// the address of another: the answer must not be the wrong one of the two.
func onlyUser(nameOrEmail string, users map[string][]*uma.User) (*uma.User, error) {
	switch found := users[nameOrEmail]; len(found) {
	case 0:
		return nil, uma.Reject(uma.UnknownUser, uma.Fault{}, nil)
	case 1:
		return found[0], nil
	}
	return nil, uma.Reject(uma.AmbiguousUser, uma.Fault{Kind: uma.SeveralUsers, User: nameOrEmail}, nil)
}
