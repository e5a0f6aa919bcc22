package uma

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

	"example.com/umpire/workers"
)

// ClientCredentials is the grant by which a client obtains a token of its own
// service account (RFC 6749 §4.4). It has no session and no refresh token.
func (a *Authority) ClientCredentials(ctx context.Context, s *Snapshot, c *Caller, scope string) (*TokenResponse, error) {
	client, err := a.authenticate(ctx, s, c)
	if err != nil {
		return nil, err
	}
	id, err := service(client)
	if err != nil {
		return nil, err
	}
	claims := a.accessClaims(s, id, grantedScope(id, scope), s.Realm.Lifetimes.Access)
	return a.respond(ctx, s, claims, nil)
}

// service is the client itself, as its service account.
func service(client *Client) (*identity, error) {
	switch {
	case client.Public:
		return nil, Refuse(UnauthorizedClient, "Public client not allowed to retrieve service account", nil)
	case !client.ServiceAccount:
		return nil, Refuse(UnauthorizedClient, "Client not enabled to retrieve service account", nil)
	}
	return &identity{subject: client.UUID, client: client, claims: &Claims{}}, nil
}

// Password is the resource owner password credentials grant (RFC 6749 §4.3), for
// clients that the realm allows it to. With the scope openid there is an ID
// token too.
func (a *Authority) Password(ctx context.Context, s *Snapshot, c *Caller, username, password, scope string) (*TokenResponse, error) {
	client, err := a.authenticate(ctx, s, c)
	switch {
	case err != nil:
		return nil, err
	case !client.PasswordGrant:
		return nil, Refuse(UnauthorizedClient, "Client not allowed for direct access grants", nil)
	case username == "":
		return nil, Refuse(InvalidRequest, "Missing parameter: username", nil)
	}
	user, err := a.checkPassword(ctx, s, c.Attempt, username, password)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	id := &identity{subject: user.ID, user: user, client: client, claims: &Claims{}}
	id.session = &Session{
		ID: a.NewID(), User: user.ID, Client: client.ID, Scope: grantedScope(id, scope),
		Started: now, Expires: now.Add(s.Realm.Lifetimes.Session),
	}
	refresh, handle := a.newRefresh(s, id, id.session.Scope)
	if err := a.Store.StartSession(ctx, s.Realm.Key, id.session, refresh); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	claims := a.accessClaims(s, id, id.session.Scope, s.Realm.Lifetimes.Access)
	return a.respond(ctx, s, claims, a.refreshClaims(s, id, refresh, handle))
}

// checkPassword returns the user with that name and password. An unknown user
// takes as long as a wrong password.
func (a *Authority) checkPassword(ctx context.Context, s *Snapshot, from Attempt, username, password string) (*User, error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	user, err := view.UserByName(ctx, s.Realm.Key, username)
	closeView(view, &err)
	if errors.Is(err, ErrNotFound) {
		user, err = &User{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	same, err := a.Hasher.CheckPassword(ctx, from, user.Password, password)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check password: %w", err)
	case !same:
		return nil, Refuse(InvalidGrant, "Invalid user credentials", nil)
	case !user.Enabled:
		return nil, Refuse(InvalidGrant, "Account disabled", nil)
	}
	return user, nil
}

// newRefresh makes a refresh token of the party's session. It slides, up to the
// session's end.
func (a *Authority) newRefresh(s *Snapshot, i *identity, scope string) (row *RefreshToken, handle string) {
	expires := a.Now().Add(s.Realm.Lifetimes.Refresh)
	if i.session.Expires.Before(expires) {
		expires = i.session.Expires
	}
	handle = newSecret()
	return &RefreshToken{
		Hash: Digest(handle), SessionID: i.session.ID, Client: i.client.ID, Scope: scope, Expires: expires,
	}, handle
}

func (a *Authority) refreshClaims(s *Snapshot, i *identity, row *RefreshToken, handle string) *Claims {
	now, url := a.Now(), a.PublicURL.Realm(s)
	return &Claims{
		ID: a.NewSerial(), Issuer: url, Audience: Audience{url}, Subject: i.subject, Type: TypeRefresh,
		AuthorizedParty: row.Client, SessionID: row.SessionID, Scope: row.Scope, Handle: handle,
		IssuedAt: now.Unix(), Expires: row.Expires.Unix(),
	}
}

// respond signs the tokens of an answer, in a worker.
func (a *Authority) respond(ctx context.Context, s *Snapshot, access, refresh *Claims) (*TokenResponse, error) {
	return workers.Do(ctx, &a.signatures, 0, nil, func() (*TokenResponse, error) { return a.sign(ctx, s, access, refresh) })
}

// signOne signs one token, when a worker is free.
func (a *Authority) signOne(ctx context.Context, s *Snapshot, claims *Claims) (string, error) {
	return workers.Do(ctx, &a.signatures, 0, nil, func() (string, error) { return a.Issuer.Sign(ctx, s, claims) })
}

// sign signs an access token, its refresh token if there is one, and an ID token
// if the scope has openid.
func (a *Authority) sign(ctx context.Context, s *Snapshot, access, refresh *Claims) (*TokenResponse, error) {
	token, err := a.Issuer.Sign(ctx, s, access)
	if err != nil {
		return nil, fmt.Errorf("sign access token: %w", err)
	}
	now := a.Now()
	res := &TokenResponse{
		AccessToken: token, ExpiresIn: access.Expires - now.Unix(), TokenType: "Bearer",
		SessionState: access.SessionID, Scope: access.Scope, RPT: access.Authorization != nil,
	}
	if refresh != nil {
		if res.RefreshToken, err = a.Issuer.SignOwn(ctx, s, refresh); err != nil {
			return nil, fmt.Errorf("sign refresh token: %w", err)
		}
		res.RefreshExpiresIn = refresh.Expires - now.Unix()
	}
	if access.Authorization == nil && access.SessionID != "" && slices.Contains(strings.Fields(access.Scope), "openid") {
		claims := idClaims(a.NewSerial(), access)
		claims.AccessTokenHash = accessTokenHash(s.Realm.SigningAlg, token)
		if res.IDToken, err = a.Issuer.Sign(ctx, s, claims); err != nil {
			return nil, fmt.Errorf("sign id token: %w", err)
		}
	}
	return res, nil
}

// idClaims are those of the ID token that goes with an access token (OpenID
// Connect Core §2).
func idClaims(jti string, access *Claims) *Claims {
	return &Claims{
		ID: jti, Issuer: access.Issuer, Audience: Audience{access.AuthorizedParty}, Subject: access.Subject,
		Type: TypeID, AuthorizedParty: access.AuthorizedParty, SessionID: access.SessionID, ACR: access.ACR,
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
func (a *Authority) Refresh(ctx context.Context, s *Snapshot, c *Caller, token, scope string) (*TokenResponse, error) {
	client, err := a.authenticate(ctx, s, c)
	if err != nil {
		return nil, err
	}
	r, err := a.readRefresh(ctx, s, client, token)
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(scope) {
		if !slices.Contains(strings.Fields(r.row.Scope), name) {
			return nil, Refuse(InvalidScope, "Invalid scopes: the refresh token does not have them all", nil)
		}
	}
	next, handle := a.newRefresh(s, r.id, grantedScope(r.id, r.row.Scope))
	lifetime := s.Realm.Lifetimes.Access
	if r.rpt != nil {
		lifetime = rptLifetime(s, r.rpt.Permissions)
	}
	// The access token may have less than was granted, the refresh token keeps it.
	access := a.accessClaims(s, r.id, grantedScope(r.id, cmp.Or(scope, r.row.Scope)), lifetime)
	var rpt *RPT
	if r.rpt != nil {
		rpt = renew(s, r.rpt, access, next)
	}
	switch err := a.Store.Rotate(ctx, s.Realm.Key, r.row.Hash, next, rpt, a.Now()); {
	case errors.Is(err, ErrSpent), errors.Is(err, ErrNotFound):
		return nil, Refuse(InvalidGrant, "Session not active", err)
	case err != nil:
		return nil, fmt.Errorf("rotate refresh token: %w", err)
	}
	return a.respond(ctx, s, access, a.refreshClaims(s, r.id, next, handle))
}

// renew turns the claims of an access token into those of an RPT that grants
// what a former one did, and returns its row.
func renew(s *Snapshot, old *RPT, access *Claims, refresh *RefreshToken) *RPT {
	row := *old
	access.Audience = Audience{s.ByKey[old.Server].ID}
	access.Authorization = &Authorization{Permissions: granted(old.Permissions)}
	row.Family = cmp.Or(old.Family, old.JTI)
	row.JTI, row.Expires, row.Keep = access.ID, fromUnix(access.Expires), refresh.Expires
	refresh.RPT = row.JTI
	return &row
}

// A refreshing is a refresh token that may be used, and what it stands for.
type refreshing struct {
	id  *identity
	row *RefreshToken
	rpt *RPT // nil for a plain one
}

// readRefresh returns what a client's refresh token stands for. That a used one
// ends its session is left to Store.Rotate.
func (a *Authority) readRefresh(ctx context.Context, s *Snapshot, client *Client, token string) (_ *refreshing, err error) {
	claims, err := a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), token)
	switch {
	case errors.Is(err, ErrUnverified):
		return nil, Refuse(InvalidGrant, "Invalid refresh token", err)
	case err != nil:
		return nil, fmt.Errorf("verify refresh token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil, Refuse(InvalidGrant, "Invalid refresh token. Token client and authorized client don't match", nil)
	case claims.Expires <= a.Now().Unix():
		return nil, Refuse(InvalidGrant, "Token is not active", nil)
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	r := &refreshing{}
	var spent bool
	r.row, spent, err = view.RefreshToken(ctx, s.Realm.Key, Digest(claims.Handle), a.Now())
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, Refuse(InvalidGrant, "Session not active", err)
	case err != nil:
		return nil, fmt.Errorf("read refresh token: %w", err)
	}
	r.id, err = a.identify(ctx, view, s, claims)
	switch {
	case errors.Is(err, errInactive):
		return nil, Refuse(InvalidGrant, "Session not active", err)
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
func (a *Authority) unmoved(ctx context.Context, view View, s *Snapshot, r *refreshing) (*RPT, error) {
	moved := Refuse(InvalidGrant, "What the token rests on has changed: ask for the permissions again", nil)
	rpt, err := view.RPT(ctx, s.Realm.Key, r.row.RPT)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, moved
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	policy, err := a.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	switch server := s.ByKey[rpt.Server]; {
	case server == nil || !server.Enabled || !server.ResourceServer,
		rpt.Revision != policy.Revision(),
		rpt.Generation != s.Realm.Generation,
		r.id.user != nil && rpt.UserVersion != r.id.user.Version:
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
func (a *Authority) Revoke(ctx context.Context, s *Snapshot, c *Caller, token string) error {
	client, err := a.authenticate(ctx, s, c)
	if err != nil {
		return err
	}
	if token == "" {
		return Refuse(InvalidRequest, "Token not provided", nil)
	}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), token)
	if err == nil {
		if claims.AuthorizedParty != client.ID {
			return nil
		}
		if err := a.Store.Revoke(ctx, s.Realm.Key, claims.ID, fromUnix(claims.Expires)); err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		return a.revokeWithin(ctx, s, claims)
	}
	if errors.Is(err, ErrUnverified) {
		claims, err = a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), token)
	}
	switch {
	case errors.Is(err, ErrUnverified):
		return nil
	case err != nil:
		return fmt.Errorf("verify token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil
	}
	return a.endSession(ctx, s, claims.SessionID)
}

// Logout ends the session of a client's refresh token.
func (a *Authority) Logout(ctx context.Context, s *Snapshot, c *Caller, refreshToken string) error {
	client, err := a.authenticate(ctx, s, c)
	if err != nil {
		return err
	}
	claims, err := a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), refreshToken)
	if err != nil && !errors.Is(err, ErrUnverified) {
		return fmt.Errorf("verify refresh token: %w", err)
	}
	if err != nil || claims.AuthorizedParty != client.ID {
		return Refuse(InvalidGrant, "Invalid refresh token", err)
	}
	return a.endSession(ctx, s, claims.SessionID)
}

// LogoutByHint ends the session of an ID token (OpenID Connect RP-Initiated
// Logout §2). An expired one will do.
func (a *Authority) LogoutByHint(ctx context.Context, s *Snapshot, idTokenHint string) error {
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), idTokenHint)
	if err != nil && !errors.Is(err, ErrUnverified) {
		return fmt.Errorf("verify id token: %w", err)
	}
	if err != nil || claims.Type != TypeID {
		return Refuse(InvalidRequest, "Invalid parameter: id_token_hint", err)
	}
	return a.endSession(ctx, s, claims.SessionID)
}

func (a *Authority) endSession(ctx context.Context, s *Snapshot, id string) error {
	if err := a.Store.EndSession(ctx, s.Realm.Key, id); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// UserInfo returns the claims of the user, or the service account, of an access
// token with the scope openid (OpenID Connect Core §5.3).
func (a *Authority) UserInfo(ctx context.Context, s *Snapshot, c *Caller) (map[string]any, error) {
	id, err := a.presented(ctx, s, c, InvalidToken)
	if err != nil {
		return nil, err
	}
	if id.restricted() || !slices.Contains(strings.Fields(id.claims.Scope), "openid") {
		return nil, Refuse(InsufficientScope, "Missing openid scope", nil)
	}
	info := standardClaims(id.attributes())
	info["sub"], info["preferred_username"] = id.subject, id.username()
	return info, nil
}
