package protection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// A ShareInput is a user-managed policy of Keycloak, parsed but not yet
// believed.
type ShareInput struct {
	ID, Name, Description string
	Resources             []string    // none but the one that it is for
	Scopes                []uma.Scope // nil: not given
	Users                 []string    // usernames or subject ids
	Roles                 []string    // realm roles by name, client roles as client/role
	Groups                []string    // paths
	Clients               []string    // client_ids
	Strategy              string      // empty: Unanimous
}

// A ShareView is a user-managed policy with the names of its users.
type ShareView struct {
	*uma.Share
	Usernames []string
}

// check refuses what cannot be kept, whatever resource it is for.
func (in *ShareInput) check() error {
	bad := func(text string) error { return uma.Refuse(uma.InvalidRequest, text, nil) }
	if strings.TrimSpace(in.Name) == "" {
		return bad("name is missing")
	}
	if err := uma.CheckText(in.Name); err != nil {
		return bad("name " + err.Error())
	}
	if len(in.Description) > uma.MaxValue {
		return bad(fmt.Sprintf("description is longer than %d bytes", uma.MaxValue))
	}
	switch in.Strategy {
	case "", uma.Unanimous, uma.Affirmative, uma.Consensus:
	default:
		return bad("decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS")
	}
	named := 0
	for _, list := range [][]string{in.Users, in.Roles, in.Groups, in.Clients} {
		for _, name := range list {
			named += len(name)
		}
		if len(list) > uma.MaxMembers || named > uma.MaxNamed {
			return bad(fmt.Sprintf("users, roles, groups and clients may have %d members each, and %d bytes together", uma.MaxMembers, uma.MaxNamed))
		}
	}
	for _, group := range in.Groups {
		if !uma.IsGroup(group) || uma.CheckText(group) != nil {
			return bad("Group [" + group + "] is not a path, such as /friends")
		}
	}
	for _, role := range in.Roles {
		if role == "" || uma.CheckText(role) != nil {
			return bad("Role [" + role + "] is not the name of one")
		}
	}
	return nil
}

// CreateShare keeps an owner's policy for one of its resources. Without scopes it
// is for all that the resource has.
func (a *Service) CreateShare(ctx context.Context, p *Caller, resource string, in *ShareInput) (*ShareView, error) {
	if in.ID != "" {
		return nil, uma.Refuse(uma.InvalidRequest, "Newly created uma policies should not have an id", nil)
	}
	v, err := a.newShare(ctx, p, resource, in)
	if err != nil {
		return nil, err
	}
	v.ID = a.NewID()
	switch err := a.Store.CreateShare(ctx, v.Share); {
	case errors.Is(err, uma.ErrConflict):
		return nil, shareExists(in.Name, err)
	case errors.Is(err, uma.ErrFull):
		return nil, sharesFull(err)
	case errors.Is(err, uma.ErrNotFound):
		return nil, noShareable(resource, err)
	case err != nil:
		return nil, uma.Storing("create share", err)
	}
	return v, nil
}

func shareExists(name string, err error) error {
	return uma.Refuse(uma.Conflict, "Policy with name ["+name+"] already exists", err)
}

func sharesFull(err error) error {
	return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("The policies of a resource may have %d bytes together", uma.MaxShareBytes), err)
}

func noShareable(resource string, err error) error {
	return uma.Refuse(uma.InvalidRequest, "Resource ["+resource+"] cannot be found", err)
}

func noShare(id string, err error) error {
	return uma.Refuse(uma.NotFound, "Policy with ["+id+"] does not exist", err)
}

// newShare checks a policy in the order that Keycloak does.
func (a *Service) newShare(ctx context.Context, p *Caller, resource string, in *ShareInput) (_ *ShareView, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r, err := p.shareable(ctx, view, resource)
	if err != nil {
		return nil, err
	}
	s, err := p.share(ctx, view, r, in, r.Scopes)
	if err != nil {
		return nil, err
	}
	last, err := view.FindShares(ctx, p.Server.Key, r.Owner, uma.UserPolicyFilter{Resource: r.ID}, uma.MaxShares-1, 1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("count shares: %w", err)
	case len(last) > 0:
		return nil, uma.Refuse(uma.InvalidRequest, fmt.Sprintf("A resource may have %d policies", uma.MaxShares), nil)
	}
	views, err := p.shareViews(ctx, view, []*uma.Share{s})
	if err != nil {
		return nil, err
	}
	return &views[0], nil
}

// shareable returns a resource that the caller may share: its own, and looked
// after by itself.
func (p *Caller) shareable(ctx context.Context, view uma.View, id string) (*uma.Resource, error) {
	r, err := view.Resource(ctx, p.Server.Key, uma.ResourceID(id))
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, noShareable(id, err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	case r.Owner != p.Identity.Subject:
		return nil, notTheOwner(r.ID)
	case !r.OwnerManaged:
		return nil, uma.Refuse(uma.InvalidRequest, "Only resources with owner managed accessed can have policies", nil)
	}
	return r, nil
}

func notTheOwner(id uma.ResourceID) error {
	return uma.Refuse(uma.InvalidRequest, "Only resource owner can access policies for resource ["+string(id)+"]", nil)
}

// share makes a policy for a resource of what is said of it; without scopes it
// has those that are given otherwise.
func (p *Caller) share(ctx context.Context, view uma.View, r *uma.Resource, in *ShareInput, otherwise []uma.Scope) (*uma.Share, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	// A policy that names more than it is for is how owners got at what is not
	// theirs (CVE-2025-14778, CVE-2026-4636).
	if slices.ContainsFunc(in.Resources, func(id string) bool { return id != string(r.ID) }) {
		return nil, uma.Refuse(uma.InvalidRequest, "A policy is for the resource ["+string(r.ID)+"] alone", nil)
	}
	s := &uma.Share{
		Kind: uma.ByPolicy, Name: in.Name, Description: in.Description,
		Server: p.Server.Key, Resource: r.Key, ResourceID: r.ID, Owner: r.Owner,
		Roles: sets.Union(nil, in.Roles), Groups: sets.Union(nil, in.Groups), Clients: sets.Union(nil, in.Clients),
		Strategy: cmp.Or(in.Strategy, uma.Unanimous),
	}
	var err error
	if s.Scopes, err = sharedScopes(r, in.Scopes, otherwise); err != nil {
		return nil, err
	}
	if err := p.checkClients(s); err != nil {
		return nil, err
	}
	s.Users, err = p.usersNamed(ctx, view, in.Users)
	return s, err
}

// shared are the scopes of a policy for a resource. Empty is not all: none at all
// only a resource has that has no scopes.
func sharedScopes(r *uma.Resource, scopes, otherwise []uma.Scope) ([]uma.Scope, error) {
	if scopes == nil {
		scopes = otherwise
	}
	switch {
	case len(scopes) == 0 && len(r.Scopes) > 0:
		return nil, uma.Refuse(uma.InvalidRequest, "scopes is empty", nil)
	case len(sets.Without(scopes, r.Scopes)) > 0:
		return nil, uma.Refuse(uma.InvalidRequest, "Some of the scopes ["+uma.Listed(scopes)+"] are not valid for resource ["+string(r.ID)+"]", nil)
	}
	return sets.Union(nil, scopes), nil
}

// checkClients refuses clients that are not there, in the names of client roles
// too.
func (p *Caller) checkClients(s *uma.Share) error {
	for _, id := range s.Clients {
		if p.Snap.Clients[id] == nil {
			return uma.Refuse(uma.InvalidRequest, "Client ["+id+"] does not exist", nil)
		}
	}
	for _, role := range s.Roles {
		i := strings.LastIndexByte(role, '/') // no role has one in its name
		if i >= 0 && (p.Snap.Clients[role[:i]] == nil || role[i+1:] == "") {
			return uma.Refuse(uma.InvalidRequest, "Role ["+role+"] is not one of a client's", nil)
		}
	}
	return nil
}

// usersNamed returns the subject ids of users, who are named by those or by
// username.
func (p *Caller) usersNamed(ctx context.Context, view uma.View, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	byID, err := view.UsersByID(ctx, p.Snap.Realm.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byName, err := view.UsersNamed(ctx, p.Snap.Realm.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	var ids []string
	for _, name := range names {
		u := byID[name]
		if users := byName[name]; u == nil && len(users) > 0 && strings.EqualFold(users[0].Username, name) {
			u = users[0] // an e-mail address is no name here
		}
		if u == nil {
			return nil, uma.Refuse(uma.InvalidRequest, "User ["+name+"] does not exist", nil)
		}
		ids = append(ids, u.ID)
	}
	return sets.Union(nil, ids), nil
}

// shareViews adds the names of the users. One who is gone has none.
func (p *Caller) shareViews(ctx context.Context, view uma.View, shares []*uma.Share) ([]ShareView, error) {
	var ids []string
	for _, s := range shares {
		ids = append(ids, s.Users...)
	}
	slices.Sort(ids)
	var names map[string]string
	if len(ids) > 0 {
		var err error
		if names, err = p.namesOf(ctx, view, slices.Compact(ids)); err != nil {
			return nil, err
		}
	}
	views := make([]ShareView, len(shares))
	for i, s := range shares {
		views[i].Share = s
		for _, id := range s.Users {
			if name := names[id]; name != "" {
				views[i].Usernames = append(views[i].Usernames, name)
			}
		}
	}
	return views, nil
}

// ReadShare returns a policy to its owner.
func (a *Service) ReadShare(ctx context.Context, p *Caller, id string) (_ *ShareView, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	s, err := p.ownShare(ctx, view, id)
	if err != nil {
		return nil, err
	}
	views, err := p.shareViews(ctx, view, []*uma.Share{s})
	if err != nil {
		return nil, err
	}
	return &views[0], nil
}

// ownShare returns a policy of the caller's.
func (p *Caller) ownShare(ctx context.Context, view uma.View, id string) (*uma.Share, error) {
	s, err := view.Share(ctx, p.Server.Key, id)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, noShare(id, err)
	case err != nil:
		return nil, fmt.Errorf("read share: %w", err)
	case s.Owner != p.Identity.Subject:
		return nil, notTheOwner(s.ResourceID)
	}
	return s, nil
}

// ReplaceShare replaces what a policy says, but for the resource that it is for,
// and for its scopes when none are given. One that is for nobody any more is
// deleted, as Keycloak does.
func (a *Service) ReplaceShare(ctx context.Context, p *Caller, id string, in *ShareInput) error {
	s, err := a.changedShare(ctx, p, id, in)
	if err != nil {
		return err
	}
	if len(s.Users)+len(s.Roles)+len(s.Groups)+len(s.Clients) == 0 {
		return a.deleteShare(ctx, p, id)
	}
	switch err := a.Store.ReplaceShare(ctx, s); {
	case errors.Is(err, uma.ErrConflict):
		return shareExists(in.Name, err)
	case errors.Is(err, uma.ErrFull):
		return sharesFull(err)
	case errors.Is(err, uma.ErrNotFound):
		return noShare(id, err)
	case err != nil:
		return uma.Storing("replace share", err)
	}
	return nil
}

// changedShare checks what a policy is to say.
func (a *Service) changedShare(ctx context.Context, p *Caller, id string, in *ShareInput) (_ *uma.Share, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	old, err := p.ownShare(ctx, view, id)
	if err != nil {
		return nil, err
	}
	r, err := p.shareable(ctx, view, string(old.ResourceID))
	if err != nil {
		return nil, err
	}
	if in.ID != "" && in.ID != id {
		return nil, uma.Refuse(uma.InvalidRequest, "id is not that of the path", nil)
	}
	s, err := p.share(ctx, view, r, in, sets.Within(old.Scopes, r.Scopes))
	if err != nil {
		return nil, err
	}
	s.ID = old.ID
	return s, nil
}

// DeleteShare removes a policy, for its owner.
func (a *Service) DeleteShare(ctx context.Context, p *Caller, id string) error {
	if _, err := a.ReadShare(ctx, p, id); err != nil {
		return err
	}
	return a.deleteShare(ctx, p, id)
}

func (a *Service) deleteShare(ctx context.Context, p *Caller, id string) error {
	switch err := a.Store.DeleteShare(ctx, p.Server.Key, id); {
	case errors.Is(err, uma.ErrNotFound):
		return noShare(id, err)
	case err != nil:
		return uma.Storing("delete share", err)
	}
	return nil
}
