package tests

import (
	"fmt"
	"strings"
	"testing"
)

// TestRPTHasNoMoreScopesThanTheToken: an RPT, and the refresh token with it, have the
// scopes of the token that asked for it, and not those of its session (RFC 6749 §6).
func TestRPTHasNoMoreScopesThanTheToken(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"vault.rego": "package uma.policies.vault\ngrant contains \"open\" if \"admin-scope\" in input.subject.scopes\n",
	}, "secret: app-secret, service_account", "secret: app-secret, scopes: [admin-scope], service_account"))
	e.create(t, map[string]any{"name": "Vault", "type": "vault", "resource_scopes": []string{"open"}})
	scope := func(token string) string { return fmt.Sprint(payload(t, token)["scope"]) }

	full := e.newSignIn(t, "bob", "photoz-app", "openid admin-scope")
	e.uma(t, bearer(full.str("access_token")), "permission", "Vault#open").expectGranted(t, "Vault: open")
	narrow := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", full.str("refresh_token"), "scope", "profile").str("access_token")

	for name, ask := range map[string]func(kv ...string) *response{
		"as a bearer": func(kv ...string) *response { return e.uma(t, bearer(narrow), kv...) },
		"as subject_token": func(kv ...string) *response {
			return e.uma(t, basic("photoz-app"), append(kv, "subject_token", narrow)...)
		},
		"as claim_token": func(kv ...string) *response {
			return e.uma(t, basic("photoz-app"), append(kv, "claim_token", narrow, "claim_token_format", claimsID)...)
		},
	} {
		ask("permission", "Vault#open").expect(t, 403, "access_denied", "not_authorized")
		res := ask("permission", "Public board#view")
		if got := scope(res.str("access_token")); got != scope(narrow) || res.str("scope") != got {
			t.Errorf("%s: got an RPT with the scope %q, want %q", name, got, scope(narrow))
		}
		again := e.refresh(t, res.str("refresh_token"))
		if got := scope(again.str("access_token")); got != scope(narrow) {
			t.Errorf("%s, refreshed: got the scope %q, want %q", name, got, scope(narrow))
		}
		for _, rpt := range []*response{res, again} {
			e.uma(t, bearer(rpt.str("access_token")), "permission", "Vault#open").expect(t, 403, "access_denied", "not_authorized")
		}
		if res := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", again.str("refresh_token"), "scope", "admin-scope"); res.status != 400 {
			t.Errorf("%s, refreshed for more: got %s", name, res)
		}
	}
	rpt := e.uma(t, bearer(full.str("access_token")), "permission", "Public board#view")
	if got := scope(rpt.str("access_token")); got != scope(full.str("access_token")) {
		t.Errorf("all of the token's: got the scope %q, want %q", got, scope(full.str("access_token")))
	}
}

// TestTooManyScopes: a request names at most 200 scopes a permission and 1,000 in all,
// whatever the endpoint, and its error does not say them all again.
func TestTooManyScopes(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("s%03d", i)
		}
		return out
	}
	list := func(n int) string { return strings.Join(names(n), ",") }
	bob, rs := e.as(t, "bob", "photoz-web"), e.service(t, "photoz-api")
	var five, six []string
	for i := range 6 {
		p := "#" + strings.ReplaceAll(list(200), "s", fmt.Sprint("t", i))
		if six = append(six, "permission", p); i < 5 {
			five = append(five, "permission", p)
		}
	}
	const unknown = "invalid_scope"
	for _, tc := range []struct {
		name string
		res  *response
		code string
	}{
		{"200 of a permission", e.uma(t, bob, "permission", "Mixed#"+list(200)), unknown},
		{"201 of a permission", e.uma(t, bob, "permission", "Mixed#"+list(201)), "invalid_request"},
		{"200, one of them twice", e.uma(t, bob, "permission", "Mixed#"+list(200)+",s000"), unknown},
		{"200 of the parameter scope", e.uma(t, bob, "permission", "Mixed", "scope", strings.Join(names(200), " ")), unknown},
		{"201 of the parameter scope", e.uma(t, bob, "permission", "Mixed", "scope", strings.Join(names(201), " ")), "invalid_request"},
		{"1,000 in all", e.uma(t, bob, five...), unknown},
		{"1,200 in all", e.uma(t, bob, six...), "invalid_request"},
		{"200 of a ticket", e.send(t, "POST", permission, rs, []perm{{Resource: "Mixed", Scopes: names(200)}}), unknown},
		{"201 of a ticket", e.send(t, "POST", permission, rs, []perm{{Resource: "Mixed", Scopes: names(201)}}), "invalid_request"},
		{"201 of an old ticket", e.send(t, "POST", "/authz/protection/permissions", rs, []object{setByName("Mixed", names(201)...)}), "invalid_request"},
		{"200 of an entitlement", e.entitle(t, bob, setByName("Mixed", names(200)...)), unknown},
		{"201 of an entitlement", e.entitle(t, bob, setByName("Mixed", names(201)...)), "invalid_request"},
	} {
		if tc.res.status != 400 || tc.res.str("error") != tc.code || len(tc.res.raw) > 300 {
			t.Errorf("%s: got %s, want 400 %s in few words", tc.name, tc.res, tc.code)
		}
	}
}
