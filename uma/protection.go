package uma

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Protection is a caller of the protection API, as its PAT says (FedAuthz
// §1.3).
type Protection struct {
	snap   *Snapshot
	server *Client // the resource server
	id     *identity
}

// isServer reports whether the caller is the resource server itself, by its
// service account.
func (p *Protection) isServer() bool { return p.id.subject == p.server.UUID }

// A PATRule says which tokens of a resource server's client a face takes for
// PATs.
type PATRule byte

// The rules.
const (
	AnyToken  PATRule = iota // its service account's or any user's
	WithRole                 // one that holds the client role uma_protection
	WithScope                // one with the scope uma_protection (FedAuthz §1.3)
)

// PAT returns whom a protection API access token speaks for: a token issued to a
// resource server's client, its service account's or a user's. An RPT is none. The
// role or scope counts while the token has it and its user, or the client, does.
func (a *Authority) PAT(ctx context.Context, s *Snapshot, c *Caller, rule PATRule) (*Protection, error) {
	id, err := a.presented(ctx, s, c, NoPAT)
	if err != nil {
		return nil, err
	}
	switch {
	case id.restricted() && rule == WithScope: // good, but not for this (RFC 6750 §3.1)
		return nil, Refuse(NoProtectionScope, "", nil)
	case id.restricted():
		return nil, Refuse(NoPAT, "", errElsewhere)
	case !id.client.ResourceServer:
		return nil, Refuse(NotAResourceServer, "Client application ["+id.client.ID+"] is not registered as a resource server.", nil)
	case rule == WithRole && !id.protects(), rule == WithScope && !slices.Contains(id.scopes(), protectionScope):
		return nil, Refuse(NoProtectionScope, "Requires uma_protection scope.", nil)
	}
	return &Protection{snap: s, server: id.client, id: id}, nil
}

// presented returns whom the bearer token of a call speaks for, and refuses one
// that is missing or no good for the given reason.
func (a *Authority) presented(ctx context.Context, s *Snapshot, c *Caller, otherwise Reason, also ...string) (_ *identity, err error) {
	if !c.HasBearer {
		return nil, Refuse(otherwise, "", nil)
	}
	switch err := a.verifyAhead(ctx, s, c.Bearer); {
	case errors.Is(err, ErrUnverified):
		return nil, Refuse(otherwise, "", fmt.Errorf("%w: %w", errInactive, err))
	case err != nil:
		return nil, fmt.Errorf("verify access token: %w", err)
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	id, err := a.bearer(ctx, view, s, c.Bearer, also...)
	switch {
	case errors.Is(err, errInactive):
		return nil, Refuse(otherwise, "", err)
	case err != nil:
		return nil, err
	}
	c.Client = id.client
	return id, nil
}

// subjectOf returns the subject id of an owner or requester named by id, username
// or client_id of the resource server, and "" for nobody.
func (p *Protection) subjectOf(ctx context.Context, view View, name string) (string, error) {
	if name == p.server.ID || name == p.server.UUID {
		return p.server.UUID, nil
	}
	return p.userOf(ctx, view, name)
}

// userOf returns the subject id of a user named by id or username, and "" for
// nobody.
func (p *Protection) userOf(ctx context.Context, view View, name string) (string, error) {
	u, err := view.User(ctx, p.snap.Realm.Key, name)
	if errors.Is(err, ErrNotFound) {
		u, err = view.UserByName(ctx, p.snap.Realm.Key, name)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read user: %w", err)
	}
	return u.ID, nil
}

// nameOf is how representations call an owner.
func (p *Protection) nameOf(ctx context.Context, view View, subject string) (string, error) {
	names, err := p.namesOf(ctx, view, []string{subject})
	return names[subject], err
}

func (p *Protection) namesOf(ctx context.Context, view View, subjects []string) (map[string]string, error) {
	names, err := view.Usernames(ctx, p.snap.Realm.Key, subjects)
	if err != nil {
		return nil, fmt.Errorf("read usernames: %w", err)
	}
	for _, id := range subjects {
		if c := p.snap.ByUUID[id]; c != nil {
			names[id] = c.ID
		}
	}
	return names, nil
}
