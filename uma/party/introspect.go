package party

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// An Introspection is what a resource server learns of a token (RFC 7662 §2.2).
type Introspection struct {
	Active      bool
	Claims      *uma.Claims // the permissions of an RPT are those that are left
	Username    string
	Realm       string
	Permissions []uma.Grant // those that are left of an RPT; nil for any other token
}

// The token type hints of the introspection endpoint (RFC 7662 §2.1; the last
// is Keycloak's).
var introspectionHints = []string{"", "access_token", "refresh_token", "requesting_party_token"}

// Introspect tells a confidential client about a token that has the client in `aud` or
// `azp`. Any other token, valid or not, is inactive.
func (s *Service) Introspect(ctx context.Context, snap *uma.Snapshot, client *uma.Client, token, hint string) (*Introspection, error) {
	if client.Public {
		return nil, uma.Reject(uma.UnauthorizedClient, uma.Fault{Kind: uma.PublicClient, Client: client.ID}, nil)
	}
	return s.IntrospectFor(ctx, snap, client, "", token, hint)
}

// IntrospectFor tells a client about a token. With an owner it tells only of permissions
// for resources of that owner, and of that owner's own tokens.
func (s *Service) IntrospectFor(ctx context.Context, snap *uma.Snapshot, client *uma.Client, owner, token, hint string) (*Introspection, error) {
	switch {
	case !slices.Contains(introspectionHints, hint):
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.HintUnknown, Value: hint}, nil)
	case token == "":
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TokenMissing}, nil)
	}
	claims, err := s.verifyAny(ctx, snap, token)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return &Introspection{}, nil
	case err != nil:
		return nil, fmt.Errorf("verify token: %w", err)
	case claims.Expires <= s.Now().Unix(), claims.Type == uma.TypeID,
		claims.AuthorizedParty != client.ID && !slices.Contains(claims.Audience, client.ID):
		return &Introspection{}, nil
	}
	return uma.Read(ctx, s.Store, func(view uma.View) (*Introspection, error) {
		return s.introspect(ctx, view, snap, claims, owner)
	})
}

// introspect reads what has become of a verified token.
func (s *Service) introspect(ctx context.Context, view uma.View, snap *uma.Snapshot, claims *uma.Claims, owner string) (*Introspection, error) {
	e := &uma.Expected{Realm: snap.Realm.Key}
	if claims.Authorization != nil {
		e.RPT = claims.ID
	}
	(&Token{Own: claims}).Expect(e, snap, "")
	if err := view.Expect(ctx, e); err != nil {
		return nil, fmt.Errorf("read what is expected: %w", err)
	}
	id, err := s.Identify(ctx, view, snap, claims)
	switch {
	case errors.Is(err, ErrInactive):
		return &Introspection{}, nil
	case err != nil:
		return nil, err
	}
	if claims.Type == uma.TypeRefresh {
		_, spent, err := view.RefreshToken(ctx, snap.Realm.Key, uma.Digest(claims.Handle), s.Now())
		if errors.Is(err, uma.ErrNotFound) || spent {
			return &Introspection{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read refresh token: %w", err)
		}
	}
	out := &Introspection{Active: true, Claims: claims, Username: id.Username(), Realm: snap.Realm.Name}
	if claims.Authorization == nil {
		if owner != "" && claims.Subject != owner {
			return &Introspection{}, nil
		}
		return out, nil
	}
	remaining, err := s.remainingPermissions(ctx, view, snap, claims, owner)
	switch {
	case err != nil:
		return nil, err
	case len(remaining) == 0:
		return &Introspection{}, nil
	}
	out.Claims, out.Permissions = shownClaims(claims, remaining), remaining
	return out, nil
}

// shownClaims are the claims of an RPT as introspection shows them: those of an RPT of
// today, also for an RPT of the legacy API, with the permissions that are left.
func shownClaims(c *uma.Claims, remaining []uma.Grant) *uma.Claims {
	shown := *c
	shown.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(remaining)}
	shown.Type, shown.Permissions, shown.AccessToken = uma.TypeBearer, nil, ""
	return &shown
}
