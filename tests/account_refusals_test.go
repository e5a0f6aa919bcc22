package tests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAccountMistakes: a body that is wrong, be it in its last member, changes
// nothing.
func TestAccountMistakes(t *testing.T) {
	t.Parallel()
	e := start(t)
	album, diary, bare := e.album(t, "Album"), e.resourceID(t, "Diary"), e.create(t, map[string]any{
		"name": "Bare of alice", "owner": "alice", "ownerManagedAccess": true,
	})
	e.allow(t, album, userScopes{"bob", []string{"view"}})
	alice := e.as(t, "alice", "photoz-web")
	const erin = `{"username": "erin", "scopes": ["view"]}`
	var many []userScopes
	for i := range 1001 {
		many = append(many, userScopes{fmt.Sprintf("user-%d", i), []string{}})
	}
	crowd, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, id, body string
		status         int
		code           string
	}{
		{"no body", album, ``, 400, "invalid_permissions"},
		{"null", album, `null`, 400, "invalid_permissions"},
		{"an empty list", album, `[]`, 400, "invalid_permissions"},
		{"an object", album, erin, 400, "invalid_request"},
		{"a string", album, `"bob"`, 400, "invalid_request"},
		{"no JSON", album, `[`, 400, "invalid_request"},
		{"no object in it", album, `[` + erin + `, 1]`, 400, "invalid_request"},
		{"null in it", album, `[` + erin + `, null]`, 400, "invalid_request"},
		{"no username", album, `[` + erin + `, {"scopes": ["view"]}]`, 400, "invalid_request"},
		{"an empty username", album, `[` + erin + `, {"username": "", "scopes": ["view"]}]`, 400, "invalid_request"},
		{"a number for a username", album, `[` + erin + `, {"username": 1, "scopes": ["view"]}]`, 400, "invalid_request"},
		{"no scopes", album, `[` + erin + `, {"username": "bob"}]`, 400, "invalid_request"},
		{"null for scopes", album, `[` + erin + `, {"username": "bob", "scopes": null}]`, 400, "invalid_request"},
		{"a string for scopes", album, `[` + erin + `, {"username": "bob", "scopes": "view"}]`, 400, "invalid_request"},
		{"a number for a scope", album, `[` + erin + `, {"username": "bob", "scopes": [1]}]`, 400, "invalid_request"},
		{"objects for scopes", album, `[` + erin + `, {"username": "bob", "scopes": [{"name": "view"}]}]`, 400, "invalid_request"},
		{"an unknown scope", album, `[` + erin + `, {"username": "bob", "scopes": ["view", "fly"]}]`, 400, "invalid_scope"},
		{"a scope of other resources", album, `[` + erin + `, {"username": "bob", "scopes": ["delete"]}]`, 400, "invalid_scope"},
		{"everything", album, `[` + erin + `, {"username": "bob", "scopes": ["*"]}]`, 400, "invalid_scope"},
		{"a scope in another case", album, `[` + erin + `, {"username": "bob", "scopes": ["VIEW"]}]`, 400, "invalid_scope"},
		{"a scope of a resource without any", bare, `[{"username": "bob", "scopes": ["view"]}]`, 400, "invalid_scope"},
		{"an unknown user", album, `[` + erin + `, {"username": "nobody", "scopes": ["view"]}]`, 404, "user_not_found"},
		{"a client for a user", album, `[` + erin + `, {"username": "photoz-api", "scopes": ["view"]}]`, 404, "user_not_found"},
		{"a user twice", album, `[` + erin + `, {"username": "erin@example.com", "scopes": ["comment"]}]`, 400, "invalid_permissions"},
		{"the owner", album, `[` + erin + `, {"username": "alice", "scopes": ["view"]}]`, 400, "invalid_permissions"},
		{"more users than may be", album, string(crowd), 400, "invalid_permissions"},
		{"a resource that the owner does not manage", diary, `[` + erin + `]`, 400, "invalid_permissions"},
		{"an unknown resource", newUUID(), `[` + erin + `]`, 404, "resource_not_found"},
	} {
		res := e.do(t, request{method: "PUT", url: accountResources + "/" + tc.id + "/permissions", as: alice, body: tc.body, headers: map[string]string{"Content-Type": "application/json"}})
		if res.status != tc.status || res.str("error") != tc.code {
			t.Errorf("%s: got %s, want %d %s", tc.name, res, tc.status, tc.code)
		}
	}
	res := e.do(t, request{method: "PUT", url: accountResources + "/" + album + "/permissions", as: alice, body: "[" + erin + "]", headers: map[string]string{"Content-Type": "text/plain"}})
	res.expect(t, 415, "invalid_request", "")
	expectLines(t, "after all that", e.permits(t, album, ""), "bob: view")
	expectLines(t, "of the one that the owner does not manage", e.permits(t, diary, ""))
}

// accountCalls are one request to each endpoint of the account API.
func accountCalls(id string) []request {
	calls := []request{{method: "PUT", url: accountResources + "/" + id + "/permissions", json: []userScopes{{"bob", []string{"delete"}}}}}
	for _, path := range []string{"", "/shared-with-me", "/shared-with-others", "/pending-requests", "/" + id, "/" + id + "/permissions", "/" + id + "/permissions/requests", "/" + id + "/user?value=bob"} {
		calls = append(calls, request{method: "GET", url: accountResources + path})
	}
	return calls
}

// TestAccountCallers: only a user's ordinary access token speaks for an owner
// (design.md §7).
func TestAccountCallers(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	album := e.resourceID(t, "Holiday album")
	expired := e.newSignIn(t, "alice", "photoz-web", "").str("access_token")
	e.Clock.Advance(6 * time.Minute)
	revoked := e.newSignIn(t, "alice", "photoz-app", "").str("access_token")
	if res := e.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", revoked); res.status != 200 {
		t.Fatalf("revoke: got %s", res)
	}
	for _, tc := range []struct {
		name   string
		as     credentials
		status int
		code   string
	}{
		{"no token", credentials{}, 401, "invalid_token"},
		{"a client", basic("photoz-app"), 401, "invalid_token"},
		{"garbage", bearer("garbage"), 401, "invalid_token"},
		{"forged", bearer(forged(e.token(t, "alice", "photoz-web"))), 401, "invalid_token"},
		{"expired", bearer(expired), 401, "invalid_token"},
		{"revoked", bearer(revoked), 401, "invalid_token"},
		{"an ID token", bearer(e.idToken(t, "alice", "photoz-web")), 401, "invalid_token"},
		{"a refresh token", bearer(e.newSignIn(t, "alice", "photoz-web", "").str("refresh_token")), 401, "invalid_token"},
		{"of another realm", e.in("other").as(t, "alice", "photoz-web"), 401, "invalid_token"},
		{"an RPT", bearer(e.uma(t, e.as(t, "alice", "photoz-web"), "permission", album).str("access_token")), 403, "insufficient_scope"},
		{"of a service account", e.service(t, "photoz-api"), 403, "insufficient_scope"},
	} {
		for _, call := range accountCalls(album) {
			call.as = tc.as
			res := e.do(t, call)
			if res.status != tc.status || res.str("error") != tc.code || !strings.HasPrefix(res.header.Get("WWW-Authenticate"), `Bearer realm="photoz"`) {
				t.Errorf("%s, %s %s: got %s %q, want %d %s and a challenge", tc.name, call.method, call.url, res, res.header["Www-Authenticate"], tc.status, tc.code)
			}
		}
	}
	expectLines(t, "after all that", e.permits(t, album, ""))
}

// TestAccountOfAnother: what somebody else owns, or another realm has, is answered
// in the bytes of what is not there.
func TestAccountOfAnother(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	album := e.resourceID(t, "Holiday album")
	e.allow(t, album, userScopes{"erin", []string{"view"}})
	e.ask(t, "carol", album, "view")
	board := e.resourceID(t, "Public board") // of the resource server itself
	for name, other := range map[string]struct {
		e  *env
		as credentials
	}{
		"a user":                   {e, e.as(t, "bob", "photoz-web")},
		"whom it is shared with":   {e, e.as(t, "erin", "photoz-web")},
		"who asks for it":          {e, e.as(t, "carol", "photoz-web")},
		"alice of another realm":   {e.in("other"), e.in("other").as(t, "alice", "photoz-web")},
		"through its own resource": {e, e.as(t, "bob", "photoz-api")},
	} {
		for _, id := range []string{album, board} {
			foreign, unknown := accountCalls(id), accountCalls(newUUID())
			for i := range foreign {
				foreign[i].as, unknown[i].as = other.as, other.as
				got, want := other.e.do(t, foreign[i]), other.e.do(t, unknown[i])
				if got.status != want.status || string(got.raw) != string(want.raw) {
					t.Errorf("%s, %s %s: got %s, and %s for one that is not there", name, foreign[i].method, foreign[i].url, got, want)
				}
				if strings.Contains(foreign[i].url, id) {
					got.expect(t, 404, "resource_not_found", "")
				}
			}
		}
	}
	expectLines(t, "after all that", e.permits(t, album, ""), "erin: view")
	expectLines(t, "who asks", e.permits(t, album, "/requests"), "carol: view")
}
