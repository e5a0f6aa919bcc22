package party

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// accountAudience is the audience of every ordinary access token. A token without it,
// such as an RPT, is valid only for the resource servers in its audience.
const accountAudience = "account"

// ErrInactive says that a token is not, or no longer, valid.
var ErrInactive = errors.New("token is not active")

// ErrElsewhere says that a token is valid, but not for what it is presented for.
var ErrElsewhere = fmt.Errorf("%w: made for somebody else", ErrInactive)

// Authenticate returns the client whose id and secret the caller presents, or whose assertion
// AuthenticateAhead has verified. A public client has its id alone. An unknown client, a
// disabled one and a wrong secret have the same answer, after the same time.
func (s *Service) Authenticate(ctx context.Context, snap *uma.Snapshot, c *Caller) (*uma.Client, error) {
	client := snap.Clients[c.ClientID]
	if c.HasAssertion {
		if c.asserted && client != nil && client.Enabled && client.HasKeys() {
			return client, nil
		}
		return nil, uma.Reject(uma.InvalidClient, uma.Fault{}, nil)
	}
	var want []byte
	if client != nil {
		want = client.Secret
	}
	got, err := s.Hasher.Secret(ctx, c.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("hash client secret: %w", err)
	}
	same := subtle.ConstantTimeCompare(got, want) == 1
	switch {
	case client == nil || !client.Enabled:
	case client.Public && !c.HasSecret, !client.Public && c.HasSecret && same:
		return client, nil
	}
	return nil, uma.Reject(uma.InvalidClient, uma.Fault{}, nil)
}

// Presented returns the identity of the caller's bearer token, and refuses a token that is
// missing, not active or not accepted for the given reason; one of a trusted issuer that is not
// accepted as InvalidToken.
func (s *Service) Presented(ctx context.Context, snap *uma.Snapshot, c *Caller, otherwise uma.Reason, a Acceptance) (*Identity, error) {
	if !c.HasBearer {
		return nil, uma.Reject(otherwise, uma.Fault{}, nil)
	}
	token := s.Verify(ctx, snap, c.Bearer)
	if a.Use == "" && (token.Trusted != nil || errors.Is(token.Err, uma.ErrKeysMissing)) {
		return nil, uma.Reject(uma.InvalidToken, uma.Fault{Kind: uma.TokenOfIssuer}, token.Err)
	}
	var id *Identity
	err := token.Err
	if err == nil {
		id, err = Read(ctx, s, snap, func(view uma.View) (*Identity, error) { return s.Bearer(ctx, view, snap, token, a) })
	}
	switch {
	case errors.Is(err, ErrInactive) && a.Use == "":
		return nil, uma.Reject(otherwise, uma.Fault{}, err)
	case errors.Is(err, ErrInactive):
		return nil, uma.Reject(otherwise, BearerFault(err), err)
	}
	return id, err
}

// identifyOwn returns the identity of a token that this server signed.
func (s *Service) identifyOwn(ctx context.Context, view uma.View, snap *uma.Snapshot, claims *uma.Claims, a Acceptance) (*Identity, error) {
	switch {
	case claims.Type != uma.TypeBearer && !slices.Contains(a.Types, claims.Type):
		return nil, fmt.Errorf("%w: not an access token", ErrInactive)
	case claims.Expires <= s.Now().Unix():
		return nil, fmt.Errorf("%w: expired", ErrInactive)
	}
	id, err := s.Identify(ctx, view, snap, claims)
	switch {
	case err != nil:
		return nil, err
	case id.IsPartial():
		return nil, fmt.Errorf("%w: the RPT of a party of a trusted issuer, or a token in one, identifies nobody", ErrInactive)
	case claims.Authorization == nil:
		return id, nil
	}
	remaining, err := s.remainingPermissions(ctx, view, snap, claims, "")
	switch {
	case err != nil:
		return nil, err
	case len(remaining) == 0:
		return nil, fmt.Errorf("%w: nothing is left of what it granted", ErrInactive)
	}
	return id, nil
}

// Identify returns the identity of a verified token. Its client and its user must exist
// and be enabled, its session must be active, and it must not be revoked.
func (s *Service) Identify(ctx context.Context, view uma.View, snap *uma.Snapshot, claims *uma.Claims) (*Identity, error) {
	id := &Identity{Subject: claims.Subject, Client: snap.Clients[claims.AuthorizedParty], Claims: claims}
	if id.Client == nil || !id.Client.Enabled {
		return nil, fmt.Errorf("%w: its client is gone or disabled", ErrInactive)
	}
	state, err := view.TokenState(ctx, snap.Realm.Key, claims.ID, claims.SessionID)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, fmt.Errorf("%w: its session is unknown", ErrInactive)
	case err != nil:
		return nil, fmt.Errorf("read token state: %w", err)
	case state.Revoked:
		return nil, fmt.Errorf("%w: revoked", ErrInactive)
	case !isActive(state.Session, s.Now(), claims.Subject):
		return nil, fmt.Errorf("%w: its session has ended", ErrInactive)
	}
	id.Session, id.User = state.Session, state.User
	if !slices.Contains(claims.Audience, accountAudience) && (claims.Type == uma.TypeBearer || claims.Type == uma.TypeEntitlement) {
		id.Servers = append([]string{}, claims.Audience...)
	}
	if claims.SubjectID != nil {
		if err := s.completeParty(ctx, view, snap, id); err != nil {
			return nil, err
		}
		return id, nil
	}
	if client := snap.ByUUID[claims.Subject]; client != nil {
		if id.Session != nil || client != id.Client || !client.ServiceAccount {
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

// isActive reports whether the session of a token is the subject's and has not ended. A
// token may have no session.
func isActive(session *uma.Session, now time.Time, subject string) bool {
	return session == nil || !session.Ended && now.Before(session.Expires) && session.User == subject
}

// ClaimedCaller returns the client and the subject of a request, as far as they are known
// without reading the store: from a bearer token that this server or a trusted issuer signed,
// else the client that the credentials name. Use it to count requests, not to give access: the
// token may have ended, the secret may be wrong.
func (s *Service) ClaimedCaller(ctx context.Context, snap *uma.Snapshot, c *Caller) (client, subject string) {
	if !c.HasBearer {
		return c.ClientID, ""
	}
	switch t := s.Verify(ctx, snap, c.Bearer); {
	case t.Err != nil:
		return "", "" // the request will be refused
	case t.Trusted != nil:
		return t.Trusted.ClientID, t.Trusted.Issuer.Issuer + " " + t.Trusted.Subject
	default:
		return t.Own.AuthorizedParty, t.Own.Subject
	}
}
