package uma

import (
	"context"
	"errors"
	"testing"
	"time"
)

// If the request ends before a token could be checked, the caller is not told that the
// token is bad, and a token that cannot be checked is not taken for one that is.
func TestRequestEndsBeforeATokenIsChecked(t *testing.T) {
	t.Parallel()
	bearer := &Caller{HasBearer: true, Bearer: "access.of.bob"}
	public := &Caller{ClientID: "photoz-web"}
	app := &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
	tests := map[string]func(context.Context, *Authority, *Snapshot) error{
		"bearer token": func(ctx context.Context, a *Authority, s *Snapshot) error {
			_, err := a.Token(ctx, s, bearer, &TokenRequest{Audience: "photoz-api"})
			return err
		},
		"client secret": func(ctx context.Context, a *Authority, s *Snapshot) error {
			_, err := a.ClientCredentials(ctx, s, app, "")
			return err
		},
		"PAT": func(ctx context.Context, a *Authority, s *Snapshot) error {
			_, err := a.PAT(ctx, s, bearer, WithScope)
			return err
		},
		"revocation": func(ctx context.Context, a *Authority, s *Snapshot) error {
			return a.Revoke(ctx, s, public, "access.of.bob")
		},
		"logout": func(ctx context.Context, a *Authority, s *Snapshot) error {
			return a.Logout(ctx, s, public, "refresh.of.bob")
		},
		"logout by hint": func(ctx context.Context, a *Authority, s *Snapshot) error { return a.LogoutByHint(ctx, s, "id.of.bob") },
		"introspection": func(ctx context.Context, a *Authority, s *Snapshot) error {
			_, err := a.introspect(ctx, s, s.Clients["photoz-api"], "", "access.of.bob", "")
			return err
		},
		"refresh": func(ctx context.Context, a *Authority, s *Snapshot) error {
			_, err := a.readRefresh(ctx, s, s.Clients["photoz-web"], "refresh.of.bob")
			return err
		},
		"ticket in JWT form": func(ctx context.Context, a *Authority, s *Snapshot) error {
			x := &assessment{Authority: a, snap: s, req: &TokenRequest{Ticket: "t.i.c"}, asking: s.Clients["photoz-web"]}
			return x.replayed(ctx, ErrSpent)
		},
		"access token in an RPT": func(ctx context.Context, a *Authority, s *Snapshot) error {
			return a.revokeWithin(ctx, s, &Claims{AccessToken: "access.of.bob"})
		},
		"RPT": func(ctx context.Context, a *Authority, s *Snapshot) error {
			x := &assessment{Authority: a, snap: s, req: &TokenRequest{RPT: "an.r.pt", Strict: true}}
			return x.whatIsCarried(ctx, nil)
		},
		"claim token": func(ctx context.Context, a *Authority, s *Snapshot) error {
			x := &assessment{Authority: a, snap: s, req: &TokenRequest{}}
			return x.verifyClaimToken(ctx, nil, formatJWT, "a.b.c")
		},
		"identity token": func(ctx context.Context, a *Authority, s *Snapshot) error {
			x := &assessment{Authority: a, snap: s, req: &TokenRequest{}}
			_, err := x.identityToken(ctx, nil)
			return err
		},
	}
	for name, call := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFullWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := call(ctx, w.authority, w.snap)
			if !errors.Is(err, context.Canceled) || reason(err) != "" {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		})
	}
}

// A policy that could not be asked for in time did not fail.
func TestRequestEndsBeforeThePolicyIsPrepared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.authority.Policy = latePolicy{}
	if _, err := w.authority.prepare(ctx, w.snap); !errors.Is(err, context.Canceled) || reason(err) != "" {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := w.authority.prepare(t.Context(), w.snap); reason(err) != PolicyFailed {
		t.Errorf("without a policy: got %v, want %s", err, PolicyFailed)
	}
}

type latePolicy struct{}

func (latePolicy) Prepare(ctx context.Context, _ *Realm) (Evaluator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("no policy")
}

// The ticket is on disk by then.
func TestTicketJWTIsSignedAfterTheRequestHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.authority.TicketJWT(ctx, w.snap, "the-ticket", time.Second); err != nil {
		t.Error(err)
	}
}
