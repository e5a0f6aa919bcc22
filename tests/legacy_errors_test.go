package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A legacyRow is a row of the table of errors that were measured
// on Keycloak 3.4.3, with the status that Umpire has where that differs. An empty code is an empty body.
type legacyRow struct {
	where, name       string
	request           request
	status            int
	code, description string
}

const noBearer = "Could not obtain bearer access_token from request."

// rows are those that need no preparation. JSON bodies are in `body`.
func legacyRows(t *testing.T, e *env) []legacyRow {
	t.Helper()
	rs, bob, carol := e.service(t, "photoz-api"), e.as(t, "bob", "photoz-web"), e.as(t, "carol", "photoz-web")
	board := e.resourceID(t, "Public board")
	sub, _ := payload(t, bob.bearer)["sub"].(string)
	post := func(path string, as credentials, body string) request {
		return request{method: "POST", url: path, as: as, body: body, headers: map[string]string{"Content-Type": "application/json"}}
	}
	perm := func(as credentials, body string) request { return post(permission, as, body) }
	perms := func(body string) request { return post(permissionsPath, rs, body) }
	auth := func(body string) request { return post(authorizePath, bob, body) }
	ent := func(body string) request { return post(entitlementPath, bob, body) }
	byID := fmt.Sprintf(`{"resource_set_id":%q}`, board)
	with := func(r request, header, value string) request {
		headers := map[string]string{header: value}
		for name, v := range r.headers {
			if headers[name] == "" && name != header {
				headers[name] = v
			}
		}
		r.headers = headers
		return r
	}
	as := func(r request, c credentials) request { r.as = c; return r }
	rows := []legacyRow{
		{"permission", "a user's token", perm(bob, byID), 400, "invalid_clientId", "Client application with id [" + sub + "] does not exist in realm [photoz]"},
		{"permission", "a user's token issued to the rs client", perm(e.as(t, "bob", "photoz-api"), byID), 400, "invalid_clientId", "Client application with id [" + sub + "] does not exist in realm [photoz]"},
		{"permission", "a client without authorization services", perm(e.service(t, "photoz-app"), byID), 403, "invalid_clientId", "Client application [photoz-app] is not registered as resource server."},
		{"permission", "unknown resource_set_id", perm(rs, `{"resource_set_id":"no-such-id","scopes":["view"]}`), 400, "nonexistent_resource_set_id", "Resource set with id[no-such-id] does not exists in this server."},
		{"permission", "an empty resource_set_id", perm(rs, `{"resource_set_id":""}`), 400, "nonexistent_resource_set_id", "Resource set with id[] does not exists in this server."},
		{"permission", "resource of another resource server", perm(e.service(t, "other-api"), byID), 400, "nonexistent_resource_set_id", "Resource set with id[" + board + "] does not exists in this server."},
		{"permission", "unknown resource_set_name", perm(rs, `{"resource_set_name":"No album"}`), 400, "nonexistent_resource_set_name", "Resource set with name[No album] does not exists in this server."},
		{"permission", "an empty resource_set_name", perm(rs, `{"resource_set_name":""}`), 400, "nonexistent_resource_set_name", "Resource set with name[] does not exists in this server."},
		{"permission", "neither resource nor scopes", perm(rs, `{"resource_set_id":null}`), 400, "invalid_resource_set_id", "Resource id or name not provided."},
		{"permission", "scopes null", perm(rs, `{"resource_set_id":"`+board+`","scopes":null}`), 400, "invalid_request", "scopes must be an array of strings"},
		{"permission", "scopes a string", perm(rs, `{"resource_set_id":"`+board+`","scopes":"view"}`), 400, "invalid_request", "scopes must be an array of strings"},
		{"permission", "an id that is a number", perm(rs, `{"resource_set_id":1}`), 400, "invalid_request", "resource_set_id must be a string"},
		{"permission", "unknown field", perm(rs, `{"resource_set_id":"x","foo":1}`), 400, "invalid_request", "Unrecognized field [foo], not marked as ignorable"},
		{"permissions", "neither resource nor scopes", perms(`[{}]`), 400, "invalid_resource_set_id", "Resource id or name not provided."},
		{"permissions", "an object", perms(byID), 400, "invalid_request", "The body must be an array of permissions"},
		{"permissions", "an empty array", perms(`[]`), 400, "invalid_request", "The body must be an array of permissions"},
		{"permissions", "an empty body", perms(""), 400, "invalid_request", "The body must be an array of permissions"},
		{"permissions", "null", perms("null"), 400, "invalid_request", "The body must be an array of permissions"},
		{"permissions", "bad JSON", perms("[{"), 400, "invalid_request", "Cannot parse the JSON"},
		{"permissions", "an array of strings", perms(`["x"]`), 400, "invalid_request", "A permission must be an object"},
		{"permissions", "wrong content type", with(perms("[]"), "Content-Type", "text/plain"), 415, "", ""},
		{"permissions", "wrong method", request{method: "GET", url: permissionsPath, as: rs}, 405, "", ""},
		{"permissions", "wrong method, with a slash", request{method: "PUT", url: permissionsPath + "/", as: rs}, 405, "", ""},
		{"permissions", "Accept that does not fit", with(perms("["+byID+"]"), "Accept", "text/html"), 406, "", ""},
		{"permissions", "unknown realm", post(e.URL+"/realms/ghost"+permissionsPath, rs, "["+byID+"]"), 404, "", ""},
		{"permissions", "wrong method in an unknown realm", request{method: "GET", url: e.URL + "/realms/ghost" + permissionsPath}, 404, "", ""},
		{"permission", "Accept that does not fit", with(perm(rs, byID), "Accept", "text/html"), 406, "", ""},
		{"permission", "wrong method, as today", request{method: "GET", url: permission, as: rs}, 405, "unsupported_method_type", "HTTP 405 Method Not Allowed"},
		{"permission", "unknown realm, as today", post(e.URL+"/realms/ghost"+permission, rs, byID), 404, "Realm does not exist", ""},
		{"uma-configuration", "wrong method", request{method: "POST", url: "/.well-known/uma-configuration", form: pairs{}}, 405, "", ""},
		{"uma-configuration", "unknown realm", request{method: "GET", url: e.URL + "/realms/ghost/.well-known/uma-configuration"}, 404, "", ""},

		{"authorize", "no ticket", auth(`{}`), 403, "invalid_ticket", "Ticket verification failed"},
		{"authorize", "null for a ticket", auth(`{"ticket":null}`), 403, "invalid_ticket", "Ticket verification failed"},
		{"authorize", "an empty ticket", auth(`{"ticket":""}`), 403, "invalid_ticket", "Ticket verification failed"},
		{"authorize", "a garbage ticket", auth(`{"ticket":"garbage"}`), 403, "invalid_ticket", "Ticket verification failed"},
		{"authorize", "access token as ticket", auth(`{"ticket":"` + bob.bearer + `"}`), 403, "invalid_ticket", "Ticket verification failed"},
		{"authorize", "a number for a ticket", auth(`{"ticket":1}`), 400, "invalid_request", "ticket must be a string"},
		{"authorize", "user without realm role uma_authorization", as(auth(`{"ticket":"garbage"}`), carol), 403, "invalid_scope", "Requires uma_authorization scope."},
		{"authorize", "empty body", auth(""), 400, "invalid_request", "Invalid authorization request."},
		{"authorize", "null", auth("null"), 400, "invalid_request", "Invalid authorization request."},
		{"authorize", "array body", auth("[]"), 400, "invalid_request", "The body must be an object"},
		{"authorize", "bad JSON", auth("{"), 400, "invalid_request", "Cannot parse the JSON"},
		{"authorize", "metadata not an object", auth(`{"ticket":"x","metadata":[]}`), 400, "invalid_request", "metadata must be an object"},
		{"authorize", "a limit that is none", auth(`{"ticket":"x","metadata":{"limit":"1"}}`), 400, "invalid_request", "limit must be a whole number"},
		{"authorize", "include_resource_name not a boolean", auth(`{"ticket":"x","metadata":{"include_resource_name":"no"}}`), 400, "invalid_request", "include_resource_name must be true or false"},
		{"authorize", "unknown field", auth(`{"ticket":"x","foo":1}`), 400, "invalid_request", "Unrecognized field [foo], not marked as ignorable"},
		{"authorize", "unknown field of metadata", auth(`{"ticket":"x","metadata":{"foo":1}}`), 400, "invalid_request", "Unrecognized field [foo], not marked as ignorable"},
		{"authorize", "wrong content type", with(auth(`{"ticket":"x"}`), "Content-Type", "text/plain"), 415, "", ""},
		{"authorize", "missing content type", request{method: "POST", url: authorizePath, as: bob, body: `{"ticket":"x"}`}, 415, "", ""},
		{"authorize", "wrong method", request{method: "GET", url: authorizePath, as: bob}, 405, "", ""},
		{"authorize", "Accept that does not fit", with(auth(`{"ticket":"x"}`), "Accept", "text/html, application/json;q=0"), 406, "", ""},
		{"authorize", "unknown realm", post(e.URL+"/realms/ghost/authz/authorize", bob, `{"ticket":"x"}`), 404, "", ""},

		{"entitlement", "denied", ent(`{"permissions":[{"resource_set_name":"Admin area"}]}`), 403, "not_authorized", ""},
		{"entitlement", "no permissions in the list", ent(`{"permissions":[]}`), 403, "not_authorized", ""},
		{"entitlement", "no permissions", ent(`{}`), 403, "not_authorized", ""},
		{"entitlement", "scopes alone, unknown", ent(`{"permissions":[{"scopes":["nope"]}]}`), 403, "not_authorized", ""},
		{"entitlement", "a scope of the server, not of the resource", ent(`{"permissions":[{"resource_set_id":"` + board + `","scopes":["withdraw"]}]}`), 403, "not_authorized", ""},
		{"entitlement", "GET, unknown client", request{method: "GET", url: "/authz/entitlement/nobody", as: bob}, 400, "invalid_request", "Identifier is not associated with any client and resource server."},
		{"entitlement", "POST, unknown client", post("/authz/entitlement/nobody", bob, `{"permissions":[]}`), 400, "invalid_request", "Identifier is not associated with any resource server."},
		{"entitlement", "GET, no authorization services", request{method: "GET", url: "/authz/entitlement/photoz-app", as: bob}, 403, "invalid_request", "Client does not support permissions"},
		{"entitlement", "POST, no authorization services", post("/authz/entitlement/photoz-app", bob, `{"permissions":[]}`), 403, "invalid_request", "Client does not support permissions"},
		{"entitlement", "unknown resource by name", ent(`{"permissions":[{"resource_set_name":"No album"}]}`), 403, "invalid_resource", "Resource with name [No album] does not exist."},
		{"entitlement", "unknown resource by id", ent(`{"permissions":[{"resource_set_id":"no-such-id","scopes":["view"]}]}`), 403, "invalid_resource", "Resource with id [no-such-id] does not exist."},
		{"entitlement", "unknown resource after a known one", ent(`{"permissions":[` + byID + `,{"resource_set_name":"No album"}]}`), 403, "invalid_resource", "Resource with name [No album] does not exist."},
		{"entitlement", "name of somebody else's", ent(`{"permissions":[{"resource_set_name":"Diary"}]}`), 403, "invalid_resource", "Resource with name [Diary] does not exist."},
		{"entitlement", "unknown scope with a resource", ent(`{"permissions":[{"resource_set_id":"` + board + `","scopes":["view","nope"]}]}`), 400, "invalid_scope", "Invalid scope [nope]."},
		{"entitlement", "an empty permission", ent(`{"permissions":[{}]}`), 403, "invalid_request", "You must provide a resource and/or scopes."},
		{"entitlement", "empty body", ent(""), 400, "invalid_request", "Invalid entitlement request."},
		{"entitlement", "null", ent("null"), 400, "invalid_request", "Invalid entitlement request."},
		{"entitlement", "array", ent("[]"), 400, "invalid_request", "The body must be an object"},
		{"entitlement", "bad JSON", ent("nope"), 400, "invalid_request", "Cannot parse the JSON"},
		{"entitlement", "permissions null", ent(`{"permissions":null}`), 400, "invalid_request", "permissions must be an array"},
		{"entitlement", "unknown field", ent(`{"permissions":[],"foo":1}`), 400, "invalid_request", "Unrecognized field [foo], not marked as ignorable"},
		{"entitlement", "unknown field of a permission", ent(`{"permissions":[{"resource_id":"x"}]}`), 400, "invalid_request", "Unrecognized field [resource_id], not marked as ignorable"},
		{"entitlement", "a member twice", ent(`{"permissions":[],"permissions":[]}`), 400, "invalid_request", "Cannot parse the JSON: permissions is given twice"},
		{"entitlement", "wrong content type", with(ent("{}"), "Content-Type", "application/xml"), 415, "", ""},
		{"entitlement", "Accept that does not fit", with(request{method: "GET", url: entitlementPath, as: bob}, "Accept", "text/html"), 406, "", ""},
		{"entitlement", "wrong method", request{method: "DELETE", url: entitlementPath, as: bob}, 405, "", ""},
		{"entitlement", "unknown realm", request{method: "GET", url: e.URL + "/realms/ghost" + entitlementPath, as: bob}, 404, "", ""},
	}
	// An rpt that is no good, at both endpoints.
	for what, rpt := range map[string]string{
		"no JWS": "garbage", "empty": "", "bad signature": forged(bob.bearer), "an access token": bob.bearer,
		"of another user":   e.entitle(t, e.as(t, "erin", "photoz-web"), setByID(board)).str("rpt"),
		"of another client": e.entitle(t, e.as(t, "bob", "photoz-app"), setByID(board)).str("rpt"),
	} {
		ticket := e.oldTicket(t, setByID(board, "view"))
		rows = append(rows,
			legacyRow{"authorize", "rpt " + what, auth(fmt.Sprintf(`{"ticket":%q,"rpt":%q}`, ticket, rpt)), 403, "invalid_rpt", "RPT signature is invalid"},
			legacyRow{"entitlement", "rpt " + what, ent(fmt.Sprintf(`{"permissions":[%s],"rpt":%q}`, byID, rpt)), 403, "invalid_rpt", "RPT signature is invalid"})
	}
	// Who asks, at all of them.
	for where, r := range map[string]request{
		"permission": perm(rs, byID), "permissions": perms("[" + byID + "]"), "authorize": auth(`{"ticket":"x"}`),
		"entitlement": ent(`{"permissions":[]}`), "entitlement GET": {method: "GET", url: entitlementPath},
	} {
		rows = append(rows,
			legacyRow{where, "no bearer", as(r, credentials{}), 403, "invalid_bearer_token", noBearer},
			legacyRow{where, "garbage bearer", as(r, bearer("garbage")), 403, "invalid_bearer_token", noBearer},
			legacyRow{where, "an ID token", as(r, bearer(e.idToken(t, "bob", "photoz-web"))), 403, "invalid_bearer_token", noBearer},
			legacyRow{where, "Basic", as(r, basic("photoz-api")), 401, "", ""})
	}
	return rows
}

// TestLegacyErrors is each row of the table of errors that is about authorize,
// entitlement and the old permission endpoint.
func TestLegacyErrors(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	for _, row := range legacyRows(t, e) {
		t.Run(row.where+": "+row.name, func(t *testing.T) {
			t.Parallel()
			row.check(t, e.do(t, row.request))
		})
	}

	rowOf := func(where, name, code, description string) legacyRow {
		return legacyRow{where: where, name: name, status: 403, code: code, description: description}
	}
	badTicket := rowOf("authorize", "ticket", "invalid_ticket", "Ticket verification failed")
	board := e.resourceID(t, "Public board")
	bob := func(t *testing.T) credentials { return e.as(t, "bob", "photoz-web") }
	t.Run("authorize: policy denied", func(t *testing.T) {
		t.Parallel()
		rowOf("", "", "not_authorized", "").check(t, e.authorize(t, bob(t), e.oldTicket(t, setByName("Admin area")), ""))
	})
	t.Run("authorize: ticket with a bad signature", func(t *testing.T) {
		t.Parallel()
		badTicket.check(t, e.authorize(t, bob(t), flip(e.oldTicket(t, setByID(board))), ""))
		badTicket.check(t, e.authorize(t, bob(t), forged(bob(t).bearer), ""))
	})
	t.Run("authorize: expired ticket", func(t *testing.T) {
		t.Parallel()
		e := startLegacy(t)
		ticket := e.oldTicket(t, setByName("Public board"))
		e.Clock.Advance(2 * time.Minute)
		badTicket.check(t, e.authorize(t, e.as(t, "bob", "photoz-web"), ticket, ""))
	})
	t.Run("authorize: resource of a ticket deleted", func(t *testing.T) {
		t.Parallel()
		for _, scopes := range [][]string{nil, {"view"}} {
			id := e.create(t, object{"name": "Deleted " + fmt.Sprint(scopes), "type": "board", "scopes": []string{"view"}})
			ticket := e.oldTicket(t, setByID(id, scopes...))
			remove(t, e, id)
			badTicket.check(t, e.authorize(t, bob(t), ticket, ""))
		}
	})
	t.Run("all: expired and logged-out bearer", func(t *testing.T) {
		t.Parallel()
		e := startLegacy(t)
		ticket := e.oldTicket(t, setByName("Public board", "view"))
		session := e.newSignIn(t, "bob", "photoz-web", "")
		if res := e.post(t, "/protocol/openid-connect/logout", credentials{}, "client_id", "photoz-web", "refresh_token", session.str("refresh_token")); res.status != 204 {
			t.Fatalf("log out: got %s", res)
		}
		out, old := bearer(session.str("access_token")), e.as(t, "bob", "photoz-web")
		for _, as := range []credentials{out, old} {
			if as == old {
				e.Clock.Advance(5*time.Minute + time.Second)
			}
			for _, res := range []*response{e.authorize(t, as, ticket, ""), e.get(t, entitlementPath, as), e.entitle(t, as, setByName("Public board"))} {
				rowOf("", "", "invalid_bearer_token", noBearer).check(t, res)
			}
		}
	})
}

// check compares everything of the answer.
func (row legacyRow) check(t *testing.T, res *response) {
	t.Helper()
	if row.code == "" {
		if res.status != row.status || len(res.raw) != 0 {
			t.Errorf("got %s, want %d and nothing more", res, row.status)
		}
		if row.status == 401 && res.header.Get("WWW-Authenticate") != "" {
			t.Errorf("got WWW-Authenticate %q, want none", res.header.Get("WWW-Authenticate"))
		}
		return
	}
	res.expect(t, row.status, row.code, row.description)
	members := 1
	if row.description != "" {
		members = 2
	}
	if len(res.object()) != members || !strings.HasPrefix(res.header.Get("Content-Type"), "application/json") {
		t.Errorf("got %s of type %q, want %d members of JSON", res, res.header.Get("Content-Type"), members)
	}
}
