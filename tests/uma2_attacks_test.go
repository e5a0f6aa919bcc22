package tests

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// strictCalls are one request to each endpoint of the protection API.
func strictCalls(id string) []request {
	return []request{
		{method: "POST", url: resourceSet, json: scoped("view")},
		{method: "GET", url: resourceSet},
		{method: "GET", url: resourceSet + "/" + id},
		{method: "PUT", url: resourceSet + "/" + id, json: scoped("view")},
		{method: "DELETE", url: resourceSet + "/" + id},
		{method: "POST", url: permission, json: ask(id, "view")},
	}
}

// TestUMA2Attacks is the attacks on the protection API in a realm with the profile uma2. What is
// not here is alike on all faces and in TestFaces, or in
// TestUMA2Registration and TestUMA2Permission under the number of its rule.
func TestUMA2Attacks(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, bob := e.patOf(t, "alice", "photoz-api"), e.as(t, "bob", "photoz-web")
	id := e.register(t, alice, typed("open", "view", "print"))
	before := e.get(t, resourceSet+"/"+id, alice)
	untouched := func(t *testing.T) {
		t.Helper()
		if after := e.get(t, resourceSet+"/"+id, alice); after.status != 200 || !bytes.Equal(before.raw, after.raw) {
			t.Errorf("got %s, want it as it was: %s", after, before)
		}
	}
	// refuse makes every call with some credentials and looks at the answer.
	refuse := func(t *testing.T, as credentials, status int, code, challenge string) {
		t.Helper()
		for _, r := range strictCalls(id) {
			r.as = as
			res := e.do(t, r)
			res.expect(t, status, code, "")
			if got := res.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, challenge) || challenge == "" {
				t.Errorf("%s %s: got WWW-Authenticate %q, want %q", r.method, r.url, got, challenge)
			}
		}
		untouched(t)
	}

	t.Run("A-17_no_token", func(t *testing.T) {
		t.Parallel()
		refuse(t, credentials{}, 401, "invalid_token", `Bearer realm="sharing"`)
		res := e.get(t, resourceSet, credentials{})
		if got := res.header.Get("WWW-Authenticate"); got != `Bearer realm="sharing"` { // RFC 6750 §3.1
			t.Errorf("got WWW-Authenticate %q, want no error code in it", got)
		}
		refuse(t, basic("photoz-api"), 401, "invalid_token", `Bearer realm="sharing"`)
	})

	t.Run("A-18_garbage_expired_revoked", func(t *testing.T) {
		t.Parallel()
		const challenge = `Bearer realm="sharing", error="invalid_token"`
		refuse(t, bearer("garbage"), 401, "invalid_token", challenge)
		refuse(t, bearer(forged(alice.bearer)), 401, "invalid_token", challenge)
		refuse(t, bearer(e.idToken(t, "alice", "photoz-api")), 401, "invalid_token", challenge)
		mine := e.newSignIn(t, "alice", "photoz-api", "uma_protection")
		refuse(t, bearer(mine.str("refresh_token")), 401, "invalid_token", challenge)
		e.post(t, "/protocol/openid-connect/revoke", basic("photoz-api"), "token", mine.str("access_token"))
		refuse(t, bearer(mine.str("access_token")), 401, "invalid_token", challenge)
	})

	t.Run("A-18_expired", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		old := e.patOf(t, "alice", "photoz-api")
		e.Clock.Advance(5 * time.Minute)
		e.get(t, resourceSet, old).expect(t, 401, "invalid_token", "")
	})

	t.Run("A-19_without_uma_protection", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(id, "view"))).str("access_token")
		for name, as := range map[string]credentials{
			"without the scope":          e.as(t, "alice", "photoz-api"),
			"who does not hold the role": e.patOf(t, "carol", "photoz-api"),
			"of a client that is none":   e.patOf(t, "alice", "photoz-app"),
			"of the service, not asked":  e.service(t, "photoz-api"),
			"of a client's own account":  e.patOf(t, "", "photoz-app"),
			"of a public client":         bob,
			"a requesting party token":   bearer(rpt),
		} {
			t.Run(name, func(t *testing.T) {
				refuse(t, as, 403, "insufficient_scope", `Bearer realm="sharing", error="insufficient_scope"`)
				if got := e.get(t, resourceSet, as).header.Get("WWW-Authenticate"); !strings.HasSuffix(got, `scope="uma_protection"`) {
					t.Errorf("got WWW-Authenticate %q, want the scope that is lacking", got)
				}
			})
		}
	})

	t.Run("A-20_of_another_realm", func(t *testing.T) {
		t.Parallel()
		e := strictly(t, func(o *options) { o.More = []string{strings.Replace(o.Realm, "realm: sharing", "realm: elsewhere", 1)} })
		other := e.in("elsewhere").patOf(t, "alice", "photoz-api")
		e.get(t, resourceSet, other).expect(t, 401, "invalid_token", "")
		if got := e.in("elsewhere").get(t, resourceSet, other); got.status != 200 {
			t.Errorf("in its own realm: got %s", got)
		}
	})

	t.Run("A-21_token_in_the_query", func(t *testing.T) {
		t.Parallel()
		e.get(t, resourceSet, credentials{}, "access_token", alice.bearer).expect(t, 401, "invalid_token", "")
		e.get(t, resourceSet, alice, "access_token", alice.bearer).expect(t, 400, "invalid_request", "the access token comes in two ways")
		res := e.do(t, request{method: "POST", url: permission, as: alice, json: ask(id, "view"), query: looseQuery("access_token=x")})
		res.expect(t, 400, "invalid_request", "")
		res = e.do(t, request{method: "POST", url: permission, form: form("access_token", alice.bearer)})
		res.expect(t, 401, "invalid_token", "")
		if e.logged(t, alice.bearer) {
			t.Error("the log has the token")
		}
	})

	t.Run("A-22_resource_of_another", func(t *testing.T) {
		t.Parallel()
		for _, as := range []credentials{e.patOf(t, "bob", "photoz-api"), e.patOf(t, "alice", "other-api"), e.patOf(t, "", "other-api")} {
			for _, r := range strictCalls(id)[2:5] {
				r.as = as
				foreign := e.do(t, r)
				r.url = resourceSet + "/" + newUUID()
				unknown := e.do(t, r)
				if foreign.status != 404 || !bytes.Equal(foreign.raw, unknown.raw) {
					t.Errorf("%s: got %s for one of another, %s for one of nobody", r.method, foreign, unknown)
				}
			}
		}
		untouched(t)
	})

	t.Run("A-23_lists_show_ones_own", func(t *testing.T) {
		t.Parallel()
		for _, as := range []credentials{e.patOf(t, "bob", "photoz-api"), e.patOf(t, "alice", "other-api"), e.patOf(t, "", "photoz-api")} {
			if res := e.get(t, resourceSet, as, "owner", "alice", "_id", id); res.status != 200 || slices.Contains(asList(res.json), any(id)) {
				t.Errorf("got %s, want nothing of alice's", res)
			}
		}
	})

	t.Run("A-24_ticket_for_a_foreign_resource", func(t *testing.T) {
		t.Parallel()
		for _, as := range []credentials{e.patOf(t, "bob", "photoz-api"), e.patOf(t, "alice", "other-api"), e.patOf(t, "", "other-api")} {
			foreign := e.send(t, "POST", permission, as, ask(id, "view"))
			foreign.expect(t, 400, "invalid_resource_id", "")
			if unknown := e.send(t, "POST", permission, as, ask(newUUID(), "view")); !bytes.Equal(foreign.raw, unknown.raw) {
				t.Errorf("got %s for one of another, %s for one of nobody", foreign, unknown)
			}
		}
	})

	t.Run("A-27_scopes_are_compared_byte_by_byte", func(t *testing.T) {
		t.Parallel()
		other := e.register(t, alice, scoped("comment"))
		for _, scope := range []string{"View", "view ", " view", "view\u0000", "vіew", "vie", "views", "view,print", "", "*", "comment"} {
			res := e.send(t, "POST", permission, alice, ask(id, scope))
			if res.status != 400 || res.str("error") != "invalid_scope" && !strings.Contains(scope, "\x00") {
				t.Errorf("scope %q: got %s, want 400 invalid_scope", scope, res)
			}
		}
		e.send(t, "POST", permission, alice, []any{ask(other, "comment"), ask(id, "comment")}).expect(t, 400, "invalid_scope", "")
	})

	t.Run("A-28_put_with_other_ids", func(t *testing.T) {
		t.Parallel()
		mine := e.register(t, alice, typed("open", "view"))
		res := e.send(t, "PUT", resourceSet+"/"+mine, alice, description{"owner": "bob", "client_id": "other-api", "iat": 1, "resource_scopes": []string{"view"}})
		if got := e.get(t, resourceSet+"/"+mine, alice); res.status != 200 || got.str("_id") != mine {
			t.Errorf("got %s, then %s, want owner and id as they were", res, got)
		}
		e.send(t, "PUT", resourceSet+"/"+mine, alice, description{"_id": id, "resource_scopes": []string{}}).expect(t, 400, "invalid_request", "")
	})

	t.Run("A-29_same_name_as_anothers", func(t *testing.T) {
		t.Parallel()
		d := description{"name": "photo1", "type": "mine", "resource_scopes": []string{"view"}}
		hers := e.register(t, alice, d)
		share(t, e, "alice", hers, "carol", "view")
		his := e.register(t, e.patOf(t, "bob", "photoz-api"), d)
		if his == hers {
			t.Fatal("two resources have one id")
		}
		carol := e.as(t, "carol", "photoz-web")
		e.uma(t, carol, "ticket", e.strictTicket(t, alice, ask(hers, "view"))).expectGranted(t, "photo1: view")
		e.uma(t, carol, "ticket", e.strictTicket(t, e.patOf(t, "bob", "photoz-api"), ask(his, "view"))).expect(t, 403, "request_submitted", "")
	})

	t.Run("A-30_deleted_and_registered_again", func(t *testing.T) {
		t.Parallel()
		d := description{"name": "Phoenix", "resource_scopes": []string{"view"}}
		old := e.register(t, alice, d)
		share(t, e, "alice", old, "bob", "view")
		rpt := e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(old, "view"))).str("access_token")
		e.do(t, request{method: "DELETE", url: resourceSet + "/" + old, as: alice})
		next := e.register(t, alice, d)
		if next == old || active(t, e, rpt) {
			t.Error("want a fresh id, and nothing left of the old resource")
		}
		e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(next, "view"))).expect(t, 403, "request_submitted", "")
	})

	t.Run("A-32_wrong_types", func(t *testing.T) {
		t.Parallel()
		for _, scopes := range []string{`"view"`, `null`, `[1]`, `[null]`, `[["view"]]`, `{"0":"view"}`, `true`} {
			for path, body := range map[string]string{
				resourceSet: `{"resource_scopes":` + scopes + `}`, permission: `{"resource_id":"` + id + `","resource_scopes":` + scopes + `}`,
			} {
				res := e.do(t, request{method: "POST", url: path, as: alice, body: body, headers: map[string]string{"Content-Type": "application/json"}})
				res.expect(t, 400, "invalid_request", "")
			}
		}
		for _, scope := range []string{"", "*", "a,b", "a#b", "a\nb", strings.Repeat("x", 256)} {
			e.send(t, "POST", resourceSet, alice, scoped(scope)).expect(t, 400, "invalid_scope", "")
		}
	})

	t.Run("A-33_empty_permission_requests", func(t *testing.T) {
		t.Parallel()
		for _, body := range []any{[]any{}, map[string]any{}, []any{map[string]any{}}, "x", 1} {
			e.send(t, "POST", permission, alice, body).expect(t, 400, "invalid_request", "")
		}
	})

	t.Run("A-34_too_much", func(t *testing.T) {
		t.Parallel()
		many := slices.Repeat([]any{ask(id, "view")}, 201)
		e.send(t, "POST", permission, alice, many).expect(t, 400, "invalid_request", "The request resolves to more than policy.max_permissions (200) permissions")
		for name, r := range map[string]request{
			"deep":              {url: resourceSet, body: `{"resource_scopes":[],"x":` + strings.Repeat("[", 100_000)},
			"deep permissions":  {url: permission, body: strings.Repeat("[", 100_000)},
			"a million scopes":  {url: resourceSet, body: `{"resource_scopes":["a"` + strings.Repeat(`,"a"`, 1_000_000) + `]}`},
			"a name of 10 MB":   {url: resourceSet, body: `{"resource_scopes":[],"name":"` + strings.Repeat("x", 10<<20) + `"}`},
			"201 scopes":        {url: resourceSet, body: `{"resource_scopes":["a0"` + strings.Repeat(`,"a"`, 200) + `]}`},
			"201 descriptions":  {url: resourceSet, body: `{"resource_scopes":[]` + descriptions(201) + `}`},
			"a description tag": {url: resourceSet, body: `{"resource_scopes":[],"name#` + strings.Repeat("x", 300) + `":"x"}`},
		} {
			r.method, r.as, r.headers = "POST", alice, map[string]string{"Content-Type": "application/json"}
			res, err := attempt(e.newRequest(t, r))
			if err != nil {
				continue // the server hung up on it, which is an answer too
			}
			if res.status != 400 && res.status != 413 {
				t.Errorf("%s: got %s, want 400 or 413", name, res)
			}
		}
	})

	t.Run("A-35_wrong_content_type", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""} {
			for path, body := range map[string]string{resourceSet: `{"resource_scopes":["view"]}`, permission: `{"resource_id":"` + id + `","resource_scopes":["view"]}`} {
				res := e.do(t, request{method: "POST", url: path, as: alice, body: body, headers: map[string]string{"Content-Type": kind}})
				res.expect(t, 415, "invalid_request", "the body must be application/json")
			}
		}
	})

	t.Run("A-36_other_methods", func(t *testing.T) {
		t.Parallel()
		for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			if res := e.do(t, request{method: "GET", url: resourceSet + "/" + id, as: alice, headers: map[string]string{header: "DELETE"}}); res.status != 200 {
				t.Errorf("GET with %s: got %s, want it read", header, res)
			}
		}
		res := e.do(t, request{method: "PATCH", url: resourceSet + "/" + id, as: alice, json: scoped()})
		res.expect(t, 405, "unsupported_method_type", "")
		if res.header.Get("Allow") == "" {
			t.Error("got no Allow")
		}
	})

	t.Run("A-38_icons_are_not_fetched", func(t *testing.T) {
		t.Parallel()
		var fetched atomic.Int32
		bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
		defer bait.Close()
		baited := e.register(t, alice, description{"icon_uri": bait.URL + "/icon.png", "type": bait.URL + "/type", "resource_scopes": []string{bait.URL + "/scope"}})
		e.get(t, resourceSet+"/"+baited, alice)
		e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(baited, bait.URL+"/scope")))
		if fetched.Load() != 0 {
			t.Errorf("the server fetched what a client named, %d times", fetched.Load())
		}
		for _, icon := range []string{"javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "/icon.png"} {
			e.send(t, "POST", resourceSet, alice, description{"icon_uri": icon, "resource_scopes": []string{}}).expect(t, 400, "invalid_request", "")
		}
	})

	t.Run("A-40_host_header", func(t *testing.T) {
		t.Parallel()
		req := e.newRequest(t, request{method: "POST", url: resourceSet, as: alice, json: scoped("view"), headers: map[string]string{"X-Forwarded-Host": "evil.example"}})
		req.Host = "evil.example"
		res := e.roundTrip(t, req)
		if got := res.header.Get("Location"); res.status != 201 || !strings.HasPrefix(got, e.base()+resourceSet+"/") {
			t.Errorf("got %s with Location %q", res, got)
		}
	})

	t.Run("A-42_conditions_that_cannot_hold", func(t *testing.T) {
		t.Parallel()
		mine := e.register(t, alice, typed("open", "view"))
		for _, method := range []string{"PUT", "DELETE"} {
			r := request{method: method, url: resourceSet + "/" + mine, as: alice, headers: map[string]string{"If-Match": `"1"`}}
			if method == "PUT" {
				r.json = scoped()
			}
			e.do(t, r).expect(t, 412, "precondition_failed", "")
		}
		if got := e.get(t, resourceSet+"/"+mine, alice); got.str("type") != "open" {
			t.Errorf("got %s, want it as it was", got)
		}
		res := e.do(t, request{method: "PUT", url: resourceSet + "/" + mine, as: alice, json: scoped("view"), headers: map[string]string{"If-Match": "*"}})
		if res.status != 200 {
			t.Errorf("If-Match: *: got %s", res)
		}
	})
}

// descriptions are members of a description, each in a language of its own.
func descriptions(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"description#` + strings.Repeat("x", i+1) + `":"x"`)
	}
	return b.String()
}
