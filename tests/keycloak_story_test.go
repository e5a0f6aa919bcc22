package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// A keycloakSite is a resource server as Keycloak's documentation describes it: it
// finds the endpoints by discovery, registers albums for their owners, sends who
// comes without an RPT that is enough for one, and introspects what it is shown.
type keycloakSite struct {
	*env
	t         *testing.T
	discovery *response // /.well-known/uma2-configuration
	albums    map[string]string
}

// send sends JSON to an endpoint that discovery names, or to what is below it.
func (s *keycloakSite) send(method, endpoint, below string, as credentials, body any) *response {
	s.t.Helper()
	at := s.discovery.str(endpoint)
	if at == "" {
		s.t.Fatalf("discovery names no %s", endpoint)
	}
	return s.do(s.t, request{method: method, url: at + below, as: as, json: body})
}

// ask sends a form to an endpoint that discovery names.
func (s *keycloakSite) ask(endpoint string, as credentials, kv ...string) *response {
	s.t.Helper()
	return s.post(s.t, s.discovery.str(endpoint), as, kv...)
}

// pat is the resource server's, by client credentials.
func (s *keycloakSite) pat() credentials {
	return bearer(s.ask("token_endpoint", basic("photoz-api"), "grant_type", "client_credentials").str("access_token"))
}

// user is one who signed in through a client.
func (s *keycloakSite) user(name, client string) credentials {
	s.t.Helper()
	res := s.ask("token_endpoint", basic(client), "grant_type", "password", "username", name, "password", name)
	if res.status != 200 {
		s.t.Fatalf("sign %s in: got %s", name, res)
	}
	return bearer(res.str("access_token"))
}

func (s *keycloakSite) register(name, owner string) string {
	res := s.send("POST", "resource_registration_endpoint", "", s.pat(), map[string]any{
		"name": name, "type": "album", "uris": []string{"/album/" + name}, "owner": owner, "ownerManagedAccess": true,
		"resource_scopes": []string{"album:view", "album:delete"},
	})
	s.albums[name] = res.str("_id")
	return res.str("_id")
}

// ServeHTTP serves GET /album/NAME (album:view) and DELETE (album:delete, which
// deletes nothing here).
func (s *keycloakSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, scope := s.albums[strings.TrimPrefix(r.URL.Path, "/album/")], "album:view"
	if r.Method == http.MethodDelete {
		scope = "album:delete"
	}
	if rpt := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); rpt != "" {
		res := s.ask("introspection_endpoint", basic("photoz-api"), "token", rpt, "token_type_hint", "requesting_party_token")
		for _, p := range asList(res.object()["permissions"]) {
			if at(p, "resource_id") == id && strings.Contains(fmt.Sprint(at(p, "resource_scopes")), scope) {
				fmt.Fprint(w, "the album")
				return
			}
		}
	}
	res := s.send("POST", "permission_endpoint", "", s.pat(), []any{map[string]any{"resource_id": id, "resource_scopes": []string{scope}}})
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`UMA realm="photoz", as_uri=%q, ticket=%q`, s.discovery.str("issuer"), res.str("ticket")))
	w.WriteHeader(http.StatusUnauthorized)
}

var ticketIn = regexp.MustCompile(`ticket="([^"]+)"`)

// A keycloakClient is photoz-app, for one user.
type keycloakClient struct {
	site    *keycloakSite
	url     string
	as      credentials
	rpt     string
	refresh string
}

// try asks the site for an album and, where it says so, the authorization server
// for an RPT. It returns what the last of them answers.
func (c *keycloakClient) try(method, album string) *response {
	r := request{method: method, url: c.url + "/album/" + album, as: bearer(c.rpt)}
	res := c.site.do(c.site.t, r)
	ticket := ticketIn.FindStringSubmatch(res.header.Get("WWW-Authenticate"))
	if ticket == nil {
		return res
	}
	params := []string{"grant_type", umaGrant, "ticket", ticket[1], "submit_request", "true"}
	if c.rpt != "" {
		params = append(params, "rpt", c.rpt)
	}
	answer := c.site.ask("token_endpoint", c.as, params...)
	if answer.status != 200 {
		return answer
	}
	c.rpt, c.refresh = answer.str("access_token"), answer.str("refresh_token")
	r.as = bearer(c.rpt)
	return c.site.do(c.site.t, r)
}

// TestKeycloakStory goes from the registration of an album to access, and back: by
// a request that the owner approves, and by a policy of hers.
func TestKeycloakStory(t *testing.T) {
	t.Parallel()
	e := start(t)
	site := &keycloakSite{env: e, t: t, albums: map[string]string{}}
	site.discovery = e.do(t, request{method: "GET", url: e.URL + "/realms/photoz/.well-known/uma2-configuration"})
	server := httptest.NewServer(site)
	defer server.Close()
	id := site.register("summer", "alice")
	if id == "" {
		t.Fatal("the album was not registered")
	}
	alice := site.user("alice", "photoz-api")
	bob := &keycloakClient{site: site, url: server.URL, as: site.user("bob", "photoz-app")}
	erin := &keycloakClient{site: site, url: server.URL, as: site.user("erin", "photoz-app")}
	gets := func(what string, res *response) {
		t.Helper()
		if res.status != 200 || string(res.raw) != "the album" {
			t.Errorf("%s: got %s", what, res)
		}
	}

	// bob asks, and alice approves.
	bob.try("GET", "summer").expect(t, 403, "access_denied", "request_submitted")
	waiting := asList(site.send("GET", "permission_endpoint", "/ticket?granted=false&returnNames=true&resourceId="+id, alice, nil).json)
	if len(waiting) != 1 || at(waiting[0], "requesterName") != "bob" || at(waiting[0], "scopeName") != "album:view" {
		t.Fatalf("alice sees %v, want bob", waiting)
	}
	approved := asObject(waiting[0])
	approved["granted"] = true
	if res := site.send("PUT", "permission_endpoint", "/ticket", alice, approved); res.status != 204 {
		t.Fatalf("approve: got %s", res)
	}
	gets("bob, approved", bob.try("GET", "summer"))
	bob.try("DELETE", "summer").expect(t, 403, "access_denied", "request_submitted")
	gets("bob, with the RPT that he has", bob.try("GET", "summer"))

	// She shares more with erin, who need not ask.
	policy := site.send("POST", "policy_endpoint", "/"+id, alice, map[string]any{"name": "erin may delete", "scopes": []string{"album:view", "album:delete"}, "users": []string{"erin"}})
	if policy.str("id") == "" {
		t.Fatalf("share: got %s", policy)
	}
	for _, method := range []string{"GET", "DELETE"} {
		gets("erin: "+method, erin.try(method, "summer"))
	}

	// She takes both back: no RPT is good, and none is refreshed.
	if res := site.send("DELETE", "permission_endpoint", "/ticket/"+approved["id"].(string), alice, nil); res.status != 204 {
		t.Errorf("withdraw: got %s", res)
	}
	if res := site.send("DELETE", "policy_endpoint", "/"+policy.str("id"), alice, nil); res.status != 204 {
		t.Errorf("withdraw: got %s", res)
	}
	for name, c := range map[string]*keycloakClient{"bob": bob, "erin": erin} {
		if c.refresh == "" {
			t.Errorf("%s has no refresh token", name)
		}
		site.ask("token_endpoint", basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", c.refresh).expect(t, 400, "invalid_grant", "")
		res := e.do(t, request{method: "GET", url: server.URL + "/album/summer", as: bearer(c.rpt)})
		if res.status != http.StatusUnauthorized {
			t.Errorf("%s: got %s, want to be sent for a ticket", name, res)
		}
		c.rpt = ""
		c.try("GET", "summer").expect(t, 403, "access_denied", "request_submitted")
	}
}
