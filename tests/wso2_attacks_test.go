package tests

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// wso2Photo is alice's in wso2Realm.
const wso2Photo = "238157ba-06f4-4730-8492-86e35f5b2b7d"

// wso2Calls are one request to each endpoint of the protection API.
func wso2Calls(e *env, id string) []request {
	resources := e.URL + wso2Resources
	return []request{
		{method: "POST", url: resources, json: scoped("view")},
		{method: "GET", url: resources},
		{method: "GET", url: resources + "/" + id},
		{method: "PUT", url: resources + "/" + id, json: scoped("view")},
		{method: "DELETE", url: resources + "/" + id},
		{method: "POST", url: e.URL + wso2Permission, json: []any{ask(id, "view")}},
	}
}

// expectCode is expect for both endpoints: one says `error`, the other `code`.
func (r *response) expectCode(t testing.TB, status int, code string) {
	t.Helper()
	if got := r.str("error") + r.str("code"); r.status != status || got != code {
		t.Errorf("got %s, want %d %s", r, status, code)
	}
}

// TestWSO2Attacks is the attacks on the protection API, on this face. What is not here is alike on
// all faces and in TestFaces, or in TestWSO2Registration and
// TestWSO2Permission.
func TestWSO2Attacks(t *testing.T) {
	t.Parallel()
	const id = wso2Photo
	e := startWSO2(t)
	alice, bob := e.patOf(t, "alice", "photoz-api"), e.patOf(t, "bob", "photoz-api")
	before := e.get(t, e.URL+wso2Resources+"/"+id, alice)
	untouched := func(t *testing.T) {
		t.Helper()
		if after := e.get(t, e.URL+wso2Resources+"/"+id, alice); after.status != 200 || !bytes.Equal(before.raw, after.raw) {
			t.Errorf("got %s, want it as it was: %s", after, before)
		}
	}
	refuse := func(t *testing.T, as credentials, status int, code, challenge string) {
		t.Helper()
		for _, r := range wso2Calls(e, id) {
			r.as = as
			res := e.do(t, r)
			res.expectCode(t, status, code)
			if got := res.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, challenge) {
				t.Errorf("%s %s: got WWW-Authenticate %q, want %q", r.method, r.url, got, challenge)
			}
		}
		untouched(t)
	}
	json := func(path, body string) *response {
		return e.do(t, request{method: "POST", url: e.URL + path, as: alice, body: body, headers: map[string]string{"Content-Type": "application/json"}})
	}

	t.Run("A-17_no_token", func(t *testing.T) {
		t.Parallel()
		refuse(t, credentials{}, 401, "invalid_token", `Bearer realm="carbon.super"`)
		refuse(t, basic("photoz-api"), 401, "invalid_token", `Bearer realm="carbon.super"`)
	})
	t.Run("A-18_garbage_and_revoked", func(t *testing.T) {
		t.Parallel()
		const challenge = `Bearer realm="carbon.super", error="invalid_token"`
		refuse(t, bearer("garbage"), 401, "invalid_token", challenge)
		refuse(t, bearer(forged(alice.bearer)), 401, "invalid_token", challenge)
		refuse(t, bearer(e.idToken(t, "alice", "photoz-api")), 401, "invalid_token", challenge)
		mine := e.newSignIn(t, "alice", "photoz-api", "uma_protection").str("access_token")
		e.post(t, "/protocol/openid-connect/revoke", basic("photoz-api"), "token", mine)
		refuse(t, bearer(mine), 401, "invalid_token", challenge)
	})
	t.Run("A-18_expired", func(t *testing.T) {
		t.Parallel()
		e := startWSO2(t)
		old := e.patOf(t, "alice", "photoz-api")
		e.Clock.Advance(5 * time.Minute)
		e.get(t, e.URL+wso2Resources, old).expectCode(t, 401, "invalid_token")
	})
	t.Run("A-19_without_uma_protection", func(t *testing.T) {
		t.Parallel()
		rpt := e.wso2Grant(t, "alice", "photoz-app", e.wso2Ticket(t, id, "view")).str("access_token")
		for name, as := range map[string]credentials{
			"without the scope": e.as(t, "alice", "photoz-api"), "who does not hold the role": e.patOf(t, "carol", "photoz-api"),
			"of a client that is none": e.patOf(t, "alice", "photoz-app"), "a requesting party token": bearer(rpt),
		} {
			t.Run(name, func(t *testing.T) {
				refuse(t, as, 403, "insufficient_scope", `Bearer realm="carbon.super", error="insufficient_scope"`)
			})
		}
	})
	t.Run("A-20_of_another_realm", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(wso2Realm, map[string]string{}), func(o *options) {
			o.More = []string{strings.Replace(wso2Realm, "realm: carbon.super", "realm: elsewhere", 1)}
		})
		here, there := e.patOf(t, "alice", "photoz-api"), e.in("elsewhere").patOf(t, "alice", "photoz-api")
		for realm, as := range map[string]credentials{"carbon.super": there, "elsewhere": here} {
			e.get(t, e.URL+"/t/"+realm+wso2Resources, as).expectCode(t, 401, "invalid_token")
		}
		ticket := e.wso2(t, "POST", "/t/elsewhere"+wso2Permission, there, []any{ask(id, "view")}).str("ticket")
		e.post(t, e.URL+"/t/carbon.super"+wso2Token, e.as(t, "alice", "photoz-web"), "grant_type", umaGrant, "ticket", ticket).expect(t, 400, "invalid_grant", "")
		e.get(t, e.URL+wso2Resources, here).expectCode(t, 404, "not_found") // of two realms none is the default
	})
	t.Run("A-21_token_in_the_query", func(t *testing.T) {
		t.Parallel()
		e.get(t, e.URL+wso2Resources, credentials{}, "access_token", alice.bearer).expectCode(t, 401, "invalid_token")
		e.get(t, e.URL+wso2Resources, alice, "access_token", alice.bearer).expectCode(t, 400, "invalid_request")
		res := e.do(t, request{method: "POST", url: e.URL + wso2Permission, as: alice, json: []any{ask(id, "view")}, query: looseQuery("access_token=x")})
		res.expectCode(t, 400, "invalid_request")
		if e.logged(t, alice.bearer) {
			t.Error("the log has the token")
		}
	})
	t.Run("A-22_resource_of_another", func(t *testing.T) {
		t.Parallel()
		for _, r := range wso2Calls(e, id)[2:5] {
			r.as = bob
			foreign := e.do(t, r)
			r.url = e.URL + wso2Resources + "/" + newUUID()
			unknown := e.do(t, r)
			foreign.expectCode(t, 404, "not_found")
			if !bytes.Equal(foreign.raw, unknown.raw) {
				t.Errorf("%s: got %s for one of another, %s for one of nobody", r.method, foreign, unknown)
			}
		}
		untouched(t)
	})
	t.Run("A-23_lists_show_ones_own", func(t *testing.T) {
		t.Parallel()
		for _, as := range []credentials{bob, e.patOf(t, "", "photoz-api")} {
			if res := e.get(t, e.URL+wso2Resources, as, "owner", "alice"); res.status != 200 || slices.Contains(asList(res.json), any(id)) {
				t.Errorf("got %s, want nothing of alice's", res)
			}
		}
	})
	t.Run("A-24_ticket_for_a_foreign_resource", func(t *testing.T) {
		t.Parallel()
		foreign := e.wso2(t, "POST", wso2Permission, bob, []any{ask(id, "view")})
		unknown := e.wso2(t, "POST", wso2Permission, bob, []any{ask(newUUID(), "view")})
		foreign.expect(t, 400, "invalid_resource_id", "Permission request failed with bad resource ID.")
		if !bytes.Equal(foreign.raw, unknown.raw) {
			t.Errorf("got %s for one of another, %s for one of nobody", foreign, unknown)
		}
	})
	t.Run("A-27_scopes_are_compared_byte_by_byte", func(t *testing.T) {
		t.Parallel()
		for _, scope := range []string{"View", "view ", " view", "vіew", "vie", "views", "view,crop", "", "*", "layout"} {
			e.wso2(t, "POST", wso2Permission, alice, []any{ask(id, scope)}).
				expect(t, 400, "invalid_resource_scope", "Permission request failed with bad resource scope.")
		}
	})
	t.Run("A-28_put_with_other_ids", func(t *testing.T) {
		t.Parallel()
		mine := e.wso2(t, "POST", wso2Resources, alice, scoped("view")).str("_id")
		res := e.wso2(t, "PUT", wso2Resources+"/"+mine, alice, description{"owner": "bob", "client_id": "x", "resource_scopes": []string{"view"}})
		if got := e.get(t, e.URL+wso2Resources+"/"+mine, alice); res.status != 201 || got.str("_id") != mine {
			t.Errorf("got %s, then %s, want owner and id as they were", res, got)
		}
	})
	t.Run("A-29_same_name_as_anothers", func(t *testing.T) {
		t.Parallel()
		his := e.wso2(t, "POST", wso2Resources, bob, description{"name": "Photo", "resource_scopes": []string{"view"}}).str("_id")
		if his == "" || his == id {
			t.Errorf("got id %q, want one of its own", his)
		}
		ticket := e.wso2(t, "POST", wso2Permission, bob, []any{ask(his, "view")}).str("ticket")
		e.wso2Grant(t, "alice", "photoz-app", ticket).expect(t, 403, "request_submitted", "")
	})
	t.Run("A-30_deleted_and_registered_again", func(t *testing.T) {
		t.Parallel()
		d := description{"name": "Phoenix", "resource_scopes": []string{"view"}}
		old := e.wso2(t, "POST", wso2Resources, alice, d).str("_id")
		rpt := e.wso2Grant(t, "alice", "photoz-app", e.wso2Ticket(t, old, "view")).str("access_token")
		e.wso2(t, "DELETE", wso2Resources+"/"+old, alice, nil)
		next := e.wso2(t, "POST", wso2Resources, alice, d).str("_id")
		res := e.post(t, e.URL+wso2Introspect, alice, "token", rpt)
		if next == "" || next == old || res.object()["active"] != false {
			t.Errorf("got id %q and %s, want a fresh id and nothing left of the old resource", next, res)
		}
	})
	t.Run("A-32_wrong_types", func(t *testing.T) {
		t.Parallel()
		for _, scopes := range []string{`"view"`, `null`, `[1]`, `[null]`, `[["view"]]`, `{"0":"view"}`} {
			json(wso2Resources, `{"resource_scopes":`+scopes+`}`).expectCode(t, 400, "invalid_request")
			json(wso2Permission, `[{"resource_id":"`+id+`","resource_scopes":`+scopes+`}]`).expectCode(t, 400, "invalid_request")
		}
		json(wso2Permission, `[{"Resource_Id":"`+id+`","resource_scopes":[]}]`).expectCode(t, 400, "invalid_request")
		json(wso2Permission, `[{"resource_id":"`+id+`","resource_id":"bobs","resource_scopes":[]}]`).expectCode(t, 400, "invalid_request")
	})
	t.Run("A-34_too_much", func(t *testing.T) {
		t.Parallel()
		e.wso2(t, "POST", wso2Permission, alice, slices.Repeat([]any{ask(id, "view")}, 201)).expectCode(t, 400, "invalid_request")
		json(wso2Permission, strings.Repeat("[", 100_000)).expectCode(t, 400, "invalid_request")
		json(wso2Resources, `{"resource_scopes":[],"x":`+strings.Repeat("[", 100_000)).expectCode(t, 400, "invalid_request")
	})
	t.Run("A-35_wrong_content_type", func(t *testing.T) {
		t.Parallel()
		for path, body := range map[string]string{wso2Resources: `{"resource_scopes":["view"]}`, wso2Permission: `[{"resource_id":"` + id + `","resource_scopes":["view"]}]`} {
			res := e.do(t, request{method: "POST", url: e.URL + path, as: alice, body: body, headers: map[string]string{"Content-Type": "text/plain"}})
			res.expectCode(t, 415, "invalid_request")
		}
	})
	t.Run("A-36_other_methods", func(t *testing.T) {
		t.Parallel()
		for _, r := range []request{{method: "POST", url: wso2Resources + "/" + id}, {method: "GET", url: wso2Permission}, {method: "GET", url: wso2Token}} {
			r.url, r.as = e.URL+r.url, alice
			res := e.do(t, r)
			res.expectCode(t, 405, "unsupported_method_type")
			if res.header.Get("Allow") == "" {
				t.Error("got no Allow")
			}
		}
		res := e.do(t, request{method: "GET", url: e.URL + wso2Resources + "/" + id, as: alice, headers: map[string]string{"X-HTTP-Method-Override": "DELETE"}})
		if res.status != 200 {
			t.Errorf("got %s, want it read", res)
		}
	})
	t.Run("A-38_icons", func(t *testing.T) {
		t.Parallel()
		for _, icon := range []string{"javascript:alert(1)", "file:///etc/passwd", "/icon.png"} {
			e.wso2(t, "POST", wso2Resources, alice, description{"icon_uri": icon, "resource_scopes": []string{}}).expectCode(t, 400, "invalid_request")
		}
	})
	t.Run("A-40_host_header", func(t *testing.T) {
		t.Parallel()
		req := e.newRequest(t, request{method: "POST", url: e.URL + wso2Resources, as: alice, json: scoped("view"), headers: map[string]string{"X-Forwarded-Host": "evil.example"}})
		req.Host = "evil.example"
		res := e.roundTrip(t, req)
		if got := res.header.Get("Location"); res.status != 201 || !strings.HasPrefix(got, e.URL+"/t/carbon.super"+wso2Resources+"/") {
			t.Errorf("got %s with Location %q", res, got)
		}
	})
	t.Run("A-42_conditions_that_cannot_hold", func(t *testing.T) {
		t.Parallel()
		for _, r := range wso2Calls(e, id)[3:5] {
			r.as, r.headers = alice, map[string]string{"If-Match": `"1"`}
			e.do(t, r).expectCode(t, 412, "precondition_failed")
		}
		untouched(t)
	})
}
