package party

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// rotating is a store that keeps what a refresh writes.
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

// A refresh makes no assessment. It keeps permissions and aud, and is refused
// when a row is gone or has moved or another revision is in force (design §4).
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

// A refresh token that was used, or whose session ended meanwhile, issues nothing.
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

// Whom introspection answers: those in `aud` or `azp`. Every other answer is
// inactive, whatever the reason.
func TestIntrospect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		by          string // photoz-api unless said
		token, hint string
		edit        func(*world)
		want        string // active, inactive, or a refusal
	}{
		{name: "an RPT", token: "rpt.of.bob", hint: "requesting_party_token", want: "active"},
		{name: "an RPT, as an access token", token: "rpt.of.bob", hint: "access_token", want: "active"},
		{name: "an RPT, without a hint", token: "rpt.of.bob", want: "active"},
		{name: "an RPT, as what it is not", token: "rpt.of.bob", hint: "refresh_token", want: "active"},
		{name: "its azp asks", by: "photoz-app", token: "rpt.of.bob", edit: func(w *world) { w.Tokens["rpt.of.bob"].AuthorizedParty = "photoz-app" }, want: "active"},
		{name: "another asks", by: "other-api", token: "rpt.of.bob", want: "inactive"},
		{name: "garbage", token: "garbage", want: "inactive"},
		{name: "an ID token", token: "rpt.of.bob", edit: func(w *world) { w.Tokens["rpt.of.bob"].Type = uma.TypeID }, want: "inactive"},
		{name: "expired", token: "rpt.of.bob", edit: func(w *world) { w.Tokens["rpt.of.bob"].Expires = w.Unix() }, want: "inactive"},
		{name: "revoked", token: "rpt.of.bob", edit: func(w *world) { w.View.Revoked = "j-rpt" }, want: "inactive"},
		{name: "its session has ended", token: "rpt.of.bob", edit: func(w *world) { w.View.Sessions["s-bob"].Ended = true }, want: "inactive"},
		{name: "its user is disabled", token: "rpt.of.bob", edit: func(w *world) { w.View.Users["u-bob"].Enabled = false }, want: "inactive"},
		{name: "its client is disabled", token: "rpt.of.bob", edit: func(w *world) { w.Web.Enabled = false }, want: "inactive"},
		{name: "nothing is left of it", token: "rpt.of.bob", edit: func(w *world) { w.View.Resources = nil }, want: "inactive"},
		{name: "an unknown hint", token: "rpt.of.bob", hint: "pct", want: "invalid_request"},
		{name: "no token", want: "invalid_request"},
		{name: "a public client asks", by: "photoz-web", token: "rpt.of.bob", want: "unauthorized_client"},
		{name: "nobody asks", by: "ghost", token: "rpt.of.bob", want: "invalid_client"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newFullWorld(t)
			if tc.edit != nil {
				tc.edit(w)
			}
			caller := map[string]*Caller{
				"":           {ClientID: "photoz-api", ClientSecret: "api-secret", HasSecret: true},
				"photoz-app": w.appCaller(),
				"other-api":  {ClientID: "other-api", ClientSecret: "other-secret", HasSecret: true},
				"photoz-web": {ClientID: "photoz-web"},
				"ghost":      {ClientID: "ghost", ClientSecret: "x", HasSecret: true},
			}[tc.by]
			var out *Introspection
			client, err := w.service.Authenticate(t.Context(), w.Snap, caller)
			if err == nil {
				out, err = w.service.Introspect(t.Context(), w.Snap, client, tc.token, tc.hint)
			}
			got := string(umatest.Reason(err))
			switch {
			case err == nil && out.Active:
				got = "active"
			case err == nil:
				got = "inactive"
			}
			if got != tc.want || w.View.Open != 0 {
				t.Errorf("got %s, %v, want %s; %d views are open", got, err, tc.want, w.View.Open)
			}
		})
	}
}

// What is withdrawn is left out of the RPT, and of nothing else.
func TestIntrospectShowsWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newFullWorld(t)
	w.View.Rpts["j-rpt"].Permissions = []uma.Grant{
		{Resource: "r-board", Name: "Board", Scopes: umatest.ScopesOf("view gone")},
		{Resource: "r-gone", Scopes: umatest.ScopesOf("view")},
		{Resource: "r-bare", Name: "Bare"},
	}
	out, err := w.service.Introspect(t.Context(), w.Snap, w.API, "rpt.of.bob", "requesting_party_token")
	if err != nil {
		t.Fatal(err)
	}
	want := []uma.Grant{{Resource: "r-board", Name: "Board", Scopes: umatest.ScopesOf("view")}, {Resource: "r-bare", Name: "Bare"}}
	if !reflect.DeepEqual(out.Permissions, want) {
		t.Errorf("got  %+v\nwant %+v", out.Permissions, want)
	}
	if got := uma.GrantedPermissions(want); !reflect.DeepEqual(out.Claims.Authorization.Permissions, got) {
		t.Errorf("the token shows %+v, want %+v", out.Claims.Authorization.Permissions, got)
	}
	if len(w.Tokens["rpt.of.bob"].Authorization.Permissions) != 2 {
		t.Error("the verified token, which others share, has changed")
	}
}
