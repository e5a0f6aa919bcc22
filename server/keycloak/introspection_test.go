package keycloak_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

func marshal(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func TestIntrospectionOnTheWire(t *testing.T) {
	t.Parallel()
	claims := &uma.Claims{
		ID: "j", Issuer: "https://as.example/realms/photoz", Audience: uma.Audience{"photoz-api"}, Subject: "u-bob", Type: uma.TypeBearer,
		AuthorizedParty: "photoz-web", ClientID: "photoz-web", SessionID: "s", ACR: "1", Scope: "profile email",
		Username: "bob", IssuedAt: 1_700_000_000, Expires: 1_700_000_300,
		Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{{ID: "r", Name: "Album", Scopes: []uma.Scope{"view"}}}},
		Extra:         map[string]any{"email": "bob@example.com", "sub": "somebody else", "active": false},
	}
	refresh := &uma.Claims{
		ID: "j", Issuer: "i", Audience: uma.Audience{"i"}, Subject: "u-bob", Type: uma.TypeRefresh, AuthorizedParty: "photoz-web",
		Handle: "the-secret-handle", IssuedAt: 1, Expires: 2,
	}
	tests := []struct {
		name string
		in   party.Introspection
		hint string
		want string
	}{
		{"inactive says nothing else", party.Introspection{Claims: claims, Username: "bob", Permissions: []uma.Grant{{}}}, "requesting_party_token", `{"active":false}`},
		{
			"an RPT, asked for as one", party.Introspection{
				Active: true, Claims: claims, Username: "bob",
				Permissions: []uma.Grant{{Resource: "r", Name: "Album", Scopes: []uma.Scope{"view"}}, {Resource: "b", Name: "Bare"}},
			}, "requesting_party_token",
			`{"active":true,"acr":"1","aud":"photoz-api","exp":1700000300,"iat":1700000000,"jti":"j","typ":"Bearer","permissions":[` +
				`{"resource_id":"r","rsname":"Album","resource_scopes":["view"],"scopes":["view"],"rsid":"r"},` +
				`{"resource_id":"b","rsname":"Bare","resource_scopes":[],"scopes":[],"rsid":"b"}]}`,
		},
		{
			"an access token", party.Introspection{Active: true, Claims: claims, Username: "bob"}, "",
			`{"active":true,"acr":"1","aud":"photoz-api","authorization":{"permissions":[{"scopes":["view"],"rsid":"r","rsname":"Album"}]},` +
				`"azp":"photoz-web","client_id":"photoz-web","email":"bob@example.com","exp":1700000300,"iat":1700000000,` +
				`"iss":"https://as.example/realms/photoz","jti":"j","preferred_username":"bob","scope":"profile email","sid":"s",` +
				`"sub":"u-bob","token_type":"Bearer","typ":"Bearer","username":"bob"}`,
		},
		{
			"a refresh token keeps its handle to itself", party.Introspection{Active: true, Claims: refresh, Username: "bob"}, "",
			`{"active":true,"aud":"i","azp":"photoz-web","client_id":"photoz-web","exp":2,"iat":1,"iss":"i","jti":"j","sub":"u-bob",` +
				`"token_type":"Refresh","typ":"Refresh","username":"bob"}`,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			raw, err := marshal(keycloak.ShowIntrospection(&tc.in, tc.hint))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := canonical(t, raw), canonical(t, []byte(tc.want)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// canonical is JSON with its members in order.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Clients assert the set of keys: exactly these five.
func TestIntrospectedPermissionHasFiveKeys(t *testing.T) {
	t.Parallel()
	raw, err := marshal(keycloak.ShowIntrospection(&party.Introspection{
		Active: true, Claims: &uma.Claims{}, Permissions: []uma.Grant{{Resource: "r", Name: "Album", Scopes: []uma.Scope{"view"}}},
	}, "requesting_party_token"))
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Permissions []map[string]any `json:"permissions"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(out.Permissions[0]))
	if want := []string{"resource_id", "resource_scopes", "rsid", "rsname", "scopes"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
