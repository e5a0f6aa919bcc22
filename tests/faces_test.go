package tests

import (
	"slices"
	"strings"
	"testing"
	"time"
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
	grant      func(ticket string) request // presents a ticket
	rpt        string                      // the member that has the RPT
	granted    int                         // the status that comes with it
	shown      string                      // the member of an introspected permission that has the resource
}

type facePaths struct{ resources, permission, token, introspect string }

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

func ticketGrant(ticket string) request {
	return request{method: "POST", form: form("grant_type", umaGrant, "ticket", ticket)}
}

var faces = []face{
	{
		name: "keycloak", rpt: "access_token", granted: 200, shown: "rsid", grant: ticketGrant, permission: several,
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + tokenPath, base + introspect}
		},
		pat: func(t *testing.T, e *env) credentials { t.Helper(); return e.as(t, "alice", "photoz-api") },
		resource: func(name string, scopes []string) any {
			return map[string]any{"name": name, "scopes": scopes, "ownerManagedAccess": true}
		},
		words: map[outcome]said{
			unusableTicket: {403, "invalid_ticket"}, denied: {403, "access_denied"}, submittedTo: {403, "access_denied"},
			unknownResource: {400, "invalid_resource_id"}, unknownScope: {400, "invalid_scope"},
			noPAT: {403, "invalid_bearer_token"}, badPAT: {403, "invalid_bearer_token"}, notAPAT: {403, "invalid_clientId"},
			gone: {404, "HTTP 404 Not Found"},
		},
	},
	{
		name: "uma2", profile: "uma2", rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, permission: one,
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + tokenPath, base + introspect}
		},
		pat: strictPAT, resource: specified, words: strictWords(nil),
	},
	{
		name: "wso2", rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, permission: several,
		paths: func(realm string) facePaths {
			base, api := "/t/"+realm, "/api/identity/oauth2/uma"
			return facePaths{
				base + api + "/resourceregistration/v1.0/resource", base + api + "/permission/v1.0/permission",
				base + "/oauth2/token", base + "/oauth2/introspect",
			}
		},
		pat: strictPAT, resource: specified,
		words: strictWords(map[outcome]said{unknownScope: {400, "invalid_resource_scope"}}),
	},
	{
		name: "pingam", rpt: "access_token", granted: 200, shown: "resource_id", grant: ticketGrant, permission: several,
		paths: func(realm string) facePaths {
			path := "/realms/root/realms/" + realm
			return facePaths{
				"/am/uma" + path + "/resource_set", "/am/uma" + path + "/permission_request",
				"/am/oauth2" + path + "/access_token", "/am/oauth2" + path + "/introspect",
			}
		},
		pat: strictPAT, resource: specified, words: strictWords(nil),
	},
	{
		name: "legacy", rpt: "rpt", granted: 201, shown: "rsid",
		paths: func(realm string) facePaths {
			base := "/realms/" + realm
			return facePaths{base + resourceSet, base + permission, base + "/authz/authorize", base + introspect}
		},
		pat: func(t *testing.T, e *env) credentials { t.Helper(); return e.service(t, "photoz-api") },
		resource: func(name string, scopes []string) any {
			return map[string]any{"name": name, "scopes": scopes, "owner": "alice", "ownerManagedAccess": true}
		},
		permission: func(resource string, scopes []string) any {
			return map[string]any{"resource_set_id": resource, "scopes": scopes}
		},
		grant: func(ticket string) request {
			return request{method: "POST", json: map[string]string{"ticket": ticket}}
		},
		words: map[outcome]said{
			unusableTicket: {403, "invalid_ticket"}, denied: {403, "not_authorized"}, submittedTo: {403, "not_authorized"},
			unknownResource: {400, "nonexistent_resource_set_id"}, unknownScope: {201, ""}, // the scope is left out
			noPAT: {403, "invalid_bearer_token"}, badPAT: {403, "invalid_bearer_token"}, notAPAT: {400, "invalid_clientId"},
			gone: {404, "HTTP 404 Not Found"},
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
	r := c.face.grant(ticket)
	r.url, r.as = c.URL+c.at.token, c.as(t, user, "photoz-web")
	return c.do(t, r)
}

// hold is an RPT of a user for scopes of a resource.
func (c *faceClient) hold(t *testing.T, user, resource string, scopes ...string) string {
	t.Helper()
	res := c.present(t, user, c.askTicket(t, resource, scopes...))
	if res.status != c.granted || res.str(c.rpt) == "" {
		t.Fatalf("got %s, want an RPT with %d", res, c.granted)
	}
	return res.str(c.rpt)
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

// faceCases are what all faces do alike.
var faceCases = []struct {
	name string
	run  func(t *testing.T, c *faceClient)
}{
	{"the owner is granted what she asks for", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Own", "view", "print")
		rpt := c.hold(t, "alice", album, "view")
		if got := c.stands(t, rpt); !slices.Equal(got, []string{album}) {
			t.Errorf("introspection shows %q, want %q", got, album)
		}
	}},
	{"somebody else is refused and the owner is asked", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Asked for", "view")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		res := c.get(t, "/account/resources/"+album+"/permissions/requests", c.as(t, "alice", "photoz-web"))
		if asking, _ := res.json.([]any); res.status != 200 || len(asking) != 1 {
			t.Errorf("the owner sees %s, want one who asks", res)
		}
	}},
	{"whom the owner refused is denied", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Refused", "view")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		c.share(t, album, "bob")
		c.says(t, denied, c.present(t, "bob", c.askTicket(t, album, "view")))
	}},
	{"a share grants until it is withdrawn", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Shared", "view", "print")
		c.share(t, album, "bob", "view")
		rpt := c.hold(t, "bob", album, "view")
		if got := c.stands(t, rpt); !slices.Equal(got, []string{album}) {
			t.Errorf("introspection shows %q, want %q", got, album)
		}
		c.share(t, album, "bob")
		if got := c.stands(t, rpt); got != nil {
			t.Errorf("after the withdrawal introspection shows %q", got)
		}
	}},
	{"a ticket is used once", func(t *testing.T, c *faceClient) {
		ticket := c.askTicket(t, c.register(t, "Once", "view"), "view")
		if res := c.present(t, "alice", ticket); res.status != c.granted {
			t.Fatalf("got %s", res)
		}
		c.says(t, unusableTicket, c.present(t, "alice", ticket))
		c.says(t, unusableTicket, c.present(t, "erin", ticket))
	}},
	{"all unusable tickets look alike", func(t *testing.T, c *faceClient) {
		foreign := &faceClient{c.face, c.env.in("other"), c.paths("other")}
		for name, ticket := range map[string]string{
			"garbage": "garbage", "a JWT of nobody": "eyJhbGciOiJub25lIn0.e30.", "long": strings.Repeat("x", 3000),
			"an access token":  c.token(t, "alice", "photoz-web"),
			"of another realm": foreign.askTicket(t, foreign.register(t, "Elsewhere", "view"), "view"),
		} {
			t.Log(name)
			c.says(t, unusableTicket, c.present(t, "alice", ticket))
		}
	}},
	{"a ticket expires", func(t *testing.T, c *faceClient) {
		late := newFaceClient(t, c.face)
		ticket := late.askTicket(t, late.register(t, "Late", "view"), "view")
		late.Clock.Advance(120 * time.Second)
		late.says(t, unusableTicket, late.present(t, "alice", ticket))
	}},
	{"what is deleted is gone everywhere", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Deleted", "view")
		rpt, ticket := c.hold(t, "alice", album, "view"), c.askTicket(t, album, "view")
		if res := c.call(t, "DELETE", c.at.resources+"/"+album, c.pat(t, c.env), nil); res.status != 204 {
			t.Fatalf("delete: got %s", res)
		}
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/"+album, c.pat(t, c.env), nil))
		c.says(t, unusableTicket, c.present(t, "alice", ticket))
		if got := c.stands(t, rpt); got != nil {
			t.Errorf("introspection shows %q", got)
		}
		again := c.register(t, "Deleted", "view")
		if again == album {
			t.Error("the id of what is gone is used again")
		}
	}},
	{"an unknown resource and an unknown scope make no ticket", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Known", "view")
		ask := func(resource string, scopes ...string) *response {
			return c.call(t, "POST", c.at.permission, c.pat(t, c.env), c.permission(resource, scopes))
		}
		c.says(t, unknownResource, ask("no-such-id", "view"))
		c.says(t, unknownResource, ask(elsewhere, "view"))
		for _, scope := range []string{"fly", "View", "vie", "view "} {
			c.says(t, unknownScope, ask(album, scope))
		}
	}},
	{"a resource of another resource server is not there", func(t *testing.T, c *faceClient) {
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/"+elsewhere, c.pat(t, c.env), nil))
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/no-such-id", c.pat(t, c.env), nil))
	}},
	{"only a PAT makes tickets", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Protected", "view")
		for what, as := range map[outcome]credentials{
			noPAT: {}, badPAT: bearer("garbage"), notAPAT: c.as(t, "bob", "photoz-web"),
		} {
			c.says(t, what, c.call(t, "POST", c.at.permission, as, c.permission(album, []string{"view"})))
		}
	}},
	{"an RPT is no PAT", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Held", "view")
		res := c.call(t, "POST", c.at.permission, bearer(c.hold(t, "alice", album, "view")), c.permission(album, []string{"view"}))
		if res.status != 401 && res.status != 403 && res.status != 400 {
			t.Errorf("got %s, want a refusal", res)
		}
	}},
	{"fifty present one ticket at once", func(t *testing.T, c *faceClient) {
		ticket := c.askTicket(t, c.register(t, "Raced", "view"), "view")
		c.token(t, "alice", "photoz-web")
		answers := make(chan int, 50)
		for range 50 {
			go func() { answers <- c.present(t, "alice", ticket).status }()
		}
		granted := 0
		for range 50 {
			if status := <-answers; status == c.granted {
				granted++
			} else if status != c.words[unusableTicket].status {
				t.Errorf("got %d", status)
			}
		}
		if granted != 1 {
			t.Errorf("%d were granted, want one", granted)
		}
	}},
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
			for _, tc := range faceCases {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					tc.run(t, c)
				})
			}
		})
	}
}
