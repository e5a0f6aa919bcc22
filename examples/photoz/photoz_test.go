package photoz_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/examples/photoz"
	"example.com/umpire/examples/walk"
	"example.com/umpire/pep"
)

// authServer knows the resources of realm.yaml by their URI and takes a token for what it says: "bob album/1 view".
type authServer struct {
	*httptest.Server
	mu        sync.Mutex
	resources map[string]string // id by URI
	made      map[string]any    // the last resource registered
}

func newAuthServer(t *testing.T) *authServer {
	t.Helper()
	realm, err := os.ReadFile("realm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	as := &authServer{resources: map[string]string{}}
	for _, m := range regexp.MustCompile(`uris: \[/([^]]+)\]`).FindAllStringSubmatch(string(realm), -1) {
		as.resources["/"+m[1]] = m[1]
	}
	as.Server = httptest.NewServer(as)
	t.Cleanup(as.Close)
	return as
}

func (as *authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	base := as.URL + "/realms/photoz"
	status, answer := http.StatusOK, any(nil)
	switch path := strings.TrimPrefix(r.URL.Path, "/realms/photoz"); {
	case path == "/.well-known/uma2-configuration":
		answer = map[string]any{
			"issuer": base, "token_endpoint": base + "/token", "introspection_endpoint": base + "/introspect", "jwks_uri": base + "/certs",
			"permission_endpoint": base + "/permission", "resource_registration_endpoint": base + "/resource_set",
		}
	case path == "/token":
		answer = map[string]any{"access_token": "pat", "token_type": "Bearer", "expires_in": 300}
	case path == "/introspect":
		// the tests' tokens: subject~resource~scope
		part := strings.Split(r.PostFormValue("token"), "~")
		answer = map[string]any{
			"active": true, "exp": time.Now().Add(time.Minute).Unix(), "sub": part[0], "username": part[0],
			"permissions": []any{map[string]any{"resource_id": part[1], "resource_scopes": []string{part[2]}}},
		}
	case path == "/permission":
		status, answer = http.StatusCreated, map[string]any{"ticket": "t"}
	case r.Method == http.MethodPost:
		_ = json.NewDecoder(r.Body).Decode(&as.made)
		uri := as.made["uris"].([]any)[0].(string)
		as.resources[uri] = strings.TrimPrefix(uri, "/")
		status, answer = http.StatusCreated, map[string]any{"_id": as.resources[uri]}
	case r.Method == http.MethodDelete:
		delete(as.resources, strings.TrimPrefix(path, "/resource_set"))
		status = http.StatusNoContent
	default:
		found := []any{}
		if id, ok := as.resources[r.URL.Query().Get("uri")]; ok {
			found = append(found, map[string]any{"_id": id, "uris": []string{"/" + id}})
		}
		answer = found
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func start(t *testing.T) (*authServer, string) {
	t.Helper()
	as := newAuthServer(t)
	handler, err := photoz.New(pep.Config{
		AuthorizationServer: as.URL + "/realms/photoz", Realm: "photoz", ClientID: "photoz-api", ClientSecret: "secret", Mode: pep.Introspection,
	})
	if err != nil {
		t.Fatal(err)
	}
	rs := httptest.NewServer(handler)
	t.Cleanup(rs.Close)
	return as, rs.URL
}

func do(t *testing.T, method, url, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// Each request of the site, with the permission that it needs and with none: the rules name resources of realm.yaml.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"GET", "/album/1", "bob~album/1~view", "", 200, `"title":"Holiday album"`},
		{"GET", "/album/2", "alice~album/2~view", "", 200, `"title":"Diary"`},
		{"POST", "/album/1/comments", "bob~album/1~comment", `{"text":"nice"}`, 201, `{"by":"bob","text":"nice"}`},
		{"POST", "/album/1/comments", "bob~album/1~comment", `{"text":" "}`, 400, `want a body`},
		{"POST", "/album/1/comments", "bob~album/1~comment", `{"text":"x","by":"alice"}`, 400, `want a body`},
		{"POST", "/album/1/comments", "bob~album/1~comment", `{"text":"` + strings.Repeat("x", 5000) + `"}`, 400, `want a body`},
		{"DELETE", "/album/1", "alice~album/1~delete", "", 204, ""},
		{"GET", "/board", "carol~board~view", "", 200, `Welcome!`},
		{"POST", "/board", "carol~board~post", `{"text":"hi"}`, 201, `{"by":"carol","text":"hi"}`},
		{"POST", "/album", "carol~album~create", `{"title":"Cats"}`, 201, `"title":"Cats"`},
	} {
		as, url := start(t)
		resp, body := do(t, c.method, url+c.path, c.token, c.body)
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, resp.StatusCode, body, c.status, c.want)
		}
		part := strings.Split(c.token, "~")
		for _, token := range []string{"", part[0] + "~" + part[1] + "~other", part[0] + "~other~" + part[2]} {
			// a site of its own: the first request may have deleted the album
			_, url = start(t)
			resp, _ = do(t, c.method, url+c.path, token, c.body)
			if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.HasPrefix(got, `UMA realm="photoz"`) {
				t.Errorf("%s %s with %q: got %d %q, want a ticket", c.method, c.path, token, resp.StatusCode, got)
			}
		}
		as.Close()
	}
}

// An album that is made belongs to who made it, and is gone when it is deleted.
func TestAlbumsLife(t *testing.T) {
	t.Parallel()
	as, url := start(t)
	resp, _ := do(t, "POST", url+"/album", "carol~album~create", `{"title":"Cats"}`)
	album := resp.Header.Get("Location")
	as.mu.Lock()
	made := as.made
	as.mu.Unlock()
	if made["owner"] != "carol" || made["ownerManagedAccess"] != true || made["type"] != "album" || !slices.Equal(made["uris"].([]any), []any{any(album)}) {
		t.Errorf("registered %v, want carol's own at %s", made, album)
	}
	id := strings.TrimPrefix(album, "/")
	if resp, body := do(t, "POST", url+album+"/comments", "bob~"+id+"~comment", `{"text":"aww"}`); resp.StatusCode != 201 {
		t.Errorf("comment: got %d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+album, "carol~"+id+"~view", ""); resp.StatusCode != 200 || !strings.Contains(body, "aww") {
		t.Errorf("view: got %d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "DELETE", url+album, "carol~"+id+"~delete", ""); resp.StatusCode != 204 {
		t.Errorf("delete: got %d %s", resp.StatusCode, body)
	}
	if resp, _ := do(t, "GET", url+album, "carol~"+id+"~view", ""); resp.StatusCode != 403 {
		t.Errorf("after it was deleted: got %d, want 403", resp.StatusCode)
	}
	if resp, body := do(t, "POST", url+"/album", "~album~create", `{"title":"Nobody's"}`); resp.StatusCode != 403 {
		t.Errorf("without a subject: got %d %s, want 403", resp.StatusCode, body)
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := photoz.New(pep.Config{}); err == nil {
		t.Error("got a site without an authorization server")
	}
}

// A story that nobody can read has not been told.
func TestStoryCannotBePrinted(t *testing.T) {
	t.Parallel()
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"t"}`))
	}))
	defer as.Close()
	_, out := io.Pipe()
	_ = out.Close()
	story := photoz.Story{AS: as.URL, Site: as.URL, Walk: &walk.Walk{Out: out}}
	if err := story.Tell(t.Context()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}
