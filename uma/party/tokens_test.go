package party

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// The audience of an access token is `account` and the resource servers, other than azp,
// where its subject has a client role.
func TestAccessClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := &uma.User{
		ID: "u-bob", Username: "bob", Roles: []string{"user"}, Groups: []string{"/friends"},
		Claims: map[string]any{"email": "bob@example.com", "department": "sales"},
	}
	session := &uma.Session{ID: "s", Started: w.Now.Add(-time.Hour), Expires: w.Now.Add(time.Hour)}
	tests := []struct {
		name    string
		who     Identity
		roles   map[string][]string
		aud     []string
		access  []string // keys of resource_access
		expires int64    // seconds from now
	}{
		{name: "no client roles", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session}, aud: []string{"account"}, expires: 300},
		{
			name: "roles of a resource server", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session},
			roles: map[string][]string{"photoz-api": {"admin"}}, aud: []string{"account", "photoz-api"}, access: []string{"photoz-api"}, expires: 300,
		},
		{
			name: "roles of two, in order", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session},
			roles: map[string][]string{"photoz-api": {"admin"}, "other-api": {"admin"}},
			aud:   []string{"account", "other-api", "photoz-api"}, access: []string{"other-api", "photoz-api"}, expires: 300,
		},
		{
			name: "roles of azp itself", who: Identity{Subject: "u-bob", User: bob, Client: w.API, Session: session},
			roles: map[string][]string{"photoz-api": {"uma_protection"}}, aud: []string{"account"}, access: []string{"photoz-api"}, expires: 300,
		},
		{
			name: "roles of a client that is no resource server", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session},
			roles: map[string][]string{"photoz-app": {"admin"}}, aud: []string{"account"}, access: []string{"photoz-app"}, expires: 300,
		},
		{
			name: "roles of a client that is gone", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session},
			roles: map[string][]string{"ghost": {"admin"}}, aud: []string{"account"}, access: []string{"ghost"}, expires: 300,
		},
		{
			name: "an empty list of roles", who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: session},
			roles: map[string][]string{"photoz-api": {}}, aud: []string{"account"}, expires: 300,
		},
		{
			name: "not longer than the session", expires: 60, aud: []string{"account"},
			who: Identity{Subject: "u-bob", User: bob, Client: w.Web, Session: &uma.Session{ID: "s", Expires: w.Now.Add(time.Minute)}},
		},
		{name: "a service account", who: Identity{Subject: "uuid-app", Client: w.App}, aud: []string{"account"}, expires: 300},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.who.User != nil {
				u := *bob
				u.ClientRoles = tc.roles
				tc.who.User = &u
			}
			c := w.service.AccessClaims(w.Snap, &tc.who, "profile email", 5*time.Minute)
			if !slices.Equal(c.Audience, tc.aud) {
				t.Errorf("aud: got %q, want %q", c.Audience, tc.aud)
			}
			if got := slices.Sorted(maps.Keys(c.ResourceAccess)); !slices.Equal(got, tc.access) {
				t.Errorf("resource_access: got %q, want %q", got, tc.access)
			}
			if got := c.Expires - w.Unix(); got != tc.expires {
				t.Errorf("exp: got %d s from now, want %d", got, tc.expires)
			}
			if c.Type != "Bearer" || c.AuthorizedParty != tc.who.Client.ID || c.ClientID != tc.who.Client.ID || c.Subject != tc.who.Subject ||
				c.Issuer != "https://as.example/realms/photoz" || c.IssuedAt != w.Unix() || c.ID == "" || c.Authorization != nil {
				t.Errorf("got %+v", c)
			}
			if tc.who.User == nil {
				if c.Username != "service-account-photoz-app" || c.SessionID != "" || c.RealmAccess != nil {
					t.Errorf("service account: got %+v", c)
				}
				return
			}
			if c.Username != "bob" || c.SessionID != "s" || !slices.Equal(c.RealmAccess.Roles, []string{"user"}) ||
				!slices.Equal(c.Groups, []string{"/friends"}) {
				t.Errorf("got %+v", c)
			}
			if want := map[string]any{"email": "bob@example.com"}; !reflect.DeepEqual(c.Extra, want) {
				t.Errorf("own claims: got %v, want %v", c.Extra, want)
			}
		})
	}
}
