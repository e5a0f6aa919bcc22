package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// alphaRealm has what PingAM's documentation names: the realm alpha and a resource
// of an owner.
const alphaRealm = `
realm: alpha
tokens: {signing_alg: ES256}
policy: {bundle: ./policies}
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: other-api, secret: other-secret, resource_server: true, service_account: true, password_grant: true}
  - {id: photoz-app, secret: app-secret, password_grant: true}
  - {id: photoz-web, public: true, password_grant: true}
users:
  - {username: alice, password: alice, client_roles: {photoz-api: [uma_protection]}, claims: {email: alice@example.com}}
  - {username: bob, password: bob, client_roles: {photoz-api: [uma_protection]}, claims: {email: bob@example.com}}
  - {username: carol, password: carol}
resources:
  - {id: ef4d750e-3831-483b-b395-c6f059b5e15d0, name: Photos, resource_server: photoz-api, owner: alice, scopes: [view, comment, download], owner_managed: true}
  - {id: whole, name: Whole, resource_server: photoz-api, owner: alice, scopes: [], owner_managed: true}
  - {id: fixed, name: Fixed, resource_server: photoz-api, owner: alice, scopes: [view]}
  - {id: of-bob, name: Bob's, resource_server: photoz-api, owner: bob, scopes: [view], owner_managed: true}
  - {id: of-another, name: Thing, resource_server: other-api, owner: alice, scopes: [view], owner_managed: true}
`

const (
	photos     = "ef4d750e-3831-483b-b395-c6f059b5e15d0"
	pingTicket = "/am/uma/realms/root/realms/alpha/permission_request"
	pingToken  = "/am/oauth2/realms/root/realms/alpha/access_token"
	pingCheck  = "/am/oauth2/realms/root/realms/alpha/introspect"
	pingSets   = "/am/uma/realms/root/realms/alpha/resource_set"
	pingUser   = "/am/json/realms/root/realms/alpha/users/"
	pingAlice  = pingUser + "alice/uma/"
)

// A ping is a client of PingAM's endpoints of alpha.
type ping struct{ *env }

func startPing(t testing.TB, opts ...func(*options)) ping {
	t.Helper()
	return ping{start(t, append([]func(*options){withRealm(alphaRealm, map[string]string{}), unlimited}, opts...)...)}
}

// call sends JSON, or nothing, to a path of the server.
func (p ping) call(t testing.TB, method, path string, as credentials, body any) *response {
	t.Helper()
	return p.do(t, request{method: method, url: p.URL + path, as: as, json: body})
}

// pat is a user's token with which photoz-api registers what is the user's.
func (p ping) pat(t testing.TB, user string) credentials {
	t.Helper()
	return bearer(p.signIn(t, user, "photoz-api", "uma_protection").access)
}

// owner speaks for a user who looks after resources.
func (p ping) owner(t testing.TB, user string) credentials {
	t.Helper()
	return p.as(t, user, "photoz-web")
}

func (p ping) newTicket(t testing.TB, resource string, scopes ...string) string {
	t.Helper()
	res := p.call(t, "POST", pingTicket, p.pat(t, "alice"), several(resource, append([]string{}, scopes...)))
	if res.status != 201 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket: got %s", res)
	}
	return res.str("ticket")
}

// grant presents a ticket for a user as PingAM's clients do: the client
// authenticates, the user is known by an ID token.
func (p ping) grant(t testing.TB, user, ticket string) *response {
	t.Helper()
	return p.do(t, request{method: "POST", url: p.URL + pingToken, as: basic("photoz-app"), form: form(
		"grant_type", umaGrant, "ticket", ticket, "claim_token", p.idToken(t, user, "photoz-app"), "claim_token_format", claimsID)})
}

func (p ping) introspect(t testing.TB, rpt string) *response {
	t.Helper()
	return p.do(t, request{method: "POST", url: p.URL + pingCheck, as: p.pat(t, "alice"), form: form("token", rpt)})
}

// expectCREST fails unless the answer is an error in the shape of PingAM's REST.
func (r *response) expectCREST(t testing.TB, status int, message string) {
	t.Helper()
	o := r.object()
	if r.status != status || o["code"] != float64(status) || o["reason"] != http.StatusText(status) || len(o) != 3 {
		t.Errorf("got %s\nwant %d in the shape code, reason, message", r, status)
		return
	}
	if message != "" && o["message"] != message || o["message"] == "" {
		t.Errorf("got message %q, want %q", o["message"], message)
	}
}

// seedRequest is the body of the document's request, byte for byte.
const seedRequest = `[
    {
        "resource_id" : "ef4d750e-3831-483b-b395-c6f059b5e15d0",
        "resource_scopes" : ["download"]
    }
]`

// TestSeedPingAM is the page of PingAM's documentation about
// /uma/permission_request.
func TestSeedPingAM(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	seed := func(t *testing.T, as credentials, body string) *response {
		t.Helper()
		return p.do(t, request{method: "POST", url: p.URL + pingTicket, body: body,
			headers: map[string]string{"authorization": "Bearer " + as.bearer, "content-type": "application/json"}})
	}

	t.Run("its request", func(t *testing.T) {
		t.Parallel()
		res := seed(t, p.pat(t, "alice"), seedRequest)
		if res.status != 201 || !strings.HasPrefix(res.str("ticket"), "eyJ") || len(res.object()) != 1 {
			t.Fatalf("got %s, want 201 and nothing but a ticket that begins with eyJ", res)
		}
		claims := payload(t, res.str("ticket"))
		issued, _ := claims["iat"].(float64)
		expires, _ := claims["exp"].(float64)
		if claims["iss"] != p.base() || issued != float64(p.Clock.Now().Unix()) || expires-issued != 120 {
			t.Errorf("got claims %v, want the realm's issuer and 120 seconds", claims)
		}
		for _, said := range []string{photos, "download", "Photos", "alice"} {
			if strings.Contains(fmt.Sprint(claims), said) {
				t.Errorf("the ticket says %q to whoever has it", said)
			}
		}
	})

	t.Run("one permission as an object", func(t *testing.T) {
		t.Parallel()
		res := seed(t, p.pat(t, "alice"), strings.Trim(seedRequest, "[]"))
		if res.status != 201 || !strings.HasPrefix(res.str("ticket"), "eyJ") {
			t.Errorf("got %s", res)
		}
	})

	t.Run("both of the objects are required", func(t *testing.T) {
		t.Parallel()
		for body, code := range map[string]string{
			`[{"resource_id":"` + photos + `"}]`:                                                            "invalid_request",
			`[{"resource_scopes":["download"]}]`:                                                            "invalid_request",
			`[{"resource_id":"` + photos + `","resource_scopes":null}]`:                                     "invalid_request",
			`[{"resource_id":null,"resource_scopes":["download"]}]`:                                         "invalid_request",
			`[{"Resource_Id":"` + photos + `","resource_scopes":["download"]}]`:                             "invalid_request",
			`[{"resource_id":"","resource_scopes":["download"]}]`:                                           "invalid_resource_id",
			`[{"resource_id":"Photos","resource_scopes":["download"]}]`:                                     "invalid_resource_id",
			`[{"resource_id":"` + photos + `","resource_scopes":["fly"]}]`:                                  "invalid_scope",
			`[{"resource_id":"` + photos + `","resource_scopes":["download",""]}]`:                          "invalid_scope",
			`[` + strings.Trim(seedRequest, "[]") + `,{"resource_id":"of-bob","resource_scopes":["view"]}]`: "invalid_resource_id",
			`[]`: "invalid_request", `{}`: "invalid_request", `"x"`: "invalid_request", ``: "invalid_request",
			seedRequest + seedRequest: "invalid_request",
			strings.Replace(seedRequest, `"resource_id"`, `"resource_id":"x","resource_id"`, 1): "invalid_request",
		} {
			res := seed(t, p.pat(t, "alice"), body)
			res.expect(t, 400, code, "")
			if t.Failed() {
				t.Fatal(body)
			}
		}
	})

	t.Run("the supported method", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
			res := p.call(t, method, pingTicket, p.pat(t, "alice"), nil)
			res.expect(t, 405, "unsupported_method_type", "")
			if got := res.header.Get("Allow"); got != "OPTIONS, POST" {
				t.Errorf("%s: got Allow %q", method, got)
			}
		}
	})

	t.Run("the default lifetime", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		for wait, status := range map[time.Duration]int{119 * time.Second: 200, 120 * time.Second: 400} {
			ticket := p.newTicket(t, photos, "download")
			p.Clock.Advance(wait)
			res := p.grant(t, "alice", ticket)
			if res.status != status {
				t.Errorf("after %s: got %s, want %d", wait, res, status)
			}
			if status == 400 {
				res.expect(t, 400, "invalid_grant", "The provided access grant is invalid, expired, or revoked.")
			}
		}
	})
}

// TestPingAMTicket: a ticket is a JWT around its handle; both are taken, once.
func TestPingAMTicket(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	const unusable = "The provided access grant is invalid, expired, or revoked."

	t.Run("used once, whatever its form", func(t *testing.T) {
		t.Parallel()
		ticket := p.newTicket(t, photos, "download")
		if res := p.grant(t, "alice", ticket); res.status != 200 || res.str("token_type") != "Bearer" || res.str("access_token") == "" {
			t.Fatalf("got %s", res)
		}
		p.grant(t, "alice", ticket).expect(t, 400, "invalid_grant", unusable)
		p.grant(t, "alice", payload(t, ticket)["handle"].(string)).expect(t, 400, "invalid_grant", unusable)
	})

	t.Run("the handle alone, and at another face", func(t *testing.T) {
		t.Parallel()
		handle := payload(t, p.newTicket(t, photos, "download"))["handle"].(string)
		if res := p.grant(t, "alice", handle); res.status != 200 {
			t.Errorf("got %s", res)
		}
		res := p.post(t, tokenPath, p.as(t, "alice", "photoz-app"), "grant_type", umaGrant, "ticket", p.newTicket(t, photos, "download"))
		res.expectGranted(t, "Photos: download")
	})

	t.Run("changed, unsigned or of another kind", func(t *testing.T) {
		t.Parallel()
		ticket := p.newTicket(t, photos, "download")
		parts := strings.Split(ticket, ".")
		for name, bad := range map[string]string{
			"forged": forged(ticket), "unsigned": unsigned(ticket), "without a signature": parts[0] + "." + parts[1] + ".",
			"in two lines": parts[0] + "." + parts[1] + ".\n" + parts[2], "an access token": p.token(t, "alice", "photoz-app"),
			"an ID token":     p.idToken(t, "alice", "photoz-app"),
			"a refresh token": p.newSignIn(t, "alice", "photoz-app", "").str("refresh_token"),
		} {
			if res := p.grant(t, "alice", bad); res.status != 400 || res.str("error_description") != unusable {
				t.Errorf("%s: got %s", name, res)
			}
		}
		if res := p.grant(t, "alice", ticket); res.status != 200 {
			t.Errorf("the ticket was spent by what is none: got %s", res)
		}
	})

	t.Run("who asks is the ID token's user", func(t *testing.T) {
		t.Parallel()
		res := p.grant(t, "bob", p.newTicket(t, photos, "download"))
		res.expect(t, 403, "request_submitted", "The client is not authorised to access the requested resource set. "+
			"A request has been submitted to the resource owner requesting access to the resource")
		next := res.str("ticket")
		if !strings.HasPrefix(next, "eyJ") || payload(t, next)["iss"] != p.base() {
			t.Errorf("got ticket %q, want the next one as a JWT", next)
		}
		if seconds, _ := res.object()["interval"].(float64); seconds <= 0 {
			t.Errorf("got interval %v", res.object()["interval"])
		}
	})

	t.Run("a claim token that is no good", func(t *testing.T) {
		t.Parallel()
		res := p.do(t, request{method: "POST", url: p.URL + pingToken, as: basic("photoz-app"), form: form("grant_type", umaGrant,
			"ticket", p.newTicket(t, photos, "download"), "claim_token", forged(p.idToken(t, "bob", "photoz-app")), "claim_token_format", claimsID)})
		res.expect(t, 403, "need_info", "")
		if !strings.HasPrefix(res.str("ticket"), "eyJ") || len(asList(res.object()["required_claims"])) == 0 {
			t.Errorf("got %s, want a ticket and what is wanted", res)
		}
	})

	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		res := p.grant(t, "bob", p.newTicket(t, "fixed", "view"))
		res.expect(t, 403, "request_denied", "")
		if res.str("ticket") != "" {
			t.Errorf("got %s, want no ticket", res)
		}
	})
}

// TestPingAMIntrospection: the documented answer, by POST and GET, to a PAT and to
// credentials.
func TestPingAMIntrospection(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	granted := p.grant(t, "alice", p.newTicket(t, photos, "download"))
	rpt := granted.str("access_token")
	expires := payload(t, rpt)["exp"]

	query := func(as credentials) request {
		return request{method: "GET", url: p.URL + pingCheck, as: as, query: map[string][]string{"token": {rpt}}}
	}
	body := func(as credentials) request {
		return request{method: "POST", url: p.URL + pingCheck, as: as, form: form("token", rpt)}
	}
	pat := p.pat(t, "alice")
	for name, r := range map[string]request{
		"GET with a PAT": query(pat), "GET with credentials": query(basic("photoz-api")),
		"POST with a PAT": body(pat), "POST with credentials": body(basic("photoz-api")),
	} {
		res := p.do(t, r)
		o := res.object()
		permissions := asList(o["permissions"])
		if res.status != 200 || o["active"] != true || o["token_type"] != "access_token" || o["exp"] != expires || o["iss"] != p.base() || len(o) != 5 || len(permissions) != 1 {
			t.Errorf("%s: got %s", name, res)
			continue
		}
		got := asObject(permissions[0])
		if got["resource_id"] != photos || !slices.Equal(asList(got["resource_scopes"]), []any{"download"}) || got["exp"] != expires || len(got) != 3 {
			t.Errorf("%s: got permission %v", name, got)
		}
		if res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the answer may be kept", name)
		}
	}

	for name, as := range map[string]credentials{
		"bob's PAT": p.pat(t, "bob"), "another resource server": basic("other-api"), "the client": basic("photoz-app"),
	} {
		res := p.do(t, body(as))
		if active := res.object()["active"]; res.status != 200 || active != (name == "the client") {
			t.Errorf("%s: got %s", name, res)
		}
	}

	p.do(t, query(credentials{})).expect(t, 401, "invalid_client", "")
	p.do(t, query(bearer("garbage"))).expect(t, 401, "invalid_token", "")
	p.do(t, query(p.owner(t, "alice"))).expect(t, 403, "insufficient_scope", "")
	p.do(t, request{method: "GET", url: p.URL + pingCheck, query: map[string][]string{"token": {rpt}, "client_id": {"photoz-api"}, "client_secret": {"secret"}}}).
		expect(t, 400, "invalid_request", "client_secret does not belong in a query")

	plain := p.do(t, request{method: "POST", url: p.URL + pingCheck, as: basic("photoz-api"), form: form("token", p.pat(t, "alice").bearer)})
	if o := plain.object(); o["active"] != true || !strings.Contains(plain.str("scope"), "uma_protection") || o["permissions"] != nil {
		t.Errorf("a plain token: got %s", plain)
	}
	garbage := p.do(t, request{method: "GET", url: p.URL + pingCheck, as: pat, query: map[string][]string{"token": {"x"}}})
	if string(garbage.raw) != `{"active":false}` {
		t.Errorf("garbage: got %s", garbage)
	}
}

// TestPingAMQueryStaysOut: what comes in the query, a token to introspect or one
// put there by mistake, gets into no log.
func TestPingAMQueryStaysOut(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	rpt := p.grant(t, "alice", p.newTicket(t, photos, "download")).str("access_token")
	pat := p.pat(t, "alice")
	secret := map[string][]string{"token": {rpt}, "access_token": {pat.bearer}, "client_secret": {"s3cret-in-a-query"}, "_queryFilter": {"s3cret-filter"}}
	for _, path := range []string{pingCheck, pingTicket, pingSets, pingAlice + "policies", pingAlice + "pendingrequests", pingToken, "/am/nowhere"} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			p.do(t, request{method: method, url: p.URL + path, as: pat, query: secret})
		}
	}
	k := &keeper{e: p.env, secrets: map[string]string{}}
	k.note(t, "RPT", rpt)
	k.note(t, "PAT", pat.bearer)
	k.note(t, "secret", "s3cret-in-a-query")
	k.note(t, "filter", "s3cret-filter")
	for name, content := range p.written(t) {
		k.expectNone(t, name, content)
	}
	if !bytes.Contains(readFile(t, filepath.Join(p.Data, "server.log")), []byte("/am/oauth2/realms/root/realms/:realm/introspect")) {
		t.Error("the log has no line of the introspection")
	}
}

// TestAttackPingAMTokenInTwoWays: whoever reads one of two tokens and checks the
// other is fooled (RFC 6750 §2).
func TestAttackPingAMTokenInTwoWays(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	pat := p.pat(t, "alice")
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"POST", pingSets, specified("Twice", []string{"view"})},
		{"GET", pingSets, nil},
		{"GET", pingSets + "/" + photos, nil},
		{"PUT", pingSets + "/" + photos, specified("Twice", []string{"view"})},
		{"DELETE", pingSets + "/" + photos, nil},
		{"POST", pingTicket, several(photos, []string{"view"})},
	} {
		p.call(t, r.method, r.path+"?access_token="+pat.bearer, pat, r.body).
			expect(t, 400, "invalid_request", "the access token comes in two ways")
		p.call(t, r.method, r.path+"?access_token="+pat.bearer, credentials{}, r.body).expect(t, 401, "invalid_token", "")
	}
}
