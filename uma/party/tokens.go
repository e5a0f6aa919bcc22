package party

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// Tokens are what a sign-in, a refresh or a UMA grant gives to a client. Only Access is
// always there.
type Tokens struct {
	Access, Refresh, ID string

	// For how many seconds the access token and the refresh token are valid.
	AccessExpiresIn, RefreshExpiresIn int64

	Session string // id
	Scope   string
	RPT     bool // the access token is an RPT
}

// BasicACR is the acr of a sign-in with a password or a secret.
const BasicACR = "1"

// GrantedScope returns the scopes that a sign-in is granted of those it asks for: openid,
// the scopes that the client is registered for, and uma_protection if the subject has that
// role of the client. Others are ignored (RFC 6749 §3.3).
func GrantedScope(i *Identity, asked string) string {
	granted := []string{"profile", "email"}
	_, clientRoles, _ := i.Roles()
	for _, name := range strings.Fields(asked) {
		switch {
		case slices.Contains(granted, name):
		case name == "openid":
			granted = append([]string{name}, granted...)
		case name == ProtectionScope: // a client that is registered for a scope of that name does not have the role by that
			if slices.Contains(clientRoles[i.Client.ID], ProtectionScope) {
				granted = append(granted, name)
			}
		case slices.Contains(i.Client.Scopes, uma.Scope(name)):
			granted = append(granted, name)
		}
	}
	return strings.Join(granted, " ")
}

// RPTLifetime is the lifetime of an RPT: the realm's, or the shortest that the policy set.
func RPTLifetime(snap *uma.Snapshot, grants []uma.Grant) time.Duration {
	d := snap.Realm.Lifetimes.RPT
	for _, g := range grants {
		if g.TTL > 0 {
			d = min(d, time.Duration(g.TTL)*time.Second)
		}
	}
	return d
}

// AccessClaims are the claims of an ordinary access token of an identity.
func (s *Service) AccessClaims(snap *uma.Snapshot, i *Identity, scope string, lifetime time.Duration) *uma.Claims {
	now := s.Now()
	roles, clientRoles, groups := i.Roles()
	c := &uma.Claims{
		ID: s.NewSerial(), Issuer: s.PublicURL.Realm(snap), Subject: i.Subject, Type: uma.TypeBearer,
		AuthorizedParty: i.Client.ID, ClientID: i.Client.ID, ACR: BasicACR, Scope: scope,
		Groups: groups, Username: i.Username(), AllowedOrigins: i.Client.WebOrigins,
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(),
		Extra: i.standardClaims(),
	}
	if i.Trusted != nil {
		c.ACR, c.AuthTime, c.GroupsKnown = i.Trusted.ACR, i.Trusted.AuthTime, i.Trusted.GroupsKnown
		c.SubjectID, c.SubjectVersion, c.Application = i.SubjectID(), i.User.Version, i.Trusted.Application
		c.Expires = min(c.Expires, i.Trusted.Expires)
	}
	if len(roles) > 0 {
		c.RealmAccess = &uma.RoleSet{Roles: roles}
	}
	c.Audience = uma.Audience{accountAudience}
	for _, id := range slices.Sorted(maps.Keys(clientRoles)) {
		if len(clientRoles[id]) == 0 {
			continue
		}
		if c.ResourceAccess == nil {
			c.ResourceAccess = map[string]uma.RoleSet{}
		}
		c.ResourceAccess[id] = uma.RoleSet{Roles: clientRoles[id]}
		if server := snap.Clients[id]; server != nil && server.ResourceServer && id != i.Client.ID {
			c.Audience = append(c.Audience, id)
		}
	}
	if i.Session != nil {
		c.SessionID = i.Session.ID
		c.AuthTime = i.Session.Started.Unix()
		c.Expires = min(c.Expires, i.Session.Expires.Unix())
	}
	return c
}

// standardNames are the claims of OpenID Connect Core §5.1 that may come from a
// user's attributes: those that userinfo and tokens show.
var standardNames = []string{
	"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website", "email",
	"email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number", "phone_number_verified",
	"address", "updated_at",
}

func standardClaims(attributes map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range standardNames {
		if v, ok := attributes[name]; ok {
			out[name] = v
		}
	}
	return out
}

// NewRefresh makes a refresh token of the identity's session. It is valid for the realm's
// lifetime from now, but not longer than the session.
func (s *Service) NewRefresh(snap *uma.Snapshot, i *Identity, scope string) (row *uma.RefreshToken, handle string) {
	now := s.Now()
	expires := now.Add(snap.Realm.Lifetimes.Refresh)
	if i.Session.Expires.Before(expires) {
		expires = i.Session.Expires
	}
	handle = uma.NewHandle(now)
	return &uma.RefreshToken{
		Hash: uma.Digest(handle), SessionID: i.Session.ID, Client: i.Client.ID, Scope: scope, Expires: expires,
	}, handle
}

// RefreshClaims are the claims of the JWT around a refresh token's handle.
func (s *Service) RefreshClaims(snap *uma.Snapshot, i *Identity, row *uma.RefreshToken, handle string) *uma.Claims {
	now, url := s.Now(), s.PublicURL.Realm(snap)
	return &uma.Claims{
		ID: s.NewSerial(), Issuer: url, Audience: uma.Audience{url}, Subject: i.Subject, Type: uma.TypeRefresh,
		AuthorizedParty: row.Client, SessionID: row.SessionID, Scope: row.Scope, Handle: handle,
		IssuedAt: now.Unix(), Expires: row.Expires.Unix(),
	}
}

// Respond signs the tokens of an answer, when a worker is free.
func (s *Service) Respond(ctx context.Context, snap *uma.Snapshot, access, refresh *uma.Claims) (*Tokens, error) {
	return workers.Do(ctx, &s.signatures, 0, nil, func() (*Tokens, error) { return s.sign(ctx, snap, access, refresh) })
}

// SignOne signs one token, when a worker is free.
func (s *Service) SignOne(ctx context.Context, snap *uma.Snapshot, claims *uma.Claims) (string, error) {
	return workers.Do(ctx, &s.signatures, 0, nil, func() (string, error) { return s.Issuer.Sign(ctx, snap, claims) })
}

// sign signs an access token, a refresh token if there are claims for one, and an ID token
// if the scope has openid.
func (s *Service) sign(ctx context.Context, snap *uma.Snapshot, access, refresh *uma.Claims) (*Tokens, error) {
	token, err := s.Issuer.Sign(ctx, snap, access)
	if err != nil {
		return nil, fmt.Errorf("sign access token: %w", err)
	}
	now := s.Now()
	tokens := &Tokens{
		Access: token, AccessExpiresIn: access.Expires - now.Unix(),
		Session: access.SessionID, Scope: access.Scope, RPT: access.Authorization != nil,
	}
	if refresh != nil {
		if tokens.Refresh, err = s.Issuer.SignOwn(ctx, snap, refresh); err != nil {
			return nil, fmt.Errorf("sign refresh token: %w", err)
		}
		tokens.RefreshExpiresIn = refresh.Expires - now.Unix()
	}
	if access.Authorization == nil && access.SessionID != "" && slices.Contains(strings.Fields(access.Scope), "openid") {
		claims := idClaims(s.NewSerial(), access)
		claims.AccessTokenHash = accessTokenHash(snap.Realm.SigningAlg, token)
		if tokens.ID, err = s.Issuer.Sign(ctx, snap, claims); err != nil {
			return nil, fmt.Errorf("sign id token: %w", err)
		}
	}
	return tokens, nil
}

// idClaims are the claims of the ID token that is issued with an access token (OpenID
// Connect Core §2).
func idClaims(jti string, access *uma.Claims) *uma.Claims {
	return &uma.Claims{
		ID: jti, Issuer: access.Issuer, Audience: uma.Audience{access.AuthorizedParty}, Subject: access.Subject,
		Type: uma.TypeID, AuthorizedParty: access.AuthorizedParty, SessionID: access.SessionID, ACR: access.ACR,
		AuthTime: access.AuthTime, Username: access.Username, IssuedAt: access.IssuedAt, Expires: access.Expires,
		Extra: access.Extra,
	}
}

// accessTokenHash is at_hash (OpenID Connect Core §3.1.3.6): the first half of a hash of
// the access token. The hash is that of the algorithm which signs the ID token; EdDSA's is
// SHA-512, as in Ed25519.
func accessTokenHash(alg, token string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}
