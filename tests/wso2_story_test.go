package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A wso2Site is a resource server as WSO2's documentation describes it: with the
// owner's PAT it registers photos, asks for tickets when a request has no RPT that
// is enough, and introspects those that it is shown.
type wso2Site struct {
	*env
	t     *testing.T
	pat   credentials
	photo string
}

// start gets the owner's PAT, by password with the scope uma_protection, and registers
// the photo.
func (s *wso2Site) start(owner string) {
	res := s.post(s.t, s.URL+wso2Token, basic("photoz-api"), "grant_type", "password", "username", owner, "password", owner, "scope", "uma_protection")
	s.pat = bearer(res.str("access_token"))
	res = s.wso2(s.t, "POST", wso2Resources, s.pat, map[string]any{
		"name": "Sunset", "type": "http://photoz.example.com/photo", "icon_uri": "http://photoz.example.com/photo.png",
		"description": "The sun sets", "resource_scopes": []string{"view", "print"},
	})
	s.photo = res.str("_id")
}

// ServeHTTP serves GET /?scope=SCOPE.
func (s *wso2Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scope := r.URL.Query().Get("scope")
	if rpt := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); rpt != "" {
		answer := s.post(s.t, s.URL+wso2Introspect, s.pat, "token", rpt)
		for _, p := range asList(answer.object()["permissions"]) {
			if at(p, "resource_id") == s.photo && strings.Contains(fmt.Sprint(at(p, "resource_scopes")), scope) {
				fmt.Fprintf(w, "the photo, for %s", answer.str("username"))
				return
			}
		}
	}
	res := s.wso2(s.t, "POST", wso2Permission, s.pat, []any{map[string]any{"resource_id": s.photo, "resource_scopes": []string{scope}}})
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`UMA realm="photoz", as_uri=%q, ticket=%q`, s.URL, res.str("ticket")))
	w.WriteHeader(http.StatusUnauthorized)
	if err := json.NewEncoder(w).Encode(map[string]string{"ticket": res.str("ticket")}); err != nil {
		s.t.Error(err)
	}
}

// TestWSO2Story goes from the registration of a photo to access, and back.
func TestWSO2Story(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	site := &wso2Site{env: e, t: t}
	site.start("alice")
	if site.photo == "" {
		t.Fatal("the photo was not registered")
	}
	server := httptest.NewServer(site)
	defer server.Close()
	rpt := ""
	// bob's client, which knows him by an ID token, asks the site for the photo and
	// the authorization server for an RPT.
	try := func(scope string) *response {
		t.Helper()
		ask := request{method: "GET", url: server.URL + "/?scope=" + scope, as: bearer(rpt)}
		res := e.do(t, ask)
		if res.status != 401 {
			return res
		}
		answer := e.wso2Grant(t, "bob", "photoz-app", res.str("ticket"))
		if answer.status != 200 {
			return answer
		}
		rpt = answer.str("access_token")
		ask.as = bearer(rpt)
		return e.do(t, ask)
	}
	alice := e.as(t, "alice", "photoz-web")
	share := func(scopes ...string) {
		t.Helper()
		res := e.send(t, "PUT", "/account/resources/"+site.photo+"/permissions", alice, []any{map[string]any{"username": "bob", "scopes": append([]string{}, scopes...)}})
		if res.status != 204 {
			t.Fatalf("share: got %s", res)
		}
	}

	try("view").expect(t, 403, "request_submitted", "")
	share("view")
	if res := try("view"); res.status != 200 || string(res.raw) != "the photo, for bob@carbon.super" {
		t.Errorf("after alice shared it bob gets %s", res)
	}
	try("print").expect(t, 403, "request_submitted", "")
	share("view", "print")
	if res := try("print"); res.status != 200 {
		t.Errorf("after alice shared more bob gets %s", res)
	}
	share()
	if res := e.do(t, request{method: "GET", url: server.URL + "/?scope=print", as: bearer(rpt)}); res.status != 401 {
		t.Errorf("after alice took it back bob gets %s", res)
	}
	if res := try("view"); res.status != 403 {
		t.Errorf("after alice took it back bob gets %s", res)
	}
}
