package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// An oldSite is a resource server as Keycloak's documentation of the Authorization
// API describes it: it registers albums, asks for a ticket when a request has no
// RPT that is enough, and introspects the RPTs that it is shown.
type oldSite struct {
	*env
	t         *testing.T
	discovery map[string]any // /.well-known/uma-configuration
	albums    map[string]string
}

// endpoint is one that discovery names.
func (s *oldSite) endpoint(name string) string {
	url, _ := s.discovery[name].(string)
	return url
}

func (s *oldSite) pat() credentials {
	res := s.do(s.t, request{method: "POST", url: s.endpoint("token_endpoint"), as: basic("photoz-api"), form: form("grant_type", "client_credentials")})
	return bearer(res.str("access_token"))
}

func (s *oldSite) register(name, owner string) string {
	res := s.do(s.t, request{method: "POST", url: s.endpoint("resource_set_registration_endpoint"), as: s.pat(), json: map[string]any{
		"name": name, "type": "album", "uri": "/album/" + name, "owner": owner, "ownerManagedAccess": true, "scopes": []string{"view", "comment"},
	}})
	s.albums[name] = res.str("_id")
	return res.str("_id")
}

// ServeHTTP serves GET /album/NAME (view) and POST (comment).
func (s *oldSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, scope := s.albums[strings.TrimPrefix(r.URL.Path, "/album/")], "view"
	if r.Method == http.MethodPost {
		scope = "comment"
	}
	rpt := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if rpt != "" && s.allows(rpt, id, scope) {
		fmt.Fprint(w, "the album")
		return
	}
	res := s.do(s.t, request{method: "POST", url: s.endpoint("permission_registration_endpoint"), as: s.pat(),
		json: map[string]any{"resource_set_id": id, "scopes": []string{scope}}})
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`UMA realm="photoz", as_uri=%q`, s.endpoint("rpt_endpoint")))
	w.WriteHeader(http.StatusUnauthorized)
	if err := json.NewEncoder(w).Encode(map[string]string{"ticket": res.str("ticket")}); err != nil {
		s.t.Error(err)
	}
}

// allows introspects an RPT.
func (s *oldSite) allows(rpt, id, scope string) bool {
	res := s.do(s.t, request{method: "POST", url: s.endpoint("token_endpoint") + "/introspect", as: basic("photoz-api"),
		form: form("token", rpt, "token_type_hint", "requesting_party_token")})
	for _, p := range asList(res.object()["permissions"]) {
		if at(p, "rsid") == id && strings.Contains(fmt.Sprint(at(p, "scopes")), scope) {
			return true
		}
	}
	return false
}

// An oldClient is a client of the site, for one user.
type oldClient struct {
	*env
	t    *testing.T
	site string
	aat  string
	rpt  string
}

var asURI = regexp.MustCompile(`as_uri="([^"]*)"`)

// try asks the site for an album, and where it says so, the authorization server
// for an RPT. It returns what the last of them answers.
func (c *oldClient) try(method, album string) *response {
	ask := request{method: method, url: c.site + "/album/" + album, as: bearer(c.rpt)}
	res := c.do(c.t, ask)
	if res.status != http.StatusUnauthorized {
		return res
	}
	body := map[string]string{"ticket": res.str("ticket")}
	if c.rpt != "" {
		body["rpt"] = c.rpt
	}
	uri := asURI.FindStringSubmatch(res.header.Get("WWW-Authenticate"))
	if uri == nil {
		c.t.Fatalf("got %v, want to be told where to go", res.header)
	}
	answer := c.do(c.t, request{method: "POST", url: uri[1], as: bearer(c.aat), json: body})
	if answer.str("rpt") == "" {
		return answer
	}
	c.rpt = answer.str("rpt")
	ask.as = bearer(c.rpt)
	return c.do(c.t, ask)
}

// TestLegacyStory goes from the registration of an album to access, and back.
func TestLegacyStory(t *testing.T) {
	t.Parallel()
	e := start(t)
	discovery := e.do(t, request{method: "GET", url: e.URL + "/auth/realms/photoz/.well-known/uma-configuration"})
	site := &oldSite{env: e, t: t, discovery: discovery.object(), albums: map[string]string{}}
	server := httptest.NewServer(site)
	defer server.Close()
	id := site.register("summer", "alice")
	if id == "" {
		t.Fatal("the album was not registered")
	}
	alice := e.as(t, "alice", "photoz-web")
	share := func(scopes ...string) {
		t.Helper()
		res := e.send(t, "PUT", "/account/resources/"+id+"/permissions", alice, []any{map[string]any{"username": "bob", "scopes": append([]string{}, scopes...)}})
		if res.status != 204 {
			t.Fatalf("share: got %s", res)
		}
	}
	bob := &oldClient{env: e, t: t, site: server.URL, aat: e.token(t, "bob", "photoz-web")}

	bob.try("GET", "summer").expect(t, 403, "not_authorized", "")
	if res := e.get(t, "/account/resources/"+id+"/permissions/requests", alice); len(asList(res.json)) != 1 {
		t.Errorf("alice sees %s, want one who asks", res)
	}
	share("view")
	if res := bob.try("GET", "summer"); res.status != 200 || string(res.raw) != "the album" {
		t.Errorf("after alice shared it bob gets %s", res)
	}
	// A comment is more than was shared: the RPT that comes back has what it had.
	if res := bob.try("POST", "summer"); res.status != 401 {
		t.Errorf("bob comments: got %s, want another ticket", res)
	}
	share("view", "comment")
	for _, method := range []string{"POST", "GET"} {
		if res := bob.try(method, "summer"); res.status != 200 {
			t.Errorf("%s: got %s", method, res)
		}
	}
	share()
	bob.try("GET", "summer").expect(t, 403, "not_authorized", "")
}
