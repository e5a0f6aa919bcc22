package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/pep"
)

// byURI asks, as a user, for the permission URI#scope, by pattern where no URI is
// equal, and returns the answer to response_mode=permissions.
func (e *env) byURI(t testing.TB, user, permission string) *response {
	t.Helper()
	return e.uma(t, e.as(t, user, "photoz-web"), "permission", permission, "response_mode", "permissions",
		"permission_resource_format", "uri", "permission_resource_matching_uri", "true")
}

// findURI is the names of the resources that the resource server finds by a URI or
// by the best pattern.
func (e *env) findURI(t testing.TB, uri string) []string {
	t.Helper()
	res := e.get(t, resourceSet, e.service(t, "photoz-api"), "uri", uri, "matchingUri", "true", "deep", "true")
	if res.status != 200 {
		t.Fatalf("look %s up: got %s", uri, res)
	}
	var names []string
	for _, r := range asList(res.json) {
		name, _ := asObject(r)["name"].(string)
		names = append(names, name)
	}
	return names
}

// TestTemplateWildcardDoesNotShadow: a template that ends in /* is a wildcard. It took
// precedence over every wildcard, /office/users/* among them.
func TestTemplateWildcardDoesNotShadow(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.create(t, map[string]any{"name": "Tenants", "type": "board", "uris": []string{"/{tenant}/*"}, "resource_scopes": []string{"view"}})
	e.create(t, map[string]any{"name": "Office users", "type": "admin", "uris": []string{"/office/users/*"}, "resource_scopes": []string{"view"}})
	for _, path := range []string{"/office/users/1", "/office/users", "/office/users/1/2"} {
		e.byURI(t, "bob", path+"#view").expect(t, 403, "access_denied", "not_authorized")
		e.byURI(t, "dave", path+"#view").expectGranted(t, "Office users: view")
	}
	e.byURI(t, "bob", "/office/rooms/1#view").expectGranted(t, "Tenants: view")
}

// TestEncodedDetours: a URI that some programs read as /secret, and others do not,
// finds no resource. It found /*.
func TestEncodedDetours(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.create(t, map[string]any{"name": "Everything", "type": "board", "uris": []string{"/*"}, "resource_scopes": []string{"view"}})
	e.create(t, map[string]any{"name": "Secret", "type": "admin", "uris": []string{"/secret", "/top/secret/a"}, "resource_scopes": []string{"view"}})
	for _, uri := range []string{"/secret", "/secret/", "/secret;x=1", "/;x/secret", "/x/..;/secret", "/secre%74", "/SECRET", "/top/secret;v=1/a"} {
		e.byURI(t, "bob", uri+"#view").expect(t, 403, "access_denied", "not_authorized")
		if got := e.findURI(t, uri); !slices.Equal(got, []string{"Secret"}) {
			t.Errorf("%s is found as %q, want Secret", uri, got)
		}
	}
	for _, uri := range []string{
		"/secret%3Bx=1", "/secret%3B", "/%3Bx/secret", "/top/secret%3Bv=1/a", "/x/..%3B/secret", "/x/%2e%2e%3B/secret", "/secret%3Fx", "/secret%23x",
		"/secret%253Bx=1", "/x/%252e%252e/secret", "/secret%20", "/secret%2E", "/secret.", "/secret%2Fx", "/secret%5Cx", "/secret%00",
	} {
		e.byURI(t, "bob", uri+"#view").expect(t, 400, "invalid_resource", "Resource with uri ["+uri+"] does not exist.")
		if got := e.findURI(t, uri); len(got) > 0 {
			t.Errorf("%s is found as %q, want nothing", uri, got)
		}
	}
	e.byURI(t, "bob", "/a%20b/100%25/v1.2#view").expectGranted(t, "Everything: view")
}

// decidesURI is the status of response_mode=decision for a permission by URI.
func (e *env) decidesURI(t testing.TB, user, permission string) int {
	t.Helper()
	return e.uma(t, e.as(t, user, "photoz-web"), "permission", permission, "response_mode", "decision",
		"permission_resource_format", "uri", "permission_resource_matching_uri", "true").status
}

// TestUserDoesNotAnswerForTheResourceServer: a user with a PAT may register what it
// likes, but no name and no URI of the resource server's, and none that one of its
// patterns reaches.
func TestUserDoesNotAnswerForTheResourceServer(t *testing.T) {
	t.Parallel()
	e := start(t)
	pat := e.as(t, "bob", "photoz-api")
	register := func(name string, uris ...string) *response {
		return e.send(t, "POST", resourceSet, pat, map[string]any{"name": name, "uris": uris, "resource_scopes": []string{"view", "manage"}, "ownerManagedAccess": true})
	}
	register("Admin area").expect(t, 409, "invalid_request", "Resource with name [Admin area] already exists.")
	for _, uri := range []string{"/admin/keys", "/admin", "/board", "/BOARD/", "/board/7", "/board/*", "/mixed/9", "/album/1", "/ADMIN/keys", "/Mixed/9"} {
		register("Mine", "/free", uri).expect(t, 409, "invalid_request", "The URI ["+uri+"] belongs to another resource")
	}
	var long []string
	for i := range 5 {
		long = append(long, fmt.Sprint("/", i, strings.Repeat("/a", 220)))
	}
	register("Long", long...).expect(t, 400, "invalid_request", "The URIs that a user registers may have 1000 segments together")
	e.create(t, map[string]any{"name": "Long", "uris": long})
	mine := register("Mine", "/free")
	if mine.status != 201 {
		t.Fatalf("register what is nobody's: got %s", mine)
	}
	change := func(name, uri string) *response {
		return e.send(t, "PUT", resourceSet+"/"+mine.str("_id"), pat, map[string]any{"name": name, "uris": []string{"/free", uri}})
	}
	change("Mine", "/admin/keys").expect(t, 409, "invalid_request", "The URI [/admin/keys] belongs to another resource")
	change("Admin area", "/more").expect(t, 409, "invalid_request", "Resource with name [Admin area] already exists.")
	if res := change("Mine", "/more"); res.status != 204 {
		t.Errorf("change to what is nobody's: got %s", res)
	}
	if e.decides(t, "bob", "Admin area#manage") || e.decidesURI(t, "bob", "/admin/keys#manage") != 403 {
		t.Error("bob is let in")
	}
	if got := e.decidesURI(t, "bob", "/board#view"); got != 200 {
		t.Errorf("the page that bob may see: got %d, want 200", got)
	}
	if got := e.findURI(t, "/more"); !slices.Equal(got, []string{"Mine"}) {
		t.Errorf("bob's own URI: got %q, want Mine", got)
	}
}

// TestResourceServerComesLater: a resource that a user registered earlier does not
// replace the resource server's.
func TestResourceServerComesLater(t *testing.T) {
	t.Parallel()
	e := start(t)
	for _, r := range []map[string]any{
		{"name": "Vault", "uris": []string{"/vault"}},
		{"name": "Key", "uris": []string{"/keys/1"}},
		{"name": "For erin", "uris": []string{"/erin"}},
		{"name": "Upper", "uris": []string{"/KEYS/2"}},
	} {
		r["resource_scopes"] = []string{"view", "download"}
		if res := e.send(t, "POST", resourceSet, e.as(t, "bob", "photoz-api"), r); res.status != 201 {
			t.Fatalf("register %v: got %s", r, res)
		}
	}
	e.byURI(t, "bob", "/keys/1#view").expectGranted(t, "Key: view")

	e.create(t, map[string]any{"name": "Vault", "type": "admin", "uris": []string{"/vault", "/keys/*"}, "resource_scopes": []string{"view"}})
	e.create(t, map[string]any{"name": "Album 9", "type": "album", "owner": "alice", "uris": []string{"/erin"}, "resource_scopes": []string{"view"}})
	for _, uri := range []string{"/vault", "/keys/1"} {
		if got := e.findURI(t, uri); !slices.Equal(got, []string{"Vault"}) {
			t.Errorf("%s is found as %q, want the resource server's Vault", uri, got)
		}
		e.byURI(t, "bob", uri+"#view").expect(t, 403, "access_denied", "not_authorized")
		e.byURI(t, "dave", uri+"#view").expectGranted(t, "Vault: view")
	}
	for _, uri := range []string{"/KEYS/2", "/keys/2"} { // a pattern reserves what it matches without case
		if got := e.decidesURI(t, "bob", uri+"#view"); got == 200 {
			t.Errorf("bob's own answers for %s", uri)
		}
		if got := e.findURI(t, uri); slices.Contains(got, "Upper") {
			t.Errorf("%s is found as %q", uri, got)
		}
	}
	if got := e.findURI(t, "/erin"); !slices.Equal(got, []string{"Album 9"}) {
		t.Errorf("what the resource server registered for alice is found as %q, want Album 9", got)
	}
	if e.decides(t, "bob", "Vault#view") {
		t.Error("by name, bob's own stands for the resource server's")
	}
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "/keys/1#view", "permission_resource_format", "uri").
		expect(t, 400, "invalid_resource", "Resource with uri [/keys/1] does not exist.")
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", e.resourceOf(t, "bob", "Vault")+"#view", "response_mode", "permissions").
		expectGranted(t, "Vault: view")

	// A scope that stands by itself goes on to.
	if !e.decides(t, "erin", "#download") {
		t.Error("a scope that bob has put on his own resource is no longer granted to erin by itself")
	}
}

// resourceOf is the id of a user's resource, by its name.
func (e *env) resourceOf(t testing.TB, owner, name string) string {
	t.Helper()
	res := e.get(t, resourceSet, e.service(t, "photoz-api"), "owner", owner, "name", name, "exactName", "true")
	ids := asList(res.json)
	if len(ids) != 1 {
		t.Fatalf("look for %s's %s: got %s", owner, name, res)
	}
	return ids[0].(string)
}

// TestDecisionOfSeveral: where a name or a URI leads to several resources, true says
// that all are granted.
func TestDecisionOfSeveral(t *testing.T) {
	t.Parallel()
	e := start(t)
	for _, typ := range []string{"board", "admin"} {
		e.create(t, map[string]any{"name": "Hall of " + typ, "type": typ, "uris": []string{"/hall", "/hall/*"}, "resource_scopes": []string{"view"}})
	}
	for _, uri := range []string{"/hall", "/hall/1"} {
		if got := e.decidesURI(t, "bob", uri+"#view"); got != 403 {
			t.Errorf("%s, one of two: got %d, want 403", uri, got)
		}
		if got := e.decidesURI(t, "dave", uri+"#view"); got != 200 {
			t.Errorf("%s, both: got %d, want 200", uri, got)
		}
		e.byURI(t, "bob", uri+"#view").expectGranted(t, "Hall of board: view")
		res := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", uri+"#view", "response_mode", "decision", "response_permissions_limit", "1",
			"permission_resource_format", "uri", "permission_resource_matching_uri", "true")
		if res.status != 403 {
			t.Errorf("%s, cut to one: got %s, want 403", uri, res)
		}
	}
	// The list has one resource for a pattern, the last by name, as Keycloak's.
	if got := e.findURI(t, "/hall/1"); !slices.Equal(got, []string{"Hall of board"}) {
		t.Errorf("/hall/1 is found as %q, want Hall of board", got)
	}
}

// TestScopeAloneAsksNobody: a ticket for a scope alone finds no resource that others
// manage, and asks no owner.
func TestScopeAloneAsksNobody(t *testing.T) {
	t.Parallel()
	e := start(t)
	ticket := e.send(t, "POST", permission, e.as(t, "erin", "photoz-api"), []map[string]any{{"resource_scopes": []string{"comment"}}}).str("ticket")
	e.uma(t, e.as(t, "erin", "photoz-web"), "ticket", ticket).expect(t, 403, "access_denied", "request_denied")
	for _, who := range []string{"erin", "alice", "dave"} {
		for _, path := range []string{"/account/resources/pending-requests", requests} {
			if res := e.get(t, path, e.as(t, who, "photoz-web")); len(asList(res.json)) > 0 {
				t.Errorf("%s of %s: got %s, want nothing", path, who, res)
			}
		}
	}
	res := e.uma(t, e.as(t, "alice", "photoz-web"), "permission", "#comment", "response_mode", "permissions")
	res.expectGranted(t, "Holiday album: comment")
}

// TestURIsBeforeScopes: a URI that leads nowhere is told before a scope that is unknown,
// wherever they stand; a scope that is named twice counts once.
func TestURIsBeforeScopes(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-web")
	byURI := func(perms ...string) *response {
		kv := []string{"permission_resource_format", "uri"}
		for _, p := range perms {
			kv = append(kv, "permission", p)
		}
		return e.uma(t, bob, kv...)
	}
	const missing = "Resource with uri [/nowhere] does not exist."
	byURI("/nowhere#fly").expect(t, 400, "invalid_resource", missing)
	byURI("/board#fly", "/nowhere#view").expect(t, 400, "invalid_resource", missing)
	byURI("/board#fly", "/bare").expect(t, 400, "invalid_scope", "One of the given scopes [fly] is invalid")
	e.uma(t, bob, "permission", "Public board#fly,fly").expect(t, 400, "invalid_scope", "One of the given scopes [fly] is invalid")
}

// TestNamedWithAndWithoutScopes: a resource that is named once with scopes and once
// without is asked for with those, as in Keycloak.
func TestNamedWithAndWithoutScopes(t *testing.T) {
	t.Parallel()
	e := start(t)
	ask := func(user string, perms ...string) *response {
		kv := []string{"response_mode", "permissions"}
		for _, p := range perms {
			kv = append(kv, "permission", p)
		}
		return e.uma(t, e.as(t, user, "photoz-web"), kv...)
	}
	for _, perms := range [][]string{{"Mixed", "Mixed#write"}, {"Mixed#write", "Mixed"}} {
		ask("bob", perms...).expect(t, 403, "access_denied", "not_authorized")
		ask("dave", perms...).expectGranted(t, "Mixed: write")
	}
	ask("bob", "Public board", "Public board#view").expectGranted(t, "Public board: view")
	ask("bob", "Mixed#read", "Mixed#write").expectGranted(t, "Mixed: read")
	ask("dave", "Mixed#read", "Mixed", "Mixed#write").expectGranted(t, "Mixed: read write")
}

// TestNamedTwiceIsOnePermission: what is named twice is asked for once, with the scopes
// of both, before it is looked up, as in Keycloak. So a scope that it lacks, or that
// nobody knows, beside its mere name asks for no more than that scope.
func TestNamedTwiceIsOnePermission(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob, board := e.as(t, "bob", "photoz-web"), e.resourceID(t, "Public board")
	ask := func(perms []string, more ...string) *response {
		kv := append([]string{"response_mode", "permissions"}, more...)
		for _, p := range perms {
			kv = append(kv, "permission", p)
		}
		return e.uma(t, bob, kv...)
	}
	missing := func(perms ...string) {
		t.Helper()
		ask(perms).expect(t, 400, "invalid_resource", "Resource with id [Public board] does not exist.")
	}
	missing("Public board", "Public board#manage")
	missing("Public board#manage", "Public board")
	denied := func(perms []string, more ...string) {
		t.Helper()
		ask(perms, more...).expect(t, 403, "access_denied", "not_authorized")
	}
	denied([]string{board, board + "#manage"})
	denied([]string{board + "#manage", board})
	denied([]string{"resource-type:board", "resource-type:board#manage"})
	uri := []string{"permission_resource_format", "uri", "permission_resource_matching_uri", "true"}
	denied([]string{"/board", "/board#manage"}, uri...)
	denied([]string{"/board/1#manage", "/board"}, uri...)

	for _, scope := range []string{"manage", "fly"} {
		ask([]string{"Public board#" + scope, "Public board#view"}).expectGranted(t, "Public board: view")
		ask([]string{"/board#view", "/board/1#" + scope}, uri...).expectGranted(t, "Public board: view")
	}
	ask([]string{"resource-type:board", "resource-type:board#view"}).expectGranted(t, "Public board: view")
	// Scopes alone name nothing that could be the same.
	ask([]string{"#view", "#fly"}).expect(t, 400, "invalid_scope", "One of the given scopes [fly] is invalid")
	ask([]string{"#read", "#download"}).expectGranted(t, "Mixed: read", "#download")
	ask([]string{"Bare", "Public board#view", "Bare", "Public board#post"}).expectGranted(t, "Bare", "Public board: view post")
}

// TestNamedInTwoWays: what is asked for by id and by name, or twice in a ticket, is one
// permission with all that was asked for; of two that name it, the one without scopes adds none.
func TestNamedInTwoWays(t *testing.T) {
	t.Parallel()
	e := start(t)
	dave, id := e.as(t, "dave", "photoz-web"), e.resourceID(t, "Mixed")
	for _, tc := range []struct {
		one, two string // scopes
		want     string
	}{
		{"", "#write", "Mixed: write"}, {"#write", "", "Mixed: write"},
		{"#read", "#write", "Mixed: read write"}, {"#write", "#read", "Mixed: read write"},
	} {
		e.uma(t, dave, "permission", id+tc.one, "permission", "Mixed"+tc.two).expectGranted(t, tc.want)
		scopes := func(text string) []string { return strings.FieldsFunc(text, func(c rune) bool { return c == '#' }) }
		ticket := e.ticket(t, perm{Resource: id, Scopes: scopes(tc.one)}, perm{Resource: id, Scopes: scopes(tc.two)})
		e.uma(t, dave, "ticket", ticket).expectGranted(t, tc.want)
	}
}

// TestEnforcedPageOfTheResourceServer: pep serves a page with an RPT for the resource
// server's own resource alone, and a user that registers its URI does not close it.
func TestEnforcedPageOfTheResourceServer(t *testing.T) {
	t.Parallel()
	e := start(t)
	register := map[string]any{"name": "My news", "uris": []string{"/news"}, "resource_scopes": []string{"view"}}
	mine := e.send(t, "POST", resourceSet, e.as(t, "bob", "photoz-api"), register)
	if mine.status != 201 {
		t.Fatalf("register: got %s", mine)
	}
	e.create(t, map[string]any{"name": "News", "type": "admin", "uris": []string{"/news"}, "resource_scopes": []string{"view"}})
	for _, mode := range []pep.Mode{pep.Local, pep.Introspection} {
		enforcer, err := pep.New(pep.Config{
			AuthorizationServer: e.base(), Realm: "photoz", ClientID: "photoz-api", ClientSecret: "secret", Mode: mode, Now: e.Clock.Now,
			Rules: []pep.Rule{{Method: "GET", Path: "/news", URI: "/news", Scopes: []string{"view"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		page := enforcer.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		visit := func(user, asked string) int {
			rpt := e.uma(t, e.as(t, user, "photoz-web"), "permission", asked).str("access_token")
			if rpt == "" {
				t.Fatalf("%s gets no RPT for %s", user, asked)
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/news", nil)
			r.Header.Set("Authorization", "Bearer "+rpt)
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			return w.Result().StatusCode
		}
		if got := visit("bob", mine.str("_id")+"#view"); got != 401 {
			t.Errorf("with an RPT for bob's own resource: got %d, want 401", got)
		}
		if got := visit("dave", "News#view"); got != 200 {
			t.Errorf("with an RPT for the resource server's: got %d, want 200", got)
		}
	}
}
