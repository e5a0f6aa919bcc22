package party

import (
	"errors"
	"slices"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// Which clients are authenticated; all others get the same answer.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		id, secret string
		has        bool
		edit       func(*world)
		want       bool
	}{
		{name: "with its secret", id: "photoz-app", secret: "app-secret", has: true, want: true},
		{name: "a wrong secret", id: "photoz-app", secret: "no", has: true},
		{name: "an empty secret", id: "photoz-app", has: true},
		{name: "no secret", id: "photoz-app"},
		{name: "another's secret", id: "photoz-app", secret: "api-secret", has: true},
		{name: "a confidential client that has no secret", id: "photoz-app", has: true, edit: func(w *world) { w.App.Secret = nil }},
		{name: "the same, with some secret", id: "photoz-app", secret: "x", has: true, edit: func(w *world) { w.App.Secret = nil }},
		{name: "no secret, where an empty one would do", id: "photoz-app", edit: func(w *world) { w.App.Secret = w.Secret("") }},
		{name: "disabled", id: "photoz-app", secret: "app-secret", has: true, edit: func(w *world) { w.App.Enabled = false }},
		{name: "a public client", id: "photoz-web", want: true},
		{name: "a public client with a secret", id: "photoz-web", secret: "x", has: true},
		{name: "a disabled public client", id: "photoz-web", edit: func(w *world) { w.Web.Enabled = false }},
		{name: "unknown", id: "ghost", secret: "x", has: true},
		{name: "unknown, without a secret", id: "ghost"},
		{name: "nobody"},
		{name: "case counts", id: "Photoz-App", secret: "app-secret", has: true},
		{name: "its uuid is no client_id", id: "uuid-app", secret: "app-secret", has: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.edit != nil {
				tc.edit(w)
			}
			c := &Caller{ClientID: tc.id, ClientSecret: tc.secret, HasSecret: tc.has}
			client, err := w.service.Authenticate(t.Context(), w.Snap, c)
			if tc.want {
				if err != nil || client.ID != tc.id {
					t.Errorf("got %v, %v", client, err)
				}
				return
			}
			if err == nil || err.Error() != "invalid_client" || client != nil {
				t.Errorf("got %v and %v, want invalid_client and nothing else", client, err)
			}
		})
	}
}

// Every reason why a verified access token is not active.
func TestBearer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(w *world, c *uma.Claims)
		want bool
	}{
		{"good", func(*world, *uma.Claims) {}, true},
		{"a service account's", func(w *world, c *uma.Claims) {
			c.Subject, c.AuthorizedParty, c.SessionID = "uuid-app", "photoz-app", ""
		}, true},
		{"an ID token", func(_ *world, c *uma.Claims) { c.Type = "ID" }, false},
		{"a refresh token", func(_ *world, c *uma.Claims) { c.Type = "Refresh" }, false},
		{"no type", func(_ *world, c *uma.Claims) { c.Type = "" }, false},
		{"expired", func(w *world, c *uma.Claims) { c.Expires = w.Unix() - 1 }, false},
		{"expires now", func(w *world, c *uma.Claims) { c.Expires = w.Unix() }, false},
		{"its client is gone", func(_ *world, c *uma.Claims) { c.AuthorizedParty = "ghost" }, false},
		{"its client is disabled", func(w *world, _ *uma.Claims) { w.Web.Enabled = false }, false},
		{"no client", func(_ *world, c *uma.Claims) { c.AuthorizedParty = "" }, false},
		{"revoked", func(w *world, c *uma.Claims) { w.View.Revoked = c.ID }, false},
		{"its session is unknown", func(_ *world, c *uma.Claims) { c.SessionID = "ghost" }, false},
		{"its session has ended", func(w *world, _ *uma.Claims) { w.View.Sessions["s-bob"].Ended = true }, false},
		{"its session has expired", func(w *world, _ *uma.Claims) { w.View.Sessions["s-bob"].Expires = w.Now }, false},
		{"its session is another's", func(w *world, _ *uma.Claims) { w.View.Sessions["s-bob"].User = "u-eve" }, false},
		{"a user's without a session", func(_ *world, c *uma.Claims) { c.SessionID = "" }, false},
		{"its user is gone", func(w *world, _ *uma.Claims) { delete(w.View.Users, "u-bob") }, false},
		{"its user is disabled", func(w *world, _ *uma.Claims) { w.View.Users["u-bob"].Enabled = false }, false},
		{"no subject", func(_ *world, c *uma.Claims) { c.Subject = "" }, false},
		{"a service account of another client", func(_ *world, c *uma.Claims) { c.Subject, c.SessionID = "uuid-app", "" }, false},
		{"a service account that is no more", func(w *world, c *uma.Claims) {
			w.App.ServiceAccount = false
			c.Subject, c.AuthorizedParty, c.SessionID = "uuid-app", "photoz-app", ""
		}, false},
		{"an RPT without its row", func(_ *world, c *uma.Claims) { c.Authorization = &uma.Authorization{} }, false},
		{"an RPT of which something is left", func(w *world, c *uma.Claims) {
			c.Authorization = &uma.Authorization{}
			w.View.Rpts[c.ID] = &uma.RPT{Server: w.API.Key, Permissions: []uma.Grant{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}}
		}, true},
		{"an RPT of which nothing is left", func(w *world, c *uma.Claims) {
			c.Authorization = &uma.Authorization{}
			w.View.Rpts[c.ID] = &uma.RPT{Server: w.API.Key, Permissions: []uma.Grant{{Resource: "r-gone", Scopes: umatest.ScopesOf("view")}}}
		}, false},
		{"an RPT of a resource server that is disabled", func(w *world, c *uma.Claims) {
			c.Authorization = &uma.Authorization{}
			w.API.Enabled = false
			w.View.Rpts[c.ID] = &uma.RPT{Server: w.API.Key, Permissions: []uma.Grant{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}}
		}, false},
		{"an RPT of what is no resource server any more", func(w *world, c *uma.Claims) {
			c.Authorization = &uma.Authorization{}
			w.API.ResourceServer = false
			w.View.Rpts[c.ID] = &uma.RPT{Server: w.API.Key, Permissions: []uma.Grant{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}}
		}, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.edit(w, w.Tokens["access.of.bob"])
			w.View.Open = 1
			id, err := w.service.Bearer(t.Context(), w.View, w.Snap, w.service.Verify(t.Context(), w.Snap, "access.of.bob"), Acceptance{})
			if tc.want {
				if err != nil || id.Client == nil {
					t.Errorf("got %v, %v", id, err)
				}
				return
			}
			if !errors.Is(err, ErrInactive) {
				t.Errorf("got %v, want that it is not active", err)
			}
		})
	}
}

// A token without account in aud is valid only for the resource servers in aud, also if
// there are none.
func TestRestricted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		aud  uma.Audience
		typ  string
		want []string // nil: an ordinary token
	}{
		{"an access token", uma.Audience{"account"}, "Bearer", nil},
		{"for a resource server too", uma.Audience{"photoz-api", "account"}, "Bearer", nil},
		{"an RPT", uma.Audience{"photoz-api"}, "Bearer", []string{"photoz-api"}},
		{"for nobody", nil, "Bearer", []string{}},
		{"an ID token", uma.Audience{"photoz-web"}, "ID", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.Tokens["access.of.bob"]
			c.Audience, c.Type = tc.aud, tc.typ
			w.View.Open = 1
			id, err := w.service.Identify(t.Context(), w.View, w.Snap, c)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := id.Restricted(), tc.want != nil; got != want || !slices.Equal(id.Servers, tc.want) {
				t.Errorf("got %q, restricted %t, want %q", id.Servers, got, tc.want)
			}
		})
	}
}
