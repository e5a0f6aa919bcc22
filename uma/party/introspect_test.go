package party

import (
	"reflect"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// Introspection tells the clients in `aud` and `azp` about a token; for all others it is
// inactive.
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

// Introspection leaves withdrawn permissions out; the verified claims do not change.
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
