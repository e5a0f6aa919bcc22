package party

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// revoking is a store that remembers which tokens were revoked and which sessions ended.
type revoking struct {
	umatest.FakeStore
	ended []string
}

func (r *revoking) Revoke(_ context.Context, _ uma.Key, jti string, _ time.Time) error {
	r.ended = append(r.ended, "token "+jti)
	return nil
}

func (r *revoking) EndSession(_ context.Context, _ uma.Key, id string) error {
	r.ended = append(r.ended, "session "+id)
	return nil
}

// A client ends its own tokens and sessions, and no others.
func TestRevokeAndLogout(t *testing.T) {
	t.Parallel()
	type call func(*world, context.Context) error
	revoke := func(client, token string) call {
		return func(w *world, ctx context.Context) error {
			return w.service.Revoke(ctx, w.Snap, w.Snap.Clients[client], token)
		}
	}
	logout := func(client, token string) call {
		return func(w *world, ctx context.Context) error {
			return w.service.Logout(ctx, w.Snap, w.Snap.Clients[client], token)
		}
	}
	byHint := func(token string) call {
		return func(w *world, ctx context.Context) error { return w.service.LogoutByHint(ctx, w.Snap, token) }
	}
	for name, tc := range map[string]struct {
		call   call
		ended  []string
		reason uma.Reason
	}{
		"an access token":                 {revoke("photoz-web", "access.of.bob"), []string{"token j-access"}, ""},
		"another client's access token":   {revoke("photoz-app", "access.of.bob"), nil, ""},
		"an RPT with its access token":    {revoke("photoz-web", "legacy.of.bob"), []string{"token j-legacy", "token j-access"}, ""},
		"a refresh token":                 {revoke("photoz-web", "refresh.of.bob"), []string{"session s-bob"}, ""},
		"another client's refresh token":  {revoke("photoz-app", "refresh.of.bob"), nil, ""},
		"garbage":                         {revoke("photoz-web", "garbage"), nil, ""},
		"no token":                        {revoke("photoz-web", ""), nil, uma.InvalidRequest},
		"logout":                          {logout("photoz-web", "refresh.of.bob"), []string{"session s-bob"}, ""},
		"logout of another client":        {logout("photoz-app", "refresh.of.bob"), nil, uma.InvalidGrant},
		"logout with an access token":     {logout("photoz-web", "access.of.bob"), nil, uma.InvalidGrant},
		"logout by an ID token":           {byHint("id.of.bob"), []string{"session s-bob"}, ""},
		"logout by another kind of token": {byHint("access.of.bob"), nil, uma.InvalidRequest},
		"logout by garbage":               {byHint("garbage"), nil, uma.InvalidRequest},
	} {
		w := newWorld(t)
		store := &revoking{FakeStore: umatest.FakeStore{W: w.World}}
		w.service.Store = store
		access := w.Tokens["access.of.bob"]
		access.ID = "j-access"
		for token, edit := range map[string]func(*uma.Claims){
			"legacy.of.bob":  func(c *uma.Claims) { c.ID, c.Type, c.AccessToken = "j-legacy", uma.TypeEntitlement, "access.of.bob" },
			"refresh.of.bob": func(c *uma.Claims) { c.Type = uma.TypeRefresh },
			"id.of.bob":      func(c *uma.Claims) { c.Type = uma.TypeID },
		} {
			c := *access
			edit(&c)
			w.Tokens[token] = &c
		}
		err := tc.call(w, t.Context())
		if umatest.Reason(err) != tc.reason || (err == nil) != (tc.reason == "") || !slices.Equal(store.ended, tc.ended) {
			t.Errorf("%s: got %v and ended %q, want %q and %q", name, err, store.ended, tc.reason, tc.ended)
		}
	}
}
