package tests

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const accountResources = "/account/resources"

// ask asks for scopes of a resource as a user, with a ticket. It fails unless that
// is submitted to the owner.
func (e *env) ask(t testing.TB, user, resource string, scopes ...string) {
	t.Helper()
	res := e.uma(t, e.as(t, user, "photoz-web"), "ticket", e.ticket(t, perm{Resource: resource, Scopes: scopes}))
	res.expect(t, 403, "access_denied", "request_submitted")
}

// userScopes are a user with scopes, as PUT takes them.
type userScopes struct {
	Username string   `json:"username"`
	Scopes   []string `json:"scopes"`
}

// allow makes alice say who may do what with a resource of hers.
func (e *env) allow(t testing.TB, resource string, users ...userScopes) {
	t.Helper()
	res := e.send(t, "PUT", accountResources+"/"+resource+"/permissions", e.as(t, "alice", "photoz-web"), users)
	if res.status != 204 || len(res.raw) > 0 {
		t.Fatalf("allow %+v: got %s, want 204 and no body", users, res)
	}
}

// permits is an account list of users, a line for each: `bob: comment view`.
func (e *env) permits(t testing.TB, resource, below string) []string {
	t.Helper()
	res := e.get(t, accountResources+"/"+resource+"/permissions"+below, e.as(t, "alice", "photoz-web"))
	if res.status != 200 {
		t.Fatalf("got %s", res)
	}
	return userLines(res.json)
}

func userLines(list any) []string {
	lines := []string{}
	for _, v := range asList(list) {
		u, _ := v.(map[string]any)
		line := fmt.Sprint(u["username"], ":")
		for _, s := range asList(u["scopes"]) {
			line += fmt.Sprint(" ", s)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// names are those of a list of resources, each with its scopes: `Album: view`.
func (e *env) names(t testing.TB, path, user string, query ...string) []string {
	t.Helper()
	res := e.get(t, accountResources+path, e.as(t, user, "photoz-web"), query...)
	if res.status != 200 {
		t.Fatalf("%s: got %s", path, res)
	}
	lines := []string{}
	for _, v := range asList(res.json) {
		r, _ := v.(map[string]any)
		line := fmt.Sprint(r["name"], ":")
		for _, s := range asList(r["scopes"]) {
			scope, _ := s.(map[string]any)
			line += fmt.Sprint(" ", scope["name"])
		}
		lines = append(lines, line)
	}
	return lines
}

func expectLines(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func expectJSON(t testing.TB, res *response, want string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		t.Fatal(err)
	}
	if res.status != 200 || !reflect.DeepEqual(res.json, v) {
		t.Errorf("got %s\nwant 200 %s", res, want)
	}
}

// TestAccountResources: what a user owns, at all resource servers.
func TestAccountResources(t *testing.T) {
	t.Parallel()
	e := start(t)
	album, diary := e.resourceID(t, "Holiday album"), e.resourceID(t, "Diary")
	alice := e.as(t, "alice", "photoz-web")

	one := `{"_id": "` + album + `", "name": "Holiday album", "uris": ["/album/1"],
		"scopes": [{"name": "view"}, {"name": "comment"}, {"name": "delete"}], "client": {"clientId": "photoz-api"}}`
	other := `{"_id": "` + diary + `", "name": "Diary", "uris": ["/diary"], "scopes": [{"name": "view"}], "client": {"clientId": "photoz-api"}}`
	for _, path := range []string{accountResources, accountResources + "/"} {
		expectJSON(t, e.get(t, path, alice), "["+other+","+one+"]")
	}
	expectJSON(t, e.get(t, accountResources+"/"+album, alice), one)
	expectLines(t, "by a part of the name, without case", e.names(t, "", "alice", "name", "LIDAY"), "Holiday album: view comment delete")
	expectLines(t, "by no part of a name", e.names(t, "", "alice", "name", "x"))
	expectLines(t, "of who owns nothing", e.names(t, "", "bob"))

	res := e.send(t, "POST", resourceSet, e.service(t, "other-api"), map[string]any{
		"name": "Elsewhere", "displayName": "Else where", "icon_uri": "https://other.example/icon.png", "owner": "alice",
	})
	expectJSON(t, e.get(t, accountResources, alice, "name", "else"), `[{"_id": "`+res.str("_id")+`", "name": "Elsewhere",
		"displayName": "Else where", "icon_uri": "https://other.example/icon.png", "uris": [], "scopes": [], "client": {"clientId": "other-api"}}]`)
	expectLines(t, "of both resource servers", e.names(t, "", "alice"), "Diary: view", "Elsewhere:", "Holiday album: view comment delete")
}

// TestAccountStory: bob asks for two scopes, alice approves one and thereby denies
// the other, which is remembered.
func TestAccountStory(t *testing.T) {
	t.Parallel()
	e := start(t)
	album := e.resourceID(t, "Holiday album")
	bob := e.as(t, "bob", "photoz-web")
	e.ask(t, "bob", album, "view", "comment")
	e.ask(t, "erin", album, "delete")
	e.allow(t, album, userScopes{"carol", []string{"view"}})

	pending := e.names(t, "/pending-requests", "bob")
	slices.Sort(pending)
	expectLines(t, "what bob asks for", pending, "Holiday album: comment", "Holiday album: view")
	expectLines(t, "what alice asks for", e.names(t, "/pending-requests", "alice"))
	expectLines(t, "who asks", e.permits(t, album, "/requests"), "bob: comment view", "erin: delete")
	expectLines(t, "whom it is shared with", e.permits(t, album, ""), "carol: view")

	e.allow(t, album, userScopes{"BOB@example.com", []string{"view"}})
	expectLines(t, "what bob asks for, answered", e.names(t, "/pending-requests", "bob"))
	expectLines(t, "who asks, bob answered", e.permits(t, album, "/requests"), "erin: delete")
	expectLines(t, "shared, others untouched", e.permits(t, album, ""), "bob: view", "carol: view")
	expectLines(t, "shared with bob", e.names(t, "/shared-with-me", "bob"), "Holiday album: view")
	expectLines(t, "by another name", e.names(t, "/shared-with-me", "bob", "name", "x"))
	expectLines(t, "by its name", e.names(t, "/shared-with-me", "bob", "name", "holi"), "Holiday album: view")
	expectLines(t, "shared with alice", e.names(t, "/shared-with-me", "alice"))
	expectLines(t, "shared by bob", e.names(t, "/shared-with-others", "bob"))
	res := e.get(t, accountResources+"/"+album+"/permissions", e.as(t, "alice", "photoz-web"))
	usersInAnyOrder(res.json)
	expectJSON(t, res, `[
		{"username": "bob", "firstName": "bob", "lastName": "bob", "email": "bob@example.com", "scopes": ["view"]},
		{"username": "carol", "email": "carol@example.com", "scopes": ["view"]}]`)
	e.uma(t, bob, "permission", album).expectGranted(t, "Holiday album: view")

	// What she left out is denied, and remembered so.
	comment := func() *response {
		return e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", e.ticket(t, perm{Resource: album, Scopes: []string{"comment"}}))
	}
	comment().expect(t, 403, "access_denied", "request_denied")
	expectLines(t, "asked again", e.permits(t, album, "/requests"), "erin: delete")
	e.Clock.Advance(25 * time.Hour)
	comment().expect(t, 403, "access_denied", "request_submitted")
	expectLines(t, "asked again later", e.permits(t, album, "/requests"), "bob: comment", "erin: delete")

	// She may change her mind about what she denied.
	e.allow(t, album, userScopes{"bob", []string{}}, userScopes{"erin", []string{"delete"}})
	expectLines(t, "all taken back", e.permits(t, album, ""), "carol: view", "erin: delete")
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", album).expect(t, 403, "access_denied", "not_authorized")
	e.allow(t, album, userScopes{"bob", []string{"comment", "comment", "delete"}})
	expectLines(t, "given after all", e.permits(t, album, ""), "bob: comment delete", "carol: view", "erin: delete")
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", album).expectGranted(t, "Holiday album: comment delete")
}

// TestAccountSharedWithOthers: what a user shared, and with whom.
func TestAccountSharedWithOthers(t *testing.T) {
	t.Parallel()
	e := start(t)
	album, diary := e.resourceID(t, "Holiday album"), e.resourceID(t, "Diary")
	second := e.album(t, "Second album")
	e.allow(t, album, userScopes{"bob", []string{"view", "delete"}})
	e.allow(t, second, userScopes{"bob", []string{"view"}}, userScopes{"erin", []string{"comment"}})
	e.ask(t, "erin", album, "view") // not shared
	bob := `{"username": "bob", "firstName": "bob", "lastName": "bob", "email": "bob@example.com", "scopes": ["view"]}`
	erin := `{"username": "erin", "firstName": "erin", "lastName": "erin", "email": "erin@example.com", "scopes": ["comment"]}`
	client := `"client": {"clientId": "photoz-api"}`
	res := e.get(t, accountResources+"/shared-with-others", e.as(t, "alice", "photoz-web"))
	if len(asList(res.json)) == 2 {
		usersInAnyOrder(at(asList(res.json)[1], "permissions"))
	}
	expectJSON(t, res, `[
		{"_id": "`+album+`", "name": "Holiday album", "uris": ["/album/1"], "scopes": [{"name": "view"}, {"name": "comment"}, {"name": "delete"}], `+client+`,
		 "permissions": [`+strings.Replace(bob, `["view"]`, `["delete", "view"]`, 1)+`]},
		{"_id": "`+second+`", "name": "Second album", "uris": [], "scopes": [{"name": "view"}, {"name": "comment"}], `+client+`, "permissions": [`+bob+`, `+erin+`]}]`)
	if strings.Contains(string(res.raw), diary) {
		t.Error("what is not shared is listed")
	}
	expectLines(t, "shared with bob", e.names(t, "/shared-with-me", "bob"), "Holiday album: delete view", "Second album: view")
	expectLines(t, "a page", e.names(t, "/shared-with-me", "bob", "first", "1", "max", "1"), "Second album: view")
}

// usersInAnyOrder sorts a list of users, which come in the order of their ids.
func usersInAnyOrder(list any) {
	slices.SortFunc(asList(list), func(a, b any) int {
		return strings.Compare(fmt.Sprint(at(a, "username")), fmt.Sprint(at(b, "username")))
	})
}

// TestAccountPages: lists come in pages, with links to those beside when both
// `first` and `max` are given.
func TestAccountPages(t *testing.T) {
	t.Parallel()
	e := start(t)
	for i := range 4 {
		id := e.album(t, fmt.Sprintf("Photo %d", i))
		e.allow(t, id, userScopes{"bob", []string{"view"}})
	}
	lists := []struct{ path, user string }{{"", "alice"}, {"/shared-with-others", "alice"}, {"/shared-with-me", "bob"}}
	for _, tc := range []struct {
		query      string // what is after `name=Photo`
		names      string
		next, prev string
	}{
		{"", "0 1 2 3", "", ""},
		{"&first=0&max=2", "0 1", "first=2&max=2", ""},
		{"&first=2&max=2", "2 3", "", "first=0&max=2"},
		{"&first=1&max=2", "1 2", "first=3&max=2", "first=0&max=2"},
		{"&first=3&max=2", "3", "", "first=1&max=2"},
		{"&first=0&max=4", "0 1 2 3", "", ""},
		{"&first=9&max=2", "", "", "first=7&max=2"},
		{"&first=0&max=0", "", "", ""},
		{"&first=1", "1 2 3", "", ""},
		{"&max=3", "0 1 2", "", ""},
	} {
		for _, list := range lists {
			res := e.do(t, request{method: "GET", url: accountResources + list.path, as: e.as(t, list.user, "photoz-web"), query: looseQuery("name=Photo" + tc.query)})
			var got []string
			for _, r := range asList(res.json) {
				name, _ := at(r, "name").(string)
				got = append(got, strings.TrimPrefix(name, "Photo "))
			}
			if res.status != 200 || strings.Join(got, " ") != tc.names {
				t.Errorf("%s?%s: got %s, want %s", list.path, tc.query, res, tc.names)
			}
			var links []string
			for _, link := range [][2]string{{tc.next, "next"}, {tc.prev, "prev"}} {
				if link[0] != "" {
					links = append(links, "<"+e.base()+accountResources+list.path+"?"+link[0]+`&name=Photo>; rel="`+link[1]+`"`)
				}
			}
			if got, want := res.header.Get("Link"), strings.Join(links, ", "); got != want {
				t.Errorf("%s?%s: got Link %q, want %q", list.path, tc.query, got, want)
			}
		}
	}
	for _, query := range []string{"first=x", "first=-1", "max=-1", "max=1001", "max=", "first=1&first=2"} {
		for _, list := range lists {
			res := e.do(t, request{method: "GET", url: accountResources + list.path + "?" + query, as: e.as(t, list.user, "photoz-web")})
			res.expect(t, 400, "invalid_request", "")
		}
	}
	for i := range 100 {
		e.create(t, map[string]any{"name": fmt.Sprintf("Note %03d", i), "owner": "alice"})
	}
	if got := e.names(t, "", "alice"); len(got) != 100 {
		t.Errorf("got %d resources, want 100 when no number is given", len(got))
	}
}

// TestAccountWithdrawal: what an owner leaves out is gone from the RPTs that were
// issued before, at once.
func TestAccountWithdrawal(t *testing.T) {
	t.Parallel()
	e := start(t)
	album := e.album(t, "Album")
	e.allow(t, album, userScopes{"bob", []string{"view", "comment"}}, userScopes{"erin", []string{"view"}})
	h := e.hold(t, album)
	e.expectRemaining(t, h.rpt, "Album: view comment")
	e.allow(t, album, userScopes{"bob", []string{"comment", "view"}}) // nothing new
	e.refresh(t, h.refresh).expectGranted(t, "Album: view comment")

	h = e.hold(t, album)
	e.allow(t, album, userScopes{"bob", []string{"view"}})
	e.expectRemaining(t, h.rpt, "Album: view")
	e.refresh(t, h.refresh).expect(t, 400, "invalid_grant", "")
	e.allow(t, album, userScopes{"bob", []string{}})
	e.expectRemaining(t, h.rpt)
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", album).expect(t, 403, "access_denied", "not_authorized")
	expectLines(t, "left", e.permits(t, album, ""), "erin: view")
}

// TestAccountWhole: a resource without scopes is shared as a whole, which is `*`:
// nothing at all takes it back.
func TestAccountWhole(t *testing.T) {
	t.Parallel()
	e := start(t)
	bare := e.create(t, map[string]any{"name": "Bare of alice", "type": "album", "owner": "alice", "ownerManagedAccess": true})
	e.ask(t, "bob", bare)
	expectLines(t, "asked for", e.permits(t, bare, "/requests"), "bob: *")
	expectLines(t, "asked for by bob", e.names(t, "/pending-requests", "bob"), "Bare of alice: *")
	e.allow(t, bare, userScopes{"bob", []string{"*"}})
	expectLines(t, "shared", e.permits(t, bare, ""), "bob: *")
	expectLines(t, "shared with bob", e.names(t, "/shared-with-me", "bob"), "Bare of alice: *")
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", bare).expectGranted(t, "Bare of alice")
	e.allow(t, bare, userScopes{"bob", []string{}})
	expectLines(t, "taken back", e.permits(t, bare, ""))
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", bare).expect(t, 403, "access_denied", "not_authorized")
}

// TestAccountUser: an owner finds out whom a resource could be shared with, by name
// or e-mail address.
func TestAccountUser(t *testing.T) {
	t.Parallel()
	e := start(t)
	path := accountResources + "/" + e.resourceID(t, "Holiday album") + "/user"
	alice := e.as(t, "alice", "photoz-web")
	id, _ := payload(t, e.token(t, "bob", "photoz-web"))["sub"].(string)
	for _, value := range []string{"bob", "BOB", "bob@example.com", "Bob@Example.com"} {
		expectJSON(t, e.get(t, path, alice, "value", value), `{"id": "`+id+`", "username": "bob", "firstName": "bob", "lastName": "bob", "email": "bob@example.com"}`)
	}
	for _, query := range [][]string{nil, {"value", ""}, {"value", "nobody"}, {"value", "bo"}, {"value", "photoz-api"}, {"value", "%"}} {
		if res := e.get(t, path, alice, query...); res.status != 204 || len(res.raw) > 0 {
			t.Errorf("%v: got %s, want 204", query, res)
		}
	}
}

// TestAccountPagesOfTheWeb: pages of the token's client may read the answers, and
// the links to the pages beside.
func TestAccountPagesOfTheWeb(t *testing.T) {
	t.Parallel()
	e := start(t)
	call := func(method, origin string, as credentials) *response {
		return e.do(t, request{method: method, url: accountResources + "?first=0&max=1", as: as, headers: map[string]string{"Origin": origin}})
	}
	res := call("GET", "http://localhost:3000", e.as(t, "alice", "photoz-web"))
	if res.status != 200 || res.header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" || !strings.Contains(res.header.Get("Access-Control-Expose-Headers"), "Link") {
		t.Errorf("got %s with %v", res, res.header)
	}
	if res := call("GET", "https://evil.example", e.as(t, "alice", "photoz-web")); res.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: got %v", res.header)
	}
	if res := call("OPTIONS", "http://localhost:3000", credentials{}); res.status != 204 || res.header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" {
		t.Errorf("preflight: got %s with %v", res, res.header)
	}
	e.send(t, "POST", accountResources, e.as(t, "alice", "photoz-web"), []userScopes{}).expect(t, 405, "unsupported_method_type", "")
}

// TestAccountInEveryProfile: the account API is the same in realms that speak
// strict UMA 2.0, and below /auth.
func TestAccountInEveryProfile(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "profile: keycloak", "profile: uma2"))
	alice := e.as(t, "alice", "photoz-web")
	expectLines(t, "what alice owns", e.names(t, "", "alice"), "Diary: view", "Holiday album: view comment delete")
	e.get(t, accountResources+"/"+newUUID(), alice).expect(t, 404, "resource_not_found", "")
	e.send(t, "PUT", accountResources+"/"+newUUID()+"/permissions", alice, []userScopes{}).expect(t, 400, "invalid_permissions", "")
	if res := e.get(t, e.URL+"/auth/realms/photoz"+accountResources, alice); res.status != 200 || len(asList(res.json)) != 2 {
		t.Errorf("below /auth: got %s", res)
	}
}
