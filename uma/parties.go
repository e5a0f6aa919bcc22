package uma

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// accountAudience is the audience of every ordinary access token. A token without it
// was made for somebody else's eyes, such as an RPT: it speaks only for the
// resource servers that it names.
const accountAudience = "account"

// protectionScope is the client role, and the scope, of those who may use the
// protection API.
const protectionScope = "uma_protection"

// An identity is a requesting party or a user of the protection API, as a
// verified token says.
type identity struct {
	subject string
	user    *User   // nil for a service account
	client  *Client // that the token was issued to
	claims  *Claims // of the token
	session *Session

	// servers are the only resource servers that the token speaks for; nil for
	// an ordinary token.
	servers []string
}

// restricted reports whether the token speaks for some resource servers only.
func (i *identity) restricted() bool { return i.servers != nil }

func (i *identity) username() string {
	if i.user == nil {
		return i.client.ServiceAccountName()
	}
	return i.user.Username
}

func (i *identity) roles() ([]string, map[string][]string, []string) {
	if i.user == nil {
		return i.client.Roles, i.client.ClientRoles, i.client.Groups
	}
	return i.user.Roles, i.user.ClientRoles, i.user.Groups
}

// protects reports whether the party may use the protection API of the token's client:
// the token has the role, and the party still does.
func (i *identity) protects() bool {
	_, now, _ := i.roles()
	return slices.Contains(i.claims.ResourceAccess[i.client.ID].Roles, protectionScope) && slices.Contains(now[i.client.ID], protectionScope)
}

// scopes are those of the token that the party would still be granted.
func (i *identity) scopes() []string { return strings.Fields(grantedScope(i, i.claims.Scope)) }

func (i *identity) attributes() map[string]any {
	if i.user == nil {
		return i.client.Claims
	}
	return i.user.Claims
}

// party is who shares may be for.
func (i *identity) party(client string) *Party {
	roles, clientRoles, groups := i.roles()
	p := &Party{ID: i.subject, Roles: make([]string, 0, len(roles)+8), Groups: groups, Client: client}
	p.Roles = append(p.Roles, roles...)
	for c, names := range clientRoles {
		for _, name := range names {
			p.Roles = append(p.Roles, c+"/"+name)
		}
	}
	return p
}

// errInactive is a token that is not, or no longer, good for anything.
var errInactive = errors.New("token is not active")

// errElsewhere is a token that is good, but not for this.
var errElsewhere = fmt.Errorf("%w: made for somebody else", errInactive)

// bearer returns whom an access token speaks for. errInactive, or an error that
// wraps it, says that the token is no good; any other is this server's trouble. It
// may also be of other types, if the caller takes them.
func (a *Authority) bearer(ctx context.Context, view View, s *Snapshot, raw string, also ...string) (*identity, error) {
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), raw)
	switch {
	case errors.Is(err, ErrUnverified):
		return nil, fmt.Errorf("%w: %w", errInactive, err)
	case err != nil:
		return nil, fmt.Errorf("verify access token: %w", err)
	}
	if claims.Type != TypeBearer && !slices.Contains(also, claims.Type) {
		return nil, fmt.Errorf("%w: not an access token", errInactive)
	}
	if claims.Expires <= a.Now().Unix() {
		return nil, fmt.Errorf("%w: expired", errInactive)
	}
	id, err := a.identify(ctx, view, s, claims)
	if err != nil {
		return nil, err
	}
	if claims.Authorization != nil {
		left, err := a.standing(ctx, view, s, claims, "")
		if err != nil {
			return nil, err
		}
		if len(left) == 0 {
			return nil, fmt.Errorf("%w: nothing is left of what it granted", errInactive)
		}
	}
	return id, nil
}

// verifyAhead checks the signatures of tokens before a view is opened, because that
// takes longer than reading. The verifier caches the outcome. The error is that of the
// last token that it does not accept or cannot check.
func (a *Authority) verifyAhead(ctx context.Context, s *Snapshot, tokens ...string) (err error) {
	for _, token := range tokens {
		if token == "" {
			continue
		}
		if _, failed := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), token); failed != nil {
			err = failed
		}
	}
	return err
}

// Asks returns which client asks, and for whom, as far as that can be known without
// reading: from a bearer token that this server signed, else the client that the
// credentials name. It is for counting requests, not for access: the token may have
// ended, the secret may be wrong.
func (a *Authority) Asks(ctx context.Context, s *Snapshot, c *Caller) (client, subject string) {
	if !c.HasBearer {
		return c.ClientID, ""
	}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), c.Bearer)
	if err != nil {
		return "", "" // whatever is asked will be refused
	}
	return claims.AuthorizedParty, claims.Subject
}

// identify returns whom a verified token speaks for: its client and user are
// there and enabled, it is not revoked, and its session goes on.
func (a *Authority) identify(ctx context.Context, view View, s *Snapshot, claims *Claims) (*identity, error) {
	id := &identity{subject: claims.Subject, client: s.Clients[claims.AuthorizedParty], claims: claims}
	if id.client == nil || !id.client.Enabled {
		return nil, fmt.Errorf("%w: its client is gone or disabled", errInactive)
	}
	state, err := view.TokenState(ctx, s.Realm.Key, claims.ID, claims.SessionID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("%w: its session is unknown", errInactive)
	case err != nil:
		return nil, fmt.Errorf("read token state: %w", err)
	case state.Revoked:
		return nil, fmt.Errorf("%w: revoked", errInactive)
	case !alive(state.Session, a.Now(), claims.Subject):
		return nil, fmt.Errorf("%w: its session has ended", errInactive)
	}
	id.session, id.user = state.Session, state.User
	if !slices.Contains(claims.Audience, accountAudience) && (claims.Type == TypeBearer || claims.Type == TypeEntitlement) {
		id.servers = append([]string{}, claims.Audience...)
	}
	if service := s.ByUUID[claims.Subject]; service != nil {
		if id.session != nil || service != id.client || !service.ServiceAccount {
			return nil, fmt.Errorf("%w: its service account is gone", errInactive)
		}
		return id, nil
	}
	switch {
	case id.session == nil:
		return nil, fmt.Errorf("%w: a user's token without a session", errInactive)
	case id.user == nil:
		return nil, fmt.Errorf("%w: its user is gone", errInactive)
	case !id.user.Enabled:
		return nil, fmt.Errorf("%w: its user is disabled", errInactive)
	}
	return id, nil
}

// alive reports whether a session goes on and is the subject's. A token without a
// session has none to end.
func alive(s *Session, now time.Time, subject string) bool {
	return s == nil || !s.Ended && now.Before(s.Expires) && s.User == subject
}

// authenticate returns the client that the caller says it is. Public clients
// are known by their id alone. An unknown client, a disabled one and a wrong
// secret look the same from outside, and take as long.
func (a *Authority) authenticate(ctx context.Context, s *Snapshot, c *Caller) (*Client, error) {
	client := s.Clients[c.ClientID]
	var want []byte
	if client != nil {
		want = client.Secret
	}
	got, err := a.Hasher.Secret(ctx, c.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("hash client secret: %w", err)
	}
	same := subtle.ConstantTimeCompare(got, want) == 1
	switch {
	case client == nil || !client.Enabled:
	case client.Public && !c.HasSecret, !client.Public && c.HasSecret && same:
		c.Client = client
		return client, nil
	}
	return nil, Refuse(InvalidClient, "", nil)
}

// confidential is authenticate for endpoints that public clients may not use.
func (a *Authority) confidential(ctx context.Context, s *Snapshot, c *Caller) (*Client, error) {
	client, err := a.authenticate(ctx, s, c)
	if err == nil && client.Public {
		return nil, Refuse(UnauthorizedClient, "Client not allowed.", nil)
	}
	return client, err
}

// accessClaims are those of a plain access token of the party for a client.
func (a *Authority) accessClaims(s *Snapshot, i *identity, scope string, lifetime time.Duration) *Claims {
	now := a.Now()
	roles, clientRoles, groups := i.roles()
	c := &Claims{
		ID: a.NewSerial(), Issuer: a.PublicURL.Realm(s), Subject: i.subject, Type: TypeBearer,
		AuthorizedParty: i.client.ID, ClientID: i.client.ID, ACR: "1", Scope: scope,
		Groups: groups, Username: i.username(), AllowedOrigins: i.client.WebOrigins,
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(),
		Extra: standardClaims(i.attributes()),
	}
	if len(roles) > 0 {
		c.RealmAccess = &RoleSet{Roles: roles}
	}
	c.Audience = Audience{accountAudience}
	for _, id := range slices.Sorted(maps.Keys(clientRoles)) {
		if len(clientRoles[id]) == 0 {
			continue
		}
		if c.ResourceAccess == nil {
			c.ResourceAccess = map[string]RoleSet{}
		}
		c.ResourceAccess[id] = RoleSet{Roles: clientRoles[id]}
		if rs := s.Clients[id]; rs != nil && rs.ResourceServer && id != i.client.ID {
			c.Audience = append(c.Audience, id)
		}
	}
	if i.session != nil {
		c.SessionID = i.session.ID
		c.AuthTime = i.session.Started.Unix()
		c.Expires = min(c.Expires, i.session.Expires.Unix())
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

// grantedScope is what a sign-in is granted of the scopes it asks for: openid,
// what the client is registered for, and uma_protection for who holds that role
// of the client. Others are ignored (RFC 6749 §3.3).
func grantedScope(i *identity, asked string) string {
	granted := []string{"profile", "email"}
	_, clientRoles, _ := i.roles()
	for _, name := range strings.Fields(asked) {
		switch {
		case slices.Contains(granted, name):
		case name == "openid":
			granted = append([]string{name}, granted...)
		case name == protectionScope: // to be registered for a scope of that name is not to hold the role
			if slices.Contains(clientRoles[i.client.ID], protectionScope) {
				granted = append(granted, name)
			}
		case slices.Contains(i.client.Scopes, Scope(name)):
			granted = append(granted, name)
		}
	}
	return strings.Join(granted, " ")
}
