package tests

import (
	"strings"
	"testing"
)

// seedRealm has the names that Keycloak's documentation uses: Resource A with
// Scope A, Scope B and Scope C.
const seedRealm = `
realm: photoz
tokens: {signing_alg: ES256}
policy: {bundle: ./policies}
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: photoz-app, secret: app-secret, service_account: true, password_grant: true}
  - {id: photoz-web, public: true, password_grant: true}
users:
  - {username: alice, password: alice, roles: [user], claims: {email: alice@example.com}}
  - {username: bob, password: bob, roles: [user], claims: {email: bob@example.com}}
  - {username: carol, password: carol}
resources:
  - {name: Resource A, resource_server: photoz-api, type: demo, uris: [/a], scopes: [Scope A, Scope B, Scope C]}
  - {name: Resource B, resource_server: photoz-api, type: demo, uris: [/b], scopes: [Scope B]}
  - {name: Bank, resource_server: photoz-api, type: bank, scopes: [withdraw]}
  - {name: Vault, resource_server: photoz-api, type: vault, scopes: [open]}
  - {name: Album, resource_server: photoz-api, owner: alice, type: album, scopes: [view], owner_managed: true}
`

var seedPolicies = map[string]string{
	"demo.rego": `package uma.policies.demo
grant contains "*" if "user" in input.subject.roles`,
	"bank.rego": `package uma.policies.bank
grant contains "withdraw" if input.claims.pushed.amount == ["50"]`,
	"vault.rego": `package uma.policies.vault
grant contains "open" if input.claims.verified.email == "alice@example.com"`,
}

// curl sends what `curl -X POST -H "Authorization: Bearer …" --data … --data …`
// sends: the lines as they are, joined by &, with only the characters encoded
// that would end a value.
func curl(t *testing.T, e *env, path, token string, data ...string) *response {
	t.Helper()
	for i, line := range data {
		name, value, _ := strings.Cut(line, "=")
		data[i] = name + "=" + strings.NewReplacer("&", "%26", "+", "%2B", "%", "%25").Replace(value)
	}
	return e.do(t, request{
		method: "POST", url: e.URL + path, as: bearer(token), body: strings.Join(data, "&"),
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	})
}

// TestSeedProcess is the authorization process of Keycloak's documentation, from
// the ticket on (the resource server's 401 belongs to pep).
func TestSeedProcess(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(seedRealm, seedPolicies))
	const path = "/auth/realms/photoz/protocol/openid-connect/token"

	t.Run("Keycloak responds to the client with the RPT", func(t *testing.T) {
		t.Parallel()
		res := curl(t, e, path, e.token(t, "bob", "photoz-web"),
			"grant_type=urn:ietf:params:oauth:grant-type:uma-ticket", "ticket="+e.ticket(t, perm{Resource: "Resource A", Scopes: []string{"Scope A"}}))
		res.expectGranted(t, "Resource A: Scope A")
		if got := res.header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
			t.Errorf("got Content-Type %q, want application/json", got)
		}
	})

	t.Run("Keycloak denies the authorization request", func(t *testing.T) {
		t.Parallel()
		res := curl(t, e, path, e.token(t, "carol", "photoz-web"),
			"grant_type=urn:ietf:params:oauth:grant-type:uma-ticket", "ticket="+e.ticket(t, perm{Resource: "Resource A", Scopes: []string{"Scope A"}}))
		res.expect(t, 403, "access_denied", "request_denied")
		if len(res.object()) != 2 {
			t.Errorf("got %s, want exactly the two members that the document shows", res)
		}
	})
}

// TestSeedParameters sends every parameter of Keycloak's documentation of the
// token endpoint, under the name that it has there.
func TestSeedParameters(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(seedRealm, seedPolicies))
	bob := func(t *testing.T) credentials { return e.as(t, "bob", "photoz-web") }

	t.Run("grant_type", func(t *testing.T) {
		t.Parallel()
		e.post(t, tokenPath, bob(t), "permission", "Resource A", "audience", "photoz-api").
			expect(t, 400, "invalid_request", "Missing form parameter: grant_type")
	})

	t.Run("ticket", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Resource A"), Scopes: []string{"Scope B"}})
		e.uma(t, bob(t), "ticket", ticket).expectGranted(t, "Resource A: Scope B")
	})

	t.Run("claim_token, claims", func(t *testing.T) {
		t.Parallel()
		app := e.as(t, "bob", "photoz-app")
		e.uma(t, app, "permission", "Bank").expect(t, 403, "access_denied", "not_authorized")
		e.uma(t, app, "permission", "Bank", "claim_token_format", claimsJWT, "claim_token", pushed(t, map[string][]string{"amount": {"500"}})).
			expect(t, 403, "access_denied", "not_authorized")
		e.uma(t, app, "permission", "Bank", "claim_token_format", claimsJWT, "claim_token", pushed(t, map[string][]string{"amount": {"50"}})).
			expectGranted(t, "Bank: withdraw")
	})

	t.Run("claim_token, an access token", func(t *testing.T) {
		t.Parallel()
		alice := e.as(t, "alice", "photoz-app")
		e.uma(t, alice, "permission", "Vault").expect(t, 403, "access_denied", "not_authorized")
		e.uma(t, alice, "permission", "Vault", "claim_token_format", claimsJWT, "claim_token", e.token(t, "alice", "photoz-app")).
			expectGranted(t, "Vault: open")
		// The claims of somebody else are not the requesting party's.
		e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Vault", "claim_token_format", claimsJWT, "claim_token", e.token(t, "alice", "photoz-app")).
			expect(t, 400, "invalid_claim_token", "")
	})

	for _, format := range []string{claimsID, claimsIDTLS} {
		scheme, _, _ := strings.Cut(format, ":")
		t.Run("claim_token, an ID token, "+scheme, func(t *testing.T) {
			t.Parallel()
			res := e.uma(t, basic("photoz-app"), "permission", "Resource B", "claim_token_format", format, "claim_token", e.idToken(t, "bob", "photoz-app"))
			res.expectGranted(t, "Resource B: Scope B")
			if res.status == 200 {
				claims := payload(t, res.str("access_token"))
				if claims["preferred_username"] != "bob" || claims["azp"] != "photoz-app" {
					t.Errorf("got an RPT of %v through %v, want bob through photoz-app", claims["preferred_username"], claims["azp"])
				}
			}
		})
	}

	t.Run("rpt", func(t *testing.T) {
		t.Parallel()
		first := e.uma(t, bob(t), "permission", "Resource A#Scope A")
		first.expectGranted(t, "Resource A: Scope A")
		e.uma(t, bob(t), "permission", "Resource B", "rpt", first.str("access_token")).
			expectGranted(t, "Resource B: Scope B", "Resource A: Scope A")
	})

	forms := []struct {
		permission string
		want       []string
	}{
		{"Resource A#Scope A", []string{"Resource A: Scope A"}},
		{"Resource A#Scope A, Scope B, Scope C", []string{"Resource A: Scope A Scope B Scope C"}},
		{"Resource A", []string{"Resource A: Scope A Scope B Scope C"}},
		{"#Scope A", []string{"Resource A: Scope A"}},
		{"#Scope B", []string{"Resource A: Scope B", "Resource B: Scope B"}},
	}
	for _, tc := range forms {
		t.Run("permission="+tc.permission, func(t *testing.T) {
			t.Parallel()
			e.uma(t, bob(t), "permission", tc.permission).expectGrantedInAnyOrder(t, tc.want...)
		})
	}

	t.Run("permission, several times", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob(t), "permission", "Resource B#Scope B", "permission", "Resource A#Scope A").
			expectGranted(t, "Resource B: Scope B", "Resource A: Scope A")
	})

	t.Run("audience", func(t *testing.T) {
		t.Parallel()
		e.post(t, tokenPath, bob(t), "grant_type", umaGrant, "permission", "Resource A").
			expect(t, 400, "invalid_request", "You must provide the issuedFor")
		res := e.uma(t, bob(t), "permission", "Resource B", "audience", "photoz-api")
		res.expectGranted(t, "Resource B: Scope B")
		if res.status == 200 && payload(t, res.str("access_token"))["aud"] != "photoz-api" {
			t.Errorf("got aud %v, want photoz-api", payload(t, res.str("access_token"))["aud"])
		}
	})

	t.Run("response_include_resource_name", func(t *testing.T) {
		t.Parallel()
		for value, want := range map[string]bool{"true": true, "false": false} {
			res := e.uma(t, bob(t), "permission", "Resource B", "response_mode", "permissions", "response_include_resource_name", value)
			if len(asList(res.json)) != 1 {
				t.Fatalf("got %s, want one permission", res)
			}
			p := asObject(asList(res.json)[0])
			if _, got := p["rsname"]; got != want || p["rsid"] == nil {
				t.Errorf("%s: got %s, want rsid, and rsname: %t", value, res, want)
			}
		}
	})

	t.Run("response_permissions_limit", func(t *testing.T) {
		t.Parallel()
		both := e.uma(t, bob(t), "permission", "Resource A#Scope A", "permission", "Resource B")
		both.expectGranted(t, "Resource A: Scope A", "Resource B: Scope B")
		e.uma(t, bob(t), "permission", "Resource A#Scope A", "permission", "Resource B", "response_permissions_limit", "1").
			expectGranted(t, "Resource A: Scope A")
		// With an rpt the last N requested permissions are kept.
		old := e.uma(t, bob(t), "permission", "Resource A#Scope A").str("access_token")
		e.uma(t, bob(t), "permission", "Resource B", "rpt", old, "response_permissions_limit", "1").
			expectGranted(t, "Resource B: Scope B")
	})

	t.Run("response_mode=decision", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bob(t), "permission", "Resource A#Scope A", "response_mode", "decision")
		if res.status != 200 || len(res.object()) != 1 || res.object()["result"] != true {
			t.Errorf(`got %s, want 200 {"result":true}`, res)
		}
		e.uma(t, e.as(t, "carol", "photoz-web"), "permission", "Resource A#Scope A", "response_mode", "decision").
			expect(t, 403, "access_denied", "not_authorized")
	})

	t.Run("response_mode=permissions", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bob(t), "permission", "Resource A#Scope A", "response_mode", "permissions")
		res.expectGranted(t, "Resource A: Scope A")
		if len(asList(res.json)) == 1 && asObject(asList(res.json)[0])["rsid"] != e.resourceID(t, "Resource A") {
			t.Errorf("got %s, want the resource's id as rsid", res)
		}
		e.uma(t, e.as(t, "carol", "photoz-web"), "permission", "Resource A#Scope A", "response_mode", "permissions").
			expect(t, 403, "access_denied", "not_authorized")
	})
}

// TestSeedSubmitRequest: submit_request=false stores nothing, true (and its
// absence) asks the owner.
func TestSeedSubmitRequest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		param []string
		want  string // error_description
		kept  int    // requests
	}{
		{"submit_request=false", []string{"submit_request", "false"}, "request_denied", 0},
		{"submit_request=true", []string{"submit_request", "true"}, "request_submitted", 1},
		{"without submit_request", nil, "request_submitted", 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := start(t, withRealm(seedRealm, seedPolicies))
			id := e.resourceID(t, "Album")
			ticket := e.ticket(t, perm{Resource: id, Scopes: []string{"view"}})
			e.uma(t, e.as(t, "bob", "photoz-web"), append([]string{"ticket", ticket}, tc.param...)...).
				expect(t, 403, "access_denied", tc.want)
			if got := stored(t, e, id); len(got) != tc.kept {
				t.Errorf("got %d stored requests, want %d", len(got), tc.kept)
			}
		})
	}

	t.Run("submit_request has no effect without a ticket", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(seedRealm, seedPolicies))
		id := e.resourceID(t, "Album")
		e.uma(t, e.as(t, "bob", "photoz-web"), "permission", id+"#view", "submit_request", "true").
			expect(t, 403, "access_denied", "not_authorized")
		if got := stored(t, e, id); len(got) != 0 {
			t.Errorf("got %d stored requests, want none", len(got))
		}
	})
}

// stored are the requests for a resource, as its resource server sees them.
func stored(t *testing.T, e *env, resource string) []any {
	t.Helper()
	res := e.get(t, requests, e.service(t, "photoz-api"), "resourceId", resource, "returnNames", "true")
	if res.status != 200 {
		t.Fatalf("list requests: got %s", res)
	}
	return asList(res.json)
}
