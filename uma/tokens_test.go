package uma_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"example.com/umpire/uma"
)

func TestAudienceJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		aud  uma.Audience
		json string
	}{
		{uma.Audience{"account"}, `"account"`},
		{uma.Audience{"account", "photoz-api"}, `["account","photoz-api"]`},
		{uma.Audience{}, `[]`},
		{uma.Audience{""}, `""`},
	} {
		got, err := json.Marshal(tc.aud)
		if err != nil || string(got) != tc.json {
			t.Errorf("%q: got %s, %v, want %s", tc.aud, got, err, tc.json)
		}
		var back uma.Audience
		if err := json.Unmarshal([]byte(tc.json), &back); err != nil || !slices.Equal(back, tc.aud) {
			t.Errorf("%s: got %q, %v, want %q", tc.json, back, err, tc.aud)
		}
	}
	for text, want := range map[string]uma.Audience{`["account"]`: {"account"}, ` "a\u0062"`: {"ab"}, `null`: nil} {
		var got uma.Audience
		if err := json.Unmarshal([]byte(text), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`1`, `true`, `{}`, `{"a":"b"}`, `[1]`, `["a",["b"]]`} {
		var got uma.Audience
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}

// What the tokens look like, from docs/design.md and the recorded answers and not
// from our constants.
func TestClaimsOnTheWire(t *testing.T) {
	t.Parallel()
	if uma.TypeBearer != "Bearer" || uma.TypeID != "ID" || uma.TypeRefresh != "Refresh" {
		t.Errorf("typ: got %q, %q, %q", uma.TypeBearer, uma.TypeID, uma.TypeRefresh)
	}
	tests := []struct {
		name   string
		claims uma.Claims
		want   string
	}{
		{
			"an RPT", uma.Claims{
				ID: "j", Issuer: "https://as.example/realms/photoz", Audience: uma.Audience{"photoz-api"}, Subject: "u", Type: "Bearer",
				AuthorizedParty: "photoz-web", ClientID: "photoz-web", SessionID: "s", ACR: "1", AuthTime: 3, Scope: "profile email",
				RealmAccess:    &uma.RoleSet{Roles: []string{"user"}},
				ResourceAccess: map[string]uma.RoleSet{"photoz-api": {Roles: []string{"uma_protection"}}},
				Groups:         []string{"/friends"}, Username: "bob", AllowedOrigins: []string{"http://localhost:3000"},
				Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{{
					ID: "r", Name: "Resource A", Scopes: []uma.Scope{"ScopeA"}, Claims: map[string][]string{"k": {"v"}},
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
			"what is empty is left out", uma.Claims{ID: "j", Issuer: "i", Subject: "u", Type: "Bearer", AuthorizedParty: "c", IssuedAt: 1, Expires: 2},
			`{"jti":"j","iss":"i","sub":"u","typ":"Bearer","azp":"c","iat":1,"exp":2}`,
		},
		{
			"a refresh token", uma.Claims{ID: "j", Issuer: "i", Audience: uma.Audience{"i"}, Subject: "u", Type: "Refresh", AuthorizedParty: "c", Handle: "h", IssuedAt: 1, Expires: 2},
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

func TestTokenResponseOnTheWire(t *testing.T) {
	t.Parallel()
	no := false
	tests := []struct {
		name string
		res  uma.TokenResponse
		want string
	}{
		{
			"an RPT: upgraded is there when false", uma.TokenResponse{
				AccessToken: "a", ExpiresIn: 300, RefreshExpiresIn: 1800, RefreshToken: "r", TokenType: "Bearer", SessionState: "s", Scope: "email profile", Upgraded: &no,
			},
			`{"access_token":"a","expires_in":300,"refresh_expires_in":1800,"refresh_token":"r","token_type":"Bearer","not-before-policy":0,` +
				`"session_state":"s","scope":"email profile","upgraded":false}`,
		},
		{
			"a sign-in", uma.TokenResponse{AccessToken: "a", ExpiresIn: 300, TokenType: "Bearer", IDToken: "i", Scope: "openid"},
			`{"access_token":"a","expires_in":300,"refresh_expires_in":0,"token_type":"Bearer","id_token":"i","not-before-policy":0,"scope":"openid"}`,
		},
	}
	for _, tc := range tests {
		got, err := json.Marshal(tc.res)
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
		{"a permission of a ticket", uma.Permission{Resource: "r", Scopes: []uma.Scope{"view"}, Whole: true}, `{"resource":"r","scopes":["view"],"whole":true}`},
		{"scopes alone", uma.Permission{Scopes: []uma.Scope{"view"}}, `{"scopes":["view"]}`},
		{
			"a grant", uma.Grant{
				Resource: "r", Name: "Album", Scopes: []uma.Scope{"view"}, Claims: map[string][]string{"k": {"v"}}, Version: 3, Owner: "o",
				Shares: []uma.GrantShare{{ID: "s", Version: 4, Scopes: []uma.Scope{"view"}}}, Inherited: []uma.Scope{"print"},
			},
			`{"rsid":"r","rsname":"Album","scopes":["view"],"claims":{"k":["v"]},"version":3,"owner":"o",` +
				`"shares":[{"id":"s","version":4,"scopes":["view"]}],"inherited":["print"]}`,
		},
		{
			"a required claim", uma.RequiredClaim{Name: "n", FriendlyName: "f", Type: "t", Formats: []string{"u"}, Issuers: []string{"i"}},
			`{"name":"n","friendly_name":"f","claim_type":"t","claim_token_format":["u"],"issuer":["i"]}`,
		},
		{
			"an output", uma.Output{
				Granted: []uma.Scope{"view"}, NeedInfo: []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: "email"}, Scopes: []uma.Scope{"edit"}}},
				Submit: []uma.Scope{"edit"}, Reasons: []string{"owner"}, Obligations: []uma.Obligation{{ID: "watermark", Type: "image"}},
				RestsOn: []string{"s"}, RPT: uma.RPTInstructions{TTL: 60, Claims: map[string][]string{"k": {"v"}}}, SharesUnknown: true,
			},
			`{"granted":["view"],"need_info":[{"name":"email","scopes":["edit"]}],"submit":["edit"],"reasons":["owner"],` +
				`"obligations":[{"id":"watermark","type":"image"}],"rests_on":["s"],"rpt":{"ttl":60,"claims":{"k":["v"]}}}`,
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
	if got := base64.RawURLEncoding.EncodeToString(uma.Digest("abc")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
