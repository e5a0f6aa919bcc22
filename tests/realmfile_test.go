package tests

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// smallRealm is a realm with two users and a resource server. Its `settings` are
// lines of YAML.
func smallRealm(name, settings string) string {
	return `realm: ` + name + "\n" + settings + `
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: photoz-app, secret: app-secret, service_account: true, password_grant: true}
users:
  - {username: alice, password: alice, client_roles: {photoz-api: [uma_protection]}}
  - {username: bob, password: bob, roles: [user]}
resources:
  - {name: Public board, resource_server: photoz-api, type: board, scopes: [view]}
  - {name: Album, resource_server: photoz-api, owner: alice, type: album, scopes: [view], owner_managed: true}
`
}

// TestRealmSettings: each key of a realm file's upper part has its effect.
func TestRealmSettings(t *testing.T) {
	t.Parallel()
	signIn := func(t *testing.T, e *env, member string, want float64) {
		t.Helper()
		if got := e.newSignIn(t, "bob", "photoz-app", "").object()[member]; got != want {
			t.Errorf("got %s %v, want %v", member, got, want)
		}
	}
	ask := func(t *testing.T, e *env) *response {
		t.Helper()
		return e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view")
	}
	const bundle = "policy: {bundle: ./policies}"
	tests := []struct {
		key, settings string
		effect        func(t *testing.T, e *env)
	}{
		{"defaults", bundle, func(t *testing.T, e *env) {
			signIn(t, e, "expires_in", 300)
			signIn(t, e, "refresh_expires_in", 1800)
			res := ask(t, e)
			res.expectGranted(t, "Public board: view")
			if got := res.object()["expires_in"]; got != 300.0 {
				t.Errorf("got an RPT for %v seconds, want 300", got)
			}
			if alg := payload(t, "."+strings.Split(res.str("access_token"), ".")[0]+".")["alg"]; alg != "RS256" {
				t.Errorf("got an RPT signed with %v, want RS256", alg)
			}
		}},
		{"enabled", "enabled: false\n" + bundle, func(t *testing.T, e *env) {
			res := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "client_credentials")
			res.expect(t, 403, "access_denied", "Realm not enabled")
		}},
		{"tokens.access", "tokens: {access: 1m}", func(t *testing.T, e *env) { signIn(t, e, "expires_in", 60) }},
		{"tokens.rpt", "tokens: {rpt: 90s}\n" + bundle, func(t *testing.T, e *env) {
			if got := ask(t, e).object()["expires_in"]; got != 90.0 {
				t.Errorf("got an RPT for %v seconds, want 90", got)
			}
		}},
		{"tokens.refresh", "tokens: {refresh: 10m}", func(t *testing.T, e *env) { signIn(t, e, "refresh_expires_in", 600) }},
		{"tokens.session", "tokens: {session: 3m}", func(t *testing.T, e *env) {
			signIn(t, e, "refresh_expires_in", 180)
			signIn(t, e, "expires_in", 180)
		}},
		{"tokens.ticket", "tokens: {ticket: 10s}\n" + bundle, func(t *testing.T, e *env) {
			e.service(t, "photoz-api")
			early, late := boardTicket(t, e), boardTicket(t, e)
			bob := e.as(t, "bob", "photoz-app")
			e.Clock.Advance(9 * time.Second)
			e.uma(t, bob, "ticket", early).expectGranted(t, "Public board: view")
			e.Clock.Advance(time.Second)
			unusable(t, e.uma(t, bob, "ticket", late))
		}},
		{"ticket_reuse", "ticket_reuse: true\n" + bundle, func(t *testing.T, e *env) {
			ticket := boardTicket(t, e)
			for range 3 {
				e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket).expectGranted(t, "Public board: view")
			}
			e.Clock.Advance(2 * time.Minute)
			unusable(t, e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket))
		}},
		{"policy.bundle", "policy: {}", func(t *testing.T, e *env) { // the library alone grants nothing but to owners
			ask(t, e).expect(t, 403, "access_denied", "not_authorized")
			album := e.resourceID(t, "Album")
			e.uma(t, e.as(t, "alice", "photoz-app"), "permission", album).expectGranted(t, "Album: view")
		}},
		{"policy.resubmit_after", "policy: {resubmit_after: 1h}", func(t *testing.T, e *env) {
			album := e.resourceID(t, "Album")
			ticket := func() string { return e.ticket(t, perm{Resource: album, Scopes: []string{"view"}}) }
			e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket()).expect(t, 403, "access_denied", "request_submitted")
			pending := asList(e.get(t, requests, e.as(t, "alice", "photoz-api")).json)
			if len(pending) != 1 {
				t.Fatalf("got requests %v, want 1", pending)
			}
			no := map[string]any{"id": at(pending[0], "id"), "granted": false}
			if res := e.send(t, "PUT", requests, e.as(t, "alice", "photoz-api"), no); res.status != 204 {
				t.Fatalf("refuse: got %s", res)
			}
			e.Clock.Advance(59 * time.Minute)
			e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket()).expect(t, 403, "access_denied", "request_denied")
			e.Clock.Advance(2 * time.Minute)
			e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket()).expect(t, 403, "access_denied", "request_submitted")
		}},
	}
	policies := map[string]string{"board.rego": "package uma.policies.board\ngrant contains s if {\n\t\"user\" in input.subject.roles\n\tsome s in input.scopes\n}"}
	for i, tc := range tests {
		t.Run(tc.key, func(t *testing.T) {
			t.Parallel()
			e := start(t, withRealm(smallRealm(fmt.Sprintf("r%d", i), tc.settings), policies))
			tc.effect(t, e)
		})
	}
}

// TestRealmRows: each key of a client, a user and a resource has its effect.
func TestRealmRows(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(`realm: photoz
policy: {bundle: ./policies}
issuers:
  - {issuer: https://idp.example.com, alias: idp, jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}, algorithms: [EdDSA], audiences: [umpire], accept: [claims]}
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: photoz-app, secret: app-secret, service_account: true, password_grant: true, roles: [auditor],
     client_roles: {photoz-api: [reader]}, groups: [/robots], claims: {email: app@example.com}, scopes: [download]}
  - {id: other-api, secret_hash: "sha256:`+sha256Hex("other-secret")+`", service_account: true}
  - {id: plain-app, secret: plain-secret}
  - {id: photoz-web, public: true, password_grant: true, web_origins: ["http://localhost:3000"], claims_redirect_uris: ["http://localhost:3000/claims"]}
  - {id: gone-app, public: true, password_grant: true, enabled: false}
users:
  - {username: alice, password: alice, enabled: false}
  - {username: bob, password: bob, roles: [user, admin], client_roles: {photoz-api: [uma_protection]}, groups: [/friends, /friends/close],
     claims: {email: bob@example.com, given_name: Bob, department: sales}}
scopes: {photoz-api: [print]}
resources:
  - {id: album-1, name: Album, display_name: The album, icon_uri: "https://example.com/i.png", resource_server: photoz-api, owner: bob, type: album,
     uris: [/album/1, "/album/1/*"], scopes: [view, print], owner_managed: true, attributes: {visibility: [private, family]}}
  - {name: Bare, resource_server: photoz-api}
`, map[string]string{"album.rego": `package uma.policies.album
rpt := {"claims": {"seen": ["all of it"]}} if {
	input.client.id == "photoz-app"
	input.client.scopes == ["download"]
	input.resource.attributes.visibility == ["private", "family"]
	input.resource.uris == ["/album/1", "/album/1/*"]
	input.subject.attributes.department == "sales"
	input.subject.groups == ["/friends", "/friends/close"]
}`}))

	t.Run("clients", func(t *testing.T) {
		grant := func(client, secret string) *response {
			return e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_id", client, "client_secret", secret)
		}
		app := payload(t, grant("photoz-app", "app-secret").str("access_token"))
		expectClaims(t, app, map[string]any{
			"azp": "photoz-app", "preferred_username": "service-account-photoz-app", "email": "app@example.com", "groups": []any{"/robots"},
			"realm_access": map[string]any{"roles": []any{"auditor"}}, "resource_access": map[string]any{"photoz-api": map[string]any{"roles": []any{"reader"}}},
			"aud": []any{"account", "photoz-api"},
		})
		if res := grant("other-api", "other-secret"); res.status != 200 {
			t.Errorf("secret_hash: got %s, want 200", res)
		}
		grant("other-api", sha256Hex("other-secret")).expect(t, 401, "invalid_client", "")
		grant("plain-app", "plain-secret").expect(t, 401, "unauthorized_client", "") // no service_account
		grant("photoz-web", "").expect(t, 401, "unauthorized_client", "")            // public
		grant("photoz-web", "app-secret").expect(t, 401, "invalid_client", "")       // and without a secret
		password := func(client, secret string) *response {
			p := []string{"grant_type", "password", "client_id", client, "username", "bob", "password", "bob"}
			if secret != "" {
				p = append(p, "client_secret", secret)
			}
			return e.post(t, tokenPath, credentials{}, p...)
		}
		password("plain-app", "plain-secret").expect(t, 401, "unauthorized_client", "") // no password_grant
		password("gone-app", "").expect(t, 401, "invalid_client", "")
		web := password("photoz-web", "")
		expectClaims(t, payload(t, web.str("access_token")), map[string]any{"allowed-origins": []any{"http://localhost:3000"}})
		e.send(t, "POST", permission, e.service(t, "other-api"), perm{Resource: "Bare"}).expect(t, 403, "invalid_clientId", "") // no resource_server
		for client, want := range map[string]bool{"photoz-app": true, "photoz-web": false} {
			res := e.post(t, tokenPath, credentials{}, append([]string{"grant_type", "password", "username", "bob", "password", "bob", "scope", "download", "client_id", client}, secretOf(client)...)...)
			if got := slices.Contains(strings.Fields(res.str("scope")), "download"); got != want {
				t.Errorf("%s: got scope %q", client, res.str("scope"))
			}
		}
		preflight := e.do(t, request{method: "OPTIONS", url: tokenPath, headers: map[string]string{"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}})
		if got := preflight.header.Get("Access-Control-Allow-Origin"); got != "http://localhost:3000" {
			t.Errorf("web_origins: got Access-Control-Allow-Origin %q", got)
		}
	})

	t.Run("users", func(t *testing.T) {
		res := e.newSignIn(t, "bob", "photoz-app", "openid")
		expectClaims(t, payload(t, res.str("access_token")), map[string]any{
			"preferred_username": "bob", "email": "bob@example.com", "given_name": "Bob", "department": nil, "groups": []any{"/friends", "/friends/close"},
			"realm_access": map[string]any{"roles": []any{"user", "admin"}}, "resource_access": map[string]any{"photoz-api": map[string]any{"roles": []any{"uma_protection"}}},
		})
		info := e.get(t, "/protocol/openid-connect/userinfo", bearer(res.str("access_token"))).object()
		expectClaims(t, info, map[string]any{"preferred_username": "bob", "email": "bob@example.com", "given_name": "Bob"})
		e.post(t, tokenPath, credentials{}, "grant_type", "password", "client_id", "photoz-web", "username", "alice", "password", "alice").
			expect(t, 400, "invalid_grant", "Account disabled")
	})

	t.Run("resources", func(t *testing.T) {
		got := e.get(t, resourceSet+"/album-1", e.service(t, "photoz-api")).object()
		expectClaims(t, got, map[string]any{
			"_id": "album-1", "name": "Album", "displayName": "The album", "icon_uri": "https://example.com/i.png", "type": "album",
			"uris": []any{"/album/1", "/album/1/*"}, "ownerManagedAccess": true, "attributes": map[string]any{"visibility": []any{"private", "family"}},
			"resource_scopes": []any{map[string]any{"name": "view"}, map[string]any{"name": "print"}},
		})
		if owner := at(got, "owner", "id"); owner != payload(t, e.token(t, "bob", "photoz-app"))["sub"] {
			t.Errorf("got owner %v, want bob", owner)
		}
		res := e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "album-1#print", "response_mode", "permissions")
		if seen := at(asList(res.json)[0], "claims", "seen"); !reflect.DeepEqual(seen, []any{"all of it"}) {
			t.Errorf("got %s, want a policy that has seen clients[].scopes, users[] and resources[]", res)
		}
		id := e.create(t, map[string]any{"name": "Printed", "type": "x", "resource_scopes": []string{"print"}})
		e.ticket(t, perm{Resource: id, Scopes: []string{"print"}}, perm{Scopes: []string{"print"}})
	})

	for _, words := range [][]string{{"claims_redirect_uris", "no effect yet"}, {"clients[0].secret", "is short"}} {
		if !e.logged(t, words...) {
			t.Errorf("start-up did not say %q", words)
		}
	}
}

// secretOf are the form parameters of a client's secret, if it has one.
func secretOf(client string) []string {
	if secrets[client] == "" {
		return nil
	}
	return []string{"client_secret", secrets[client]}
}

// expectClaims fails where a member is not what it should be; nil wants none.
func expectClaims(t testing.TB, got map[string]any, want map[string]any) {
	t.Helper()
	for name, w := range want {
		if !reflect.DeepEqual(got[name], w) {
			t.Errorf("%s: got %v, want %v", name, got[name], w)
		}
	}
}
