package party

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// What a sign-in is granted of the scopes it asks for.
func TestGrantedScope(t *testing.T) {
	t.Parallel()
	client := &uma.Client{ID: "photoz-web", Scopes: []uma.Scope{"download", "uma_protection"}}
	api := &uma.Client{ID: "photoz-api"}
	holder := &uma.User{ClientRoles: map[string][]string{"photoz-api": {"uma_protection"}}}
	elsewhere := &uma.User{ClientRoles: map[string][]string{"photoz-web": {"admin"}, "other-api": {"uma_protection"}}, Roles: []string{"uma_protection"}}
	tests := []struct {
		name  string
		who   Identity
		asked string
		want  string
	}{
		{"nothing", Identity{Client: client, User: &uma.User{}}, "", "profile email"},
		{"openid comes first", Identity{Client: client, User: &uma.User{}}, "download openid", "openid profile email download"},
		{"what the client is registered for", Identity{Client: client, User: &uma.User{}}, "download", "profile email download"},
		{"what it is not registered for", Identity{Client: client, User: &uma.User{}}, "upload", "profile email"},
		{"blanks and repeats", Identity{Client: client, User: &uma.User{}}, "  download  openid download openid email ", "openid profile email download"},
		{"case counts", Identity{Client: client, User: &uma.User{}}, "OpenID Download", "profile email"},
		{"uma_protection for who holds the role", Identity{Client: api, User: holder}, "uma_protection", "profile email uma_protection"},
		{"uma_protection not asked for", Identity{Client: api, User: holder}, "openid", "openid profile email"},
		{"uma_protection without the role", Identity{Client: api, User: &uma.User{}}, "uma_protection", "profile email"},
		{"uma_protection with roles of others", Identity{Client: api, User: elsewhere}, "uma_protection", "profile email"},
		// A client that is registered for a scope of that name does not hold the role.
		{"uma_protection registered, without the role", Identity{Client: client, User: &uma.User{}}, "uma_protection", "profile email"},
		{"a service account with the role", Identity{Client: &uma.Client{ID: "rs", ClientRoles: map[string][]string{"rs": {"uma_protection"}}}}, "uma_protection", "profile email uma_protection"},
		{"a service account without it", Identity{Client: &uma.Client{ID: "rs"}}, "uma_protection", "profile email"},
	}
	for _, tc := range tests {
		if got := GrantedScope(&tc.who, tc.asked); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The names are those of OpenID Connect Core §5.1, by hand.
func TestStandardClaims(t *testing.T) {
	t.Parallel()
	attributes := map[string]any{
		"name": 1, "given_name": 2, "family_name": 3, "middle_name": 4, "nickname": 5, "profile": 6, "picture": 7, "website": 8,
		"email": 9, "email_verified": false, "gender": 10, "birthdate": 11, "zoneinfo": 12, "locale": 13, "phone_number": 14,
		"phone_number_verified": true, "address": map[string]any{"country": "NO"}, "updated_at": 15,
	}
	want := maps.Clone(attributes)
	for _, own := range []string{
		"department", "sub", "iss", "aud", "exp", "preferred_username", "roles", "groups", "authorization", "realm_access",
		"resource_access", "Email", "",
	} {
		attributes[own] = "not for tokens"
	}
	if got := standardClaims(attributes); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := standardClaims(nil); len(got) != 0 {
		t.Errorf("got %v of nothing", got)
	}
}

// An access token is for `account` and for the resource servers, other than
// azp, where its subject has a client role (design §7).
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

// Shares name client roles as client/role. The roles of the identity are shared
// by requests, and stay as they are.
func TestParty(t *testing.T) {
	t.Parallel()
	roles := append(make([]string, 0, 8), "user")
	who := Identity{Subject: "u-bob", User: &uma.User{
		Roles: roles, ClientRoles: map[string][]string{"photoz-api": {"admin"}}, Groups: []string{"/friends"},
	}}
	p := who.Party("photoz-web")
	if p.ID != "u-bob" || p.Client != "photoz-web" || !slices.Equal(p.Roles, []string{"user", "photoz-api/admin"}) ||
		!slices.Equal(p.Groups, []string{"/friends"}) {
		t.Errorf("got %+v", p)
	}
	if got := roles[:2][1]; got != "" {
		t.Errorf("got %q behind the user's roles, want nothing", got)
	}
}

// Which clients are believed, and that the others cannot be told apart.
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

// Every reason why a verified access token speaks for nobody any more.
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
			id, err := w.service.Bearer(t.Context(), w.View, w.Snap, "access.of.bob")
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

// A token whose aud lacks account speaks only for the resource servers in it,
// also when it has none (design §7).
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
