package tests

import (
	"slices"
	"strings"
	"testing"
)

// A face is how clients of one kind do what all do. It is translation only: the
// cases of TestFaces are the same for all, the words differ (design §7).
type face struct {
	name    string
	profile string // of the realm; empty: keycloak
	paths   func(realm string) facePaths
	pat     func(t *testing.T, e *env) credentials // of alice, or of the resource server for her
	words   map[outcome]said

	resource   func(name string, scopes []string) any // what is registered; of alice
	permission func(resource string, scopes []string) any
	grant      func(ticket, rpt string) request     // presents a ticket; an RPT goes with it if it is not empty
	named      func(resource, scope string) request // asks without a ticket
	rpt        string                               // the member that has the RPT
	granted    int                                  // the status that comes with it
	shown      string                               // the member of an introspected permission that has the resource
	strict     bool                                 // UMA 2.0 to the letter
}

type facePaths struct{ resources, permission, token, named, introspect string }

// An outcome is what a face has words for.
type outcome string

const (
	unusableTicket  outcome = "unusable ticket"
	denied          outcome = "denied"
	submittedTo     outcome = "submitted to the owner"
	unknownResource outcome = "unknown resource"
	unknownScope    outcome = "unknown scope"
	noPAT           outcome = "no PAT"
	badPAT          outcome = "a PAT that is none"
	notAPAT         outcome = "a token that is no PAT"
	gone            outcome = "a resource that is not there"
	rptForPAT       outcome = "an RPT for a PAT"
	nothingAsked    outcome = "a permission request for nothing"
	unnamed         outcome = "denied without a ticket"
	badBearer       outcome = "a bearer token that is none, at the token endpoint"
	badRPT          outcome = "an rpt that is none"
	badRefresh      outcome = "a refresh token of what was withdrawn"
	notMyResource   outcome = "a policy for what another owns"
	notMyRequest    outcome = "another's request to answer"
)

// elsewhere is a resource of another resource server.
const elsewhere = "other-thing"

// said is an answer, as far as clients look: `error`, or `code` where a face has
// that instead.
type said struct {
	status int
	code   string
}

// strictWords are those of UMA 2.0, which two other faces share.
func strictWords(differ map[outcome]said) map[outcome]said {
	words := map[outcome]said{
		unusableTicket: {400, "invalid_grant"}, denied: {403, "request_denied"}, submittedTo: {403, "request_submitted"},
		unknownResource: {400, "invalid_resource_id"}, unknownScope: {400, "invalid_scope"},
		noPAT: {401, "invalid_token"}, badPAT: {401, "invalid_token"}, notAPAT: {403, "insufficient_scope"}, gone: {404, "not_found"},
		rptForPAT: {403, "insufficient_scope"}, nothingAsked: {400, "invalid_request"}, unnamed: {403, "request_denied"},
		badBearer: {401, "invalid_token"}, badRPT: {200, ""}, badRefresh: {400, "invalid_grant"},
		notMyResource: {400, "invalid_request"}, notMyRequest: {403, "not_authorised"},
	}
	for o, s := range differ {
		words[o] = s
	}
	return words
}

// strictPAT is alice's: a token of the resource server's client with the scope.
func strictPAT(t *testing.T, e *env) credentials {
	t.Helper()
	return bearer(e.signIn(t, "alice", "photoz-api", "uma_protection").access)
}

func specified(name string, scopes []string) any {
	return map[string]any{"name": name, "resource_scopes": scopes}
}

func one(resource string, scopes []string) any {
	return map[string]any{"resource_id": resource, "resource_scopes": scopes}
}

func several(resource string, scopes []string) any { return []any{one(resource, scopes)} }

func ticketGrant(ticket, rpt string) request {
	p := form("grant_type", umaGrant, "ticket", ticket)
	if rpt != "" {
		p = append(p, [2]string{"rpt", rpt})
	}
	return request{method: "POST", form: p}
}

func namedGrant(resource, scope string) request {
	return request{method: "POST", form: form("grant_type", umaGrant, "audience", "photoz-api", "permission", resource+"#"+scope)}
}

var faces = []face{
	{
		name: "keycloak", rpt: "access_token", granted: 200, shown: "rsid", grant: ticketGrant, named: namedGrant, permission: several,
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + tokenPath, base + tokenPath, base + introspect}
		},
		pat: func(t *testing.T, e *env) credentials { t.Helper(); return e.as(t, "alice", "photoz-api") },
		resource: func(name string, scopes []string) any {
			return map[string]any{"name": name, "scopes": scopes, "ownerManagedAccess": true}
		},
		words: map[outcome]said{
			unusableTicket: {403, "invalid_ticket"}, denied: {403, "access_denied"}, submittedTo: {403, "access_denied"},
			unknownResource: {400, "invalid_resource_id"}, unknownScope: {400, "invalid_scope"},
			noPAT: {403, "invalid_bearer_token"}, badPAT: {403, "invalid_bearer_token"}, notAPAT: {403, "invalid_clientId"},
			gone: {404, "HTTP 404 Not Found"}, rptForPAT: {403, "invalid_bearer_token"}, nothingAsked: {400, "invalid_permission_request"}, unnamed: {403, "access_denied"},
			badBearer: {401, "invalid_grant"}, badRPT: {403, "invalid_rpt"}, badRefresh: {400, "invalid_grant"},
			notMyResource: {400, "invalid_request"}, notMyRequest: {403, "not_authorised"},
		},
	},
	{
		name: "uma2", profile: "uma2", rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, named: namedGrant, permission: one, strict: true,
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + tokenPath, base + tokenPath, base + introspect}
		},
		pat: strictPAT, resource: specified, words: strictWords(map[outcome]said{notMyRequest: {403, "access_denied"}}),
	},
	{
		name: "wso2", strict: true, rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, named: namedGrant, permission: several,
		paths: func(realm string) facePaths {
			base, api := "/t/"+realm, "/api/identity/oauth2/uma"
			return facePaths{
				base + api + "/resourceregistration/v1.0/resource", base + api + "/permission/v1.0/permission",
				base + "/oauth2/token", base + "/oauth2/token", base + "/oauth2/introspect",
			}
		},
		pat: strictPAT, resource: specified,
		words: strictWords(map[outcome]said{unknownScope: {400, "invalid_resource_scope"}}),
	},
	{
		name: "pingam", strict: true, rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, named: namedGrant, permission: several,
		paths: func(realm string) facePaths {
			path := "/realms/root/realms/" + realm
			return facePaths{
				"/am/uma" + path + "/resource_set", "/am/uma" + path + "/permission_request",
				"/am/oauth2" + path + "/access_token", "/am/oauth2" + path + "/access_token", "/am/oauth2" + path + "/introspect",
			}
		},
		pat: strictPAT, resource: specified, words: strictWords(nil),
	},
	{
		name: "legacy", rpt: "rpt", granted: 201, shown: "rsid",
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + authorizePath, base + entitlementPath, base + introspect}
		},
		pat: func(t *testing.T, e *env) credentials { t.Helper(); return e.service(t, "photoz-api") },
		resource: func(name string, scopes []string) any {
			return map[string]any{"name": name, "scopes": scopes, "owner": "alice", "ownerManagedAccess": true}
		},
		permission: func(resource string, scopes []string) any {
			return map[string]any{"resource_set_id": resource, "scopes": scopes}
		},
		grant: func(ticket, rpt string) request {
			body := object{"ticket": ticket}
			if rpt != "" {
				body["rpt"] = rpt
			}
			return request{method: "POST", json: body}
		},
		named: func(resource, scope string) request {
			return request{method: "POST", json: object{"permissions": []object{setByID(resource, scope)}}}
		},
		words: map[outcome]said{
			unusableTicket: {403, "invalid_ticket"}, denied: {403, "not_authorized"}, submittedTo: {403, "not_authorized"},
			unknownResource: {400, "nonexistent_resource_set_id"}, unknownScope: {201, ""}, // the scope is left out
			noPAT: {403, "invalid_bearer_token"}, badPAT: {403, "invalid_bearer_token"}, notAPAT: {400, "invalid_clientId"},
			gone: {404, "HTTP 404 Not Found"}, rptForPAT: {403, "invalid_bearer_token"}, nothingAsked: {400, "invalid_permission_request"}, unnamed: {403, "not_authorized"},
			badBearer: {403, "invalid_bearer_token"}, badRPT: {403, "invalid_rpt"},
			notMyResource: {400, "invalid_request"}, notMyRequest: {403, "not_authorised"},
		},
	},
}

// A client of a face speaks to one realm of a running server.
type faceClient struct {
	face
	*env
	at facePaths
}

func (c *faceClient) call(t *testing.T, method, path string, as credentials, body any) *response {
	t.Helper()
	return c.do(t, request{method: method, url: c.URL + path, as: as, json: body})
}

// register registers a resource of alice and returns its id.
func (c *faceClient) register(t *testing.T, name string, scopes ...string) string {
	t.Helper()
	res := c.call(t, "POST", c.at.resources, c.pat(t, c.env), c.resource(name, scopes))
	if res.status != 201 || res.str("_id") == "" {
		t.Fatalf("register %s: got %s", name, res)
	}
	return res.str("_id")
}

func (c *faceClient) askTicket(t *testing.T, resource string, scopes ...string) string {
	t.Helper()
	res := c.call(t, "POST", c.at.permission, c.pat(t, c.env), c.permission(resource, scopes))
	if res.status != 201 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket: got %s", res)
	}
	return res.str("ticket")
}

// present trades a ticket, as a user through photoz-web.
func (c *faceClient) present(t *testing.T, user, ticket string) *response {
	t.Helper()
	return c.presentAs(t, c.as(t, user, "photoz-web"), ticket, "")
}

func (c *faceClient) presentAs(t *testing.T, as credentials, ticket, rpt string) *response {
	t.Helper()
	r := c.face.grant(ticket, rpt)
	r.url, r.as = c.URL+c.at.token, as
	return c.do(t, r)
}

// hold is an RPT of a user for scopes of a resource.
func (c *faceClient) hold(t *testing.T, user, resource string, scopes ...string) string {
	t.Helper()
	res := c.present(t, user, c.askTicket(t, resource, scopes...))
	return c.rptOf(t, res)
}

// rptOf is the RPT that an answer must have.
func (c *faceClient) rptOf(t *testing.T, res *response) string {
	t.Helper()
	if res.status != c.granted || res.str(c.rpt) == "" {
		t.Fatalf("got %s, want an RPT with %d", res, c.granted)
	}
	return res.str(c.rpt)
}

// asking is what asks alice for a resource, as her account shows it.
func (c *faceClient) asking(t *testing.T, resource string) []any {
	t.Helper()
	res := c.get(t, "/account/resources/"+resource+"/permissions/requests", c.as(t, "alice", "photoz-web"))
	if res.status != 200 {
		t.Fatalf("who asks: got %s", res)
	}
	return asList(res.json)
}

// stands are the resources that introspection shows of an RPT; nil when it is not
// active.
func (c *faceClient) stands(t *testing.T, rpt string) []string {
	t.Helper()
	res := c.do(t, request{
		method: "POST", url: c.URL + c.at.introspect, as: basic("photoz-api"),
		form: form("token", rpt, "token_type_hint", "requesting_party_token"),
	})
	if res.status != 200 {
		t.Fatalf("introspection: got %s", res)
	}
	var ids []string
	for _, p := range asList(res.object()["permissions"]) {
		id, _ := p.(map[string]any)[c.shown].(string)
		ids = append(ids, id)
	}
	if active, _ := res.object()["active"].(bool); active != (ids != nil) {
		t.Errorf("got %s, want permissions if it is active, and only then", res)
	}
	return ids
}

// share has alice share a resource, over her account.
func (c *faceClient) share(t *testing.T, resource, user string, scopes ...string) {
	t.Helper()
	res := c.send(t, "PUT", "/account/resources/"+resource+"/permissions", c.as(t, "alice", "photoz-web"),
		[]any{map[string]any{"username": user, "scopes": append([]string{}, scopes...)}})
	if res.status != 204 {
		t.Fatalf("share: got %s", res)
	}
}

func (c *faceClient) says(t *testing.T, what outcome, res *response) {
	t.Helper()
	want, ok := c.words[what]
	if !ok {
		t.Fatalf("the face has no words for %s", what)
	}
	code := res.str("error")
	if code == "" {
		code = res.str("code")
	}
	if res.status != want.status || code != want.code {
		t.Errorf("%s: got %s, want %d %s", what, res, want.status, want.code)
	}
	if res.status >= 400 && what != submittedTo { // which comes with a ticket where the specification has it
		wellFormed(t, res)
	}
}

func newFaceClient(t *testing.T, f face) *faceClient {
	t.Helper()
	realm := strings.Replace(photozRealm(t), "{name: Other thing", "{id: "+elsewhere+", name: Other thing", 1)
	if f.profile != "" {
		realm = strings.Replace(realm, "profile: keycloak", "profile: "+f.profile, 1)
	}
	e := start(t, withRealm(realm, nil), unlimited, func(o *options) {
		o.More = []string{strings.Replace(realm, "realm: photoz", "realm: other", 1)}
	})
	return &faceClient{f, e, f.paths("photoz")}
}

// TestFaces is one table for all faces: where they do the same thing, they do it
// the same way.
func TestFaces(t *testing.T) {
	t.Parallel()
	for _, f := range faces {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := newFaceClient(t, f)
			cases := slices.Concat(faceCases, faceAttacks, faceBodies)
			if f.strict {
				cases = append(cases, strictCases...)
			}
			for _, tc := range cases {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					tc.run(t, c)
				})
			}
		})
	}
}
