package party

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// accountAudience is the audience of every ordinary access token. A token without it
// was made for somebody else's eyes, such as an RPT: it speaks only for the
// resource servers that it names.
const accountAudience = "account"

// protectionScope is the client role, and the scope, of those who may use the
// protection API.
const ProtectionScope = "uma_protection"

// An identity is a requesting party or a user of the protection API, as a
// verified token says.
type Identity struct {
	Subject string
	User    *uma.User   // nil for a service account
	Client  *uma.Client // that the token was issued to
	Claims  *uma.Claims // of the token
	Session *uma.Session

	// servers are the only resource servers that the token speaks for; nil for
	// an ordinary token.
	Servers []string
}

// restricted reports whether the token speaks for some resource servers only.
func (i *Identity) Restricted() bool { return i.Servers != nil }

func (i *Identity) Username() string {
	if i.User == nil {
		return i.Client.ServiceAccountName()
	}
	return i.User.Username
}

func (i *Identity) Roles() ([]string, map[string][]string, []string) {
	if i.User == nil {
		return i.Client.Roles, i.Client.ClientRoles, i.Client.Groups
	}
	return i.User.Roles, i.User.ClientRoles, i.User.Groups
}

// protects reports whether the party may use the protection API of the token's client:
// the token has the role, and the party still does.
func (i *Identity) Protects() bool {
	_, now, _ := i.Roles()
	return slices.Contains(i.Claims.ResourceAccess[i.Client.ID].Roles, ProtectionScope) && slices.Contains(now[i.Client.ID], ProtectionScope)
}

// HasRealmRole reports whether the token has a realm role that the party still has.
func (i *Identity) HasRealmRole(role string) bool {
	now, _, _ := i.Roles()
	return i.Claims.RealmAccess != nil && slices.Contains(i.Claims.RealmAccess.Roles, role) && slices.Contains(now, role)
}

// scopes are those of the token that the party would still be granted.
func (i *Identity) Scopes() []string { return strings.Fields(GrantedScope(i, i.Claims.Scope)) }

func (i *Identity) Attributes() map[string]any {
	if i.User == nil {
		return i.Client.Claims
	}
	return i.User.Claims
}

// party is who shares may be for.
func (i *Identity) Party(client string) *uma.Party {
	roles, clientRoles, groups := i.Roles()
	p := &uma.Party{ID: i.Subject, Roles: make([]string, 0, len(roles)+8), Groups: groups, Client: client}
	p.Roles = append(p.Roles, roles...)
	for c, names := range clientRoles {
		for _, name := range names {
			p.Roles = append(p.Roles, c+"/"+name)
		}
	}
	return p
}

// errInactive is a token that is not, or no longer, good for anything.
var ErrInactive = errors.New("token is not active")

// errElsewhere is a token that is good, but not for this.
var ErrElsewhere = fmt.Errorf("%w: made for somebody else", ErrInactive)

// bearer returns whom an access token speaks for. errInactive, or an error that
// wraps it, says that the token is no good; any other is this server's trouble. It
// may also be of other types, if the caller takes them.
func (a *Service) Bearer(ctx context.Context, view uma.View, s *uma.Snapshot, raw string, also ...string) (*Identity, error) {
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), raw)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, fmt.Errorf("%w: %w", ErrInactive, err)
	case err != nil:
		return nil, fmt.Errorf("verify access token: %w", err)
	}
	if claims.Type != uma.TypeBearer && !slices.Contains(also, claims.Type) {
		return nil, fmt.Errorf("%w: not an access token", ErrInactive)
	}
	if claims.Expires <= a.Now().Unix() {
		return nil, fmt.Errorf("%w: expired", ErrInactive)
	}
	id, err := a.Identify(ctx, view, s, claims)
	if err != nil {
		return nil, err
	}
	if claims.Authorization != nil {
		left, err := a.standing(ctx, view, s, claims, "")
		if err != nil {
			return nil, err
		}
		if len(left) == 0 {
			return nil, fmt.Errorf("%w: nothing is left of what it granted", ErrInactive)
		}
	}
	return id, nil
}

// verifyAhead checks the signatures of tokens before a view is opened, because that
// takes longer than reading. The verifier caches the outcome. The error is that of the
// last token that it does not accept or cannot check.
func (a *Service) VerifyAhead(ctx context.Context, s *uma.Snapshot, tokens ...string) (err error) {
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
func (a *Service) Asks(ctx context.Context, s *uma.Snapshot, c *Caller) (client, subject string) {
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
func (a *Service) Identify(ctx context.Context, view uma.View, s *uma.Snapshot, claims *uma.Claims) (*Identity, error) {
	id := &Identity{Subject: claims.Subject, Client: s.Clients[claims.AuthorizedParty], Claims: claims}
	if id.Client == nil || !id.Client.Enabled {
		return nil, fmt.Errorf("%w: its client is gone or disabled", ErrInactive)
	}
	state, err := view.TokenState(ctx, s.Realm.Key, claims.ID, claims.SessionID)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, fmt.Errorf("%w: its session is unknown", ErrInactive)
	case err != nil:
		return nil, fmt.Errorf("read token state: %w", err)
	case state.Revoked:
		return nil, fmt.Errorf("%w: revoked", ErrInactive)
	case !alive(state.Session, a.Now(), claims.Subject):
		return nil, fmt.Errorf("%w: its session has ended", ErrInactive)
	}
	id.Session, id.User = state.Session, state.User
	if !slices.Contains(claims.Audience, accountAudience) && (claims.Type == uma.TypeBearer || claims.Type == uma.TypeEntitlement) {
		id.Servers = append([]string{}, claims.Audience...)
	}
	if service := s.ByUUID[claims.Subject]; service != nil {
		if id.Session != nil || service != id.Client || !service.ServiceAccount {
			return nil, fmt.Errorf("%w: its service account is gone", ErrInactive)
		}
		return id, nil
	}
	switch {
	case id.Session == nil:
		return nil, fmt.Errorf("%w: a user's token without a session", ErrInactive)
	case id.User == nil:
		return nil, fmt.Errorf("%w: its user is gone", ErrInactive)
	case !id.User.Enabled:
		return nil, fmt.Errorf("%w: its user is disabled", ErrInactive)
	}
	return id, nil
}

// alive reports whether a session goes on and is the subject's. A token without a
// session has none to end.
func alive(s *uma.Session, now time.Time, subject string) bool {
	return s == nil || !s.Ended && now.Before(s.Expires) && s.User == subject
}

// authenticate returns the client that the caller says it is. Public clients
// are known by their id alone. An unknown client, a disabled one and a wrong
// secret look the same from outside, and take as long.
func (a *Service) Authenticate(ctx context.Context, s *uma.Snapshot, c *Caller) (*uma.Client, error) {
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
		return client, nil
	}
	return nil, uma.Refuse(uma.InvalidClient, "", nil)
}

// accessClaims are those of a plain access token of the party for a client.
func (a *Service) AccessClaims(s *uma.Snapshot, i *Identity, scope string, lifetime time.Duration) *uma.Claims {
	now := a.Now()
	roles, clientRoles, groups := i.Roles()
	c := &uma.Claims{
		ID: a.NewSerial(), Issuer: a.PublicURL.Realm(s), Subject: i.Subject, Type: uma.TypeBearer,
		AuthorizedParty: i.Client.ID, ClientID: i.Client.ID, ACR: "1", Scope: scope,
		Groups: groups, Username: i.Username(), AllowedOrigins: i.Client.WebOrigins,
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(),
		Extra: standardClaims(i.Attributes()),
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
		if rs := s.Clients[id]; rs != nil && rs.ResourceServer && id != i.Client.ID {
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

// grantedScope is what a sign-in is granted of the scopes it asks for: openid,
// what the client is registered for, and uma_protection for who holds that role
// of the client. Others are ignored (RFC 6749 §3.3).
func GrantedScope(i *Identity, asked string) string {
	granted := []string{"profile", "email"}
	_, clientRoles, _ := i.Roles()
	for _, name := range strings.Fields(asked) {
		switch {
		case slices.Contains(granted, name):
		case name == "openid":
			granted = append([]string{name}, granted...)
		case name == ProtectionScope: // to be registered for a scope of that name is not to hold the role
			if slices.Contains(clientRoles[i.Client.ID], ProtectionScope) {
				granted = append(granted, name)
			}
		case slices.Contains(i.Client.Scopes, uma.Scope(name)):
			granted = append(granted, name)
		}
	}
	return strings.Join(granted, " ")
}

// presented returns whom the bearer token of a call speaks for, and refuses one
// that is missing or no good for the given reason.
func (a *Service) Presented(ctx context.Context, s *uma.Snapshot, c *Caller, otherwise uma.Reason, also ...string) (_ *Identity, err error) {
	if !c.HasBearer {
		return nil, uma.Refuse(otherwise, "", nil)
	}
	switch err := a.VerifyAhead(ctx, s, c.Bearer); {
	case errors.Is(err, uma.ErrUnverified):
		return nil, uma.Refuse(otherwise, "", fmt.Errorf("%w: %w", ErrInactive, err))
	case err != nil:
		return nil, fmt.Errorf("verify access token: %w", err)
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	id, err := a.Bearer(ctx, view, s, c.Bearer, also...)
	switch {
	case errors.Is(err, ErrInactive):
		return nil, uma.Refuse(otherwise, "", err)
	case err != nil:
		return nil, err
	}
	return id, nil
}
