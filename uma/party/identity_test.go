package party

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"example.com/umpire/uma"
)

// Which of the scopes that a sign-in asks for are granted.
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

// The names are those of OpenID Connect Core §5.1, written by hand.
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

// Shares name client roles as client/role. The roles of the identity, which other requests
// use, do not change.
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
