package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// UserScopes are the scopes that a user is to have.
type UserScopes struct {
	User   string      // username or e-mail address; an address that no user has is invited
	Scopes []uma.Scope // none withdraws all; {Everything}: a resource without scopes
}

// ShareOptions are conditions and effects of sharing a resource.
type ShareOptions struct {
	Only  bool // users and addresses that are not named lose what they had
	New   bool // fail if it is shared with anybody, or somebody is invited
	There bool // fail if it is shared with nobody, and nobody is invited

	// Seen is the sharing that the owner looked at: fail if it has changed. nil: do not
	// compare.
	Seen *SharedResource
}

// maxUserScopes is how many users one call may name.
const maxUserScopes = 1000

// ShareWith changes whom a resource of the owner is shared with: each user that is named
// then has exactly the scopes that are named, whatever the user asked for. An e-mail address that
// no user has is invited.
func (s *Service) ShareWith(ctx context.Context, o *Owner, id string, grants []UserScopes, options ShareOptions) error {
	for range attempts {
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
		err = s.Store.ShareResource(ctx, c)
		if errors.Is(err, uma.ErrMoved) && len(c.Invite) > 0 && c.Seen == nil {
			continue // somebody has proved an address meanwhile, and is found now
		}
		return tellSharing(err, id, options)
	}
	return tellSharing(uma.ErrMoved, id, options)
}

// tellSharing is uma.Tell for the errors of sharing a resource.
func tellSharing(err error, id string, options ShareOptions) error {
	if err == nil {
		return nil
	}
	conflict := uma.Means(uma.ErrConflict, uma.Conflict, uma.Fault{Kind: uma.SharedAlready, Resource: id})
	if options.There {
		conflict = notOwned(uma.ErrConflict, id)
	}
	return uma.Tell("share resource", err, notOwned(uma.ErrNotFound, id), conflict,
		uma.Means(uma.ErrMoved, uma.Conflict, uma.Fault{Kind: uma.SharingChanged, Resource: id}),
		uma.Means(uma.ErrFull, uma.InvalidPermission, uma.Fault{Kind: uma.TooManyInvitations, Limit: uma.MaxInvitations}))
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
		Invite: map[string][]uma.Scope{}, NewID: s.NewID, Now: s.Now(),
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
		if err := o.addTo(c, g, users); err != nil {
			return nil, err
		}
	}
	if len(c.Invite) > uma.MaxInvitations {
		return nil, uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.TooManyInvitations, Limit: uma.MaxInvitations}, nil)
	}
	return c, nil
}

// addTo adds to a change what one user is to have. An e-mail address that no user has is
// invited, if the realm has an issuer that could prove it.
func (o *Owner) addTo(c *uma.ShareChange, g UserScopes, users map[string][]*uma.User) error {
	to, who := c.Grants, ""
	if address, _, ok := uma.EmailAddress(g.User); ok && len(users[g.User]) == 0 && o.Snap.Realm.ProvesAddresses() {
		to, who = c.Invite, address
	} else {
		u, err := onlyUser(g.User, users)
		switch {
		case err != nil:
			return err
		case u.ID == o.User.ID:
			return uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.SharedWithOwner}, nil)
		}
		who = u.ID
	}
	if _, twice := to[who]; twice {
		return uma.Reject(uma.InvalidPermission, uma.Fault{Kind: uma.UserNamedTwice, User: g.User}, nil)
	}
	to[who] = sets.Union([]uma.Scope{}, g.Scopes)
	return nil
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
