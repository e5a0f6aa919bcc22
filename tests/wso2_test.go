package tests

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	wso2Resources  = "/api/identity/oauth2/uma/resourceregistration/v1.0/resource"
	wso2Permission = "/api/identity/oauth2/uma/permission/v1.0/permission"
	wso2Token      = "/oauth2/token"
	wso2Introspect = "/oauth2/introspect"
)

// seedBody is the request of WSO2's documentation, byte for byte.
const seedBody = `[
        {
        "resource_id":"238157ba-06f4-4730-8492-86e35f5b2b7d",
        "resource_scopes":[
            "view",
            "crop",
            "lightbox"
        ]
        },
        {
        "resource_id":"238157ba-06f4-4730-8492-86e35f8b2b32",
        "resource_scopes":[
            "view",
            "layout",
            "print"
        ]
        },
        {
        "resource_id":"238157ba-06f4-8676-8492-86e35f5b2b7d",
        "resource_scopes":[
            "http://www.example.com/scopes/all"
        ]
        }
    ]`

const wso2Realm = `
realm: carbon.super
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: photoz-app, secret: app-secret, service_account: true, password_grant: true}
  - {id: photoz-web, public: true, password_grant: true}
users:
  - {username: alice, password: alice, roles: [user], client_roles: {photoz-api: [uma_protection]}}
  - {username: bob, password: bob, roles: [user], client_roles: {photoz-api: [uma_protection]}}
  - {username: carol, password: carol, roles: [user]}
resources:
  - {id: 238157ba-06f4-4730-8492-86e35f5b2b7d, name: Photo, resource_server: photoz-api, owner: alice, owner_managed: true, scopes: [view, crop, lightbox]}
  - {id: 238157ba-06f4-4730-8492-86e35f8b2b32, name: Page, resource_server: photoz-api, owner: alice, owner_managed: true, scopes: [view, layout, print]}
  - {id: 238157ba-06f4-8676-8492-86e35f5b2b7d, name: Book, resource_server: photoz-api, owner: alice, owner_managed: true, scopes: ["http://www.example.com/scopes/all"]}
  - {id: bobs, name: Bob's photo, resource_server: photoz-api, owner: bob, owner_managed: true, scopes: [view]}
`

func startWSO2(t testing.TB) *env {
	t.Helper()
	return start(t, withRealm(wso2Realm, map[string]string{}))
}

// wso2 sends JSON to a path of the face in the default realm.
func (e *env) wso2(t testing.TB, method, path string, as credentials, body any) *response {
	t.Helper()
	return e.send(t, method, e.URL+path, as, body)
}

// wso2Grant takes the grant through a client, as the user of an ID token.
func (e *env) wso2Grant(t testing.TB, user, client, ticket string) *response {
	t.Helper()
	return e.post(t, e.URL+wso2Token, basic(client), "grant_type", umaGrant, "ticket", ticket, "claim_token", e.idToken(t, user, client))
}

// wso2Ticket is a ticket for scopes of a resource of alice.
func (e *env) wso2Ticket(t testing.TB, resource string, scopes ...string) string {
	t.Helper()
	res := e.wso2(t, "POST", wso2Permission, e.patOf(t, "alice", "photoz-api"), []any{ask(resource, scopes...)})
	if res.status != 201 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket: got %s", res)
	}
	return res.str("ticket")
}

// TestSeedWSO2 sends the request of WSO2's documentation of the permission endpoint
// and looks for its answers.
func TestSeedWSO2(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	send := func(base, body string) *response {
		return e.do(t, request{
			method: "POST", url: e.URL + base + "/api/identity/oauth2/uma/permission/v1.0/permission", as: e.patOf(t, "alice", "photoz-api"), body: body,
			headers: map[string]string{"Content-Type": "application/json"},
		})
	}
	for _, base := range []string{"", "/t/carbon.super"} {
		res := send(base, seedBody)
		if res.status != 201 || len(res.object()) != 1 || res.str("ticket") == "" || res.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: got %s, want 201 and a ticket alone", base, res)
		}
		res = e.wso2Grant(t, "alice", "photoz-app", res.str("ticket"))
		res.expectGranted(t, "Photo: view crop lightbox", "Page: view layout print", "Book: http://www.example.com/scopes/all")
	}
	for name, tc := range map[string]struct{ old, new, want string }{
		"bad resource ID":    {"86e35f8b2b32", "86e35f8b2b33", `{"error":"invalid_resource_id","error_description":"Permission request failed with bad resource ID."}`},
		"bad resource scope": {"lightbox", "dark", `{"error":"invalid_resource_scope","error_description":"Permission request failed with bad resource scope."}`},
		"several owners":     {"238157ba-06f4-8676-8492-86e35f5b2b7d", "bobs", `{"error":"invalid_resource_id","error_description":"Permission request failed with bad resource ID."}`},
	} {
		if res := send("", strings.Replace(seedBody, tc.old, tc.new, 1)); res.status != 400 || string(res.raw) != tc.want {
			t.Errorf("%s: got %s\nwant 400 %s", name, res, tc.want)
		}
	}
}

// TestWSO2Permission is what else the permission endpoint refuses.
func TestWSO2Permission(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	const photo = "238157ba-06f4-4730-8492-86e35f5b2b7d"
	const noArray = "The body must be an array of permissions"
	for name, tc := range map[string]struct {
		body       any
		code, says string
	}{
		"an object":             {ask(photo, "view"), "invalid_request", noArray},
		"an empty array":        {[]any{}, "invalid_request", noArray},
		"an array of strings":   {[]any{photo}, "invalid_request", noArray},
		"null":                  {nil, "invalid_request", noArray},
		"no resource_id":        {[]any{scoped("view")}, "invalid_request", "resource_id is missing"},
		"no resource_scopes":    {[]any{object{"resource_id": photo}}, "invalid_request", ""},
		"a name":                {[]any{ask("Photo", "view")}, "invalid_resource_id", ""},
		"an empty resource_id":  {[]any{ask("", "view")}, "invalid_resource_id", ""},
		"a scope of another":    {[]any{ask(photo, "layout")}, "invalid_resource_scope", ""},
		"a resource of another": {[]any{ask("bobs", "view")}, "invalid_resource_id", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request{method: "POST", url: e.URL + wso2Permission, as: e.patOf(t, "alice", "photoz-api"), json: tc.body}
			if tc.body == nil {
				r.body, r.headers = "null", map[string]string{"Content-Type": "application/json"}
			}
			res := e.do(t, r)
			res.expect(t, 400, tc.code, tc.says)
			wellFormed(t, res)
		})
	}
	t.Run("the resource server for its users", func(t *testing.T) {
		t.Parallel()
		rs := e.patOf(t, "", "photoz-api")
		res := e.wso2(t, "POST", wso2Permission, rs, []any{ask("bobs", "view")})
		if res.status != 201 {
			t.Errorf("got %s, want a ticket", res)
		}
		res = e.wso2(t, "POST", wso2Permission, rs, []any{ask("bobs", "view"), ask(photo, "view")})
		res.expect(t, 400, "invalid_resource_id", "Permission request failed with bad resource ID.")
	})
}

// TestWSO2Location: what is registered is where the answer says, though other
// endpoints of the server lie below /auth.
func TestWSO2Location(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(wso2Realm, map[string]string{}), func(o *options) { o.PublicPath = "/auth" })
	bob := e.patOf(t, "bob", "photoz-api")
	at := e.wso2(t, "POST", wso2Resources, bob, scoped("view")).header.Get("Location")
	if !strings.HasPrefix(at, e.URL+"/t/carbon.super"+wso2Resources+"/") {
		t.Errorf("got Location %q, want it without /auth", at)
	}
	if got := e.get(t, at, bob); got.status != 200 {
		t.Errorf("%s: got %s", at, got)
	}
}

// TestWSO2Registration is the resource registration endpoint.
func TestWSO2Registration(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	bob := e.patOf(t, "bob", "photoz-api")
	full := object{"name": "Tweedl Social Service", "type": "http://www.example.com/rsrcs/socialstream/140-compatible",
		"icon_uri": "http://www.example.com/icons/sharesocial.png", "description": "Photos", "resource_scopes": []any{"read-public", "post-updates"}}
	said := func(res *response, status int, code string) {
		t.Helper()
		if res.status != status || res.str("code") != code || res.str("description") == "" || len(res.object()) != 2 {
			t.Errorf("got %s, want %d %s with a description", res, status, code)
		}
	}

	res := e.wso2(t, "POST", wso2Resources, bob, full)
	id := res.str("_id")
	if res.status != 201 || id == "" || len(res.object()) != 1 {
		t.Fatalf("got %s, want 201 and an id alone", res)
	}
	at := res.header.Get("Location")
	if at != e.URL+"/t/carbon.super"+wso2Resources+"/"+id {
		t.Errorf("got Location %q", at)
	}
	want := maps.Clone(full)
	want["_id"] = id
	for _, url := range []string{at, e.URL + wso2Resources + "/" + id} {
		if got := e.get(t, url, bob); got.status != 200 || !reflect.DeepEqual(got.object(), want) {
			t.Errorf("got %s\nwant %v", got, want)
		}
	}
	if got := e.get(t, e.URL+wso2Resources, bob); got.status != 200 || !slices.Contains(asList(got.json), any(id)) || !slices.Contains(asList(got.json), any("bobs")) {
		t.Errorf("got %s, want the ids of what bob has", got)
	}

	res = e.wso2(t, "PUT", wso2Resources+"/"+id, bob, object{"name": "Photos", "resource_scopes": []string{"view"}})
	if res.status != 201 || res.str("_id") != id || len(res.object()) != 1 {
		t.Errorf("got %s, want 201 and the id", res)
	}
	if got := e.get(t, at, bob); !reflect.DeepEqual(got.object(), object{"_id": id, "name": "Photos", "resource_scopes": []any{"view"}}) {
		t.Errorf("got %s, want what replaced it and nothing of before", got)
	}

	said(e.wso2(t, "POST", wso2Resources, bob, object{"name": "Photos", "resource_scopes": []string{"view"}}), 409, "conflict")
	said(e.wso2(t, "POST", wso2Resources, bob, object{"name": "X"}), 400, "invalid_request")
	said(e.wso2(t, "POST", wso2Resources, bob, object{"name": "X", "resource_scopes": []string{"a,b"}}), 400, "invalid_scope")
	said(e.wso2(t, "POST", wso2Resources, bob, []any{full}), 400, "invalid_request")
	said(e.wso2(t, "PUT", wso2Resources+"/"+id, bob, object{"_id": "other", "resource_scopes": []string{}}), 400, "invalid_request")
	said(e.wso2(t, "PUT", wso2Resources+"/nothing", bob, full), 404, "not_found")
	said(e.get(t, e.URL+wso2Resources+"/nothing", bob), 404, "not_found")
	said(e.wso2(t, "PATCH", wso2Resources+"/"+id, bob, full), 405, "unsupported_method_type")
	said(e.wso2(t, "POST", "/t/ghost"+wso2Resources, bob, full), 404, "not_found")

	if res := e.wso2(t, "DELETE", wso2Resources+"/"+id, bob, nil); res.status != 204 || len(res.raw) != 0 {
		t.Errorf("got %s, want 204", res)
	}
	said(e.get(t, at, bob), 404, "not_found")
	said(e.wso2(t, "DELETE", wso2Resources+"/"+id, bob, nil), 404, "not_found")
}

// TestWSO2Token is the grant at /oauth2/token.
func TestWSO2Token(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	const photo = "238157ba-06f4-4730-8492-86e35f5b2b7d"

	t.Run("a claim token without a format is an ID token", func(t *testing.T) {
		t.Parallel()
		for _, base := range []string{"", "/t/carbon.super"} {
			res := e.post(t, e.URL+base+wso2Token, basic("photoz-app"), "grant_type", umaGrant, "ticket", e.wso2Ticket(t, photo, "view"),
				"claim_token", e.idToken(t, "alice", "photoz-app"))
			res.expectGranted(t, "Photo: view")
			if got := members(res); !slices.Equal(got, []string{"access_token", "expires_in", "refresh_token", "token_type"}) || res.str("token_type") != "Bearer" {
				t.Errorf("got members %q, want those of the document", got)
			}
		}
	})
	t.Run("a PAT by password", func(t *testing.T) {
		t.Parallel()
		res := e.post(t, e.URL+wso2Token, basic("photoz-api"), "grant_type", "password", "username", "alice", "password", "alice", "scope", "uma_protection")
		if got := e.get(t, e.URL+wso2Resources, bearer(res.str("access_token"))); res.status != 200 || got.status != 200 {
			t.Errorf("got %s, then %s", res, got)
		}
	})
	t.Run("tickets are used once, by the one who got there first", func(t *testing.T) {
		t.Parallel()
		ticket := e.wso2Ticket(t, photo, "view")
		e.wso2Grant(t, "alice", "photoz-app", ticket).expectGranted(t, "Photo: view")
		e.wso2Grant(t, "alice", "photoz-app", ticket).expect(t, 400, "invalid_grant", "")
		e.post(t, e.URL+wso2Token, e.as(t, "alice", "photoz-web"), "grant_type", umaGrant, "ticket", ticket).expect(t, 400, "invalid_grant", "")
	})
	t.Run("a claim token is verified", func(t *testing.T) {
		t.Parallel()
		id := e.idToken(t, "alice", "photoz-app")
		for name, token := range map[string]string{
			"unsigned": unsigned(id), "forged": forged(id), "of another client": e.idToken(t, "alice", "photoz-web"),
			"garbage": "garbage",
		} {
			res := e.post(t, e.URL+wso2Token, basic("photoz-app"), "grant_type", umaGrant, "ticket", e.wso2Ticket(t, photo, "view"), "claim_token", token)
			if res.status != 403 || res.str("error") != "need_info" || res.str("ticket") == "" {
				t.Errorf("%s: got %s, want need_info", name, res)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		t.Parallel()
		e.wso2Grant(t, "alice", "photoz-app", "garbage").expect(t, 400, "invalid_grant", "")
		e.wso2Grant(t, "bob", "photoz-app", e.wso2Ticket(t, photo, "view")).expect(t, 403, "request_submitted", "")
		res := e.post(t, e.URL+wso2Token, basic("photoz-app"), "grant_type", umaGrant, "ticket", e.wso2Ticket(t, photo, "crop"))
		res.expect(t, 403, "request_denied", "") // a service account, which asks no owner
		wrong := e.post(t, e.URL+wso2Token, credentials{}, "grant_type", umaGrant, "ticket", e.wso2Ticket(t, photo), "client_id", "photoz-app", "client_secret", "wrong")
		wrong.expect(t, 401, "invalid_client", "")
	})
}

// TestWSO2Introspection is /oauth2/introspect.
func TestWSO2Introspection(t *testing.T) {
	t.Parallel()
	e := startWSO2(t)
	const photo = "238157ba-06f4-4730-8492-86e35f5b2b7d"
	rpt := e.wso2Grant(t, "alice", "photoz-app", e.wso2Ticket(t, photo, "view")).str("access_token")
	now := float64(e.Clock.Now().Unix())
	want := object{"aut": "APPLICATION_USER", "nbf": now, "active": true, "token_type": "Bearer", "exp": now + 300, "iat": now,
		"permissions": []any{object{"resource_scopes": []any{"view"}, "resource_id": photo}},
		"client_id":   "photoz-app", "username": "alice@carbon.super"}
	for name, as := range map[string]credentials{
		"the owner's PAT": e.patOf(t, "alice", "photoz-api"), "the resource server's": e.patOf(t, "", "photoz-api"), "its credentials": basic("photoz-api"),
	} {
		for _, base := range []string{"", "/t/carbon.super"} {
			if res := e.post(t, e.URL+base+wso2Introspect, as, "token", rpt); res.status != 200 || !reflect.DeepEqual(res.object(), want) {
				t.Errorf("%s: got %s\nwant %v", name, res, want)
			}
		}
	}
	inactive := func(what string, res *response) {
		t.Helper()
		if res.status != 200 || !reflect.DeepEqual(res.object(), object{"active": false}) {
			t.Errorf("%s: got %s, want only that it is not active", what, res)
		}
	}
	inactive("another owner's PAT", e.post(t, e.URL+wso2Introspect, e.patOf(t, "bob", "photoz-api"), "token", rpt))
	inactive("garbage", e.post(t, e.URL+wso2Introspect, e.patOf(t, "alice", "photoz-api"), "token", "garbage"))
	e.post(t, e.URL+wso2Introspect, credentials{}, "token", rpt).expect(t, 401, "invalid_client", "")
	e.post(t, e.URL+wso2Introspect, bearer("garbage"), "token", rpt).expect(t, 401, "invalid_token", "")
	e.post(t, e.URL+wso2Introspect, e.as(t, "alice", "photoz-api"), "token", rpt).expect(t, 403, "insufficient_scope", "")

	service := e.post(t, e.URL+wso2Introspect, basic("photoz-app"), "token", e.serviceToken(t, "photoz-app")).object()
	if service["aut"] != "APPLICATION" || service["username"] != "service-account-photoz-app@carbon.super" || service["permissions"] != nil {
		t.Errorf("a service account's token: got %v", service)
	}
	if res := e.wso2(t, "DELETE", wso2Resources+"/"+photo, e.patOf(t, "alice", "photoz-api"), nil); res.status != 204 {
		t.Fatalf("delete: got %s", res)
	}
	inactive("of a resource that is gone", e.post(t, e.URL+wso2Introspect, basic("photoz-api"), "token", rpt))
}
