package pep_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"example.com/umpire/pep"
)

func introspecting(c *pep.Config) {
	c.Mode, c.CacheSize, c.CacheTTL = pep.Introspection, 2, time.Minute
}

// active is the answer for a token that carries view of r-1.
func active(change map[string]any) map[string]any {
	a := map[string]any{
		"active": true, "typ": "Bearer", "aud": "photoz-api", "exp": start.Add(5 * time.Minute).Unix(), "sub": "u-bob", "username": "bob", "client_id": "photoz-web",
		"permissions": []any{map[string]any{"resource_id": "r-1", "resource_scopes": []string{"view"}, "rsid": "r-1", "rsname": "Holiday", "scopes": []string{"view"}}},
	}
	maps.Copy(a, change)
	return a
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	e := newEnv(t, introspecting)
	e.as.answers["good"] = active(nil)
	a := e.do(t, "GET", "/own/1", "good")
	wantStatus(t, a, 200)
	if g := a.granted; g.Subject != "u-bob" || g.Username != "bob" || g.Client != "photoz-web" || len(g.Permissions) != 1 {
		t.Errorf("got %+v", g)
	}
	if got, want := e.as.auth, "Basic "+base64.StdEncoding.EncodeToString([]byte("photoz-api:s%3Acr%25t")); got != want {
		t.Errorf("client authentication: got %q, want %q", got, want)
	}
	e.wantTicket(t, e.do(t, "GET", "/own/1", "unknown"))
	if got := e.as.count("certs"); got != 0 {
		t.Errorf("key sets: got %d, want 0", got)
	}
}

func TestIntrospectionThatGivesNoAccess(t *testing.T) {
	t.Parallel()
	entry := func(change map[string]any) map[string]any {
		p := map[string]any{"resource_id": "r-1", "resource_scopes": []string{"view"}}
		maps.Copy(p, change)
		return map[string]any{"permissions": []any{p}}
	}
	past, later := start.Unix(), start.Add(time.Minute).Unix()
	for name, change := range map[string]map[string]any{
		"inactive":                   {"active": false},
		"expired":                    {"exp": past},
		"no exp":                     {"exp": 0},
		"not yet":                    {"nbf": later},
		"other audience":             {"aud": []string{"other-api"}},
		"refresh token":              {"typ": "Refresh"},
		"bound to a key":             {"cnf": map[string]any{"jkt": "x"}},
		"no permissions":             {"permissions": nil},
		"other resource":             entry(map[string]any{"resource_id": "r-2"}),
		"other scope":                entry(map[string]any{"resource_scopes": []string{"comment"}}),
		"no scopes":                  entry(map[string]any{"resource_scopes": nil}),
		"permission expired":         entry(map[string]any{"exp": past}),
		"permission not yet in time": entry(map[string]any{"nbf": later}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, introspecting)
			e.as.answers["t"] = active(change)
			e.wantTicket(t, e.do(t, "GET", "/own/1", "t"))
			if e.served() != 0 {
				t.Error("the handler ran")
			}
		})
	}
}

func TestIntrospectionCache(t *testing.T) {
	t.Parallel()
	e := newEnv(t, introspecting)
	asked := func(token string, wantStatus, want int) {
		t.Helper()
		if a := e.do(t, "GET", "/own/1", token); a.status != wantStatus {
			t.Errorf("%s: got %d, want %d", token, a.status, wantStatus)
		}
		if got := e.as.count("introspect"); got != want {
			t.Errorf("%s: got %d introspections, want %d", token, got, want)
		}
	}
	for i := range 3 {
		e.as.answers[fmt.Sprintf("t%d", i)] = active(nil)
	}
	asked("t0", 200, 1)
	asked("t0", 200, 1)
	asked("t1", 200, 2)
	asked("t0", 200, 2)
	asked("t2", 200, 3) // pushes out t1, which was used longer ago than t0
	asked("t0", 200, 3)
	asked("t1", 200, 4)
	// refusals are not kept
	asked("bad", 401, 5)
	asked("bad", 401, 6)
	// a withdrawal is seen after the TTL
	e.as.set(func() { e.as.answers["t1"] = map[string]any{"active": false} })
	asked("t1", 200, 6)
	e.clock.Add(time.Minute)
	asked("t1", 401, 7)
	// an answer outlives neither its token nor one of its permissions
	soon := e.clock.Now().Add(10 * time.Second).Unix()
	e.as.set(func() {
		e.as.answers["short"] = active(map[string]any{"exp": soon})
		e.as.answers["part"] = active(map[string]any{"permissions": []any{map[string]any{"resource_id": "r-1", "resource_scopes": []string{"view"}, "exp": soon}}})
	})
	asked("short", 200, 8)
	asked("part", 200, 9)
	e.clock.Add(10 * time.Second)
	asked("short", 401, 10)
	asked("part", 401, 11)
}

func TestIntrospectionUnreachable(t *testing.T) {
	t.Parallel()
	e := newEnv(t, introspecting)
	e.as.override["introspect"] = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusUnauthorized) }
	wantUnreachable(t, e.do(t, "GET", "/own/1", "t"))
	if e.served() != 0 {
		t.Error("the handler ran")
	}
}
