package party

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// revokeWithin revokes the access token in an RPT along with that.
func (a *Service) RevokeWithin(ctx context.Context, s *uma.Snapshot, rpt *uma.Claims) error {
	if rpt.AccessToken == "" {
		return nil
	}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), rpt.AccessToken)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil // its key is gone, so nobody accepts it
	case err != nil:
		return fmt.Errorf("verify access token: %w", err)
	}
	if err := a.Store.Revoke(ctx, s.Realm.Key, claims.ID, uma.FromUnix(claims.Expires)); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// ClientCredentials is the grant by which a client obtains a token of its own
// service account (RFC 6749 §4.4). It has no session and no refresh token.
func (a *Service) ClientCredentials(ctx context.Context, s *uma.Snapshot, client *uma.Client, scope string) (*Tokens, error) {
	id, err := ServiceAccount(client)
	if err != nil {
		return nil, err
	}
	claims := a.AccessClaims(s, id, GrantedScope(id, scope), s.Realm.Lifetimes.Access)
	return a.Respond(ctx, s, claims, nil)
}

// ServiceAccount is the client itself, as its service account.
func ServiceAccount(client *uma.Client) (*Identity, error) {
	switch {
	case client.Public:
		return nil, uma.Refuse(uma.UnauthorizedClient, "Public client not allowed to retrieve service account", nil)
	case !client.ServiceAccount:
		return nil, uma.Refuse(uma.UnauthorizedClient, "Client not enabled to retrieve service account", nil)
	}
	return &Identity{Subject: client.UUID, Client: client, Claims: &uma.Claims{}}, nil
}

// Password is the resource owner password credentials grant (RFC 6749 §4.3), for
// clients that the realm allows it to. With the scope openid there is an ID
// token too.
func (a *Service) Password(ctx context.Context, s *uma.Snapshot, client *uma.Client, from uma.Attempt, username, password, scope string) (*Tokens, error) {
	switch {
	case !client.PasswordGrant:
		return nil, uma.Refuse(uma.UnauthorizedClient, "Client not allowed for direct access grants", nil)
	case username == "":
		return nil, uma.Refuse(uma.InvalidRequest, "Missing parameter: username", nil)
	}
	user, err := a.checkPassword(ctx, s, from, username, password)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	id := &Identity{Subject: user.ID, User: user, Client: client, Claims: &uma.Claims{}}
	id.Session = &uma.Session{
		ID: a.NewID(), User: user.ID, Client: client.ID, Scope: GrantedScope(id, scope),
		Started: now, Expires: now.Add(s.Realm.Lifetimes.Session),
	}
	refresh, handle := a.NewRefresh(s, id, id.Session.Scope)
	if err := a.Store.StartSession(ctx, s.Realm.Key, id.Session, refresh); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	claims := a.AccessClaims(s, id, id.Session.Scope, s.Realm.Lifetimes.Access)
	return a.Respond(ctx, s, claims, a.RefreshClaims(s, id, refresh, handle))
}

// checkPassword returns the user with that name and password. An unknown user
// takes as long as a wrong password.
func (a *Service) checkPassword(ctx context.Context, s *uma.Snapshot, from uma.Attempt, username, password string) (*uma.User, error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	user, err := view.UserByName(ctx, s.Realm.Key, username)
	uma.CloseView(view, &err)
	if errors.Is(err, uma.ErrNotFound) {
		user, err = &uma.User{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	same, err := a.Hasher.CheckPassword(ctx, from, user.Password, password)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check password: %w", err)
	case !same:
		return nil, uma.Refuse(uma.InvalidGrant, "Invalid user credentials", nil)
	case !user.Enabled:
		return nil, uma.Refuse(uma.InvalidGrant, "Account disabled", nil)
	}
	return user, nil
}

// newRefresh makes a refresh token of the party's session. It slides, up to the
// session's end.
func (a *Service) NewRefresh(s *uma.Snapshot, i *Identity, scope string) (row *uma.RefreshToken, handle string) {
	expires := a.Now().Add(s.Realm.Lifetimes.Refresh)
	if i.Session.Expires.Before(expires) {
		expires = i.Session.Expires
	}
	handle = uma.NewSecret()
	return &uma.RefreshToken{
		Hash: uma.Digest(handle), SessionID: i.Session.ID, Client: i.Client.ID, Scope: scope, Expires: expires,
	}, handle
}

func (a *Service) RefreshClaims(s *uma.Snapshot, i *Identity, row *uma.RefreshToken, handle string) *uma.Claims {
	now, url := a.Now(), a.PublicURL.Realm(s)
	return &uma.Claims{
		ID: a.NewSerial(), Issuer: url, Audience: uma.Audience{url}, Subject: i.Subject, Type: uma.TypeRefresh,
		AuthorizedParty: row.Client, SessionID: row.SessionID, Scope: row.Scope, Handle: handle,
		IssuedAt: now.Unix(), Expires: row.Expires.Unix(),
	}
}

// respond signs the tokens of an answer, in a worker.
func (a *Service) Respond(ctx context.Context, s *uma.Snapshot, access, refresh *uma.Claims) (*Tokens, error) {
	return workers.Do(ctx, &a.signatures, 0, nil, func() (*Tokens, error) { return a.sign(ctx, s, access, refresh) })
}

// signOne signs one token, when a worker is free.
func (a *Service) SignOne(ctx context.Context, s *uma.Snapshot, claims *uma.Claims) (string, error) {
	return workers.Do(ctx, &a.signatures, 0, nil, func() (string, error) { return a.Issuer.Sign(ctx, s, claims) })
}

// sign signs an access token, its refresh token if there is one, and an ID token
// if the scope has openid.
func (a *Service) sign(ctx context.Context, s *uma.Snapshot, access, refresh *uma.Claims) (*Tokens, error) {
	token, err := a.Issuer.Sign(ctx, s, access)
	if err != nil {
		return nil, fmt.Errorf("sign access token: %w", err)
	}
	now := a.Now()
	res := &Tokens{
		Access: token, AccessExpiresIn: access.Expires - now.Unix(),
		Session: access.SessionID, Scope: access.Scope, RPT: access.Authorization != nil,
	}
	if refresh != nil {
		if res.Refresh, err = a.Issuer.SignOwn(ctx, s, refresh); err != nil {
			return nil, fmt.Errorf("sign refresh token: %w", err)
		}
		res.RefreshExpiresIn = refresh.Expires - now.Unix()
	}
	if access.Authorization == nil && access.SessionID != "" && slices.Contains(strings.Fields(access.Scope), "openid") {
		claims := idClaims(a.NewSerial(), access)
		claims.AccessTokenHash = accessTokenHash(s.Realm.SigningAlg, token)
		if res.ID, err = a.Issuer.Sign(ctx, s, claims); err != nil {
			return nil, fmt.Errorf("sign id token: %w", err)
		}
	}
	return res, nil
}

// idClaims are those of the ID token that goes with an access token (OpenID
// Connect Core §2).
func idClaims(jti string, access *uma.Claims) *uma.Claims {
	return &uma.Claims{
		ID: jti, Issuer: access.Issuer, Audience: uma.Audience{access.AuthorizedParty}, Subject: access.Subject,
		Type: uma.TypeID, AuthorizedParty: access.AuthorizedParty, SessionID: access.SessionID, ACR: access.ACR,
		AuthTime: access.AuthTime, Username: access.Username, IssuedAt: access.IssuedAt, Expires: access.Expires,
		Extra: access.Extra,
	}
}

// accessTokenHash is at_hash (OpenID Connect Core §3.1.3.6): half a hash of the access
// token, that of the algorithm which signs the ID token. For EdDSA it is Ed25519's own.
func accessTokenHash(alg, token string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}

// Refresh trades a refresh token for new tokens (RFC 6749 §6). A used one ends
// its session. Permissions of an RPT are kept without assessment (§3.6), and
// only while all that they rest on is as it was (§6.1).
func (a *Service) Refresh(ctx context.Context, s *uma.Snapshot, client *uma.Client, token, scope string) (*Tokens, error) {
	r, err := a.ReadRefresh(ctx, s, client, token)
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(scope) {
		if !slices.Contains(strings.Fields(r.row.Scope), name) {
			return nil, uma.Refuse(uma.InvalidScope, "Invalid scopes: the refresh token does not have them all", nil)
		}
	}
	next, handle := a.NewRefresh(s, r.id, GrantedScope(r.id, r.row.Scope))
	lifetime := s.Realm.Lifetimes.Access
	if r.rpt != nil {
		lifetime = RptLifetime(s, r.rpt.Permissions)
	}
	// The access token may have less than was granted, the refresh token keeps it.
	access := a.AccessClaims(s, r.id, GrantedScope(r.id, cmp.Or(scope, r.row.Scope)), lifetime)
	var rpt *uma.RPT
	if r.rpt != nil {
		rpt = renew(s, r.rpt, access, next)
	}
	switch err := a.Store.Rotate(ctx, s.Realm.Key, r.row.Hash, next, rpt, a.Now()); {
	case errors.Is(err, uma.ErrSpent), errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.InvalidGrant, "Session not active", err)
	case err != nil:
		return nil, fmt.Errorf("rotate refresh token: %w", err)
	}
	return a.Respond(ctx, s, access, a.RefreshClaims(s, r.id, next, handle))
}

// renew turns the claims of an access token into those of an RPT that grants
// what a former one did, and returns its row.
func renew(s *uma.Snapshot, old *uma.RPT, access *uma.Claims, refresh *uma.RefreshToken) *uma.RPT {
	row := *old
	access.Audience = uma.Audience{s.ByKey[old.Server].ID}
	access.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(old.Permissions)}
	row.Family = cmp.Or(old.Family, old.JTI)
	row.JTI, row.Expires, row.Keep = access.ID, uma.FromUnix(access.Expires), refresh.Expires
	refresh.RPT = row.JTI
	return &row
}

// A refreshing is a refresh token that may be used, and what it stands for.
type refreshing struct {
	id  *Identity
	row *uma.RefreshToken
	rpt *uma.RPT // nil for a plain one
}

// readRefresh returns what a client's refresh token stands for. That a used one
// ends its session is left to Store.Rotate.
func (a *Service) ReadRefresh(ctx context.Context, s *uma.Snapshot, client *uma.Client, token string) (_ *refreshing, err error) {
	claims, err := a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), token)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, uma.Refuse(uma.InvalidGrant, "Invalid refresh token", err)
	case err != nil:
		return nil, fmt.Errorf("verify refresh token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil, uma.Refuse(uma.InvalidGrant, "Invalid refresh token. Token client and authorized client don't match", nil)
	case claims.Expires <= a.Now().Unix():
		return nil, uma.Refuse(uma.InvalidGrant, "Token is not active", nil)
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	r := &refreshing{}
	var spent bool
	r.row, spent, err = view.RefreshToken(ctx, s.Realm.Key, uma.Digest(claims.Handle), a.Now())
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.InvalidGrant, "Session not active", err)
	case err != nil:
		return nil, fmt.Errorf("read refresh token: %w", err)
	}
	r.id, err = a.Identify(ctx, view, s, claims)
	switch {
	case errors.Is(err, ErrInactive):
		return nil, uma.Refuse(uma.InvalidGrant, "Session not active", err)
	case err != nil:
		return nil, err
	}
	if r.row.RPT == "" || spent {
		return r, nil
	}
	r.rpt, err = a.unmoved(ctx, view, s, r)
	return r, err
}

// unmoved returns the RPT of a refresh token if all that it rests on is as it
// was, under the policy revision that granted it. Else the client repeats the
// grant.
func (a *Service) unmoved(ctx context.Context, view uma.View, s *uma.Snapshot, r *refreshing) (*uma.RPT, error) {
	moved := uma.Refuse(uma.InvalidGrant, "What the token rests on has changed: ask for the permissions again", nil)
	rpt, err := view.RPT(ctx, s.Realm.Key, r.row.RPT)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, moved
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	policy, err := uma.PreparePolicy(ctx, a.Policy, s)
	if err != nil {
		return nil, err
	}
	switch server := s.ByKey[rpt.Server]; {
	case server == nil || !server.Enabled || !server.ResourceServer,
		rpt.Revision != policy.Revision(),
		rpt.Generation != s.Realm.Generation,
		r.id.User != nil && rpt.UserVersion != r.id.User.Version:
		return nil, moved
	}
	now, err := readStanding(ctx, view, rpt)
	if err != nil {
		return nil, err
	}
	for _, g := range rpt.Permissions {
		if !now.unmoved(g) {
			return nil, moved
		}
	}
	return rpt, nil
}

// Revoke makes a token inactive (RFC 7009): an access token or RPT itself, a
// refresh token with its session. It does nothing to a token that is not the
// client's own, and does not say so.
func (a *Service) Revoke(ctx context.Context, s *uma.Snapshot, client *uma.Client, token string) error {
	if token == "" {
		return uma.Refuse(uma.InvalidRequest, "Token not provided", nil)
	}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), token)
	if err == nil {
		if claims.AuthorizedParty != client.ID {
			return nil
		}
		if err := a.Store.Revoke(ctx, s.Realm.Key, claims.ID, uma.FromUnix(claims.Expires)); err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		return a.RevokeWithin(ctx, s, claims)
	}
	if errors.Is(err, uma.ErrUnverified) {
		claims, err = a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), token)
	}
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil
	case err != nil:
		return fmt.Errorf("verify token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil
	}
	return a.endSession(ctx, s, claims.SessionID)
}

// Logout ends the session of a client's refresh token.
func (a *Service) Logout(ctx context.Context, s *uma.Snapshot, client *uma.Client, refreshToken string) error {
	claims, err := a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), refreshToken)
	if err != nil && !errors.Is(err, uma.ErrUnverified) {
		return fmt.Errorf("verify refresh token: %w", err)
	}
	if err != nil || claims.AuthorizedParty != client.ID {
		return uma.Refuse(uma.InvalidGrant, "Invalid refresh token", err)
	}
	return a.endSession(ctx, s, claims.SessionID)
}

// LogoutByHint ends the session of an ID token (OpenID Connect RP-Initiated
// Logout §2). An expired one will do.
func (a *Service) LogoutByHint(ctx context.Context, s *uma.Snapshot, idTokenHint string) error {
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), idTokenHint)
	if err != nil && !errors.Is(err, uma.ErrUnverified) {
		return fmt.Errorf("verify id token: %w", err)
	}
	if err != nil || claims.Type != uma.TypeID {
		return uma.Refuse(uma.InvalidRequest, "Invalid parameter: id_token_hint", err)
	}
	return a.endSession(ctx, s, claims.SessionID)
}

func (a *Service) endSession(ctx context.Context, s *uma.Snapshot, id string) error {
	if err := a.Store.EndSession(ctx, s.Realm.Key, id); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// UserInfo returns the claims of the user, or the service account, of an access
// token with the scope openid (OpenID Connect Core §5.3).
func UserInfo(id *Identity) (map[string]any, error) {
	if id.Restricted() || !slices.Contains(strings.Fields(id.Claims.Scope), "openid") {
		return nil, uma.Refuse(uma.InsufficientScope, "Missing openid scope", nil)
	}
	info := standardClaims(id.Attributes())
	info["sub"], info["preferred_username"] = id.Subject, id.Username()
	return info, nil
}
