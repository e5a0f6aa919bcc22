package protection

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// CreateResource registers a resource (FedAuthz §3.2.1) for the caller or, when
// the resource server itself asks, for the owner that it names.
func (s *Service) CreateResource(ctx context.Context, c *Caller, in *ResourceInput) (*ResourceView, error) {
	if err := c.check(in); err != nil {
		return nil, err
	}
	o, err := uma.Read(ctx, s.Store, func(view uma.View) (owner, error) { return c.readOwner(ctx, view, in) })
	if err != nil {
		return nil, err
	}
	if o.unknown != nil {
		if o, err = s.admitOwner(ctx, c, o.unknown); err != nil {
			return nil, err
		}
	}
	r := c.newResource(in, uma.ResourceID(s.NewID()), o.id)
	if err := s.Store.CreateResource(ctx, r, s.NewID); err != nil {
		return nil, tellTaken("create resource", r, err)
	}
	scopes, err := s.scopeRows(ctx, c, r.Scopes)
	if err != nil { // the resource is stored; only the ids of its scopes are missing
		s.Log(ctx, "read scopes of a new resource", "resource", r.ID, "err", err)
		for _, name := range r.Scopes {
			scopes = append(scopes, uma.ScopeRow{Name: name})
		}
	}
	return &ResourceView{Resource: r, OwnerName: o.name, ScopeRows: scopes}, nil
}

// An owner is the owner of a new resource.
type owner struct {
	id, name string
	unknown  *uma.Identity // of a trusted issuer's party that has no row yet
}

// readOwner reads who becomes the owner of a new resource: the caller or, if the resource
// server calls and names one, that one.
func (c *Caller) readOwner(ctx context.Context, view uma.View, in *ResourceInput) (o owner, err error) {
	o.id = c.Identity.Subject
	switch {
	case c.isServer() && in.OwnerID != nil:
		return c.readParty(ctx, view, in.OwnerID)
	case c.isServer() && in.Owner != "":
		if o.id, err = c.subjectID(ctx, view, in.Owner); err != nil {
			return o, err
		}
		if o.id == "" {
			return o, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.OwnerUnknown, Owner: in.Owner}, nil)
		}
	}
	names, err := c.names(ctx, view, []string{o.id})
	o.name = names[o.id]
	return o, err
}

// readParty reads the party that a trusted issuer knows by an id.
func (c *Caller) readParty(ctx context.Context, view uma.View, id *uma.SubjectID) (owner, error) {
	issuer := c.Snap.Realm.Issuer(id.Issuer)
	if issuer == nil {
		return owner{}, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.OwnerIssuerUnknown, Value: id.Issuer}, nil)
	}
	u, err := view.PartyOf(ctx, c.Snap.Realm.Key, issuer.Issuer, id.Subject)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return owner{unknown: &uma.Identity{Issuer: issuer.Issuer, Alias: issuer.Alias, Subject: id.Subject}}, nil
	case err != nil:
		return owner{}, fmt.Errorf("read party: %w", err)
	}
	return partyAsOwner(u)
}

// partyAsOwner returns the owner that a party becomes. Who an identity belongs to that was
// linked to a local user, its claim tokens say, and no resource server.
func partyAsOwner(u *uma.User) (owner, error) {
	if u.Identity == nil {
		return owner{}, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.OwnerLinked}, nil)
	}
	return owner{id: u.ID, name: u.Username}, nil
}

// admitOwner makes the row of a party that was never there.
func (s *Service) admitOwner(ctx context.Context, c *Caller, y *uma.Identity) (owner, error) {
	u, err := s.Store.AdmitParty(ctx, c.Snap.Realm.Key, &uma.Admission{ID: s.NewID(), Identity: *y, Now: s.Now(), NewID: s.NewID})
	if err != nil {
		return owner{}, uma.Tell("admit owner", err,
			uma.Means(uma.ErrNotFound, uma.InvalidRequest, uma.Fault{Kind: uma.OwnerIssuerUnknown, Value: y.Issuer}),
			uma.Means(uma.ErrConflict, uma.InvalidRequest, uma.Fault{Kind: uma.OwnerLinked}))
	}
	return partyAsOwner(u)
}

// tellTaken is uma.Tell for a resource whose name or URI may be another's.
func tellTaken(doing string, r *uma.Resource, err error, also ...uma.Meaning) error {
	taken := uma.Fault{Kind: uma.ResourceNameTaken, Name: r.Name}
	if uri, ok := errors.AsType[*uma.URITakenError](err); ok {
		taken = uma.Fault{Kind: uma.URITaken, Value: uri.URI}
	}
	return uma.Tell(doing, err, append(also, uma.Means(uma.ErrConflict, uma.Conflict, taken))...)
}

// scopeRows reads the ids of scopes.
func (s *Service) scopeRows(ctx context.Context, c *Caller, names []uma.Scope) ([]uma.ScopeRow, error) {
	if len(names) == 0 {
		return nil, nil
	}
	return uma.Read(ctx, s.Store, func(view uma.View) ([]uma.ScopeRow, error) {
		rows, err := view.KnownScopes(ctx, c.Server.Key, names)
		if err != nil {
			return nil, fmt.Errorf("read scopes: %w", err)
		}
		return rows, nil
	})
}

// ReadResource returns a resource that the caller may manage.
func (s *Service) ReadResource(ctx context.Context, c *Caller, id string) (*uma.Resource, error) {
	r, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.Resource, error) {
		return view.Resource(ctx, c.Server.Key, uma.ResourceID(id))
	})
	switch {
	case err != nil:
		return nil, uma.Tell("read resource", err, resourceNotFound(id))
	case !c.manages(r):
		return nil, uma.Reject(uma.Forbidden, uma.Fault{}, nil)
	}
	return r, nil
}

func resourceNotFound(id string) uma.Meaning {
	return uma.Means(uma.ErrNotFound, uma.NotFound, resourceNotRegistered(id))
}

// ReplaceResource replaces a description (FedAuthz §3.2.3). Owner and id stay;
// attributes stay unless new ones are given.
func (s *Service) ReplaceResource(ctx context.Context, c *Caller, id string, in *ResourceInput) error {
	old, err := s.ReadResource(ctx, c, id)
	if err != nil {
		return err
	}
	if err := c.check(in); err != nil {
		return err
	}
	r := c.replacedResource(in, old)
	if err := s.Store.ReplaceResource(ctx, r, s.NewID); err != nil {
		return tellTaken("replace resource", r, err, resourceNotFound(id))
	}
	return nil
}

// DeleteResource ends the protection of a resource (FedAuthz §3.2.4) and deletes the
// requests and shares for it.
func (s *Service) DeleteResource(ctx context.Context, c *Caller, id string) error {
	r, err := s.ReadResource(ctx, c, id)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteResource(ctx, c.Server.Key, r.ID); err != nil {
		return uma.Tell("delete resource", err, resourceNotFound(id))
	}
	return nil
}
