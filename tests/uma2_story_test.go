package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"time"
)

// TestUMA2Story goes from registration to access, and back, over HTTP alone, with
// a resource server and a client that know nothing but the specifications: UMA
// Grant, Federated Authorization, RFC 6749, RFC 6750 and RFC 7662. Only how a
// user signs in and how the owner answers is this server's own.
func TestUMA2Story(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	rs := newStoryServer(t, e)
	photo := rs.protect("/photo", "view", description{"name": "Photo", "type": "adult", "resource_scopes": []string{"view"}})
	album := rs.protect("/album", "edit", description{"name": "Album", "resource_scopes": []string{"view", "edit"}})
	app := &storyClient{t: t, e: e, rs: rs, idToken: e.idToken(t, "bob", "photoz-app")}

	// The client learns what is wanted, and says who asks.
	if got := app.get("/photo"); got != http.StatusUnauthorized {
		t.Fatalf("without a token: got %d, want 401", got)
	}
	res := app.trade()
	res.expect(t, 403, "need_info", "")
	if name := asObject(asList(res.object()["required_claims"])[0])["name"]; name != "email" {
		t.Errorf("got %s, want the claim email wanted", res)
	}
	app.ticket = res.str("ticket")
	res = app.trade("claim_token", app.idToken, "claim_token_format", claimsID)
	if res.status != 200 {
		t.Fatalf("with the claim: got %s", res)
	}
	app.rpt = res.str("access_token")
	if got := app.get("/photo"); got != http.StatusOK {
		t.Errorf("with the RPT: got %d, want 200", got)
	}

	// That is not enough elsewhere: the owner is asked, and answers.
	if got := app.get("/album"); got != http.StatusUnauthorized {
		t.Errorf("the RPT of another resource: got %d, want 401", got)
	}
	res = app.trade("claim_token", app.idToken, "claim_token_format", claimsID, "rpt", app.rpt)
	res.expect(t, 403, "request_submitted", "")
	rs.answer(album, []any{map[string]any{"username": "bob", "scopes": []string{"edit"}}})
	e.Clock.Advance(time.Duration(res.object()["interval"].(float64)) * time.Second)
	app.ticket = res.str("ticket")
	res = app.trade("claim_token", app.idToken, "claim_token_format", claimsID, "rpt", app.rpt)
	if res.status != 200 || res.object()["upgraded"] != true {
		t.Fatalf("after the owner's answer: got %s, want an upgraded RPT", res)
	}
	old := app.rpt
	app.rpt = res.str("access_token")
	for _, path := range []string{"/album", "/photo"} {
		if got := app.get(path); got != http.StatusOK {
			t.Errorf("%s with the upgraded RPT: got %d, want 200", path, got)
		}
	}
	app.rpt = old
	if got := app.get("/photo"); got != http.StatusUnauthorized {
		t.Errorf("with the old RPT: got %d, want 401", got)
	}
	app.rpt = res.str("access_token")

	// The owner takes it back, and the resource server removes the other.
	rs.answer(album, []any{map[string]any{"username": "bob", "scopes": []string{}}})
	if got := app.get("/album"); got != http.StatusUnauthorized {
		t.Errorf("after the withdrawal: got %d, want 401", got)
	}
	if got := app.get("/photo"); got != http.StatusOK {
		t.Errorf("what was not withdrawn: got %d, want 200", got)
	}
	rs.call("DELETE", rs.doc.str("resource_registration_endpoint")+"/"+photo, nil, 204)
	if got := rs.call("GET", rs.doc.str("resource_registration_endpoint"), nil, 200); !slices.Equal(asList(got.json), []any{album}) {
		t.Errorf("got %s, want what is left", got)
	}
}

// A storyServer is a resource server, alice's.
type storyServer struct {
	*httptest.Server
	t         *testing.T
	e         *env
	doc       *response // discovery
	pat       credentials
	resources map[string]storyResource // by path
}

type storyResource struct{ id, scope string }

func newStoryServer(t *testing.T, e *env) *storyServer {
	s := &storyServer{t: t, e: e, resources: map[string]storyResource{}}
	s.doc = e.do(t, request{method: "GET", url: e.base() + "/.well-known/uma2-configuration"})
	signIn := e.do(t, request{method: "POST", url: s.doc.str("token_endpoint"), as: basic("photoz-api"),
		form: form("grant_type", "password", "username", "alice", "password", "alice", "scope", "uma_protection")})
	s.pat = bearer(signIn.str("access_token"))
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// call sends a request with the PAT.
func (s *storyServer) call(method, url string, body any, want int) *response {
	s.t.Helper()
	res := s.e.do(s.t, request{method: method, url: url, as: s.pat, json: body})
	if res.status != want {
		s.t.Fatalf("%s %s: got %s, want %d", method, url, res, want)
	}
	return res
}

// protect registers what is at a path (FedAuthz §3.2.1).
func (s *storyServer) protect(path, scope string, d description) string {
	res := s.call("POST", s.doc.str("resource_registration_endpoint"), d, 201)
	s.resources[path] = storyResource{res.str("_id"), scope}
	return res.str("_id")
}

// ServeHTTP gives access with an RPT that permits it (FedAuthz §5), and without
// one a ticket (UMA Grant §3.2).
func (s *storyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wanted := s.resources[r.URL.Path]
	var rpt string
	if _, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &rpt); err == nil {
		res := s.e.do(s.t, request{method: "POST", url: s.doc.str("introspection_endpoint"), as: s.pat, form: form("token", rpt)})
		for _, p := range asList(res.object()["permissions"]) {
			if p := asObject(p); p["resource_id"] == wanted.id && slices.Contains(asList(p["resource_scopes"]), any(wanted.scope)) {
				return
			}
		}
	}
	res := s.call("POST", s.doc.str("permission_endpoint"), ask(wanted.id, wanted.scope), 201)
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`UMA realm="photos", as_uri="%s", ticket="%s"`, s.doc.str("issuer"), res.str("ticket")))
	w.WriteHeader(http.StatusUnauthorized)
}

// answer is what the owner makes of a resource's sharing, on her account.
func (s *storyServer) answer(resource string, sharing []any) {
	s.t.Helper()
	res := s.e.send(s.t, "PUT", "/account/resources/"+resource+"/permissions", s.e.as(s.t, "alice", "photoz-web"), sharing)
	if res.status != 204 {
		s.t.Fatalf("answer: got %s", res)
	}
}

// A storyClient is a client of the resource server, for bob.
type storyClient struct {
	t           *testing.T
	e           *env
	rs          *storyServer
	idToken     string
	ticket, rpt string
	as          string // token endpoint
}

var umaChallenge = regexp.MustCompile(`^UMA realm="[^"]*", as_uri="([^"]+)", ticket="([^"]+)"$`)

// get asks for what is at a path and returns the status. Of a refusal it keeps
// the ticket, and finds the authorization server.
func (c *storyClient) get(path string) int {
	c.t.Helper()
	res := c.e.do(c.t, request{method: "GET", url: c.rs.URL + path, as: bearer(c.rpt)})
	if m := umaChallenge.FindStringSubmatch(res.header.Get("WWW-Authenticate")); m != nil {
		doc := c.e.do(c.t, request{method: "GET", url: m[1] + "/.well-known/uma2-configuration"})
		if doc.str("issuer") != m[1] {
			c.t.Errorf("got issuer %q, want the as_uri %q", doc.str("issuer"), m[1])
		}
		c.as, c.ticket = doc.str("token_endpoint"), m[2]
	}
	return res.status
}

// trade presents the ticket (UMA Grant §3.3.1).
func (c *storyClient) trade(kv ...string) *response {
	c.t.Helper()
	return c.e.do(c.t, request{method: "POST", url: c.as, as: basic("photoz-app"), form: form(append(kv, "grant_type", umaGrant, "ticket", c.ticket)...)})
}
