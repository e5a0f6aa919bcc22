package grant

import (
	"context"
	"errors"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// If the request ends before a token could be checked, the caller is not told that the
// token is bad, and a token that cannot be checked is not taken for one that is.
func TestRequestEndsBeforeATokenIsChecked(t *testing.T) {
	t.Parallel()
	bearer := &party.Caller{HasBearer: true, Bearer: "access.of.bob"}
	tests := map[string]func(context.Context, *Service, *uma.Snapshot) error{
		"bearer token": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			_, err := a.Token(ctx, s, bearer, &Request{Audience: "photoz-api"})
			return err
		},
		"ticket in JWT form": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			q := &question{realm: s, req: &Request{Ticket: "t.i.c"}, asker: asker{client: s.Clients["photoz-web"]}}
			return a.refuseReplay(ctx, q, uma.ErrSpent)
		},
		"RPT": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			q := &question{realm: s, caller: &party.Caller{}, req: &Request{RPT: "an.r.pt", Rules: strict}}
			q.tokens = a.verifyAhead(ctx, q)
			_, err := a.readRPT(ctx, nil, q)
			return err
		},
		"claim token": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			q := &question{realm: s, caller: &party.Caller{}, req: &Request{ClaimToken: "a.b.c"}}
			q.tokens = a.verifyAhead(ctx, q)
			_, _, err := a.readClaimToken(ctx, nil, q, uma.FormatJWT)
			return err
		},
		"identity token": func(ctx context.Context, a *Service, s *uma.Snapshot) error {
			q := &question{realm: s, caller: &party.Caller{}, req: &Request{ClaimToken: "a.b.c"}}
			q.tokens = a.verifyAhead(ctx, q)
			_, err := a.identifyByClaims(ctx, nil, q)
			return err
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

// A policy that could not be asked for in time did not fail.
func TestRequestEndsBeforeThePolicyIsPrepared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.service.Policy = latePolicy{}
	if _, err := uma.PreparePolicy(ctx, w.service.Policy, w.Snap); !errors.Is(err, context.Canceled) || umatest.Reason(err) != "" {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := uma.PreparePolicy(t.Context(), w.service.Policy, w.Snap); umatest.Reason(err) != uma.PolicyFailed {
		t.Errorf("without a policy: got %v, want %s", err, uma.PolicyFailed)
	}
}

type latePolicy struct{}

func (latePolicy) Prepare(ctx context.Context, _ *uma.Realm) (uma.Evaluator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("no policy")
}
