package protection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A Protection is a caller of the protection API, as its PAT says (FedAuthz
// §1.3).
type Caller struct {
	Snap     *uma.Snapshot
	Server   *uma.Client // the resource server
	Identity *party.Identity
}

// isServer reports whether the caller is the resource server itself, by its
// service account.
func (p *Caller) isServer() bool { return p.Identity.Subject == p.Server.UUID }

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
func PAT(s *uma.Snapshot, id *party.Identity, rule PATRule) (*Caller, error) {
	switch {
	case id.Restricted() && rule == WithScope: // good, but not for this (RFC 6750 §3.1)
		return nil, uma.Refuse(uma.NoProtectionScope, "", nil)
	case id.Restricted():
		return nil, uma.Refuse(uma.NoPAT, "", party.ErrElsewhere)
	case !id.Client.ResourceServer:
		return nil, uma.Refuse(uma.NotAResourceServer, "Client application ["+id.Client.ID+"] is not registered as a resource server.", nil)
	case rule == WithRole && !id.Protects(), rule == WithScope && !slices.Contains(id.Scopes(), party.ProtectionScope):
		return nil, uma.Refuse(uma.NoProtectionScope, "Requires uma_protection scope.", nil)
	}
	return &Caller{Snap: s, Server: id.Client, Identity: id}, nil
}

// subjectOf returns the subject id of an owner or requester named by id, username
// or client_id of the resource server, and "" for nobody.
func (p *Caller) subjectOf(ctx context.Context, view uma.View, name string) (string, error) {
	if name == p.Server.ID || name == p.Server.UUID {
		return p.Server.UUID, nil
	}
	return p.userOf(ctx, view, name)
}

// userOf returns the subject id of a user named by id or username, and "" for
// nobody.
func (p *Caller) userOf(ctx context.Context, view uma.View, name string) (string, error) {
	u, err := view.User(ctx, p.Snap.Realm.Key, name)
	if errors.Is(err, uma.ErrNotFound) {
		u, err = view.UserByName(ctx, p.Snap.Realm.Key, name)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read user: %w", err)
	}
	return u.ID, nil
}

// nameOf is how representations call an owner.
func (p *Caller) nameOf(ctx context.Context, view uma.View, subject string) (string, error) {
	names, err := p.namesOf(ctx, view, []string{subject})
	return names[subject], err
}

func (p *Caller) namesOf(ctx context.Context, view uma.View, subjects []string) (map[string]string, error) {
	names, err := view.Usernames(ctx, p.Snap.Realm.Key, subjects)
	if err != nil {
		return nil, fmt.Errorf("read usernames: %w", err)
	}
	for _, id := range subjects {
		if c := p.Snap.ByUUID[id]; c != nil {
			names[id] = c.ID
		}
	}
	return names, nil
}

// OnlyOwner is the subject id of the user who calls: introspection tells it only of
// permissions for what it owns. It is "" for the resource server itself.
func (p *Caller) OnlyOwner() string {
	if p.isServer() {
		return ""
	}
	return p.Identity.Subject
}
