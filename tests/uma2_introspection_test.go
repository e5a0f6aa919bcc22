package tests

import (
	"fmt"
	"slices"
	"testing"
)

// TestUMA2Introspection is FedAuthz §5 in a realm with the profile uma2.
func TestUMA2Introspection(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, service, app := e.patOf(t, "alice", "photoz-api"), e.patOf(t, "", "photoz-api"), e.as(t, "bob", "photoz-app")
	open := e.register(t, alice, typed("open", "view", "print"))
	obtain := func() *response { return e.uma(t, app, "ticket", e.strictTicket(t, alice, ask(open, "view"))) }
	look := func(as credentials, token string, kv ...string) *response {
		return e.post(t, introspect, as, append(kv, "token", token)...)
	}
	inactive := func(t *testing.T, what string, res *response) {
		t.Helper()
		if res.status != 200 || string(res.raw) != `{"active":false}` {
			t.Errorf("%s: got %s, want 200 and that it is not active", what, res)
		}
	}

	t.Run("F26_permissions_and_no_scope_whatever_the_hint", func(t *testing.T) {
		t.Parallel()
		rpt := obtain().str("access_token")
		claims := payload(t, rpt)
		for _, hint := range [][]string{nil, {"token_type_hint", "access_token"}, {"token_type_hint", "requesting_party_token"}, {"token_type_hint", "refresh_token"}} {
			for _, as := range []credentials{alice, service, basic("photoz-api"), basic("photoz-app")} {
				res := look(as, rpt, hint...)
				want := []string{"active", "aud", "client_id", "exp", "iat", "iss", "jti", "permissions", "token_type"}
				if got := members(res); res.status != 200 || res.object()["active"] != true || !slices.Equal(got, want) {
					t.Errorf("%v: got %s, want members %q", hint, res, want)
				}
				for _, name := range []string{"exp", "iat", "iss", "aud", "jti"} {
					if fmt.Sprint(res.object()[name]) != fmt.Sprint(claims[name]) {
						t.Errorf("%v: got %s %v, want %v", hint, name, res.object()[name], claims[name])
					}
				}
			}
		}
	})

	t.Run("F27_F28_members_of_a_permission", func(t *testing.T) {
		t.Parallel()
		rpt := obtain().str("access_token")
		want := []any{map[string]any{"resource_id": open, "resource_scopes": []any{"view"}, "exp": payload(t, rpt)["exp"]}}
		if got := look(alice, rpt); fmt.Sprint(got.object()["permissions"]) != fmt.Sprint(want) {
			t.Errorf("got %s, want permissions %v", got, want)
		}
		bare := e.register(t, alice, scoped())
		res := e.uma(t, e.as(t, "alice", "photoz-app"), "ticket", e.strictTicket(t, alice, ask(bare)))
		want = []any{map[string]any{"resource_id": bare, "resource_scopes": []any{}, "exp": payload(t, res.str("access_token"))["exp"]}}
		if got := look(alice, res.str("access_token")); fmt.Sprint(got.object()["permissions"]) != fmt.Sprint(want) {
			t.Errorf("of a resource without scopes: got %s, want %v", got, want)
		}
	})

	t.Run("F3_of_the_owner_and_the_resource_server", func(t *testing.T) {
		t.Parallel()
		rpt := obtain().str("access_token")
		inactive(t, "another owner's PAT", look(e.patOf(t, "bob", "photoz-api"), rpt))
		inactive(t, "another resource server's PAT", look(e.patOf(t, "alice", "other-api"), rpt))
		inactive(t, "another resource server", look(basic("other-api"), rpt))
		inactive(t, "another client", look(basic("plain-app"), rpt))
	})

	t.Run("F26_what_is_no_good", func(t *testing.T) {
		t.Parallel()
		rpt := obtain().str("access_token")
		for name, token := range map[string]string{
			"garbage": "garbage", "forged": forged(rpt), "an ID token": e.idToken(t, "bob", "photoz-api"), "a ticket": e.strictTicket(t, alice, ask(open, "view")),
		} {
			inactive(t, name, look(service, token))
		}
	})

	t.Run("F30_other_tokens_have_scope_and_no_permissions", func(t *testing.T) {
		t.Parallel()
		for name, token := range map[string]string{
			"an access token": e.token(t, "bob", "photoz-api"), "a refresh token": e.newSignIn(t, "bob", "photoz-api", "").str("refresh_token"),
			"a service account's": e.serviceToken(t, "photoz-api"),
		} {
			res := look(service, token)
			if res.object()["active"] != true || res.str("scope") != "profile email" || res.object()["permissions"] != nil || res.str("client_id") != "photoz-api" {
				t.Errorf("%s: got %s, want scope and no permissions", name, res)
			}
		}
		// The refresh token of an RPT is the client's.
		refresh := obtain().str("refresh_token")
		if res := look(basic("photoz-app"), refresh); res.object()["active"] != true || res.object()["permissions"] != nil {
			t.Errorf("an RPT's refresh token: got %s", res)
		}
		inactive(t, "an RPT's refresh token", look(service, refresh))
		e.refresh(t, refresh)
		inactive(t, "a used refresh token", look(basic("photoz-app"), refresh))
	})

	t.Run("A-98_who_may_not_introspect", func(t *testing.T) {
		t.Parallel()
		rpt := obtain().str("access_token")
		look(credentials{}, rpt).expect(t, 401, "invalid_client", "")
		look(basic("ghost"), rpt).expect(t, 401, "invalid_client", "")
		look(credentials{}, rpt, "client_id", "photoz-web").expect(t, 400, "unauthorized_client", "")
		look(bearer("garbage"), rpt).expect(t, 401, "invalid_token", "")
		look(bearer(rpt), rpt).expect(t, 403, "insufficient_scope", "")
		look(e.as(t, "alice", "photoz-api"), rpt).expect(t, 403, "insufficient_scope", "") // without the scope uma_protection
		look(app, rpt).expect(t, 403, "insufficient_scope", "")
		look(service, "").expect(t, 400, "invalid_request", "Token not provided.")
		e.get(t, introspect, service, "token", rpt).expect(t, 405, "unsupported_method_type", "")
	})

	t.Run("A-101_what_is_gone_is_left_out", func(t *testing.T) {
		t.Parallel()
		first, second := e.register(t, alice, typed("open", "view")), e.register(t, alice, typed("open", "view"))
		rpt := e.uma(t, app, "ticket", e.strictTicket(t, alice, ask(first, "view"), ask(second, "view"))).str("access_token")
		e.do(t, request{method: "DELETE", url: resourceSet + "/" + first, as: alice})
		if got := asList(look(alice, rpt).object()["permissions"]); len(got) != 1 || asObject(got[0])["resource_id"] != second {
			t.Errorf("got %v, want what is left", got)
		}
		e.send(t, "PUT", resourceSet+"/"+second, alice, typed("open"))
		inactive(t, "with nothing left", look(alice, rpt))
	})
}

// TestUMA2Discovery is the document of a realm with the profile uma2.
func TestUMA2Discovery(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	doc := e.get(t, "/.well-known/uma2-configuration", credentials{})

	t.Run("F6_endpoints", func(t *testing.T) {
		t.Parallel()
		for name, path := range map[string]string{
			"issuer": "", "token_endpoint": tokenPath, "introspection_endpoint": introspect,
			"resource_registration_endpoint": resourceSet, "permission_endpoint": permission,
		} {
			if got := doc.str(name); got != e.base()+path {
				t.Errorf("%s: got %q, want %q", name, got, e.base()+path)
			}
		}
		if wrong := namesOnlyWhatIsServed(t, e, doc); len(wrong) > 0 {
			t.Error(wrong)
		}
		if _, ok := doc.object()["policy_endpoint"]; ok {
			t.Error("names policy_endpoint, which is Keycloak's")
		}
	})

	t.Run("G8_G10_profiles", func(t *testing.T) {
		t.Parallel()
		if got := asList(doc.object()["uma_profiles_supported"]); !slices.Equal(got, understood) {
			t.Errorf("got %v, want the claim token formats %v", got, understood)
		}
	})

	t.Run("A-103_whatever_the_host", func(t *testing.T) {
		t.Parallel()
		if got := e.withHost(t, "evil.example", "/.well-known/uma2-configuration"); string(got.raw) != string(doc.raw) {
			t.Errorf("got %s, want %s", got, doc)
		}
	})
}
