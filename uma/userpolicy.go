package uma

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// How the kinds of whom a policy names combine: all of them, one of them, more of
// them than not.
const (
	Unanimous   = "UNANIMOUS"
	Affirmative = "AFFIRMATIVE"
	Consensus   = "CONSENSUS"
)

// Limits of policies. All those of a resource may be candidates for one decision,
// and go into its record.
const (
	maxShares     = 1000     // of a resource
	maxNamed      = 16 << 10 // bytes of whom one names
	MaxShareBytes = 64 << 10 // of all policies of a resource, as records have them
)

// A ShareInput is a user-managed policy of Keycloak, parsed but not yet
// believed.
type ShareInput struct {
	ID, Name, Description string
	Resources             []string // none but the one that it is for
	Scopes                []Scope  // nil: not given
	Users                 []string // usernames or subject ids
	Roles                 []string // realm roles by name, client roles as client/role
	Groups                []string // paths
	Clients               []string // client_ids
	Strategy              string   // empty: Unanimous
}

// A ShareView is a user-managed policy with the names of its users.
type ShareView struct {
	*Share
	Usernames []string
}

// check refuses what cannot be kept, whatever resource it is for.
func (in *ShareInput) check() error {
	bad := func(text string) error { return Refuse(InvalidRequest, text, nil) }
	if strings.TrimSpace(in.Name) == "" {
		return bad("name is missing")
	}
	if err := checkText(in.Name); err != nil {
		return bad("name " + err.Error())
	}
	if len(in.Description) > maxValue {
		return bad(fmt.Sprintf("description is longer than %d bytes", maxValue))
	}
	switch in.Strategy {
	case "", Unanimous, Affirmative, Consensus:
	default:
		return bad("decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS")
	}
	named := 0
	for _, list := range [][]string{in.Users, in.Roles, in.Groups, in.Clients} {
		for _, name := range list {
			named += len(name)
		}
		if len(list) > maxMembers || named > maxNamed {
			return bad(fmt.Sprintf("users, roles, groups and clients may have %d members each, and %d bytes together", maxMembers, maxNamed))
		}
	}
	for _, group := range in.Groups {
		if !IsGroup(group) || checkText(group) != nil {
			return bad("Group [" + group + "] is not a path, such as /friends")
		}
	}
	for _, role := range in.Roles {
		if role == "" || checkText(role) != nil {
			return bad("Role [" + role + "] is not the name of one")
		}
	}
	return nil
}

// CreateShare keeps an owner's policy for one of its resources. Without scopes it
// is for all that the resource has.
func (a *Authority) CreateShare(ctx context.Context, p *Protection, resource string, in *ShareInput) (*ShareView, error) {
	if in.ID != "" {
		return nil, Refuse(InvalidRequest, "Newly created uma policies should not have an id", nil)
	}
	v, err := a.newShare(ctx, p, resource, in)
	if err != nil {
		return nil, err
	}
	v.ID = a.NewID()
	switch err := a.Store.CreateShare(ctx, v.Share); {
	case errors.Is(err, ErrConflict):
		return nil, shareExists(in.Name, err)
	case errors.Is(err, ErrFull):
		return nil, sharesFull(err)
	case errors.Is(err, ErrNotFound):
		return nil, noShareable(resource, err)
	case err != nil:
		return nil, storing("create share", err)
	}
	return v, nil
}

func shareExists(name string, err error) error {
	return Refuse(Conflict, "Policy with name ["+name+"] already exists", err)
}

func sharesFull(err error) error {
	return Refuse(InvalidRequest, fmt.Sprintf("The policies of a resource may have %d bytes together", MaxShareBytes), err)
}

func noShareable(resource string, err error) error {
	return Refuse(InvalidRequest, "Resource ["+resource+"] cannot be found", err)
}

func noShare(id string, err error) error {
	return Refuse(NotFound, "Policy with ["+id+"] does not exist", err)
}

// newShare checks a policy in the order that Keycloak does.
func (a *Authority) newShare(ctx context.Context, p *Protection, resource string, in *ShareInput) (_ *ShareView, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	r, err := p.shareable(ctx, view, resource)
	if err != nil {
		return nil, err
	}
	s, err := p.share(ctx, view, r, in, r.Scopes)
	if err != nil {
		return nil, err
	}
	last, err := view.FindShares(ctx, p.server.Key, r.Owner, UserPolicyFilter{Resource: r.ID}, maxShares-1, 1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("count shares: %w", err)
	case len(last) > 0:
		return nil, Refuse(InvalidRequest, fmt.Sprintf("A resource may have %d policies", maxShares), nil)
	}
	views, err := p.shareViews(ctx, view, []*Share{s})
	if err != nil {
		return nil, err
	}
	return &views[0], nil
}

// shareable returns a resource that the caller may share: its own, and looked
// after by itself.
func (p *Protection) shareable(ctx context.Context, view View, id string) (*Resource, error) {
	r, err := view.Resource(ctx, p.server.Key, ResourceID(id))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, noShareable(id, err)
	case err != nil:
		return nil, fmt.Errorf("read resource: %w", err)
	case r.Owner != p.id.subject:
		return nil, notTheOwner(r.ID)
	case !r.OwnerManaged:
		return nil, Refuse(InvalidRequest, "Only resources with owner managed accessed can have policies", nil)
	}
	return r, nil
}

func notTheOwner(id ResourceID) error {
	return Refuse(InvalidRequest, "Only resource owner can access policies for resource ["+string(id)+"]", nil)
}

// share makes a policy for a resource of what is said of it; without scopes it
// has those that are given otherwise.
func (p *Protection) share(ctx context.Context, view View, r *Resource, in *ShareInput, otherwise []Scope) (*Share, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	// A policy that names more than it is for is how owners got at what is not
	// theirs (CVE-2025-14778, CVE-2026-4636).
	if slices.ContainsFunc(in.Resources, func(id string) bool { return id != string(r.ID) }) {
		return nil, Refuse(InvalidRequest, "A policy is for the resource ["+string(r.ID)+"] alone", nil)
	}
	s := &Share{
		Kind: ByPolicy, Name: in.Name, Description: in.Description,
		Server: p.server.Key, Resource: r.Key, ResourceID: r.ID, Owner: r.Owner,
		Roles: union(nil, in.Roles), Groups: union(nil, in.Groups), Clients: union(nil, in.Clients),
		Strategy: cmp.Or(in.Strategy, Unanimous),
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
func sharedScopes(r *Resource, scopes, otherwise []Scope) ([]Scope, error) {
	if scopes == nil {
		scopes = otherwise
	}
	switch {
	case len(scopes) == 0 && len(r.Scopes) > 0:
		return nil, Refuse(InvalidRequest, "scopes is empty", nil)
	case len(without(scopes, r.Scopes)) > 0:
		return nil, Refuse(InvalidRequest, "Some of the scopes ["+listed(scopes)+"] are not valid for resource ["+string(r.ID)+"]", nil)
	}
	return union(nil, scopes), nil
}

// checkClients refuses clients that are not there, in the names of client roles
// too.
func (p *Protection) checkClients(s *Share) error {
	for _, id := range s.Clients {
		if p.snap.Clients[id] == nil {
			return Refuse(InvalidRequest, "Client ["+id+"] does not exist", nil)
		}
	}
	for _, role := range s.Roles {
		i := strings.LastIndexByte(role, '/') // no role has one in its name
		if i >= 0 && (p.snap.Clients[role[:i]] == nil || role[i+1:] == "") {
			return Refuse(InvalidRequest, "Role ["+role+"] is not one of a client's", nil)
		}
	}
	return nil
}

// IsGroup reports whether a text is the path of a group, as realm files have them: a
// policy for any other would be for nobody.
func IsGroup(path string) bool {
	return len(path) > 1 && strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "//")
}

// usersNamed returns the subject ids of users, who are named by those or by
// username.
func (p *Protection) usersNamed(ctx context.Context, view View, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	byID, err := view.UsersByID(ctx, p.snap.Realm.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byName, err := view.UsersNamed(ctx, p.snap.Realm.Key, names)
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
			return nil, Refuse(InvalidRequest, "User ["+name+"] does not exist", nil)
		}
		ids = append(ids, u.ID)
	}
	return union(nil, ids), nil
}

// shareViews adds the names of the users. One who is gone has none.
func (p *Protection) shareViews(ctx context.Context, view View, shares []*Share) ([]ShareView, error) {
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
func (a *Authority) ReadShare(ctx context.Context, p *Protection, id string) (_ *ShareView, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	s, err := p.ownShare(ctx, view, id)
	if err != nil {
		return nil, err
	}
	views, err := p.shareViews(ctx, view, []*Share{s})
	if err != nil {
		return nil, err
	}
	return &views[0], nil
}

// ownShare returns a policy of the caller's.
func (p *Protection) ownShare(ctx context.Context, view View, id string) (*Share, error) {
	s, err := view.Share(ctx, p.server.Key, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, noShare(id, err)
	case err != nil:
		return nil, fmt.Errorf("read share: %w", err)
	case s.Owner != p.id.subject:
		return nil, notTheOwner(s.ResourceID)
	}
	return s, nil
}

// ReplaceShare replaces what a policy says, but for the resource that it is for,
// and for its scopes when none are given. One that is for nobody any more is
// deleted, as Keycloak does.
func (a *Authority) ReplaceShare(ctx context.Context, p *Protection, id string, in *ShareInput) error {
	s, err := a.changedShare(ctx, p, id, in)
	if err != nil {
		return err
	}
	if len(s.Users)+len(s.Roles)+len(s.Groups)+len(s.Clients) == 0 {
		return a.deleteShare(ctx, p, id)
	}
	switch err := a.Store.ReplaceShare(ctx, s); {
	case errors.Is(err, ErrConflict):
		return shareExists(in.Name, err)
	case errors.Is(err, ErrFull):
		return sharesFull(err)
	case errors.Is(err, ErrNotFound):
		return noShare(id, err)
	case err != nil:
		return storing("replace share", err)
	}
	return nil
}

// changedShare checks what a policy is to say.
func (a *Authority) changedShare(ctx context.Context, p *Protection, id string, in *ShareInput) (_ *Share, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	old, err := p.ownShare(ctx, view, id)
	if err != nil {
		return nil, err
	}
	r, err := p.shareable(ctx, view, string(old.ResourceID))
	if err != nil {
		return nil, err
	}
	if in.ID != "" && in.ID != id {
		return nil, Refuse(InvalidRequest, "id is not that of the path", nil)
	}
	s, err := p.share(ctx, view, r, in, within(old.Scopes, r.Scopes))
	if err != nil {
		return nil, err
	}
	s.ID = old.ID
	return s, nil
}

// DeleteShare removes a policy, for its owner.
func (a *Authority) DeleteShare(ctx context.Context, p *Protection, id string) error {
	if _, err := a.ReadShare(ctx, p, id); err != nil {
		return err
	}
	return a.deleteShare(ctx, p, id)
}

func (a *Authority) deleteShare(ctx context.Context, p *Protection, id string) error {
	switch err := a.Store.DeleteShare(ctx, p.server.Key, id); {
	case errors.Is(err, ErrNotFound):
		return noShare(id, err)
	case err != nil:
		return storing("delete share", err)
	}
	return nil
}
