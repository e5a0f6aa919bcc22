package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// resolveRealm is made for seeing what a request resolves to: its policy grants
// whatever it is asked, except for two types. Nothing of the type closed is
// granted, and of albums only what their owner shares.
const resolveRealm = `
realm: photoz
tokens: {signing_alg: ES256}
policy: {bundle: ./policies}
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true, password_grant: true}
  - {id: other-api, secret: other-secret, resource_server: true, service_account: true}
  - {id: photoz-app, secret: app-secret, service_account: true, password_grant: true}
  - {id: photoz-web, public: true, password_grant: true}
users:
  - {username: alice, password: alice, client_roles: {photoz-api: [uma_protection]}}
  - {username: bob, password: bob, client_roles: {photoz-api: [uma_protection]}}
  - {username: carol, password: carol}
scopes: {photoz-api: [unused, remote, approve]}
resources:
  - {name: Doc A, resource_server: photoz-api, type: doc, uris: [/doc/a], scopes: [view, edit]}
  - {name: Doc B, resource_server: photoz-api, type: doc, uris: [/doc/b, /shelf], scopes: [view]}
  - {name: with-dash, resource_server: photoz-api, type: page, uris: [/shelf, "/pages/*"], scopes: [view]}
  - {name: Other page, resource_server: photoz-api, type: page, uris: ["/pages/*", /exact], scopes: [view]}
  - {name: Wide page, resource_server: photoz-api, type: page, uris: ["/*"], scopes: [view]}
  - {name: Bare, resource_server: photoz-api, type: bare, scopes: []}
  - {name: Closed, resource_server: photoz-api, type: closed, scopes: [view, lock]}
  - {name: Stamped, resource_server: photoz-api, type: mark, scopes: [stamp, seal]}
  - {name: Signed, resource_server: photoz-api, type: mark, scopes: [sign]}
  - {name: Twin, resource_server: photoz-api, type: twin, scopes: [view]}
  - {name: Twin, resource_server: photoz-api, owner: bob, type: twin, scopes: [edit]}
  - {name: Our plan, resource_server: photoz-api, type: plan, scopes: [view, approve]}
  - {name: Alice plan, resource_server: photoz-api, owner: alice, type: plan, scopes: [view]}
  - {name: Bob plan, resource_server: photoz-api, owner: bob, type: plan, scopes: [view]}
  - {name: Alice secret plan, resource_server: photoz-api, owner: alice, type: hidden, scopes: [view], owner_managed: true}
  - {name: Our hidden plan, resource_server: photoz-api, type: hidden, scopes: [view]}
  - {name: Album, resource_server: photoz-api, owner: alice, type: album, scopes: [view, delete], owner_managed: true}
  - {name: Other thing, resource_server: other-api, type: doc, uris: [/thing], scopes: [view]}
`

var resolvePolicies = map[string]string{
	"default.rego": "package uma.policies.default\ngrant contains \"*\"\n",
	"closed.rego":  "package uma.policies.closed\ngrant contains \"*\" if false\n",
	"album.rego":   "package uma.policies.album\ngrant contains \"*\" if false\n",
}

// share lets the owner of a resource give a user one scope of it.
func share(t *testing.T, e *env, owner, resource, user, scope string) string {
	t.Helper()
	res := e.send(t, "POST", requests, e.as(t, owner, "photoz-api"), map[string]any{
		"resource": resource, "requesterName": user, "scopeName": scope, "granted": true,
	})
	if res.status != 200 || res.str("id") == "" {
		t.Fatalf("share %s of %s with %s: got %s", scope, resource, user, res)
	}
	return res.str("id")
}

// resolution is a request for permissions and what it resolves to. In values,
// {Doc A} stands for the id of the resource of that name.
type resolution struct {
	name        string
	who         string // user through photoz-web; bob when empty, `service` for photoz-api itself
	ask         string // form parameters, a line each
	want        string // what is granted, a line each, in order (see granted); or an error:
	status      int
	code        string
	description string
	anyOrder    bool
}

func (tc *resolution) run(t *testing.T, e *env, ids map[string]string) {
	t.Helper()
	who := credentials{}
	switch tc.who {
	case "":
		who = e.as(t, "bob", "photoz-web")
	case "service":
		who = e.service(t, "photoz-api")
	default:
		who = e.as(t, tc.who, "photoz-web")
	}
	fill := func(s string) string {
		for name, id := range ids {
			s = strings.ReplaceAll(s, "{"+name+"}", id)
		}
		return s
	}
	var kv []string
	for line := range strings.Lines(tc.ask) {
		name, value, _ := strings.Cut(strings.Trim(line, "\t\n"), "=")
		if name != "" {
			kv = append(kv, name, fill(value))
		}
	}
	res := e.uma(t, who, append(kv, "response_mode", "permissions")...)
	if tc.status != 0 {
		res.expect(t, tc.status, tc.code, fill(tc.description))
		return
	}
	var want []string
	for line := range strings.Lines(tc.want) {
		if line = strings.TrimSpace(line); line != "" {
			want = append(want, line)
		}
	}
	if tc.anyOrder {
		res.expectGrantedInAnyOrder(t, want...)
		return
	}
	res.expectGranted(t, want...)
}

// TestResolve holds each of Keycloak's rules: what the `permission`
// parameters of a request stand for.
func TestResolve(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(resolveRealm, resolvePolicies))
	ids := map[string]string{
		"Doc A": e.resourceID(t, "Doc A"), "Album": e.resourceID(t, "Album"),
		"Other thing": e.resourceIDOf(t, "other-api", "Other thing"),
	}
	ask := func(lines ...string) string { return strings.Join(lines, "\n") }

	tests := []resolution{
		// 1. Scopes: those of the permission and of the parameter `scope`, as far as the resource server knows them.
		{name: "1 scopes of the permission", ask: "permission=Doc A#view", want: "Doc A: view"},
		{name: "1 several scopes", ask: "permission=Doc A#view,edit", want: "Doc A: view edit"},
		{name: "1 blanks around scopes", ask: "permission=Doc A#view, edit", want: "Doc A: view edit"},
		{name: "1 the parameter scope adds", ask: ask("permission=Doc A#view", "scope=edit"), want: "Doc A: view edit"},
		{name: "1 the parameter scope adds to every permission", ask: ask("permission=Doc A#edit", "permission=Doc B", "scope=view"), want: "Doc A: view edit\nDoc B: view"},
		{name: "1 unknown scopes of the parameter are dropped", ask: ask("permission=Doc A#view", "scope=openid email"), want: "Doc A: view"},
		{name: "1 scope=openid alone is no error", ask: ask("permission=Doc A", "scope=openid"), want: "Doc A: view edit"},
		{name: "1 an unknown scope beside a known one is dropped", ask: "permission=Doc A#view,fly", want: "Doc A: view"},
		{name: "1 only unknown scopes", ask: "permission=Doc A#fly", status: 400, code: "invalid_scope", description: "One of the given scopes [fly] is invalid"},
		{name: "1 scopes are compared byte by byte", ask: "permission=Doc A#View", status: 400, code: "invalid_scope", description: "One of the given scopes [View] is invalid"},

		// 2. The resource: by id, by type, by name.
		{name: "2 by id", ask: "permission={Doc A}#view", want: "Doc A: view"},
		{name: "2 by an id that nobody has", ask: "permission=00000000-0000-4000-8000-000000000000", status: 400, code: "invalid_resource", description: "Resource with id [00000000-0000-4000-8000-000000000000] does not exist."},
		{name: "2 what looks like an id may be a name", ask: "permission=with-dash", want: "with-dash: view"},
		{name: "2 by an id of another resource server", ask: "permission={Other thing}", status: 400, code: "invalid_resource", description: "Resource with id [{Other thing}] does not exist."},
		{name: "2 resource-type: those of the resource server itself", ask: "permission=resource-type:plan", want: "Our plan: view approve"},
		{name: "2 resource-type: with scopes", ask: "permission=resource-type:doc#edit", want: "Doc A: edit"},
		{name: "2 resource-type: several", ask: "permission=resource-type:doc", want: "Doc A: view edit\nDoc B: view", anyOrder: true},
		{name: "2 resource-type-any: those of all owners", ask: "permission=resource-type-any:plan", want: "Our plan: view approve\nAlice plan: view\nBob plan: view", anyOrder: true},
		{name: "2 resource-type-any: does not leak what others manage", ask: "permission=resource-type-any:hidden", want: "Our hidden plan: view"},
		{name: "2 resource-type-instance: those of other owners than the resource server", ask: "permission=resource-type-instance:plan", want: "Alice plan: view\nBob plan: view", anyOrder: true},
		{name: "2 resource-type-owner: my own", ask: "permission=resource-type-owner:plan", want: "Bob plan: view"},
		{name: "2 resource-type: not those of another resource server", ask: "permission=resource-type:doc#view", want: "Doc A: view\nDoc B: view", anyOrder: true},
		{name: "2 a type that nothing has", ask: "permission=resource-type:nothing", status: 403, code: "access_denied", description: "not_authorized"},
		{name: "2 by name, the resource server's", ask: "permission=Doc A", want: "Doc A: view edit"},
		{name: "2 by name, my own", ask: "permission=Bob plan", want: "Bob plan: view"},
		{name: "2 by name, the resource server's alone", ask: "permission=Twin", want: "Twin: view"},
		{name: "2 by name, not somebody else's", ask: "permission=Alice plan", status: 400, code: "invalid_resource", description: "Resource with id [Alice plan] does not exist."},
		{name: "2 by name, not another resource server's", ask: "permission=Other thing", status: 400, code: "invalid_resource", description: "Resource with id [Other thing] does not exist."},
		{name: "2 names are compared byte by byte", ask: "permission=doc a", status: 400, code: "invalid_resource", description: "Resource with id [doc a] does not exist."},
		{name: "2 an unknown name after one that is found is ignored", ask: ask("permission=Doc B", "permission=Nothing"), want: "Doc B: view"},
		{name: "2 an unknown name before one that is found", ask: ask("permission=Nothing", "permission=Doc B"), status: 400, code: "invalid_resource", description: "Resource with id [Nothing] does not exist."},
		{name: "2 an unknown name asked for by the resource server itself", who: "service", ask: "permission=Nothing", status: 403, code: "access_denied", description: "not_authorized"},
		{name: "2 no scopes are all scopes", ask: "permission=Doc A", want: "Doc A: view edit"},
		{name: "2 a resource without scopes", ask: "permission=Bare", want: "Bare"},
		{name: "2 only scopes that the resource has", ask: "permission=Doc B#view,edit", want: "Doc B: view"},
		{name: "2 a resource of another owner has the scopes of its type too", ask: "permission=Bob plan#approve", want: "Bob plan: approve"},
		{name: "2 a resource of the resource server has only its own scopes", ask: "permission=Doc B#edit", status: 400, code: "invalid_resource", description: "Resource with id [Doc B] does not exist."},
		{name: "2 a permission with none of the resource's scopes is left out", ask: ask("permission=Doc A#view", "permission=Doc B#edit"), want: "Doc A: view"},

		// 3. Scopes without a resource.
		{name: "3 every resource that has the scope", ask: "permission=#stamp", want: "Stamped: stamp"},
		{name: "3 every resource that has any of the scopes", ask: "permission=#stamp,sign", want: "Stamped: stamp\nSigned: sign", anyOrder: true},
		{name: "3 a scope that no resource has stands for itself", ask: "permission=#unused", want: "#unused"},
		{name: "3 several scopes that no resource has, one permission each", ask: "permission=#unused,remote", want: "#unused\n#remote", anyOrder: true},
		{name: "3 an unknown scope", ask: "permission=#fly", status: 400, code: "invalid_scope", description: "One of the given scopes [fly] is invalid"},

		// 4. By URI.
		{name: "4 an exact URI", ask: ask("permission=/doc/a#view", "permission_resource_format=uri"), want: "Doc A: view"},
		{name: "4 in other case", ask: ask("permission=/DOC/A", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 several resources with that URI", ask: ask("permission=/shelf", "permission_resource_format=uri"), want: "Doc B: view\nwith-dash: view", anyOrder: true},
		{name: "4 a pattern does not match unless that is asked for", ask: ask("permission=/pages/7", "permission_resource_format=uri"), status: 400, code: "invalid_resource", description: "Resource with uri [/pages/7] does not exist."},
		{name: "4 with matching, all resources that share the best pattern", ask: ask("permission=/pages/7", "permission_resource_format=uri", "permission_resource_matching_uri=true"), want: "with-dash: view\nOther page: view", anyOrder: true},
		{name: "4 with matching, an exact URI comes first", ask: ask("permission=/exact", "permission_resource_format=uri", "permission_resource_matching_uri=true"), want: "Other page: view"},
		{name: "4 not another resource server's", ask: ask("permission=/thing", "permission_resource_format=uri"), status: 400, code: "invalid_resource", description: "Resource with uri [/thing] does not exist."},
		{name: "4 a trailing slash", ask: ask("permission=/doc/a/", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 double slashes", ask: ask("permission=//doc//a", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 dot segments", ask: ask("permission=/doc/b/../a", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 percent-encoding", ask: ask("permission=/doc/%61", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 encoded dot segments", ask: ask("permission=/pages/%2e%2e/doc/a", "permission_resource_format=uri", "permission_resource_matching_uri=true"), want: "Doc A: view edit"},
		{name: "4 matrix parameters", ask: ask("permission=/doc;v=1/a;x", "permission_resource_format=uri"), want: "Doc A: view edit"},
		{name: "4 malformed", ask: ask("permission=/doc/%zz", "permission_resource_format=uri", "permission_resource_matching_uri=true"), status: 400, code: "invalid_resource", description: "Resource with uri [/doc/%zz] does not exist."},
		{name: "4 permission_resource_format=id is the default", ask: ask("permission=Doc A#view", "permission_resource_format=id"), want: "Doc A: view"},

		// 5. The limit counts what is resolved, in order.
		{name: "5 the first N", ask: ask("permission=Doc B", "permission=Bare", "permission=Doc A", "response_permissions_limit=2"), want: "Doc B: view\nBare"},
		{name: "5 a resource that is named again is no other", ask: ask("permission=Doc A#view", "permission=Doc B", "permission=Doc A#edit", "response_permissions_limit=1"), want: "Doc A: view edit"},
		{name: "5 what is refused counts", ask: ask("permission=Closed", "permission=Doc A", "response_permissions_limit=1"), status: 403, code: "access_denied", description: "not_authorized"},
		{name: "5 more than there is", ask: ask("permission=Doc B", "response_permissions_limit=50"), want: "Doc B: view"},
		{name: "5 of a URI that stands for two", ask: ask("permission=/shelf", "permission_resource_format=uri", "response_permissions_limit=1"), want: "Doc B: view"},
		{name: "5 of all entitlements", ask: "response_permissions_limit=1", who: "carol", want: "Bare"},

		// The answer comes in the order of the request, one entry for a resource.
		{name: "the order of the request", ask: ask("permission=Doc B", "permission=Doc A#edit", "permission=Bare"), want: "Doc B: view\nDoc A: edit\nBare"},
		{name: "one resource twice", ask: ask("permission=Doc A#view", "permission=Doc B", "permission=Doc A#edit"), want: "Doc A: view edit\nDoc B: view"},
		{name: "one resource by name and by id", ask: ask("permission=Doc A#view", "permission={Doc A}#edit"), want: "Doc A: view edit"},
		{name: "what is refused is left out", ask: ask("permission=Closed", "permission=Doc B"), want: "Doc B: view"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.run(t, e, ids)
		})
	}
}

// TestResolveShared holds the rules of §1.6 for what an owner shared with the
// requesting party.
func TestResolveShared(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(resolveRealm, resolvePolicies))
	ids := map[string]string{"Album": e.resourceID(t, "Album")}
	share(t, e, "alice", ids["Album"], "bob", "view")
	share(t, e, "alice", e.resourceID(t, "Alice secret plan"), "bob", "view")

	tests := []resolution{
		{name: "by name, the scopes that were shared", ask: "permission=Album", want: "Album: view"},
		{name: "by name with a shared scope", ask: "permission=Album#view", want: "Album: view"},
		{name: "by name with a scope that was not shared", ask: "permission=Album#delete", status: 400, code: "invalid_resource", description: "Resource with id [Album] does not exist."},
		{name: "by name, asked by somebody else", who: "carol", ask: "permission=Album", status: 400, code: "invalid_resource", description: "Resource with id [Album] does not exist."},
		{name: "by name, asked by the owner", who: "alice", ask: "permission=Album", want: "Album: view delete"},
		{name: "by id, the scopes that were shared", ask: "permission={Album}", want: "Album: view"},
		{name: "by id with a scope that was not shared", ask: "permission={Album}#delete", status: 403, code: "access_denied", description: "not_authorized"},
		{name: "by id, asked by somebody else", who: "carol", ask: "permission={Album}", status: 403, code: "access_denied", description: "not_authorized"},
		{name: "resource-type-any: with what was shared", ask: "permission=resource-type-any:hidden", want: "Our hidden plan: view\nAlice secret plan: view", anyOrder: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.run(t, e, ids)
		})
	}
}

// TestResolveEverything holds the rules of §1.6 for requests that name nothing:
// the resource server's resources, then one's own, then what was shared.
func TestResolveEverything(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(resolveRealm, resolvePolicies))
	share(t, e, "alice", e.resourceID(t, "Album"), "bob", "view")

	theirs := "Bare\nDoc A: view edit\nDoc B: view\nOther page: view\nOur hidden plan: view\nOur plan: view approve\nSigned: sign\nStamped: stamp seal\nTwin: view\nWide page: view\nwith-dash: view\n"
	tests := []resolution{
		{name: "somebody with nothing of their own", who: "carol", want: theirs, anyOrder: true},
		{name: "somebody with resources and a share", want: theirs + "Twin: edit\nBob plan: view\nAlbum: view", anyOrder: true},
		{name: "an owner", who: "alice", want: theirs + "Alice plan: view\nAlice secret plan: view\nAlbum: view delete", anyOrder: true},
		{name: "the resource server itself", who: "service", want: theirs, anyOrder: true},
		{name: "the limit counts what is tried", who: "alice", ask: "response_permissions_limit=3", want: "Bare\nDoc A: view edit", anyOrder: true}, // Closed is the second by name
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.run(t, e, nil)
		})
	}

	t.Run("the resource server's come first, what was shared last", func(t *testing.T) {
		t.Parallel()
		got := granted(t, e.uma(t, e.as(t, "bob", "photoz-web"), "response_mode", "permissions"))
		if len(got) < 4 || got[len(got)-1] != "Album: view" {
			t.Fatalf("got %q, want the shared album at the end", got)
		}
		for _, line := range got[len(got)-3 : len(got)-1] {
			if line != "Twin: edit" && line != "Bob plan: view" {
				t.Errorf("got %q, want bob's own before the album", got)
			}
		}
	})
}

// TestMerge holds each of Keycloak's rules: what becomes of the permissions
// of an earlier RPT. Where design §4 says more, it holds that.
func TestMerge(t *testing.T) {
	t.Parallel()
	shared := start(t, withRealm(resolveRealm, map[string]string{
		"default.rego": resolvePolicies["default.rego"], "closed.rego": resolvePolicies["closed.rego"], "album.rego": resolvePolicies["album.rego"],
		"mark.rego": "package uma.policies.mark\ngrant contains \"stamp\"\n",
	}))
	bob := func(t *testing.T, e *env) credentials { return e.as(t, "bob", "photoz-web") }
	rpt := func(t *testing.T, e *env, permissions ...string) string {
		t.Helper()
		var kv []string
		for _, p := range permissions {
			kv = append(kv, "permission", p)
		}
		res := e.uma(t, bob(t, e), kv...)
		if res.status != 200 {
			t.Fatalf("get an RPT for %q: got %s", permissions, res)
		}
		return res.str("access_token")
	}

	tests := []struct {
		name     string
		carried  []string // permissions of the earlier RPT
		ask      []string // form parameters besides it
		ticket   []perm
		want     []string // what is granted, in order; nil: refused
		refusal  string   // error_description
		upgraded bool
	}{
		{"what is carried comes after what is requested", []string{"Doc A#view"}, []string{"permission", "Doc B"}, nil, []string{"Doc B: view", "Doc A: view"}, "", true},
		{"scopes of one resource are merged", []string{"Doc A#view"}, []string{"permission", "Doc A#edit"}, nil, []string{"Doc A: view edit"}, "", true},
		{"an rpt alone requests what it carries", []string{"Doc A#view", "Bare"}, nil, nil, []string{"Doc A: view", "Bare"}, "", true},
		{"what falls off the end is lost", []string{"Doc A#view"}, []string{"permission", "Doc B", "response_permissions_limit", "1"}, nil, []string{"Doc B: view"}, "", false},
		{"every requested resource must be granted", []string{"Doc A#view"}, []string{"permission", "Doc B", "permission", "Closed"}, nil, nil, "not_authorized", false},
		{"one common scope is enough", []string{"Doc A#view"}, []string{"permission", "Stamped#stamp,seal"}, nil, []string{"Stamped: stamp", "Doc A: view"}, "", true},
		{"a name without scopes is met by any scope", []string{"Doc A#view"}, []string{"permission", "Stamped"}, nil, []string{"Stamped: stamp", "Doc A: view"}, "", true},
		{"no common scope is not", []string{"Doc A#view"}, []string{"permission", "Stamped#seal"}, nil, nil, "not_authorized", false},
		{"a resource without scopes is met by itself", []string{"Doc A#view"}, []string{"permission", "Bare"}, nil, []string{"Bare", "Doc A: view"}, "", true},
		{"a scope without a resource", []string{"Doc A#view"}, []string{"permission", "#unused"}, nil, []string{"#unused", "Doc A: view"}, "", true},
		{"a name of nothing is not met", []string{"Doc A#view"}, []string{"permission", "Doc A#view", "permission", "Nothing"}, nil, nil, "not_authorized", false},
		{"what has none of the scopes is not met", []string{"Doc A#view"}, []string{"permission", "Doc A#view", "permission", "Bare#unused"}, nil, nil, "not_authorized", false},
		{"what the limit cuts off is not met", []string{"Doc A#view"}, []string{"permission", "Doc A#view", "permission", "Doc B", "response_permissions_limit", "1"}, nil, nil, "not_authorized", false},
		{"an unknown scope beside one that is granted", []string{"Doc A#view"}, []string{"permission", "Doc B#view,fly"}, nil, []string{"Doc B: view", "Doc A: view"}, "", true},
		{"a type beside it stays partial", []string{"Doc A#view"}, []string{"permission", "Doc B", "permission", "resource-type:closed"}, nil, []string{"Doc B: view", "Doc A: view"}, "", true},
		{"a ticket without scopes is met by any", []string{"Doc A#view"}, nil, []perm{{Resource: "Stamped"}}, []string{"Stamped: stamp", "Doc A: view"}, "", true},
		{"a ticket without scopes is not met by none", []string{"Doc A#view"}, nil, []perm{{Resource: "Closed"}}, nil, "request_denied", false},
		{"a ticket that the limit cuts is not met", []string{"Doc A#view"}, []string{"response_permissions_limit", "1"}, []perm{{Resource: "Doc A"}, {Resource: "Doc B"}}, nil, "request_denied", false},
		{"with a ticket that is granted", []string{"Doc A#view"}, nil, []perm{{Resource: "Doc B"}}, []string{"Doc B: view", "Doc A: view"}, "", true},
		{"with a ticket every scope must be granted", []string{"Doc A#view"}, nil, []perm{{Resource: "Stamped", Scopes: []string{"stamp", "seal"}}}, nil, "request_denied", false},
		{"with a ticket for what is carried already", []string{"Doc A#view"}, nil, []perm{{Resource: "Doc A", Scopes: []string{"view"}}}, []string{"Doc A: view"}, "", true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			kv := append([]string{"rpt", rpt(t, shared, tc.carried...)}, tc.ask...)
			if tc.ticket != nil {
				kv = append(kv, "ticket", shared.ticket(t, tc.ticket...))
			}
			res := shared.uma(t, bob(t, shared), kv...)
			if tc.want == nil {
				res.expect(t, 403, "access_denied", tc.refusal)
				return
			}
			res.expectGranted(t, tc.want...)
			if res.object()["upgraded"] != tc.upgraded {
				t.Errorf("got upgraded %v, want %t", res.object()["upgraded"], tc.upgraded)
			}
		})
	}

	t.Run("without an rpt nothing is upgraded", func(t *testing.T) {
		t.Parallel()
		if got := shared.uma(t, bob(t, shared), "permission", "Doc A").object()["upgraded"]; got != false {
			t.Errorf("got upgraded %v, want false", got)
		}
	})

	t.Run("what is gone is dropped, and the call does not fail", func(t *testing.T) {
		t.Parallel()
		id := shared.create(t, map[string]any{"name": "Passing", "type": "passing", "resource_scopes": []string{"view"}})
		old := rpt(t, shared, "Passing", "Doc A#view")
		if res := shared.do(t, request{method: "DELETE", url: resourceSet + "/" + id, as: shared.service(t, "photoz-api")}); res.status != 204 {
			t.Fatalf("delete the resource: got %s", res)
		}
		res := shared.uma(t, bob(t, shared), "rpt", old, "permission", "Doc B")
		res.expectGranted(t, "Doc B: view", "Doc A: view")
		if res.object()["upgraded"] != false {
			t.Errorf("got upgraded %v, want false", res.object()["upgraded"])
		}
	})

	t.Run("everything is evaluated again", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(resolveRealm, resolvePolicies))
		id := share(t, e, "alice", e.resourceID(t, "Album"), "bob", "view")
		old := rpt(t, e, "Album#view", "Doc A#view")
		only := rpt(t, e, "Album#view")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + id, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
			t.Fatalf("withdraw the share: got %s", res)
		}
		res := e.uma(t, bob(t, e), "rpt", old, "permission", "Doc B")
		res.expectGranted(t, "Doc B: view", "Doc A: view")
		if res.object()["upgraded"] != false {
			t.Errorf("got upgraded %v, want false", res.object()["upgraded"])
		}
		if res := e.uma(t, bob(t, e), "rpt", only); res.status == 200 {
			t.Errorf("an rpt of which nothing is left: got %s, want a refusal", res)
		}
	})

	t.Run("an expired rpt carries nothing", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(resolveRealm, resolvePolicies))
		old := rpt(t, e, "Doc A#view")
		e.Clock.Advance(6 * time.Minute)
		e.uma(t, bob(t, e), "rpt", old, "permission", "Doc B").expectGranted(t, "Doc B: view")
	})

	t.Run("one of what an rpt alone carries is lost", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(resolveRealm, resolvePolicies))
		id := share(t, e, "alice", e.resourceID(t, "Album"), "bob", "view")
		old := rpt(t, e, "Album#view", "Doc A#view")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + id, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
			t.Fatalf("withdraw the share: got %s", res)
		}
		res := e.uma(t, bob(t, e), "rpt", old)
		res.expectGranted(t, "Doc A: view")
		if res.object()["upgraded"] != false {
			t.Errorf("got upgraded %v, want false", res.object()["upgraded"])
		}
	})

	t.Run("an rpt of another resource server is ignored", func(t *testing.T) {
		t.Parallel()
		other := shared.uma(t, bob(t, shared), "permission", "Other thing", "audience", "other-api").str("access_token")
		for _, ask := range [][]string{{"permission", "Doc B"}, {"ticket", shared.ticket(t, perm{Resource: "Doc B"})}, {"permission", "Doc B", "permission", "Closed"}} {
			res := shared.uma(t, bob(t, shared), append(ask, "rpt", other)...)
			res.expectGranted(t, "Doc B: view")
			if res.object()["upgraded"] != false {
				t.Errorf("%q: got upgraded %v, want false", ask, res.object()["upgraded"])
			}
		}
		shared.uma(t, bob(t, shared), "rpt", other).expect(t, 403, "access_denied", "not_authorized")
	})

	notMine := []struct {
		name string
		rpt  func(t *testing.T) string
	}{
		{"garbage", func(*testing.T) string { return "x.y.z" }},
		{"of another party", func(t *testing.T) string {
			return shared.uma(t, shared.as(t, "carol", "photoz-web"), "permission", "Doc A").str("access_token")
		}},
		{"of another client", func(t *testing.T) string {
			return shared.uma(t, shared.as(t, "bob", "photoz-app"), "permission", "Doc A").str("access_token")
		}},
		{"an access token without permissions", func(t *testing.T) string { return shared.token(t, "bob", "photoz-web") }},
		{"an ID token", func(t *testing.T) string { return shared.idToken(t, "bob", "photoz-web") }},
	}
	for _, tc := range notMine {
		t.Run("an rpt that is not one: "+tc.name, func(t *testing.T) {
			t.Parallel()
			value := tc.rpt(t)
			if value == "" {
				t.Fatal("got no token to try with")
			}
			shared.uma(t, bob(t, shared), "rpt", value, "permission", "Doc B").expect(t, 403, "invalid_rpt", "RPT signature is invalid")
		})
	}
}

// TestCarriedClaims: a permission that is only carried keeps the claims of the former
// RPT; one that is asked for anew has those of the request. Java's PolicyEnforcer denies
// a permission with claims on a path that is configured with none.
func TestCarriedClaims(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(resolveRealm, map[string]string{
		"default.rego": resolvePolicies["default.rego"], "album.rego": resolvePolicies["album.rego"],
		"page.rego": "package uma.policies.page\ngrant contains \"*\"\nrpt := {\"claims\": {\"added\": [\"now\"]}} if input.client.id\n",
	}))
	app := e.as(t, "bob", "photoz-app")
	claims := func(res *response) string {
		t.Helper()
		if res.status != 200 {
			t.Fatalf("got %s", res)
		}
		var out []string
		for _, p := range at(payload(t, res.str("access_token")), "authorization", "permissions").([]any) {
			out = append(out, fmt.Sprint(at(p, "rsname"), at(p, "scopes"), at(p, "claims")))
		}
		return strings.Join(out, "; ")
	}
	ask := func(claim map[string][]string, kv ...string) *response {
		t.Helper()
		if claim != nil {
			kv = append(kv, "claim_token", pushed(t, claim), "claim_token_format", claimsJWT)
		}
		return e.uma(t, app, kv...)
	}
	one, two := map[string][]string{"a": {"1"}}, map[string][]string{"b": {"2"}}
	first := ask(one, "permission", "Doc A#view", "permission", "with-dash", "permission", "#unused").str("access_token")
	for _, tc := range []struct {
		name  string
		claim map[string][]string
		ask   []string
		want  string
	}{
		{"carried by a request without claims", nil, []string{"permission", "Doc B"},
			"Doc B[view] <nil>; Doc A[view] map[a:[1]]; with-dash[view] map[a:[1] added:[now]]; <nil> [unused] map[a:[1]]"},
		{"carried by a request with others", two, []string{"permission", "Doc B"},
			"Doc B[view] map[b:[2]]; Doc A[view] map[a:[1]]; with-dash[view] map[a:[1] added:[now]]; <nil> [unused] map[a:[1]]"},
		{"asked for anew", two, []string{"permission", "Doc A#edit"},
			"Doc A[edit view] map[b:[2]]; with-dash[view] map[a:[1] added:[now]]; <nil> [unused] map[a:[1]]"},
		{"an rpt alone", two, nil, "Doc A[view] map[a:[1]]; with-dash[view] map[a:[1] added:[now]]; <nil> [unused] map[a:[1]]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := claims(ask(tc.claim, append(tc.ask, "rpt", first)...)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
