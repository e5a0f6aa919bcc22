package party

import (
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// ProtectionScope is the client role, and the scope, of callers that may use the
// protection API.
const ProtectionScope = "uma_protection"

// An Identity is the subject of a verified token: a requesting party, a user of the
// protection API, an owner.
type Identity struct {
	Subject string
	User    *uma.User   // nil for a service account
	Client  *uma.Client // that the token was issued to
	Claims  *uma.Claims // of the token
	Session *uma.Session

	// Trusted is what the token presented says of a party of a trusted issuer; nil for anybody
	// else. Its roles, groups, attributes and acr are there and not in User. For a token that
	// this server signed for a party it has what that token repeats.
	Trusted *uma.TrustedToken

	// Servers are the only resource servers that the token is valid for; nil for an
	// ordinary token.
	Servers []string
}

// Restricted reports whether the token is valid for some resource servers only.
func (i *Identity) Restricted() bool { return i.Servers != nil }

// IsPartial reports whether the token has not all that is known of its party: the RPT of a party of
// a trusted issuer, or the access token in one. Such a token identifies nobody.
func (i *Identity) IsPartial() bool { return i.Trusted != nil && i.Restricted() }

// Username is the name of the user, or of the client's service account.
func (i *Identity) Username() string {
	if i.User == nil {
		return i.Client.ServiceAccountName()
	}
	return i.User.Username
}

// Roles are the realm roles, the roles by client, and the groups that the subject has now.
func (i *Identity) Roles() (realm []string, ofClients map[string][]string, groups []string) {
	switch {
	case i.Trusted != nil: // roles of clients never come from outside
		return i.Trusted.Roles, nil, i.Trusted.Groups
	case i.User == nil:
		return i.Client.Roles, i.Client.ClientRoles, i.Client.Groups
	}
	return i.User.Roles, i.User.ClientRoles, i.User.Groups
}

// IsUser reports whether the subject is a person: not a service account, nor an application of
// a trusted issuer.
func (i *Identity) IsUser() bool {
	switch {
	case i.User == nil, i.Trusted != nil && i.Trusted.Application:
		return false
	}
	return i.User.Identity == nil || !i.User.Identity.Service
}

// SubjectID is the subject as a trusted issuer knows it: that of the token presented, else of the
// party's row. It is nil for anybody else.
func (i *Identity) SubjectID() *uma.SubjectID {
	switch {
	case i.Trusted != nil:
		return uma.SubjectIDOf(i.Trusted.Issuer.Issuer, i.Trusted.Subject)
	case i.User != nil && i.User.Identity != nil:
		return uma.SubjectIDOf(i.User.Identity.Issuer, i.User.Identity.Subject)
	}
	return nil
}

// GroupsKnown reports whether Roles has all groups of the subject. The row of a party has none.
func (i *Identity) GroupsKnown() bool {
	if i.Trusted != nil {
		return i.Trusted.GroupsKnown
	}
	return i.User == nil || i.User.Identity == nil
}

// Protects reports whether the subject may use the protection API of the token's client:
// the token has the role, and the subject still does.
func (i *Identity) Protects() bool {
	_, now, _ := i.Roles()
	return slices.Contains(i.Claims.ResourceAccess[i.Client.ID].Roles, ProtectionScope) && slices.Contains(now[i.Client.ID], ProtectionScope)
}

// HasRealmRole reports whether the token has a realm role that the subject still has.
func (i *Identity) HasRealmRole(role string) bool {
	now, _, _ := i.Roles()
	return i.Claims.RealmAccess != nil && slices.Contains(i.Claims.RealmAccess.Roles, role) && slices.Contains(now, role)
}

// Scopes are the scopes of the token that the subject would still be granted.
func (i *Identity) Scopes() []string { return strings.Fields(GrantedScope(i, i.Claims.Scope)) }

// Attributes are the claims of the user, or of the client as a service account; of a party of a
// trusted issuer the attributes that the realm maps.
func (i *Identity) Attributes() map[string]any {
	switch {
	case i.Trusted != nil:
		return i.Trusted.Attributes
	case i.User == nil:
		return i.Client.Claims
	}
	return i.User.Claims
}

// standardClaims are those of its attributes that tokens and userinfo show. No attribute is the
// e-mail address of a party of a trusted issuer, but what its token proves.
func (i *Identity) standardClaims() map[string]any {
	shown := standardClaims(i.Attributes())
	if i.Trusted == nil {
		return shown
	}
	delete(shown, "email")
	delete(shown, "email_verified")
	if i.Trusted.EmailVerified {
		shown["email"], shown["email_verified"] = i.Trusted.Email, true
	}
	return shown
}

// Party is the subject as shares name it: by its id, roles and groups, or by the client
// that asks.
func (i *Identity) Party(client string) *uma.Party {
	roles, clientRoles, groups := i.Roles()
	return uma.NewParty(i.Subject, roles, clientRoles, groups, client)
}

// ServiceAccount returns the identity of a client that asks for itself.
func ServiceAccount(client *uma.Client) (*Identity, error) {
	switch {
	case client.Public:
		return nil, uma.Reject(uma.UnauthorizedClient, uma.Fault{Kind: uma.PublicClientForItself, Client: client.ID}, nil)
	case !client.ServiceAccount:
		return nil, uma.Reject(uma.UnauthorizedClient, uma.Fault{Kind: uma.NoServiceAccount, Client: client.ID}, nil)
	}
	return &Identity{Subject: client.UUID, Client: client, Claims: &uma.Claims{}}, nil
}

// UserInfo returns the claims of the user, or the service account, of an access
// token with the scope openid (OpenID Connect Core §5.3).
func UserInfo(id *Identity) (map[string]any, error) {
	if id.Restricted() || !slices.Contains(strings.Fields(id.Claims.Scope), "openid") {
		return nil, uma.Reject(uma.InsufficientScope, uma.Fault{Kind: uma.NoOpenIDScope}, nil)
	}
	info := id.standardClaims()
	info["sub"], info["preferred_username"] = id.Subject, id.Username()
	return info, nil
}
