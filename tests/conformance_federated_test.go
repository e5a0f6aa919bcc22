package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

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
			if code != 2 || !strings.Contains(stderr, "want https, or http with a loopback address") {
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
