package tests

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestGrant holds rules of the UMA 2.0 Grant that no other test names. The table
// of docs/conformance.md has all of them.
func TestGrant(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob, pat := e.as(t, "bob", "photoz-web"), e.service(t, "photoz-api")

	t.Run("G1_names_and_values_differ_by_case", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "permission", "Public board", "Response_Mode", "decision").expectGranted(t, "Public board: view post")
		e.uma(t, bob, "permission", "Public board", "response_mode", "Decision").expect(t, 400, "invalid_request", "Invalid response_mode")
		e.uma(t, bob, "permission", "public board").expect(t, 400, "invalid_resource", "")
		e.uma(t, bob, "ticket", strings.ToLower(boardTicket(t, e))).expect(t, 403, "invalid_ticket", "")
		res := e.send(t, "POST", resourceSet, pat, map[string]any{"name": "By case", "Resource_Scopes": []string{"fly"}})
		if scopes := asList(res.object()["resource_scopes"]); res.status != 201 || len(scopes) != 0 {
			t.Errorf("got %s, want a resource without scopes", res)
		}
	})

	t.Run("G2_what_is_unknown_is_ignored", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "permission", "Public board", "x_tension", "1").expectGranted(t, "Public board: view post")
		res := e.send(t, "POST", permission, pat, map[string]any{"resource_id": "Public board", "resource_scopes": []string{"view"}, "x": 1})
		e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, "Public board: view")
	})

	t.Run("G3_one_party_client_and_resource_server", func(t *testing.T) {
		t.Parallel()
		claims := payload(t, e.uma(t, bob, "permission", "Public board").str("access_token"))
		if claims["aud"] != "photoz-api" || claims["azp"] != "photoz-web" || claims["sub"] != payload(t, bob.bearer)["sub"] {
			t.Errorf("got aud %v, azp %v, sub %v", claims["aud"], claims["azp"], claims["sub"])
		}
	})

	t.Run("G4_no_permission_in_the_response", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bob, "ticket", boardTicket(t, e))
		want := []string{
			"access_token", "expires_in", "not-before-policy", "refresh_expires_in", "refresh_token", "scope",
			"session_state", "token_type", "upgraded",
		}
		if got := slices.Sorted(maps.Keys(res.object())); !slices.Equal(got, want) {
			t.Errorf("got members %q, want %q", got, want)
		}
	})

	t.Run("G6_discovery", func(t *testing.T) {
		t.Parallel()
		doc := e.get(t, "/.well-known/uma2-configuration", credentials{})
		for _, url := range []string{
			doc.str("issuer") + "/.well-known/uma2-configuration",
			strings.Replace(doc.str("issuer"), "/realms/", "/.well-known/oauth-authorization-server/realms/", 1),
			e.URL + "/.well-known/uma2-configuration",
		} {
			if res := e.do(t, request{method: "GET", url: url}); res.status != 200 || string(res.raw) != string(doc.raw) {
				t.Errorf("%s: got %s, want the same document", url, res)
			}
		}
		for _, name := range []string{"authorization_endpoint", "registration_endpoint", "claims_interaction_endpoint", "policy_endpoint", "uma_profiles_supported"} {
			if _, ok := doc.object()[name]; ok {
				t.Errorf("names %s, which is not served", name)
			}
		}
	})

	t.Run("G18_both_spellings_of_the_format", func(t *testing.T) {
		t.Parallel()
		for _, format := range []string{claimsID, claimsIDTLS} {
			e.uma(t, basic("photoz-app"), "ticket", boardTicket(t, e), "claim_token", e.idToken(t, "bob", "photoz-app"), "claim_token_format", format).
				expectGranted(t, "Public board: view")
		}
	})

	t.Run("G36_tickets_cannot_be_guessed", func(t *testing.T) {
		t.Parallel()
		form, seen := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), map[string]bool{} // 32 bytes
		for range 50 {
			ticket := boardTicket(t, e)
			if !form.MatchString(ticket) || seen[ticket] {
				t.Errorf("got ticket %q", ticket)
			}
			seen[ticket] = true
		}
	})

	t.Run("G42_only_need_info_has_a_ticket", func(t *testing.T) {
		t.Parallel()
		album := e.resourceID(t, "Holiday album")
		for name, res := range map[string]*response{
			"success":           e.uma(t, bob, "ticket", boardTicket(t, e)),
			"invalid_ticket":    e.uma(t, bob, "ticket", "garbage"),
			"request_denied":    e.uma(t, bob, "ticket", e.ticket(t, perm{Resource: "Admin area"})),
			"request_submitted": e.uma(t, bob, "ticket", e.ticket(t, perm{Resource: album, Scopes: []string{"view"}})),
		} {
			if _, ok := res.object()["ticket"]; ok {
				t.Errorf("%s: got %s, want no ticket", name, res)
			}
		}
	})

	t.Run("G50_success", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bob, "ticket", boardTicket(t, e))
		if res.status != 200 || res.str("token_type") != "Bearer" || res.object()["expires_in"] != float64(300) {
			t.Errorf("got %s", res)
		}
		if got := res.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("got Cache-Control %q, want no-store", got)
		}
	})

	t.Run("G57_the_old_RPT_stays", func(t *testing.T) {
		t.Parallel()
		old := e.uma(t, bob, "permission", "Public board#view").str("access_token")
		e.uma(t, bob, "permission", "Mixed#read", "rpt", old).expectGranted(t, "Mixed: read", "Public board: view")
		e.expectRPT(t, old, "Public board: view")
	})

	t.Run("G66_errors_are_not_stored", func(t *testing.T) {
		t.Parallel()
		for name, res := range map[string]*response{
			"a bad ticket":      e.uma(t, bob, "ticket", "garbage"),
			"a bad client":      e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_id", "ghost"),
			"a bad resource":    e.send(t, "POST", resourceSet, pat, map[string]any{}),
			"a bad permission":  e.send(t, "POST", permission, pat, []any{}),
			"another method":    e.get(t, tokenPath, credentials{}),
			"a path of nothing": e.get(t, "/nothing", credentials{}),
		} {
			if got := res.header.Get("Cache-Control"); res.status < 400 || got != "no-store" {
				t.Errorf("%s: got %d with Cache-Control %q, want no-store", name, res.status, got)
			}
		}
	})

	t.Run("G68_revocation", func(t *testing.T) {
		t.Parallel()
		const revoke = "/protocol/openid-connect/revoke"
		obtain := func() *response {
			own := e.newSignIn(t, "bob", "photoz-app", "")
			return e.uma(t, bearer(own.str("access_token")), "permission", "Public board")
		}
		for _, hint := range []string{"", "access_token", "refresh_token", "pct", "nonsense"} {
			held := obtain()
			e.post(t, revoke, basic("photoz-app"), "token", held.str("access_token"), "token_type_hint", hint)
			e.expectRPT(t, held.str("access_token"))
		}
		held := obtain()
		e.post(t, revoke, basic("photoz-api"), "token", held.str("access_token"))
		e.expectRPT(t, held.str("access_token"), "Public board: view post")
		e.post(t, revoke, basic("photoz-app"), "token", held.str("refresh_token"))
		e.expectRPT(t, held.str("access_token"))
		e.refresh(t, held.str("refresh_token")).expect(t, 400, "invalid_grant", "")
		if res := e.post(t, revoke, basic("photoz-app"), "token", "unknown"); res.status != 200 {
			t.Errorf("an unknown token: got %s, want 200", res)
		}
	})
}

// The worked example of UMA Grant §3.3.4.
const (
	exampleRealm = `realm: photoz
policy: {bundle: ./policies, timeout: 5s}
clients:
  - {id: photoz-api, secret: secret, resource_server: true, service_account: true}
  - {id: photoz-app, secret: app-secret, password_grant: true, scopes: [download]}
  - {id: photoz-web, public: true, password_grant: true}
users:
  - {username: bob, password: bob}
resources:
  - {name: album, resource_server: photoz-api, type: photo, scopes: [edit, download]}
  - {name: photo1, resource_server: photoz-api, type: photo, scopes: [view, download]}
  - {name: photo2, resource_server: photoz-api, type: photo, scopes: [view, download, print]}
`
	examplePolicy = `package uma.policies.photo
grant contains "view" if input.resource.name == "photo1"
`
)

// TestAssessment: what is asked for with a ticket and `scope`, what the policy is
// asked, and what comes of it (UMA Grant §3.3.4).
func TestAssessment(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(exampleRealm, map[string]string{"photo.rego": examplePolicy}))
	db := e.stored(t)
	asked := func(client string, kv ...string) (map[string][]string, *response) {
		ticket := e.ticket(t,
			perm{Resource: "album", Scopes: []string{"edit"}},
			perm{Resource: "photo1", Scopes: []string{"view"}},
			perm{Resource: "photo2", Scopes: []string{"view"}})
		var res *response
		got := map[string][]string{}
		for _, r := range recordsOf(t, db, func() { res = e.uma(t, e.as(t, "bob", client), append(kv, "ticket", ticket)...) }) {
			event := eventOf(t, r)
			name, _ := at(event, "input", "resource", "name").(string)
			got[name] = []string{}
			for _, s := range asList(at(event, "input", "scopes")) {
				got[name] = append(got[name], s.(string))
			}
		}
		return got, res
	}
	for _, tc := range []struct {
		name, client string
		ask          []string
		want         map[string][]string
	}{
		{
			"G44_registered_scopes_are_added", "photoz-app", []string{"scope", "download"},
			map[string][]string{"album": {"edit", "download"}, "photo1": {"view", "download"}, "photo2": {"view", "download"}},
		},
		{
			"G43_others_are_not", "photoz-app", []string{"scope", "download print"},
			map[string][]string{"album": {"edit", "download"}, "photo1": {"view", "download"}, "photo2": {"view", "download"}},
		},
		{
			"G21_nor_those_of_a_client_that_registered_none", "photoz-web", []string{"scope", "download"},
			map[string][]string{"album": {"edit"}, "photo1": {"view"}, "photo2": {"view"}},
		},
		{
			"G43_without_scope_it_is_the_ticket", "photoz-app", nil,
			map[string][]string{"album": {"edit"}, "photo1": {"view"}, "photo2": {"view"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, res := asked(tc.client, tc.ask...)
			if !maps.EqualFunc(got, tc.want, slices.Equal) {
				t.Errorf("the policy was asked for %v, want %v", got, tc.want)
			}
			res.expectGranted(t, "photo1: view") // G46, G48: the candidates, in part
		})
	}
}

// TestFederated holds rules of Federated Authorization that no other test names.
func TestFederated(t *testing.T) {
	t.Parallel()
	e := start(t)
	pat, bob := e.service(t, "photoz-api"), e.as(t, "bob", "photoz-web")
	call := func(t *testing.T, method, path string) *response {
		t.Helper()
		return e.do(t, request{method: method, url: path, as: pat})
	}

	t.Run("F1_nothing_over_plain_HTTP", func(t *testing.T) {
		t.Parallel()
		for _, url := range []string{"http://as.example.com", "http://192.0.2.1", "ftp://as.example.com"} {
			_, stderr, code := umpire(t, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "", "--public-url", url, "--data", t.TempDir())
			if code != 2 || !strings.Contains(stderr, "https, or http for a loopback address") {
				t.Errorf("%s: got exit code %d and %q, want it refused", url, code, stderr)
			}
		}
	})

	t.Run("F4_without_the_owner", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Holiday album"), Scopes: []string{"view"}}) // alice's; she is not signed in
		e.uma(t, e.as(t, "alice", "photoz-web"), "ticket", ticket).expectGranted(t, "Holiday album: view")
	})

	t.Run("F5_discovery", func(t *testing.T) {
		t.Parallel()
		doc := e.get(t, "/.well-known/uma2-configuration", credentials{})
		for name, path := range map[string]string{
			"resource_registration_endpoint": resourceSet, "permission_endpoint": permission, "introspection_endpoint": introspect,
		} {
			if got := doc.str(name); got != e.base()+path {
				t.Errorf("%s: got %q, want %q", name, got, e.base()+path)
			}
		}
	})

	t.Run("F11_registration", func(t *testing.T) {
		t.Parallel()
		for name, slash := range map[string]string{"Without": "", "With": "/"} {
			res := e.send(t, "POST", resourceSet+slash, pat, map[string]any{"name": name + " slash", "resource_scopes": []string{"view"}})
			id := res.str("_id")
			if res.status != 201 || id == "" {
				t.Errorf("create: got %s, want 201 with _id", res)
			}
			if _, ok := res.object()["user_access_policy_uri"]; ok {
				t.Errorf("create: got %s, want no user_access_policy_uri", res)
			}
			one := resourceSet + "/" + id + slash
			if res := call(t, "GET", one); res.status != 200 || res.str("_id") != id || res.str("name") != name+" slash" {
				t.Errorf("read: got %s, want 200 with the description", res)
			}
			if res := e.send(t, "PUT", one, pat, map[string]any{"name": name + " slash", "icon_uri": "https://example.com/i.png"}); res.status != 204 {
				t.Errorf("update: got %s, want 204", res)
			}
			after := call(t, "GET", one)
			if after.str("icon_uri") == "" || len(asList(after.object()["resource_scopes"])) != 0 {
				t.Errorf("read after update: got %s, want the new description alone", after)
			}
			if res := call(t, "GET", resourceSet+slash); res.status != 200 || !slices.Contains(asList(res.json), any(id)) {
				t.Errorf("list: got %s, want 200 with the id", res)
			}
			if res := call(t, "DELETE", one); res.status != 204 {
				t.Errorf("delete: got %s, want 204", res)
			}
			if res := call(t, "GET", one); res.status != 404 {
				t.Errorf("read after delete: got %s, want 404", res)
			}
			e.send(t, "POST", permission, pat, []perm{{Resource: id}}).expect(t, 400, "invalid_resource_id", "")
		}
	})

	t.Run("F20_a_member_twice", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{
			`{"name":"Twice","name":"Twice"}`, `{"name":"Twice","attributes":{"a":["1"],"a":["2"]}}`,
			`{"name":"Twice","resource_scopes":[{"name":"view","name":"post"}]}`,
		} {
			res := e.do(t, request{method: "POST", url: resourceSet, as: pat, body: body, headers: map[string]string{"Content-Type": "application/json"}})
			res.expect(t, 400, "invalid_request", "")
		}
	})

	t.Run("F21_an_object_or_an_array", func(t *testing.T) {
		t.Parallel()
		view := map[string]any{"resource_id": "Public board", "resource_scopes": []string{"view"}}
		read := map[string]any{"resource_id": "Mixed", "resource_scopes": []string{"read"}}
		for want, body := range map[string]any{"Public board: view": view, "Mixed: read": []any{read}} {
			res := e.send(t, "POST", permission, pat, body)
			e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, want)
		}
	})

	t.Run("F23_no_scopes_are_all", func(t *testing.T) {
		t.Parallel()
		res := e.send(t, "POST", permission, pat, map[string]any{"resource_id": "Public board", "resource_scopes": []string{}})
		e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, "Public board: view post")
	})

	t.Run("F23_several_owners", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}}, perm{Resource: e.resourceID(t, "Holiday album"), Scopes: []string{"view"}})
		e.uma(t, e.as(t, "alice", "photoz-web"), "ticket", ticket).expectGranted(t, "Public board: view", "Holiday album: view")
	})

	t.Run("F24_ticket", func(t *testing.T) {
		t.Parallel()
		res := e.send(t, "POST", permission, pat, []perm{{Resource: "Public board", Scopes: []string{"view"}}, {Resource: "Mixed", Scopes: []string{"read"}}})
		if res.status != http.StatusCreated || len(res.object()) != 1 || res.str("ticket") == "" {
			t.Fatalf("got %s, want 201 with a ticket alone", res)
		}
		e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, "Public board: view", "Mixed: read")
	})

	t.Run("F25_unknown_resources_and_scopes", func(t *testing.T) {
		t.Parallel()
		board := perm{Resource: "Public board", Scopes: []string{"view"}}
		e.send(t, "POST", permission, pat, []perm{board, {Resource: "ghost"}}).expect(t, 400, "invalid_resource_id", "")
		e.send(t, "POST", permission, pat, []perm{board, {Resource: "Mixed", Scopes: []string{"view"}}}).expect(t, 400, "invalid_scope", "Scope [view] is invalid")
	})

	t.Run("F27_introspected_permissions", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, bob, "permission", "Public board#view", "permission", "Bare").str("access_token")
		list := asList(e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", "requesting_party_token").object()["permissions"])
		if len(list) != 2 {
			t.Fatalf("got %s, want two permissions", show(list))
		}
		for _, p := range list {
			if _, ok := asObject(p)["resource_scopes"].([]any); !ok || asObject(p)["resource_id"] == nil {
				t.Errorf("got %s, want resource_id and the array resource_scopes", show(p))
			}
		}
	})

	t.Run("F29_other_hints_show_the_token", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, bob, "permission", "Public board#view").str("access_token")
		for _, kv := range [][]string{{"token", rpt}, {"token", rpt, "token_type_hint", "access_token"}} {
			res := e.post(t, introspect, basic("photoz-api"), kv...)
			list := asList(asObject(res.object()["authorization"])["permissions"])
			if res.object()["active"] != true || len(list) != 1 || res.object()["permissions"] != nil {
				t.Errorf("%q: got %s, want the permissions where the token has them", kv[2:], res)
			}
		}
	})

	t.Run("F30_other_tokens_have_scope_and_no_permissions", func(t *testing.T) {
		t.Parallel()
		token := e.newSignIn(t, "bob", "photoz-app", "").str("access_token")
		res := e.post(t, introspect, basic("photoz-app"), "token", token)
		_, permissions := res.object()["permissions"]
		if res.object()["active"] != true || res.str("scope") == "" || permissions {
			t.Errorf("got %s, want an active token with scope and no permissions", res)
		}
	})

	t.Run("F8_a_PAT_lasts_as_long_as_the_realm_says", func(t *testing.T) {
		t.Parallel()
		e := start(t, photozWith(t, nil, "access: 5m", "access: 30s"))
		pat := e.service(t, "photoz-api")
		if res := e.get(t, resourceSet, pat); res.status != 200 {
			t.Fatalf("got %s, want 200", res)
		}
		e.Clock.Advance(31 * time.Second)
		e.get(t, resourceSet, pat).expect(t, 403, "invalid_bearer_token", "")
	})
}
