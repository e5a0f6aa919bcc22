package tests

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// protectionCalls are one request to each endpoint of the protection API.
func protectionCalls(id string) []request {
	resource := map[string]any{"name": "Intruder", "resource_scopes": []string{"view"}}
	return []request{
		{method: "POST", url: resourceSet, json: resource},
		{method: "GET", url: resourceSet},
		{method: "GET", url: resourceSet + "/" + id},
		{method: "PUT", url: resourceSet + "/" + id, json: resource},
		{method: "DELETE", url: resourceSet + "/" + id},
		{method: "POST", url: permission, json: []perm{{Resource: id}}},
		{method: "GET", url: requests},
		{method: "GET", url: requests + "/count"},
		{method: "POST", url: requests, json: map[string]any{"resource": id, "requesterName": "bob", "scopeName": "view", "granted": true}},
		{method: "PUT", url: requests, json: map[string]any{"id": "x", "granted": true}},
		{method: "DELETE", url: requests + "/x"},
		{method: "GET", url: umaPolicy},
		{method: "POST", url: umaPolicy + "/" + id, json: policyOf("Intruder", map[string]any{"users": []string{"bob"}})},
		{method: "GET", url: umaPolicy + "/x"},
		{method: "PUT", url: umaPolicy + "/x", json: policyOf("Intruder", nil)},
		{method: "DELETE", url: umaPolicy + "/x"},
	}
}

// untouched reads a resource as its resource server, so that two readings can be
// compared.
func untouched(t *testing.T, e *env, id string) func() {
	t.Helper()
	before := e.get(t, resourceSet+"/"+id, e.service(t, "photoz-api"))
	if before.status != 200 {
		t.Fatalf("read a resource: got %s", before)
	}
	return func() {
		t.Helper()
		after := e.get(t, resourceSet+"/"+id, e.service(t, "photoz-api"))
		if after.status != 200 || !bytes.Equal(before.raw, after.raw) {
			t.Errorf("the resource was %s and is %s, want it untouched", before, after)
		}
	}
}

// TestAttackProtection is those on the protection API.
func TestAttackProtection(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	album := e.resourceID(t, "Holiday album")
	rs := e.service(t, "photoz-api")
	bob := e.as(t, "bob", "photoz-web")

	// who may not call the protection API at all.
	intruders := []struct {
		name string
		as   func(t *testing.T) credentials
		code string // of the error; empty: any
	}{
		{"A-17_no_token", func(*testing.T) credentials { return credentials{} }, "invalid_bearer_token"},
		{"A-17_client_authentication", func(*testing.T) credentials { return basic("photoz-api") }, "invalid_bearer_token"},
		{"A-18_garbage", func(*testing.T) credentials { return bearer("garbage") }, "invalid_bearer_token"},
		{"A-18_forged_signature", func(t *testing.T) credentials { return bearer(forged(e.serviceToken(t, "photoz-api"))) }, "invalid_bearer_token"},
		{"A-18_alg_none", func(t *testing.T) credentials { return bearer(unsigned(e.serviceToken(t, "photoz-api"))) }, "invalid_bearer_token"},
		{"A-18_revoked", func(t *testing.T) credentials {
			token := e.newSignIn(t, "", "photoz-api", "").str("access_token")
			if res := e.post(t, "/protocol/openid-connect/revoke", basic("photoz-api"), "token", token); res.status != 200 {
				t.Fatalf("revoke: got %s", res)
			}
			return bearer(token)
		}, "invalid_bearer_token"},
		{"A-19_an_RPT", func(t *testing.T) credentials {
			return bearer(e.uma(t, e.as(t, "alice", "photoz-api"), "permission", "Holiday album").str("access_token"))
		}, ""},
		{"A-19_an_ID_token", func(t *testing.T) credentials { return bearer(e.idToken(t, "alice", "photoz-api")) }, "invalid_bearer_token"},
		{"A-19_a_refresh_token", func(t *testing.T) credentials {
			return bearer(e.newSignIn(t, "alice", "photoz-api", "").str("refresh_token"))
		}, "invalid_bearer_token"},
		{"A-19_a_token_of_another_client", func(t *testing.T) credentials { return e.as(t, "alice", "photoz-web") }, "invalid_clientId"},
		{"A-20_of_another_realm", func(t *testing.T) credentials { return e.in("other").service(t, "photoz-api") }, "invalid_bearer_token"},
	}
	for _, tc := range intruders {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			check := untouched(t, e, album)
			as := tc.as(t)
			if as.bearer == "" && !strings.HasPrefix(tc.name, "A-17") {
				t.Fatal("got no token to try with")
			}
			for _, r := range protectionCalls(album) {
				r.as = as
				res := e.do(t, r)
				if res.status != 401 && res.status != 403 || res.str("ticket") != "" {
					t.Errorf("%s %s: got %s, want a refusal", r.method, r.url, res)
				}
				if tc.code != "" && res.str("error") != tc.code {
					t.Errorf("%s %s: got error %q, want %q", r.method, r.url, res.str("error"), tc.code)
				}
			}
			check()
		})
	}

	t.Run("A-18_expired", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		old, id := e.serviceToken(t, "photoz-api"), e.resourceID(t, "Holiday album")
		e.Clock.Advance(5*time.Minute + time.Second)
		for _, r := range protectionCalls(id) {
			r.as = bearer(old)
			e.do(t, r).expect(t, 403, "invalid_bearer_token", "Could not obtain bearer access_token from request.")
		}
	})

	t.Run("A-19_without_uma_protection", func(t *testing.T) {
		t.Parallel()
		carol := e.as(t, "carol", "photoz-api")
		for _, r := range protectionCalls(album) {
			if r.url == permission || strings.HasPrefix(r.url, umaPolicy) {
				continue // any token issued to the resource server's client will do there (design §7)
			}
			r.as = carol
			e.do(t, r).expect(t, 403, "invalid_scope", "Requires uma_protection scope.")
		}
	})

	t.Run("A-21_token_in_the_query", func(t *testing.T) {
		t.Parallel()
		res := e.get(t, resourceSet, credentials{}, "access_token", e.serviceToken(t, "photoz-api"))
		refused(t, "in the query", res)
		res = e.do(t, request{method: "POST", url: permission, form: form("access_token", e.serviceToken(t, "photoz-api"))})
		refused(t, "in the body", res)
	})

	t.Run("A-22_resource_of_another_resource_server", func(t *testing.T) {
		t.Parallel()
		check := untouched(t, e, album)
		other, nobody := e.service(t, "other-api"), newUUID()
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			r := request{method: method, as: other}
			if method == "PUT" {
				r.json = map[string]any{"name": "Mine"}
			}
			r.url = resourceSet + "/" + album
			foreign := e.do(t, r)
			r.url = resourceSet + "/" + nobody
			unknown := e.do(t, r)
			if foreign.status != 404 || unknown.status != 404 || !bytes.Equal(foreign.raw, unknown.raw) {
				t.Errorf("%s: got %s for one of another, %s for one of nobody, want 404 and no difference", method, foreign, unknown)
			}
		}
		check()
	})

	t.Run("A-22_resource_of_another_owner", func(t *testing.T) {
		t.Parallel()
		check := untouched(t, e, album)
		mallory := e.as(t, "bob", "photoz-api")
		for _, r := range []request{
			{method: "GET", url: resourceSet + "/" + album},
			{method: "PUT", url: resourceSet + "/" + album, json: map[string]any{"name": "Mine", "owner": "bob"}},
			{method: "DELETE", url: resourceSet + "/" + album},
		} {
			r.as = mallory
			e.do(t, r).expect(t, 403, "forbidden", "You don't have permission to manage this resource")
		}
		check()
	})

	t.Run("A-23_lists_show_ones_own", func(t *testing.T) {
		t.Parallel()
		res := e.get(t, resourceSet, e.service(t, "other-api"), "max", "-1")
		if got, want := asList(res.json), []any{e.resourceIDOf(t, "other-api", "Other thing")}; !slices.Equal(got, want) {
			t.Errorf("got %s, want only other-api's own %v", res, want)
		}
		for _, query := range []string{"_id=" + album, "name=Holiday album", "uri=/album/1", "owner=alice", "type=album", "scope=comment"} {
			res := e.do(t, request{method: "GET", url: resourceSet, as: e.service(t, "other-api"), query: looseQuery(query)})
			if len(asList(res.json)) != 0 {
				t.Errorf("?%s: got %s, want nothing", query, res)
			}
		}
	})

	t.Run("A-23_requests_show_ones_own", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		id := e.resourceID(t, "Holiday album")
		share(t, e, "alice", id, "bob", "view")
		for name, want := range map[string]int{"alice": 1, "bob": 1, "erin": 0} {
			as := e.as(t, name, "photoz-api")
			list, count := e.get(t, requests, as), e.get(t, requests+"/count", as)
			if len(asList(list.json)) != want || count.json != float64(want) {
				t.Errorf("%s: got %s and count %s, want %d", name, list, count, want)
			}
		}
		if res := e.get(t, requests, e.service(t, "other-api")); len(asList(res.json)) != 0 {
			t.Errorf("another resource server: got %s, want nothing", res)
		}
	})

	t.Run("A-24_ticket_for_a_foreign_resource", func(t *testing.T) {
		t.Parallel()
		other := e.service(t, "other-api")
		foreign := e.send(t, "POST", permission, other, []perm{{Resource: album, Scopes: []string{"view"}}})
		foreign.expect(t, 400, "invalid_resource_id", "Resource set with id ["+album+"] does not exists in this server.")
		e.send(t, "POST", permission, other, []perm{{Resource: "Holiday album"}}).expect(t, 400, "invalid_resource_id", "")
	})

	t.Run("A-27_scopes_are_compared_byte_by_byte", func(t *testing.T) {
		t.Parallel()
		for _, scope := range []string{"View", "VIEW", "view ", " view", "view\u0000", "vіew", "vie", "views", "view,post", "", "*"} {
			res := e.send(t, "POST", permission, rs, []map[string]any{{"resource_id": "Public board", "resource_scopes": []string{scope}}})
			if res.status != 400 || res.str("ticket") != "" {
				t.Errorf("scope %q: got %s, want 400", scope, res)
			}
		}
		e.send(t, "POST", permission, rs, []perm{{Resource: "Public board", Scopes: []string{"view", "withdraw"}}}).
			expect(t, 400, "invalid_scope", "Scope [withdraw] is invalid")
	})

	t.Run("A-28_put_with_other_ids", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Steady", "resource_scopes": []string{"view"}})
		check := untouched(t, e, album)
		e.send(t, "PUT", resourceSet+"/"+id, rs, map[string]any{
			"_id": album, "name": "Steady 2", "owner": "bob", "client_id": "other-api", "iat": 1, "resource_scopes": []string{"view"},
		})
		check()
		after := e.get(t, resourceSet+"/"+id, rs)
		if after.str("_id") != id || asObject(after.object()["owner"])["id"] != ownerOf(t, e, "Public board") {
			t.Errorf("got %s, want id and owner as they were", after)
		}
	})

	t.Run("A-29_same_name_as_anothers", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		album := e.resourceID(t, "Holiday album")
		share(t, e, "alice", album, "erin", "view")
		theirs := map[string]any{
			"name": "Holiday album", "type": "album", "uris": []string{"/album/1"}, "ownerManagedAccess": true, "resource_scopes": []string{"view", "delete"},
		}
		e.send(t, "POST", resourceSet, e.as(t, "bob", "photoz-api"), theirs).expect(t, 409, "invalid_request", "The URI [/album/1] belongs to another resource")
		theirs["uris"] = []string{"/album/bob"}
		res := e.send(t, "POST", resourceSet, e.as(t, "bob", "photoz-api"), theirs)
		mine := res.str("_id")
		if res.status != 201 || mine == album || mine == "" {
			t.Fatalf("register: got %s, want 201 and a new id", res)
		}
		got := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Holiday album", "response_mode", "permissions")
		for _, p := range asList(got.json) {
			if asObject(p)["rsid"] == album {
				t.Errorf("got %s, want nothing of alice's", got)
			}
		}
		e.uma(t, e.as(t, "bob", "photoz-web"), "permission", album).expect(t, 403, "access_denied", "not_authorized")
		e.uma(t, e.as(t, "erin", "photoz-web"), "permission", mine).expect(t, 403, "access_denied", "not_authorized")
	})

	t.Run("A-30_deleted_and_registered_again", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		again := map[string]any{"name": "Phoenix", "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": []string{"view"}}
		id := e.create(t, again)
		share(t, e, "alice", id, "bob", "view")
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Phoenix").str("access_token")
		if !active(t, e, rpt) {
			t.Fatal("the RPT is inactive before anything happened")
		}
		remove(t, e, id)
		if active(t, e, rpt) {
			t.Error("the RPT is still active, want it gone with the resource")
		}
		next := e.create(t, again)
		if next == id {
			t.Error("the new resource has the old id")
		}
		if got := stored(t, e, next); len(got) != 0 {
			t.Errorf("got shares %v of the new resource, want none", got)
		}
		e.uma(t, e.as(t, "bob", "photoz-web"), "permission", next).expect(t, 403, "access_denied", "not_authorized")
		if active(t, e, rpt) {
			t.Error("the RPT is active again")
		}
	})

	// bodies that are not what they should be.
	bodies := []struct{ name, path, body string }{
		{"name is a number", resourceSet, `{"name":1}`},
		{"name is a list", resourceSet, `{"name":["x"]}`},
		{"name is null", resourceSet, `{"name":null}`},
		{"no name", resourceSet, `{"resource_scopes":["view"]}`},
		{"scopes are a string", resourceSet, `{"name":"X","resource_scopes":"a"}`},
		{"a scope is a number", resourceSet, `{"name":"X","resource_scopes":[1]}`},
		{"a scope is empty", resourceSet, `{"name":"X","resource_scopes":[""]}`},
		{"a scope is a star", resourceSet, `{"name":"X","resource_scopes":["*"]}`},
		{"a scope has a comma", resourceSet, `{"name":"X","resource_scopes":["a,b"]}`},
		{"a scope has a hash", resourceSet, `{"name":"X","resource_scopes":["a#b"]}`},
		{"a scope is a list", resourceSet, `{"name":"X","resource_scopes":[["a"]]}`},
		{"a scope without a name", resourceSet, `{"name":"X","resource_scopes":[{}]}`},
		{"a flag is a string", resourceSet, `{"name":"X","ownerManagedAccess":"yes"}`},
		{"an array", resourceSet, `[{"name":"X"}]`},
		{"a string", resourceSet, `"X"`},
		{"nothing", resourceSet, ``},
		{"two documents", resourceSet, `{"name":"X"}{"name":"Y"}`},
		{"cut off", resourceSet, `{"name":"X"`},
		{"deep", resourceSet, `{"name":"X","attributes":` + strings.Repeat(`[`, 100_000)},
		{"no array", permission, `"x"`},
		{"a number", permission, `1`},
		{"null", permission, `null`},
		{"an empty array", permission, `[]`},
		{"an empty object", permission, `{}`},
		{"an array of null", permission, `[null]`},
		{"an array of arrays", permission, `[[]]`},
		{"an id that is a number", permission, `[{"resource_id":1}]`},
		{"scopes that are a string", permission, `[{"resource_id":"Public board","resource_scopes":"view"}]`},
		{"a scope that is a number", permission, `[{"resource_id":"Public board","resource_scopes":[1]}]`},
		{"claims that are no object", permission, `[{"resource_id":"Public board","claims":["x"]}]`},
		{"deep", permission, strings.Repeat(`[`, 100_000)},
		{"deep claims", permission, `[{"resource_id":"Public board","claims":{"a":` + strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000) + `}}]`},
		{"no object", requests, `[]`},
		{"nothing", requests, ``},
		{"a flag that is a string", requests, `{"resource":"` + album + `","requesterName":"bob","scopeName":"view","granted":"true"}`},
	}
	for _, tc := range bodies {
		t.Run("A-32_wrong_types_"+tc.path[strings.LastIndex(tc.path, "/")+1:]+"_"+tc.name, func(t *testing.T) {
			t.Parallel()
			res := e.do(t, request{method: "POST", url: tc.path, as: rs, body: tc.body, headers: map[string]string{"Content-Type": "application/json"}})
			if res.status != 400 && res.status != 413 || res.str("error") == "" {
				t.Errorf("got %s, want 400 with an error", res)
			}
		})
	}

	t.Run("A-34_too_much", func(t *testing.T) {
		t.Parallel()
		for name, r := range map[string]request{
			"a name of 10 MB":   {method: "POST", url: resourceSet, body: `{"name":"` + strings.Repeat("x", 10<<20) + `"}`},
			"a million scopes":  {method: "POST", url: resourceSet, body: `{"name":"X","resource_scopes":["a"` + strings.Repeat(`,"a"`, 1_000_000) + `]}`},
			"a million tickets": {method: "POST", url: permission, body: `[{}` + strings.Repeat(`,{}`, 1_000_000) + `]`},
		} {
			r.as, r.headers = rs, map[string]string{"Content-Type": "application/json"}
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
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"} {
			for path, body := range map[string]string{resourceSet: `{"name":"Sent as ` + kind[:4] + `"}`, permission: `[{"resource_id":"Public board"}]`} {
				res := e.do(t, request{method: "POST", url: path, as: rs, body: body, headers: map[string]string{"Content-Type": kind}})
				if res.status != 415 || res.str("ticket") != "" || res.str("_id") != "" {
					t.Errorf("%s as %s: got %s, want 415", path, kind, res)
				}
			}
		}
	})

	t.Run("A-36_other_methods", func(t *testing.T) {
		t.Parallel()
		check := untouched(t, e, album)
		for _, r := range []request{
			{method: "PATCH", url: resourceSet + "/" + album}, {method: "POST", url: resourceSet + "/" + album},
			{method: "DELETE", url: resourceSet}, {method: "PUT", url: permission}, {method: "GET", url: permission},
			{method: "PUT", url: tokenPath},
		} {
			r.as = rs
			res := e.do(t, r)
			if res.status != 405 || res.header.Get("Allow") == "" {
				t.Errorf("%s %s: got %s, Allow %q, want 405 and what is allowed", r.method, r.url, res, res.header.Get("Allow"))
			}
		}
		for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			res := e.do(t, request{method: "GET", url: resourceSet + "/" + album, as: rs, headers: map[string]string{header: "DELETE"}})
			if res.status != 200 {
				t.Errorf("GET with %s: got %s, want it read", header, res)
			}
		}
		check()
	})

	t.Run("A-38_icons_are_not_fetched", func(t *testing.T) {
		t.Parallel()
		var fetched atomic.Int32
		bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
		defer bait.Close()
		e.create(t, map[string]any{"name": "Bait", "icon_uri": bait.URL + "/icon.png", "uris": []string{bait.URL + "/x"}, "resource_scopes": []string{bait.URL + "/scope"}})
		e.get(t, resourceSet, rs, "name", "Bait", "deep", "true")
		if fetched.Load() != 0 {
			t.Errorf("the server fetched what a client named, %d times", fetched.Load())
		}
		for _, icon := range []string{"javascript:alert(1)", "file:///etc/passwd", "data:text/html,x"} {
			res := e.send(t, "POST", resourceSet, rs, map[string]any{"name": "Icon " + icon[:4], "icon_uri": icon})
			res.expect(t, 400, "invalid_request", "")
		}
	})

	t.Run("A-40_host_header", func(t *testing.T) {
		t.Parallel()
		headers := map[string]string{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
		for _, path := range []string{"/.well-known/uma2-configuration", "/.well-known/openid-configuration", ""} {
			res := e.do(t, request{method: "GET", url: path, headers: headers})
			if res.status != 200 || bytes.Contains(res.raw, []byte("evil.example")) {
				t.Errorf("%s: got %s, want it without the host that was sent", path, res)
			}
		}
		res := e.withHost(t, "evil.example", "/.well-known/uma2-configuration")
		if bytes.Contains(res.raw, []byte("evil.example")) {
			t.Errorf("got %s, want it without the host that was sent", res)
		}
		token := e.do(t, request{method: "POST", url: tokenPath, as: bob, headers: headers,
			form: form("grant_type", umaGrant, "permission", "Public board", "audience", "photoz-api")})
		if got := payload(t, token.str("access_token"))["iss"]; got != e.base() {
			t.Errorf("got issuer %v, want %s", got, e.base())
		}
	})
}

// withHost asks for a path of the realm under another Host.
func (e *env) withHost(t *testing.T, host, path string) *response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.base()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return e.roundTrip(t, req)
}

func ownerOf(t *testing.T, e *env, resource string) any {
	t.Helper()
	res := e.get(t, resourceSet+"/"+e.resourceID(t, resource), e.service(t, "photoz-api"))
	return asObject(res.object()["owner"])["id"]
}

// active is whether photoz-api is told that a token is good for something.
func active(t *testing.T, e *env, token string) bool {
	t.Helper()
	res := e.post(t, introspect, basic("photoz-api"), "token", token, "token_type_hint", "requesting_party_token")
	is, ok := res.object()["active"].(bool)
	if res.status != 200 || !ok {
		t.Fatalf("introspect: got %s", res)
	}
	if !is && len(res.object()) != 1 {
		t.Errorf("got %s, want nothing said of an inactive token", res)
	}
	return is
}

// forged changes a character in the signature of a JWT.
func forged(token string) string {
	i := strings.LastIndex(token, ".")
	return token[:i+1] + flip(token[i+1:])
}

// unsigned is the JWT with alg none.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
}
