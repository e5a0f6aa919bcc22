package tests

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestAttackIntrospection is those on introspection, revocation and discovery.
func TestAttackIntrospection(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-web")
	rpt := e.uma(t, bob, "permission", "Public board#view").str("access_token")

	t.Run("A-98_without_authentication", func(t *testing.T) {
		t.Parallel()
		for name, res := range map[string]*response{
			"nobody":               e.post(t, introspect, credentials{}, "token", rpt),
			"a wrong secret":       e.post(t, introspect, credentials{}, "token", rpt, "client_id", "photoz-api", "client_secret", "wrong"),
			"a public client":      e.post(t, introspect, credentials{}, "token", rpt, "client_id", "photoz-web"),
			"a confidential by id": e.post(t, introspect, credentials{}, "token", rpt, "client_id", "photoz-api"),
			"the token itself":     e.post(t, introspect, bearer(rpt), "token", rpt),
		} {
			if res.status != 401 && res.status != 403 || res.object()["active"] != nil {
				t.Errorf("%s: got %s, want 401", name, res)
			}
		}
		res := e.get(t, introspect, basic("photoz-api"), "token", rpt)
		if res.status != 405 || res.object()["active"] != nil {
			t.Errorf("GET: got %s, want 405", res)
		}
	})

	t.Run("A-98_tokens_that_are_none", func(t *testing.T) {
		t.Parallel()
		for name, token := range map[string]string{
			"forged": forged(rpt), "alg none": unsigned(rpt), "cut off": rpt[:len(rpt)-10], "a ticket": boardTicket(t, e), "odd": "a.b.c.d.e",
		} {
			for _, hint := range []string{"requesting_party_token", "access_token", "refresh_token"} {
				res := e.post(t, introspect, basic("photoz-api"), "token", token, "token_type_hint", hint)
				if res.status != 200 || res.object()["active"] != false || len(res.object()) != 1 {
					t.Errorf("%s as %s: got %s, want inactive", name, hint, res)
				}
			}
		}
	})

	t.Run("A-101_resource_deleted", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Doomed", "type": "board", "resource_scopes": []string{"view"}})
		both := e.uma(t, bob, "permission", "Doomed", "permission", "Public board#view").str("access_token")
		alone := e.uma(t, bob, "permission", "Doomed").str("access_token")
		remove(t, e, id)
		res := e.post(t, introspect, basic("photoz-api"), "token", both, "token_type_hint", "requesting_party_token")
		if res.object()["active"] != true || len(asList(res.object()["permissions"])) != 1 {
			t.Errorf("one of two gone: got %s, want the other one", res)
		}
		if active(t, e, alone) {
			t.Error("the only one gone: still active")
		}
	})

	t.Run("A-101_scope_removed", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Shrunk", "type": "board", "resource_scopes": []string{"view", "post"}})
		both := e.uma(t, bob, "permission", "Shrunk").str("access_token")
		replace(t, e, id, map[string]any{"name": "Shrunk", "type": "board", "resource_scopes": []string{"view"}})
		res := e.post(t, introspect, basic("photoz-api"), "token", both, "token_type_hint", "requesting_party_token")
		list := asList(res.object()["permissions"])
		if len(list) != 1 || show(asObject(list[0])["scopes"]) != `["view"]` {
			t.Errorf("got %s, want the scope that is left", res)
		}
		replace(t, e, id, map[string]any{"name": "Shrunk", "type": "board", "resource_scopes": []string{}})
		if active(t, e, both) {
			t.Error("no scope left: still active; empty is not all")
		}
	})

	t.Run("A-101_user_disabled", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		answer := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view")
		plain := e.token(t, "bob", "photoz-web")
		e.apply(t, strings.Replace(photozRealm(t), "{username: bob,", "{username: bob, enabled: false,", 1))
		within1s(t, "the RPT of a disabled user is inactive", func() bool { return !active(t, e, answer.str("access_token")) })
		e.uma(t, bearer(plain), "permission", "Public board").expect(t, 401, "invalid_grant", "Invalid bearer token")
		refused(t, "refresh", e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", answer.str("refresh_token")))
		refused(t, "password", e.post(t, tokenPath, credentials{}, "grant_type", "password", "client_id", "photoz-web", "username", "bob", "password", "bob"))
	})

	t.Run("A-101_client_disabled", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").str("access_token")
		e.apply(t, strings.Replace(photozRealm(t), "{id: photoz-web,", "{id: photoz-web, enabled: false,", 1))
		within1s(t, "the RPT of a disabled client is inactive", func() bool { return !active(t, e, rpt) })
	})

	t.Run("A-101_key_rotated", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		before := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").str("access_token")
		e.rotateKey(t)
		within1s(t, "old and new key are published", func() bool {
			return len(asList(e.get(t, "/protocol/openid-connect/certs", credentials{}).object()["keys"])) >= 2
		})
		if !active(t, e, before) {
			t.Error("a token of the old key is inactive, want it good until it expires")
		}
		after := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").str("access_token")
		if header(after) == header(before) {
			t.Error("the new token is signed by the old key")
		}
	})

	t.Run("A-102_scope_does_not_leak", func(t *testing.T) {
		t.Parallel()
		res := e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", "requesting_party_token")
		if _, leaks := res.object()["scope"]; leaks || res.object()["active"] != true {
			t.Errorf("got %s, want no scope (FedAuthz §5.1.1)", res)
		}
		for _, p := range asList(res.object()["permissions"]) {
			for name := range asObject(p) {
				if !slices.Contains([]string{"resource_id", "rsname", "resource_scopes", "scopes", "rsid"}, name) {
					t.Errorf("got member %s in a permission, want exactly five", name)
				}
			}
		}
	})

	t.Run("A-103_issuer_by_host", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/.well-known/uma2-configuration", "/.well-known/openid-configuration", ""} {
			res := e.withHost(t, "evil.example", path)
			if res.status != 200 || bytes.Contains(res.raw, []byte("evil")) {
				t.Errorf("%s: got %s, want it as configured", path, res)
			}
		}
		doc := e.get(t, "/.well-known/uma2-configuration", credentials{})
		if doc.str("issuer") != e.base() {
			t.Errorf("got issuer %q, want %q", doc.str("issuer"), e.base())
		}
	})
}

// header is the first part of a JWT: algorithm and key.
func header(token string) string {
	first, _, _ := strings.Cut(token, ".")
	return first
}
