package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// aKeycloak is a running Keycloak with a realm of this test.
type aKeycloak struct {
	url   string // of the server
	realm string
	admin string // access token
}

// newKeycloak makes a realm in the Keycloak at UMPIRE_KEYCLOAK, whose administrator is admin
// with the password admin, and removes it at the end. `make test-clients` sets it.
func newKeycloak(t *testing.T) *aKeycloak {
	t.Helper()
	k := &aKeycloak{url: os.Getenv("UMPIRE_KEYCLOAK"), realm: fmt.Sprintf("people-%d", time.Now().UnixNano())}
	if k.url == "" {
		t.Skip("UMPIRE_KEYCLOAK names no Keycloak; make test-clients does")
	}
	k.signInAdmin(t)
	k.call(t, "POST", "", map[string]any{
		"realm": k.realm, "enabled": true, "accessTokenLifespan": 3600,
		"groups": []any{map[string]any{"name": "staff"}, map[string]any{"name": "others"}},
		"roles":  map[string]any{"realm": []any{map[string]any{"name": "buyer"}}},
		"clients": []any{
			clientOfKeycloak("web", "umpire", nil),
			clientOfKeycloak("elsewhere", "umpire", nil),
			clientOfKeycloak("orders-api", "orders-api", map[string]any{"publicClient": false, "secret": "orders-secret", "serviceAccountsEnabled": true}),
		},
		"users": []any{userOfKeycloak("alice", true, "/staff"), userOfKeycloak("bob", false, "/others"), userOfKeycloak("carol", true)},
	})
	t.Cleanup(func() {
		k.signInAdmin(t)
		k.call(t, "DELETE", "/"+k.realm, nil)
	})
	return k
}

// clientOfKeycloak describes a client whose tokens are for an audience, as docs/issuers.md says.
func clientOfKeycloak(id, audience string, more map[string]any) map[string]any {
	mapper := func(name, kind string, config map[string]string) map[string]any {
		return map[string]any{"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config}
	}
	c := map[string]any{
		"clientId": id, "publicClient": true, "directAccessGrantsEnabled": true, "standardFlowEnabled": false,
		"protocolMappers": []any{
			mapper("audience", "oidc-audience-mapper", map[string]string{"included.custom.audience": audience, "access.token.claim": "true"}),
			mapper("groups", "oidc-group-membership-mapper", map[string]string{"claim.name": "groups", "full.path": "true", "access.token.claim": "true", "id.token.claim": "true"}),
			mapper("license", "oidc-hardcoded-claim-mapper", map[string]string{"claim.name": "license", "claim.value": "trade", "jsonType.label": "String", "access.token.claim": "true", "id.token.claim": "true"}),
		},
	}
	for name, value := range more {
		c[name] = value
	}
	return c
}

func userOfKeycloak(name string, verified bool, groups ...string) map[string]any {
	return map[string]any{
		"username": name, "enabled": true, "email": name + "@example.com", "emailVerified": verified, "firstName": name, "lastName": "Example",
		"credentials": []any{map[string]any{"type": "password", "value": name, "temporary": false}},
		"groups":      groups, "realmRoles": []string{"buyer"},
	}
}

func (k *aKeycloak) issuer() string { return k.url + "/realms/" + k.realm }

func (k *aKeycloak) signInAdmin(t testing.TB) {
	t.Helper()
	res := k.token(t, k.url+"/realms/master", form("grant_type", "password", "client_id", "admin-cli", "username", "admin", "password", "admin"))
	k.admin = res.str("access_token")
}

// token asks the token endpoint of a realm.
func (k *aKeycloak) token(t testing.TB, realm string, p pairs) *response {
	t.Helper()
	return k.send(t, "POST", realm+"/protocol/openid-connect/token", "application/x-www-form-urlencoded", p.encode())
}

// signIn signs a user in through a client.
func (k *aKeycloak) signIn(t testing.TB, user, client string) *response {
	t.Helper()
	p := form("grant_type", "password", "client_id", client, "username", user, "password", user, "scope", "openid")
	if client == "orders-api" {
		p = append(p, [2]string{"client_secret", "orders-secret"})
	}
	return k.token(t, k.issuer(), p)
}

// call calls the admin API, below /admin/realms.
func (k *aKeycloak) call(t testing.TB, method, path string, body any) *response {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return k.send(t, method, k.url+"/admin/realms"+path, "application/json", string(text))
}

func (k *aKeycloak) send(t testing.TB, method, target, content, body string) *response {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also at the end of the test
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", content)
	if k.admin != "" && strings.Contains(target, "/admin/") {
		req.Header.Set("Authorization", "Bearer "+k.admin)
	}
	res, err := attempt(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.status >= 300 {
		t.Fatalf("%s %s: %s", method, target, res)
	}
	return res
}

// addToGroup adds a user to a group.
func (k *aKeycloak) addToGroup(t testing.TB, user, group string) {
	t.Helper()
	id := func(list, name string) string {
		found := asList(k.call(t, "GET", "/"+k.realm+list+url.QueryEscape(name), nil).json)
		if len(found) != 1 {
			t.Fatalf("got %d of %s", len(found), name)
		}
		return fmt.Sprint(at(found[0], "id"))
	}
	k.call(t, "PUT", "/"+k.realm+"/users/"+id("/users?exact=true&username=", user)+"/groups/"+id("/groups?exact=true&search=", group), nil)
}

// newKey has the realm sign with a key of its own from now on, and forgets the others.
func (k *aKeycloak) newKey(t testing.TB) {
	t.Helper()
	realm := k.call(t, "GET", "/"+k.realm, nil).str("id")
	const keys = "org.keycloak.keys.KeyProvider"
	k.call(t, "POST", "/"+k.realm+"/components", map[string]any{
		"name": "new", "providerId": "rsa-generated", "providerType": keys, "parentId": realm,
		"config": map[string]any{"priority": []string{"1000"}, "algorithm": []string{"RS256"}},
	})
	for _, c := range asList(k.call(t, "GET", "/"+k.realm+"/components?type="+url.QueryEscape(keys), nil).json) {
		if at(c, "providerId") == "rsa-generated" && at(c, "name") != "new" {
			k.call(t, "DELETE", "/"+k.realm+"/components/"+fmt.Sprint(at(c, "id")), nil)
		}
	}
}

// documentedKeycloakRealm is the realm file of docs/issuers.md for Keycloak, with some resources.
func documentedKeycloakRealm(t testing.TB, issuer string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n## Keycloak\n.*?```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/issuers.md has no realm file for Keycloak")
	}
	return strings.NewReplacer(
		"https://keycloak.example.com/realms/people", issuer,
		"    alias: people\n", "    alias: people\n    allow_private: true\n",
		"env:API_SECRET", "api-secret-of-this-test",
	).Replace(string(block[1])) + `
policy: {bundle: ./policies}
resources:
  - {name: Handbook, resource_server: api, type: document, scopes: [view]}
  - {name: Market, resource_server: api, type: market, scopes: [sell]}
`
}

var keycloakPolicies = map[string]string{
	"document.rego": "package uma.policies.document\n\ngrant contains \"view\" if \"/people/staff\" in input.subject.groups\n",
	"market.rego":   "package uma.policies.market\n\ngrant contains \"sell\" if input.claims.verified.license == \"trade\"\n",
}

// TestKeycloakAsIssuer: the realm file of docs/issuers.md with a real Keycloak. Everything that
// Keycloak signs is used as what it is, and as what it is not.
func TestKeycloakAsIssuer(t *testing.T) {
	k := newKeycloak(t)
	e := start(t, withRealm(documentedKeycloakRealm(t, k.issuer()), keycloakPolicies))
	api := func(kv ...string) []string {
		return append([]string{"client_id", "api", "client_secret", "api-secret-of-this-test", "audience", "api"}, kv...)
	}
	ask := func(as credentials, permission string, kv ...string) *response {
		return e.uma(t, as, append([]string{"audience", "api", "permission", permission}, kv...)...)
	}
	alice, bob := k.signIn(t, "alice", "web"), k.signIn(t, "bob", "web")

	t.Run("bearer", func(t *testing.T) {
		res := ask(bearer(alice.str("access_token")), "Handbook#view")
		res.expectGranted(t, "Handbook: view")
		rpt := payload(t, res.str("access_token"))
		who, _ := rpt["sub_id"].(map[string]any)
		foreign := payload(t, alice.str("access_token"))
		if who["iss"] != k.issuer() || who["sub"] != foreign["sub"] || rpt["sub"] == foreign["sub"] || rpt["azp"] != "web" {
			t.Errorf("got an RPT of %v for Keycloak's %v", rpt, foreign)
		}
		if res.str("refresh_token") != "" {
			t.Error("got a refresh token")
		}
		ask(bearer(bob.str("access_token")), "Handbook#view").expect(t, 403, "access_denied", "")
	})
	t.Run("what is no bearer", func(t *testing.T) {
		for _, token := range []string{"id_token", "refresh_token"} {
			if res := ask(bearer(alice.str(token)), "Handbook#view"); res.status != 401 {
				t.Errorf("%s: got %s", token, res)
			}
		}
		if res := ask(bearer(k.signIn(t, "alice", "elsewhere").str("access_token")), "Handbook#view"); res.status != 401 {
			t.Errorf("of another client: got %s", res)
		}
		if res := ask(bearer(k.signIn(t, "alice", "orders-api").str("access_token")), "Handbook#view"); res.status != 401 {
			t.Errorf("for the API: got %s", res)
		}
	})

	own := k.signIn(t, "alice", "orders-api")
	t.Run("an API shows its own token", func(t *testing.T) {
		for _, token := range []string{own.str("access_token"), own.str("id_token")} {
			res := e.uma(t, credentials{}, api("permission", "Handbook#view", "subject_token", token, "response_mode", "decision")...)
			if res.status != 200 || res.object()["result"] != true {
				t.Errorf("got %s", res)
			}
		}
		res := e.uma(t, credentials{}, api("permission", "Handbook#view", "subject_token", alice.str("id_token"), "response_mode", "decision")...)
		if res.status == 200 || res.status >= 500 {
			t.Errorf("a token for another client: got %s", res)
		}
	})
	t.Run("claim token", func(t *testing.T) {
		ask := func(who *response, more ...string) *response {
			return e.uma(t, credentials{}, append(api("permission", "Market#sell", "subject_token", who.str("access_token")), more...)...)
		}
		licence := []string{"claim_token", own.str("id_token"), "claim_token_format", claimsID}
		ask(own, licence...).expectGranted(t, "Market: sell")
		ask(k.signIn(t, "bob", "orders-api"), licence...).expect(t, 403, "access_denied", "")
		ask(own).expect(t, 403, "access_denied", "")
	})
	t.Run("token exchange", func(t *testing.T) {
		const kind = "urn:ietf:params:oauth:token-type:access_token"
		res := e.post(t, tokenPath, credentials{}, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "client_id", "api",
			"client_secret", "api-secret-of-this-test", "subject_token", own.str("access_token"), "subject_token_type", kind)
		if res.status != 200 || res.str("issued_token_type") != kind {
			t.Fatalf("got %s", res)
		}
		ask(bearer(res.str("access_token")), "Handbook#view").expectGranted(t, "Handbook: view")
	})
	t.Run("who is in no group", func(t *testing.T) {
		if res := ask(bearer(k.signIn(t, "carol", "web").str("access_token")), "Handbook#view"); res.status != 401 {
			t.Errorf("got %s", res)
		}
	})
	t.Run("an application's own token", func(t *testing.T) {
		k.addToGroup(t, "service-account-orders-api", "staff")
		res := k.token(t, k.issuer(), form("grant_type", "client_credentials", "client_id", "orders-api", "client_secret", "orders-secret"))
		_, event := onlyRecord(t, e.stored(t), func() {
			e.uma(t, credentials{}, api("permission", "Handbook#view", "subject_token", res.str("access_token"))...).expectGranted(t, "Handbook: view")
		})
		if at(event, "input", "subject", "type") != "service" || at(event, "input", "subject", "issuer") != k.issuer() {
			t.Errorf("got %v", at(event, "input", "subject"))
		}
	})
	t.Run("keys", func(t *testing.T) {
		k.signInAdmin(t)
		k.newKey(t)
		e.Clock.Advance(6 * time.Second) // an unknown kid fetches once in 5 s
		ask(bearer(k.signIn(t, "alice", "web").str("access_token")), "Handbook#view").expectGranted(t, "Handbook: view")
		if res := ask(bearer(alice.str("access_token")), "Handbook#view"); res.status != 401 {
			t.Errorf("a token of the key that was withdrawn: got %s", res)
		}
	})
}
