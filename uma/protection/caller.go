package protection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A Caller is who calls the protection API, as its PAT says (FedAuthz §1.3).
type Caller struct {
	Snap     *uma.Snapshot
	Server   *uma.Client // the resource server
	Identity *party.Identity
	Rules    Rules // of the face that it calls
}

// Admit returns the caller whom an access token speaks for, if it is a PAT: a token
// issued to a resource server's client, for its service account or for a user. An RPT is
// none. A role or scope counts while the token has it and the user, or the client, still
// has the role.
func Admit(snap *uma.Snapshot, id *party.Identity, rules Rules) (*Caller, error) {
	rule := rules.PAT
	switch {
	case id.Restricted() && rule == WithScope: // good, but not for this (RFC 6750 §3.1)
		return nil, uma.Reject(uma.NoProtectionScope, uma.Fault{}, nil)
	case id.Restricted():
		return nil, uma.Reject(uma.NoPAT, uma.Fault{}, party.ErrElsewhere)
	case rule == OfServiceAccount && id.User != nil:
		return nil, uma.Reject(uma.ResourceServerBad, uma.Fault{Kind: uma.NotServiceAccount, User: id.Subject, Name: snap.Realm.Name}, nil)
	case !id.Client.ResourceServer:
		return nil, uma.Reject(uma.NotAResourceServer, uma.Fault{Kind: uma.NotResourceServer, Client: id.Client.ID}, nil)
	case !hasProtection(id, rule):
		return nil, uma.Reject(uma.NoProtectionScope, uma.Fault{}, nil)
	}
	return &Caller{Snap: snap, Server: id.Client, Identity: id, Rules: rules}, nil
}

// hasProtection reports whether a token has the role or the scope that a rule asks for.
func hasProtection(id *party.Identity, rule PATRule) bool {
	switch rule {
	case WithRole, OfServiceAccount:
		return id.Protects()
	case WithScope:
		return slices.Contains(id.Scopes(), party.ProtectionScope)
	}
	return true
}

// isServer reports whether the caller is the resource server itself, by its
// service account.
func (c *Caller) isServer() bool { return c.Identity.Subject == c.Server.UUID }

// manages reports whether the caller may manage a resource of the resource server: the
// resource server may manage all of them, a user those that it owns.
func (c *Caller) manages(r *uma.Resource) bool {
	return c.isServer() || r.Owner == c.Identity.Subject
}

// subjectID returns the subject id of an owner or requester named by id, by username
// or, if it is the resource server, by client_id; and "" for nobody.
func (c *Caller) subjectID(ctx context.Context, view uma.View, name string) (string, error) {
	if name == c.Server.ID || name == c.Server.UUID {
		return c.Server.UUID, nil
	}
	return c.userID(ctx, view, name)
}

// userID returns the subject id of a user named by id or username, and "" for nobody.
func (c *Caller) userID(ctx context.Context, view uma.View, name string) (string, error) {
	u, err := view.User(ctx, c.Snap.Realm.Key, name)
	if errors.Is(err, uma.ErrNotFound) {
		u, err = view.UserByName(ctx, c.Snap.Realm.Key, name)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read user: %w", err)
	}
	return u.ID, nil
}

// names returns the usernames and client_ids that belong to subject ids.
func (c *Caller) names(ctx context.Context, view uma.View, subjects []string) (map[string]string, error) {
	names, err := view.Usernames(ctx, c.Snap.Realm.Key, subjects)
	if err != nil {
		return nil, fmt.Errorf("read usernames: %w", err)
	}
	for _, id := range subjects {
		if client := c.Snap.ByUUID[id]; client != nil {
			names[id] = client.ID
		}
	}
	return names, nil
}

// OnlyOwner is the subject id of the user who calls: introspection tells it only of
// permissions for what it owns. It is "" for the resource server itself.
func (c *Caller) OnlyOwner() string {
	if c.isServer() {
		return ""
	}
	return c.Identity.Subject
}
