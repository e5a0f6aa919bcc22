package party

import (
	"context"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// rotating is a store that remembers the rows of a refresh.
type rotating struct {
	umatest.FakeStore
	err  error
	next *uma.RefreshToken
	rpt  *uma.RPT
}

func (r *rotating) Rotate(_ context.Context, _ uma.Key, _ []byte, next *uma.RefreshToken, rpt *uma.RPT, _ time.Time) error {
	r.next, r.rpt = next, rpt
	return r.err
}

// A refresh makes no assessment. It keeps permissions and aud, and is refused if a row is
// gone or has changed, or if another revision is active (design §4).
func TestRefreshOfAnRPT(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(w *world, row *uma.RPT, c *uma.Claims)
		want uma.Reason
	}{
		{name: "nothing has moved"},
		{name: "another policy revision", edit: func(_ *world, row *uma.RPT, _ *uma.Claims) { row.Revision = "revision-0" }, want: uma.InvalidGrant},
		{name: "the realm was changed", edit: func(_ *world, row *uma.RPT, _ *uma.Claims) { row.Generation = 6 }, want: uma.InvalidGrant},
		{name: "the user was changed", edit: func(_ *world, row *uma.RPT, _ *uma.Claims) { row.UserVersion = 2 }, want: uma.InvalidGrant},
		{name: "the user is disabled", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { w.View.Users["u-bob"].Enabled = false }, want: uma.InvalidGrant},
		{name: "the session has ended", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { w.View.Sessions["s-bob"].Ended = true }, want: uma.InvalidGrant},
		{name: "the resource was changed", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { w.View.Resources[0].Version++ }, want: uma.InvalidGrant},
		{name: "the resource is gone", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { w.View.Resources = w.View.Resources[1:] }, want: uma.InvalidGrant},
		{name: "its share is withdrawn", edit: func(_ *world, row *uma.RPT, _ *uma.Claims) {
			row.Permissions[0].Shares = []uma.GrantShare{{ID: "s", Version: 1, Scopes: umatest.ScopesOf("view")}}
		}, want: uma.InvalidGrant},
		{name: "its row is gone", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { clear(w.View.Rpts) }, want: uma.InvalidGrant},
		{name: "the resource server is disabled", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { w.API.Enabled = false }, want: uma.InvalidGrant},
		{name: "the resource server is gone", edit: func(_ *world, row *uma.RPT, _ *uma.Claims) { row.Server = 99 }, want: uma.InvalidGrant},
		{name: "expired", edit: func(w *world, _ *uma.RPT, c *uma.Claims) { c.Expires = w.Unix() }, want: uma.InvalidGrant},
		{name: "its handle is unknown", edit: func(w *world, _ *uma.RPT, _ *uma.Claims) { clear(w.View.Refresh) }, want: uma.InvalidGrant},
		{name: "another client's", edit: func(_ *world, _ *uma.RPT, c *uma.Claims) { c.AuthorizedParty = "photoz-app" }, want: uma.InvalidGrant},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newFullWorld(t)
			c := *w.Tokens["access.of.bob"]
			c.Type, c.Handle = uma.TypeRefresh, "handle"
			w.Tokens["refresh.of.bob"] = &c
			w.View.Refresh[string(uma.Digest("handle"))] = &uma.RefreshToken{Hash: uma.Digest("handle"), SessionID: "s-bob", Client: "photoz-web", Scope: "profile email", RPT: "j-rpt"}
			row := w.View.Rpts["j-rpt"]
			if tc.edit != nil {
				tc.edit(w, row, &c)
			}
			store := &rotating{FakeStore: umatest.FakeStore{W: w.World}}
			w.service.Store = store
			res, err := w.service.Refresh(t.Context(), w.Snap, w.Web, "refresh.of.bob", "")
			if got := umatest.Reason(err); got != tc.want || (res != nil) != (tc.want == "") {
				t.Fatalf("got %v, %v, want %q", res, err, tc.want)
			}
			if w.View.Open != 0 || w.Count("decide") > 0 {
				t.Errorf("%d views are open, steps %q", w.View.Open, w.Steps)
			}
			if tc.want != "" {
				if store.next != nil || len(w.Signed) > 0 {
					t.Error("the refresh token was rotated, or something signed")
				}
				return
			}
			access := w.Signed[0]
			if !slices.Equal(access.Audience, uma.Audience{"photoz-api"}) || len(access.Authorization.Permissions) != 1 ||
				access.Authorization.Permissions[0].ID != "r-board" || access.ID == "j-rpt" {
				t.Errorf("got %+v", access)
			}
			if k := store.rpt; k.JTI != access.ID || store.next.RPT != access.ID || k.Revision != "revision-1" || k.Permissions[0].Version != 21 ||
				!k.Keep.Equal(store.next.Expires) {
				t.Errorf("row: got %+v, refresh token %+v", k, store.next)
			}
			if row.JTI != "j-rpt" {
				t.Error("the row that was read has changed")
			}
		})
	}
}

// Nothing is signed for a refresh token that was used, or whose session ended, meanwhile.
func TestRefreshThatLoses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want uma.Reason
	}{{uma.ErrSpent, uma.InvalidGrant}, {uma.ErrNotFound, uma.InvalidGrant}, {umatest.ErrRead, ""}} {
		w := newWorld(t)
		c := *w.Tokens["access.of.bob"]
		c.Type, c.Handle = uma.TypeRefresh, "handle"
		w.Tokens["refresh.of.bob"] = &c
		w.View.Refresh[string(uma.Digest("handle"))] = &uma.RefreshToken{SessionID: "s-bob", Client: "photoz-web", Scope: "profile email"}
		w.service.Store = &rotating{FakeStore: umatest.FakeStore{W: w.World}, err: tc.err}
		res, err := w.service.Refresh(t.Context(), w.Snap, w.Web, "refresh.of.bob", "")
		if res != nil || err == nil || umatest.Reason(err) != tc.want || len(w.Signed) > 0 {
			t.Errorf("%v: got %v, %v, %d tokens, want %q", tc.err, res, err, len(w.Signed), tc.want)
		}
	}
}

// uncached has no cached view: it panics.
type uncached struct{ uma.Store }

func (uncached) CachedView(context.Context) (uma.View, error) { panic("read from memory") }

// A new RPT lasts longer than what is in memory. So what another process changed must be seen.
func TestRefreshReadsTheDatabase(t *testing.T) {
	t.Parallel()
	w := newFullWorld(t)
	c := *w.Tokens["access.of.bob"]
	c.Type, c.Handle = uma.TypeRefresh, "handle"
	w.Tokens["refresh.of.bob"] = &c
	w.View.Refresh[string(uma.Digest("handle"))] = &uma.RefreshToken{Hash: uma.Digest("handle"), SessionID: "s-bob", Client: "photoz-web", Scope: "profile email", RPT: "j-rpt"}
	w.service.Store = uncached{&rotating{FakeStore: umatest.FakeStore{W: w.World}}}
	if _, err := w.service.Refresh(t.Context(), w.Snap, w.Web, "refresh.of.bob", ""); err != nil {
		t.Error(err)
	}
}
