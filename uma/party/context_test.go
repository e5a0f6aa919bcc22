package party

import (
	"context"
	"errors"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// If the request ends before a token could be checked, the caller is not told that the
// token is bad, and a token that cannot be checked is not taken for one that is.
func TestRequestEndsBeforeATokenIsChecked(t *testing.T) {
	t.Parallel()
	app := &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
	tests := map[string]func(context.Context, *Service, *uma.Snapshot) error{
		"client secret": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			_, err := a.Authenticate(ctx, s, app)
			return err
		},
		"bearer token": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			_, err := a.Presented(ctx, s, &Caller{HasBearer: true, Bearer: "access.of.bob"}, uma.NoPAT)
			return err
		},
		"revocation": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			return a.Revoke(ctx, s, s.Clients["photoz-web"], "access.of.bob")
		},
		"logout": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			return a.Logout(ctx, s, s.Clients["photoz-web"], "refresh.of.bob")
		},
		"logout by hint": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			return a.LogoutByHint(ctx, s, "id.of.bob")
		},
		"introspection": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			_, err := a.IntrospectFor(ctx, s, s.Clients["photoz-api"], "", "access.of.bob", "")
			return err
		},
		"refresh": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			_, err := a.ReadRefresh(ctx, s, s.Clients["photoz-web"], "refresh.of.bob")
			return err
		},
		"access token in an RPT": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			return a.RevokeWithin(ctx, s, &uma.Claims{AccessToken: "access.of.bob"})
		},
	}
	for name, call := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFullWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := call(ctx, w.service, w.Snap)
			if !errors.Is(err, context.Canceled) || umatest.Reason(err) != "" {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		})
	}
}
