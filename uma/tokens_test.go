package uma

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAudienceJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		aud  Audience
		json string
	}{
		{Audience{"account"}, `"account"`},
		{Audience{"account", "photoz-api"}, `["account","photoz-api"]`},
		{Audience{}, `[]`},
		{Audience{""}, `""`},
	} {
		got, err := json.Marshal(tc.aud)
		if err != nil || string(got) != tc.json {
			t.Errorf("%q: got %s, %v, want %s", tc.aud, got, err, tc.json)
		}
		var back Audience
		if err := json.Unmarshal([]byte(tc.json), &back); err != nil || !slices.Equal(back, tc.aud) {
			t.Errorf("%s: got %q, %v, want %q", tc.json, back, err, tc.aud)
		}
	}
	for text, want := range map[string]Audience{`["account"]`: {"account"}, ` "a\u0062"`: {"ab"}, `null`: nil} {
		var got Audience
		if err := json.Unmarshal([]byte(text), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`1`, `true`, `{}`, `{"a":"b"}`, `[1]`, `["a",["b"]]`} {
		var got Audience
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}

// What the tokens look like, from docs/design.md and the recorded answers and not
// from our constants.
func TestClaimsOnTheWire(t *testing.T) {
	t.Parallel()
	if TypeBearer != "Bearer" || TypeID != "ID" || TypeRefresh != "Refresh" {
		t.Errorf("typ: got %q, %q, %q", TypeBearer, TypeID, TypeRefresh)
	}
	tests := []struct {
		name   string
		claims Claims
		want   string
	}{
		{
			"an RPT", Claims{
				ID: "j", Issuer: "https://as.example/realms/photoz", Audience: Audience{"photoz-api"}, Subject: "u", Type: "Bearer",
				AuthorizedParty: "photoz-web", ClientID: "photoz-web", SessionID: "s", ACR: "1", AuthTime: 3, Scope: "profile email",
				RealmAccess:    &RoleSet{Roles: []string{"user"}},
				ResourceAccess: map[string]RoleSet{"photoz-api": {Roles: []string{"uma_protection"}}},
				Groups:         []string{"/friends"}, Username: "bob", AllowedOrigins: []string{"http://localhost:3000"},
				Authorization: &Authorization{Permissions: []GrantedPermission{{
					ID: "r", Name: "Resource A", Scopes: []Scope{"ScopeA"}, Claims: map[string][]string{"k": {"v"}},
				}}},
				IssuedAt: 1, Expires: 2, Extra: map[string]any{"email": "is written by the issuer"},
			},
			`{"jti":"j","iss":"https://as.example/realms/photoz","aud":"photoz-api","sub":"u","typ":"Bearer","azp":"photoz-web",` +
				`"client_id":"photoz-web","sid":"s","acr":"1","auth_time":3,"scope":"profile email",` +
				`"realm_access":{"roles":["user"]},"resource_access":{"photoz-api":{"roles":["uma_protection"]}},"groups":["/friends"],` +
				`"preferred_username":"bob","allowed-origins":["http://localhost:3000"],` +
				`"authorization":{"permissions":[{"scopes":["ScopeA"],"claims":{"k":["v"]},"rsid":"r","rsname":"Resource A"}]},"iat":1,"exp":2}`,
		},
		{
			"what is empty is left out", Claims{ID: "j", Issuer: "i", Subject: "u", Type: "Bearer", AuthorizedParty: "c", IssuedAt: 1, Expires: 2},
			`{"jti":"j","iss":"i","sub":"u","typ":"Bearer","azp":"c","iat":1,"exp":2}`,
		},
		{
			"a refresh token", Claims{ID: "j", Issuer: "i", Audience: Audience{"i"}, Subject: "u", Type: "Refresh", AuthorizedParty: "c", Handle: "h", IssuedAt: 1, Expires: 2},
			`{"jti":"j","iss":"i","aud":"i","sub":"u","typ":"Refresh","azp":"c","handle":"h","iat":1,"exp":2}`,
		},
	}
	for _, tc := range tests {
		got, err := json.Marshal(tc.claims)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got  %s, %v\nwant %s", tc.name, got, err, tc.want)
		}
	}
}

// The decision contract, version 1: policies are written to these names. The
// engine has tests of its own for what it writes; what is stored with tickets
// and RPTs is read back by the next version of this program.
func TestStoredNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"a permission of a ticket", Permission{Resource: "r", Scopes: []Scope{"view"}, Whole: true}, `{"resource":"r","scopes":["view"],"whole":true}`},
		{"scopes alone", Permission{Scopes: []Scope{"view"}}, `{"scopes":["view"]}`},
		{
			"a grant", Grant{
				Resource: "r", Name: "Album", Scopes: []Scope{"view"}, Claims: map[string][]string{"k": {"v"}}, Version: 3, Owner: "o",
				Shares: []GrantShare{{ID: "s", Version: 4, Scopes: []Scope{"view"}}}, Inherited: []Scope{"print"},
			},
			`{"rsid":"r","rsname":"Album","scopes":["view"],"claims":{"k":["v"]},"version":3,"owner":"o",` +
				`"shares":[{"id":"s","version":4,"scopes":["view"]}],"inherited":["print"]}`,
		},
		{
			"a required claim", RequiredClaim{Name: "n", FriendlyName: "f", Type: "t", Formats: []string{"u"}, Issuers: []string{"i"}},
			`{"name":"n","friendly_name":"f","claim_type":"t","claim_token_format":["u"],"issuer":["i"]}`,
		},
	}
	for _, tc := range tests {
		got, err := json.Marshal(tc.v)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got  %s, %v\nwant %s", tc.name, got, err, tc.want)
			continue
		}
		back := reflect.New(reflect.TypeOf(tc.v))
		if err := json.Unmarshal(got, back.Interface()); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		again, err := json.Marshal(back.Interface())
		if err != nil || string(again) != tc.want {
			t.Errorf("%s, read back: got  %s, %v\nwant %s", tc.name, again, err, tc.want)
		}
	}
}

// SHA-256 of "abc", from FIPS 180-2.
func TestDigest(t *testing.T) {
	t.Parallel()
	const want = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
	if got := base64.RawURLEncoding.EncodeToString(Digest("abc")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Digests of handles are in the order of their times; equal times share nothing else.
func TestHandle(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	var before []byte
	for i := range 100 {
		handle, another := NewHandle(at.Add(time.Duration(i)*time.Millisecond)), NewHandle(at.Add(time.Duration(i)*time.Millisecond))
		digest := Digest(handle)
		if bytes.Compare(before, digest) >= 0 {
			t.Fatalf("%x is not before %x", before, digest)
		}
		before = digest
		if handle[8:] == another[8:] || bytes.Equal(digest[6:], Digest(another)[6:]) {
			t.Errorf("%s and %s share more than the time", handle, another)
		}
		if sum := sha256.Sum256([]byte(handle)); !bytes.Equal(digest[6:], sum[:]) {
			t.Errorf("%s: got %x, want its SHA-256 after the time", handle, digest)
		}
	}
	// Whatever else has the length of a handle is a secret like others.
	for _, other := range []string{strings.Repeat("-", 51), strings.Repeat("!", 51)} {
		if sum := sha256.Sum256([]byte(other)); !bytes.HasSuffix(Digest(other), sum[:]) {
			t.Errorf("%s: got %x", other, Digest(other))
		}
	}
}
