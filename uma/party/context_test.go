package party

import (
	"context"
	"errors"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// If the request ends before a token is checked, the error does not say that the token is
// invalid.
func TestRequestEndsBeforeATokenIsChecked(t *testing.T) {
	t.Parallel()
	app := &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
	tests := map[string]func(context.Context, *Service, *uma.Snapshot) error{
		"client secret": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			_, err := s.Authenticate(ctx, snap, app)
			return err
		},
		"bearer token": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			_, err := s.Presented(ctx, snap, &Caller{HasBearer: true, Bearer: "access.of.bob"}, uma.NoPAT, Acceptance{})
			return err
		},
		"revocation": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			return s.Revoke(ctx, snap, snap.Clients["photoz-web"], "access.of.bob")
		},
		"logout": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			return s.Logout(ctx, snap, snap.Clients["photoz-web"], "refresh.of.bob")
		},
		"logout by hint": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			return s.LogoutByHint(ctx, snap, "id.of.bob")
		},
		"introspection": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			_, err := s.IntrospectFor(ctx, snap, snap.Clients["photoz-api"], "", "access.of.bob", "")
			return err
		},
		"refresh": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			_, err := s.readRefresh(ctx, snap, snap.Clients["photoz-web"], "refresh.of.bob")
			return err
		},
		"access token in an RPT": func(ctx context.Context, s *Service, snap *uma.Snapshot) error {
			return s.revokeWithin(ctx, snap, &uma.Claims{AccessToken: "access.of.bob"})
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
