package protection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// A PolicyInput is a user-managed policy of Keycloak as a request has it, unchecked.
type PolicyInput struct {
	ID, Name, Description string
	Resources             []string    // none but the one that it is for
	Scopes                []uma.Scope // nil: not given
	Users                 []string    // usernames or subject ids
	Roles                 []string    // realm roles by name, client roles as client/role
	Groups                []string    // paths
	Clients               []string    // client_ids
	Strategy              string      // empty: Unanimous
}

// A PolicyView is a user-managed policy with the names of its users.
type PolicyView struct {
	*uma.Share
	Usernames []string
}

// check refuses a policy that cannot be stored, whatever resource it is for.
func (in *PolicyInput) check() error {
	if fault := in.fault(); fault.Kind != "" {
		return uma.Reject(uma.InvalidRequest, fault, nil)
	}
	return nil
}

func (in *PolicyInput) fault() uma.Fault {
	if strings.TrimSpace(in.Name) == "" {
		return uma.Fault{Kind: uma.Missing, Parameter: "name"}
	}
	if fault := uma.CheckText("name", in.Name); fault.Kind != "" {
		return fault
	}
	if len(in.Description) > uma.MaxValue {
		return uma.Fault{Kind: uma.TooLong, Parameter: "description", Limit: uma.MaxValue}
	}
	switch in.Strategy {
	case "", uma.Unanimous, uma.Affirmative, uma.Consensus:
	default:
		return uma.Fault{Kind: uma.StrategyUnknown, Value: in.Strategy}
	}
	named := 0
	for _, list := range []struct {
		parameter string
		names     []string
	}{{"users", in.Users}, {"roles", in.Roles}, {"groups", in.Groups}, {"clients", in.Clients}} {
		if len(list.names) > uma.MaxMembers {
			return uma.Fault{Kind: uma.TooManyMembers, Parameter: list.parameter, Limit: uma.MaxMembers}
		}
		for _, name := range list.names {
			named += len(name)
		}
	}
	if named > uma.MaxNamed {
		return uma.Fault{Kind: uma.PolicyNamesTooLarge, Limit: uma.MaxNamed}
	}
	for _, group := range in.Groups {
		if !uma.IsGroup(group) || uma.CheckText("", group).Kind != "" {
			return uma.Fault{Kind: uma.GroupInvalid, Value: group}
		}
	}
	for _, role := range in.Roles {
		if role == "" || uma.CheckText("", role).Kind != "" {
			return uma.Fault{Kind: uma.RoleInvalid, Value: role}
		}
	}
	return uma.Fault{}
}

// CreatePolicy stores an owner's policy for one of its resources. Without scopes it
// is for all that the resource has.
func (s *Service) CreatePolicy(ctx context.Context, c *Caller, resource string, in *PolicyInput) (*PolicyView, error) {
	if in.ID != "" {
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyHasID}, nil)
	}
	v, err := uma.Read(ctx, s.Store, func(view uma.View) (*PolicyView, error) { return c.readNewPolicy(ctx, view, resource, in) })
	if err != nil {
		return nil, err
	}
	v.ID = s.NewID()
	if err := s.Store.CreateShare(ctx, v.Share); err != nil {
		return nil, uma.Tell("create policy", err, nameTaken(in.Name), policiesTooLarge, policyResourceUnknown(resource))
	}
	return v, nil
}

// readNewPolicy checks a new policy, in the order of Keycloak's checks.
func (c *Caller) readNewPolicy(ctx context.Context, view uma.View, resource string, in *PolicyInput) (*PolicyView, error) {
	r, err := c.readManagedResource(ctx, view, resource)
	if err != nil {
		return nil, err
	}
	p, err := c.readPolicyInput(ctx, view, r, in, r.Scopes)
	if err != nil {
		return nil, err
	}
	last, err := view.FindShares(ctx, c.Server.Key, r.Owner, uma.UserPolicyFilter{Resource: r.ID}, uma.MaxShares-1, 1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("count policies: %w", err)
	case len(last) > 0:
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PoliciesTooMany, Limit: uma.MaxShares}, nil)
	}
	views, err := c.policyViews(ctx, view, []*uma.Share{p})
	if err != nil {
		return nil, err
	}
	return &views[0], nil
}

// readManagedResource returns a resource that the caller may share: one that it owns and
// manages itself.
func (c *Caller) readManagedResource(ctx context.Context, view uma.View, id string) (*uma.Resource, error) {
	r, err := view.Resource(ctx, c.Server.Key, uma.ResourceID(id))
	switch {
	case err != nil:
		return nil, uma.Tell("read resource", err, policyResourceUnknown(id))
	case r.Owner != c.Identity.Subject:
		return nil, notTheOwner(r.ID)
	case !r.OwnerManaged:
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyNotOwnerManaged, Resource: id}, nil)
	}
	return r, nil
}

// readPolicyInput returns the policy that a request describes for a resource. Without
// scopes it has the given ones.
func (c *Caller) readPolicyInput(ctx context.Context, view uma.View, r *uma.Resource, in *PolicyInput, otherwise []uma.Scope) (*uma.Share, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	// A policy that names other resources than its own once gave owners access to what
	// is not theirs (CVE-2025-14778, CVE-2026-4636).
	if slices.ContainsFunc(in.Resources, func(id string) bool { return id != string(r.ID) }) {
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyOfOtherResource, Resource: string(r.ID)}, nil)
	}
	p := &uma.Share{
		Kind: uma.ByPolicy, Name: in.Name, Description: in.Description,
		Server: c.Server.Key, Resource: r.Key, ResourceID: r.ID, Owner: r.Owner,
		Roles: sets.Union(nil, in.Roles), Groups: sets.Union(nil, in.Groups), Clients: sets.Union(nil, in.Clients),
		Strategy: cmp.Or(in.Strategy, uma.Unanimous),
	}
	var err error
	if p.Scopes, err = policyScopes(r, in.Scopes, otherwise); err != nil {
		return nil, err
	}
	if err := c.checkClients(p); err != nil {
		return nil, err
	}
	p.Users, err = c.readUsers(ctx, view, in.Users)
	return p, err
}

// policyScopes returns the scopes of a policy for a resource. Empty is not all: only a
// policy for a resource without scopes has none.
func policyScopes(r *uma.Resource, scopes, otherwise []uma.Scope) ([]uma.Scope, error) {
	if scopes == nil {
		scopes = otherwise
	}
	switch {
	case len(scopes) == 0 && len(r.Scopes) > 0:
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.Empty, Parameter: "scopes"}, nil)
	case len(sets.Without(scopes, r.Scopes)) > 0:
		fault := uma.Fault{Kind: uma.PolicyScopesInvalid, Resource: string(r.ID), Scopes: scopes}
		return nil, uma.Reject(uma.InvalidRequest, fault, nil)
	}
	return sets.Union(nil, scopes), nil
}

// checkClients refuses clients that do not exist, also in the names of client roles.
func (c *Caller) checkClients(p *uma.Share) error {
	for _, id := range p.Clients {
		if c.Snap.Clients[id] == nil {
			return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyClientUnknown, Client: id}, nil)
		}
	}
	for _, role := range p.Roles {
		i := strings.LastIndexByte(role, '/') // no role has one in its name
		if i >= 0 && (c.Snap.Clients[role[:i]] == nil || role[i+1:] == "") {
			return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.ClientRoleUnknown, Value: role}, nil)
		}
	}
	return nil
}

// readUsers returns the subject ids of users who are named by subject id or username.
func (c *Caller) readUsers(ctx context.Context, view uma.View, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	byID, err := view.UsersByID(ctx, c.Snap.Realm.Key, names)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byName, err := view.UsersNamed(ctx, c.Snap.Realm.Key, names)
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
			return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyUserUnknown, User: name}, nil)
		}
		ids = append(ids, u.ID)
	}
	return sets.Union(nil, ids), nil
}

// policyViews returns policies with the names of their users. A deleted user has no name.
func (c *Caller) policyViews(ctx context.Context, view uma.View, shares []*uma.Share) ([]PolicyView, error) {
	var ids []string
	for _, p := range shares {
		ids = append(ids, p.Users...)
	}
	slices.Sort(ids)
	var names map[string]string
	if len(ids) > 0 {
		var err error
		if names, err = c.names(ctx, view, slices.Compact(ids)); err != nil {
			return nil, err
		}
	}
	views := make([]PolicyView, len(shares))
	for i, p := range shares {
		views[i].Share = p
		for _, id := range p.Users {
			if name := names[id]; name != "" {
				views[i].Usernames = append(views[i].Usernames, name)
			}
		}
	}
	return views, nil
}

// ReadPolicy returns a policy to its owner.
func (s *Service) ReadPolicy(ctx context.Context, c *Caller, id string) (*PolicyView, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*PolicyView, error) {
		p, err := c.readOwnPolicy(ctx, view, id)
		if err != nil {
			return nil, err
		}
		views, err := c.policyViews(ctx, view, []*uma.Share{p})
		if err != nil {
			return nil, err
		}
		return &views[0], nil
	})
}

// readOwnPolicy returns a policy that the caller made.
func (c *Caller) readOwnPolicy(ctx context.Context, view uma.View, id string) (*uma.Share, error) {
	p, err := view.Share(ctx, c.Server.Key, id)
	switch {
	case err != nil:
		return nil, uma.Tell("read policy", err, policyUnknown(id))
	case p.Owner != c.Identity.Subject:
		return nil, notTheOwner(p.ResourceID)
	}
	return p, nil
}

// ReplacePolicy replaces a policy. The resource stays, and so do the scopes if none are
// given. A policy that is for nobody any more is deleted, as Keycloak does.
func (s *Service) ReplacePolicy(ctx context.Context, c *Caller, id string, in *PolicyInput) error {
	p, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Share, error) { return c.readChangedPolicy(ctx, view, id, in) })
	if err != nil {
		return err
	}
	if len(p.Users)+len(p.Roles)+len(p.Groups)+len(p.Clients) == 0 {
		return s.deletePolicy(ctx, c, id)
	}
	if err := s.Store.ReplaceShare(ctx, p); err != nil {
		return uma.Tell("replace policy", err, nameTaken(in.Name), policiesTooLarge, policyUnknown(id))
	}
	return nil
}

// readChangedPolicy returns a policy as a request changes it.
func (c *Caller) readChangedPolicy(ctx context.Context, view uma.View, id string, in *PolicyInput) (*uma.Share, error) {
	old, err := c.readOwnPolicy(ctx, view, id)
	if err != nil {
		return nil, err
	}
	r, err := c.readManagedResource(ctx, view, string(old.ResourceID))
	if err != nil {
		return nil, err
	}
	if in.ID != "" && in.ID != id {
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.PolicyHasOtherID}, nil)
	}
	p, err := c.readPolicyInput(ctx, view, r, in, sets.Within(old.Scopes, r.Scopes))
	if err != nil {
		return nil, err
	}
	p.ID = old.ID
	return p, nil
}

// DeletePolicy deletes a policy for its owner.
func (s *Service) DeletePolicy(ctx context.Context, c *Caller, id string) error {
	if _, err := s.ReadPolicy(ctx, c, id); err != nil {
		return err
	}
	return s.deletePolicy(ctx, c, id)
}

func (s *Service) deletePolicy(ctx context.Context, c *Caller, id string) error {
	if err := s.Store.DeleteShare(ctx, c.Server.Key, id); err != nil {
		return uma.Tell("delete policy", err, policyUnknown(id))
	}
	return nil
}

// What errors of the store mean.

func nameTaken(name string) uma.Meaning {
	return uma.Means(uma.ErrConflict, uma.Conflict, uma.Fault{Kind: uma.PolicyNameTaken, Name: name})
}

func policyResourceUnknown(id string) uma.Meaning {
	return uma.Means(uma.ErrNotFound, uma.InvalidRequest, uma.Fault{Kind: uma.PolicyResourceUnknown, Resource: id})
}

func policyUnknown(id string) uma.Meaning {
	return uma.Means(uma.ErrNotFound, uma.NotFound, uma.Fault{Kind: uma.PolicyUnknown, Value: id})
}

var policiesTooLarge = uma.Means(uma.ErrFull, uma.InvalidRequest, uma.Fault{Kind: uma.PoliciesTooLarge, Limit: uma.MaxShareBytes})

func notTheOwner(id uma.ResourceID) error {
	return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.NotTheOwner, Resource: string(id)}, nil)
}
