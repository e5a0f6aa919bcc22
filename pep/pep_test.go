package pep_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/pep"
)

func TestNoTokenGetsTicket(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.wantTicket(t, e.do(t, "DELETE", "/album/1", ""))
	const want = `[{"resource_id":"r-1","resource_scopes":["view","delete"]}]`
	if got := string(e.as.permission); got != want {
		t.Errorf("permission request: got %s, want %s", got, want)
	}
	// credentials are form-encoded before they are base64-encoded, RFC 6749 §2.3.1
	if got, want := e.as.auth, "Basic "+base64.StdEncoding.EncodeToString([]byte("photoz-api:s%3Acr%25t")); got != want {
		t.Errorf("client authentication: got %q, want %q", got, want)
	}
	if e.served() != 0 {
		t.Error("the handler ran")
	}
}

func TestGrantedReachesHandler(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nil)
			key := newSigner(t, "k2", alg)
			e.as.set(func() { e.as.keys = append(e.as.keys, key.jwk()) })
			a := e.do(t, "GET", "/album/1", key.sign(t, nil, e.claims(nil)))
			wantStatus(t, a, 200)
			g := a.granted
			if g.Subject != "u-bob" || g.Username != "bob" || g.Client != "photoz-web" || !g.Expires.Equal(start.Add(5*time.Minute)) {
				t.Errorf("got %+v", g)
			}
			if g.Permission.ResourceID != "r-1" || !slices.Equal(g.Permission.Scopes, []string{"view"}) {
				t.Errorf("permission: got %+v", g.Permission)
			}
			if len(g.Permissions) != 1 || !slices.Equal(g.Permissions[0].Scopes, []string{"view", "comment"}) {
				t.Errorf("permissions: got %+v", g.Permissions)
			}
		})
	}
}

func TestWhatMapsToNothingIsRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.as.resources = append(e.as.resources, map[string]any{"_id": "r-1", "uris": []string{"/album/1/cover"}})
	rpt := e.rpt(t, nil)
	for _, c := range []struct{ method, path string }{
		{"GET", "/"}, {"GET", "/other"}, {"POST", "/album/1"}, {"PUT", "/album/1"}, {"GET", "/album/1/"}, {"GET", "/album/"},
		{"GET", "/album/2"},              // no resource has the URI
		{"GET", "/album/%2A"},            // a pattern is no URI
		{"GET", "/board/%2A"},            //
		{"GET", "/album/%7Bid%7D"},       //
		{"GET", "/album/1%2Fcover"},      // one segment here, two in a URI
		{"GET", "/album/%2E%2E"},         //
		{"GET", "/board/a%2F..%2Fb"},     // no detours
		{"GET", "/board/..%2Falbum%2F1"}, //
		{"GET", "/own/2"}, {"GET", "/own/empty"},
	} {
		a := e.do(t, c.method, c.path, rpt)
		if a.status != 403 || a.header.Get("Warning") != "" {
			t.Errorf("%s %s: got %d, Warning %q, want a plain 403", c.method, c.path, a.status, a.header.Get("Warning"))
		}
	}
	wantStatus(t, e.do(t, "GET", "/own/broken", rpt), 500)
	if e.served() != 0 {
		t.Error("the handler ran")
	}
	wantStatus(t, e.do(t, "GET", "/own/1", rpt), 200)
}

func TestLookup(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *pep.Config) { c.CacheSize = 2; c.CacheTTL = time.Minute })
	rpt := e.rpt(t, nil)

	wantStatus(t, e.do(t, "GET", "/album/1", rpt), 200)
	wantStatus(t, e.do(t, "GET", "/album/1", rpt), 200)
	if got := e.as.count("resource_set"); got != 1 {
		t.Errorf("look-ups: got %d, want 1", got)
	}
	// the bound: two more URIs push the first one out
	e.wantTicket(t, e.do(t, "GET", "/board/a", rpt))
	e.wantTicket(t, e.do(t, "GET", "/board/b", rpt))
	wantStatus(t, e.do(t, "GET", "/album/1", rpt), 200)
	if got := e.as.count("resource_set"); got != 4 {
		t.Errorf("look-ups: got %d, want 4", got)
	}
	// the age
	e.clock.Add(time.Minute)
	wantStatus(t, e.do(t, "GET", "/album/1", rpt), 200)
	if got := e.as.count("resource_set"); got != 5 {
		t.Errorf("look-ups: got %d, want 5", got)
	}
}

// The value of a wildcard is one to the authorization server, too: /board/a%3Fb is not the page of /board/a.
func TestLookupIsEncoded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.as.resources = append(e.as.resources, map[string]any{"_id": "r-1", "uris": []string{"/album/ä b"}})
	e.as.resources[1]["_id"] = "r-1"
	rpt := e.rpt(t, nil)
	for _, path := range []string{"/board/a;b", "/board/a%3Bb", "/board/a%3Fb", "/board/a%23b"} {
		wantStatus(t, e.do(t, "GET", path, rpt), 403)
	}
	wantStatus(t, e.do(t, "GET", "/album/%C3%A4%20b", rpt), 200)
	wantStatus(t, e.do(t, "GET", "/board/100%25/a", rpt), 200)
	if e.served() != 2 {
		t.Errorf("the handler ran %d times, want 2", e.served())
	}
}

// A second resource with the URI must not take the first one's place.
func TestLookupOfSeveral(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.as.resources = append(e.as.resources, map[string]any{"_id": "r-2", "uris": []string{"/ALBUM/1"}})
	wantStatus(t, e.do(t, "GET", "/album/1", e.rpt(t, nil)), 200)

	e = newEnv(t, nil)
	e.as.resources = append(e.as.resources, map[string]any{"_id": "r-2", "uris": []string{"/album/1"}})
	wantStatus(t, e.do(t, "GET", "/album/1", e.rpt(t, nil)), 403)

	// nor that of the resource server's own, nor close it
	owned := func(id, owner string) map[string]any {
		return map[string]any{"_id": id, "uris": []string{"/album/1"}, "owner": map[string]any{"id": "u-" + owner, "name": owner}}
	}
	for _, own := range []string{"r-1", "r-2"} {
		e = newEnv(t, nil)
		e.as.resources = []map[string]any{owned("r-1", "bob"), owned("r-2", "bob")}
		e.as.resources = append(e.as.resources, owned(own, "photoz-api"))
		a := e.do(t, "GET", "/album/1", e.rpt(t, nil))
		if own == "r-1" {
			wantStatus(t, a, 200)
			continue
		}
		e.wantTicket(t, a)
	}

	e = newEnv(t, nil)
	e.as.resources = []map[string]any{{"_id": "r-1", "uris": []string{"/Album/1"}}}
	wantStatus(t, e.do(t, "GET", "/album/1", e.rpt(t, nil)), 403)
}

// A resource that was removed and registered again has another id: the one in memory goes with the refused ticket.
func TestTicketForAGoneResource(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.wantTicket(t, e.do(t, "GET", "/album/1", ""))
	e.as.set(func() {
		e.as.resources = []map[string]any{{"_id": "r-9", "uris": []string{"/album/1"}}}
		e.as.override["permission"] = func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"invalid_resource_id"}`, http.StatusBadRequest)
		}
	})
	wantUnreachable(t, e.do(t, "GET", "/album/1", ""))
	e.as.set(func() { delete(e.as.override, "permission") })
	e.wantTicket(t, e.do(t, "GET", "/album/1", ""))
	if got := string(e.as.permission); !strings.Contains(got, "r-9") {
		t.Errorf("permission request: got %s, want r-9", got)
	}
}

func TestOwnMapping(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *pep.Config) {
		c.Rules = nil
		c.Map = func(r *http.Request) (pep.Permission, bool, error) {
			switch r.URL.Path {
			case "/one":
				return pep.Permission{ResourceID: "r-1", Scopes: []string{"view"}}, true, nil
			case "/scopeless":
				return pep.Permission{ResourceID: "r-1"}, true, nil
			case "/broken":
				return pep.Permission{}, true, http.ErrBodyNotAllowed
			}
			return pep.Permission{ResourceID: "r-1", Scopes: []string{"view"}}, false, nil
		}
	})
	rpt := e.rpt(t, nil)
	for path, want := range map[string]int{"/one": 200, "/scopeless": 403, "/broken": 500, "/two": 403} {
		if a := e.do(t, "GET", path, rpt); a.status != want {
			t.Errorf("%s: got %d, want %d", path, a.status, want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	e := newEnv(t, func(c *pep.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	e.as.set(func() { e.as.down = true })
	rpt := e.rpt(t, nil)
	wantUnreachable(t, e.do(t, "GET", "/album/1", rpt))
	wantUnreachable(t, e.do(t, "GET", "/own/1", rpt))
	wantUnreachable(t, e.do(t, "GET", "/own/1", ""))
	// an outage is not answered with a flood
	if got := e.as.count("uma2-configuration"); got != 1 {
		t.Errorf("discovery: got %d requests, want 1", got)
	}
	e.as.set(func() { e.as.down = false })
	e.clock.Add(2 * time.Second)
	wantStatus(t, e.do(t, "GET", "/album/1", rpt), 200)
	e.wantTicket(t, e.do(t, "GET", "/album/1", ""))

	// down again: what is in memory goes on, tickets do not
	e.as.set(func() { e.as.down = true })
	wantStatus(t, e.do(t, "GET", "/own/1", rpt), 200)
	wantUnreachable(t, e.do(t, "GET", "/own/1", ""))
	if e.served() != 2 {
		t.Errorf("the handler ran %d times, want 2", e.served())
	}
	for _, secret := range []string{rpt, "s:cr", "pat-", "ticket-1"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.as.Close()
	wantUnreachable(t, e.do(t, "GET", "/own/1", ""))
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s reached another host", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"ticket":"ticket-1","access_token":"pat-1","token_type":"Bearer"}`)
	}))
	t.Cleanup(other.Close)
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	cases := map[string]func(*authServer){
		"other issuer":             func(as *authServer) { as.metadata = map[string]any{"issuer": as.URL + "/realms/other"} },
		"issuer missing":           func(as *authServer) { as.metadata = map[string]any{"issuer": ""} },
		"endpoint of another host": func(as *authServer) { as.metadata = map[string]any{"token_endpoint": other.URL + "/token"} },
		"endpoint missing":         func(as *authServer) { as.metadata = map[string]any{"permission_endpoint": ""} },
		"no JSON":                  func(as *authServer) { as.override["uma2-configuration"] = text(200, "hello") },
		"endless answer": func(as *authServer) {
			as.override["permission"] = text(201, `{"ticket":"ticket-1"}`+strings.Repeat(" ", 2<<20))
		},
		"redirect to another host": func(as *authServer) {
			as.override["permission"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+"/permission", http.StatusTemporaryRedirect)
			}
		},
		"redirect without end": func(as *authServer) {
			as.override["permission"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			}
		},
		"bad credentials":     func(as *authServer) { as.override["token"] = text(401, `{"error":"invalid_client"}`) },
		"no token":            func(as *authServer) { as.override["token"] = text(200, `{"token_type":"Bearer"}`) },
		"token of a kind":     func(as *authServer) { as.override["token"] = text(200, `{"access_token":"x","token_type":"DPoP"}`) },
		"permission refused":  func(as *authServer) { as.override["permission"] = text(403, `{"error":"forbidden"}`) },
		"PAT always refused":  func(as *authServer) { as.override["permission"] = text(401, ``) },
		"no ticket":           func(as *authServer) { as.ticket = "" },
		"ticket with newline": func(as *authServer) { as.ticket = "a\r\nSet-Cookie: x=y" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nil)
			e.as.set(func() { change(e.as) })
			wantUnreachable(t, e.do(t, "GET", "/own/1", ""))
		})
	}
}

func TestQuoting(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *pep.Config) { c.Realm = `pho"toz\` })
	e.as.ticket = `a"b`
	a := e.do(t, "GET", "/album/1", "")
	want := `UMA realm="pho\"toz\\", as_uri="` + e.as.issuer + `", ticket="a\"b"`
	if got := a.header.Get("WWW-Authenticate"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPAT(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	ask := func(want int) {
		t.Helper()
		e.wantTicket(t, e.do(t, "GET", "/own/1", ""))
		if got := e.as.count("token"); got != want {
			t.Errorf("PATs: got %d, want %d", got, want)
		}
	}
	ask(1)
	e.clock.Add(269 * time.Second)
	ask(1)
	e.clock.Add(time.Second) // 30 s before its end
	ask(2)
	// withdrawn at the authorization server: replaced within the request
	e.as.set(func() { e.as.pat = "another" })
	e.clock.Add(pause)
	ask(3)
	// while it cannot be renewed the old one goes on
	e.clock.Add(280 * time.Second)
	e.as.set(func() {
		e.as.override["token"] = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) }
	})
	ask(4)
}

// pause is the least time between two fetches of one thing.
const pause = 2 * time.Second

func TestPATScope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		supported []string
		want      string
	}{{nil, ""}, {[]string{"openid", "uma_protection"}, "uma_protection"}} {
		e := newEnv(t, nil)
		var got string
		e.as.metadata = map[string]any{"scopes_supported": c.supported}
		e.as.override["token"] = func(w http.ResponseWriter, r *http.Request) {
			got = r.PostFormValue("scope")
			http.Error(w, "", http.StatusServiceUnavailable)
		}
		wantUnreachable(t, e.do(t, "GET", "/own/1", ""))
		if got != c.want {
			t.Errorf("supported %v: got scope %q, want %q", c.supported, got, c.want)
		}
	}
}

// Fifty requests at a cold start make one request for discovery, keys and PAT each.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	rpt := e.rpt(t, nil)
	barrier := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			<-barrier
			if i%2 == 0 {
				wantStatus(t, e.do(t, "GET", "/own/1", rpt), 200)
				return
			}
			e.wantTicket(t, e.do(t, "GET", "/own/1", ""))
		})
	}
	close(barrier)
	wg.Wait()
	for _, name := range []string{"uma2-configuration", "certs", "token"} {
		if got := e.as.count(name); got != 1 {
			t.Errorf("%s: got %d requests, want 1", name, got)
		}
	}
}
