package tests

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
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
		for _, name := range []string{"authorization_endpoint", "registration_endpoint", "claims_interaction_endpoint", "uma_profiles_supported"} {
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
		form, seen := regexp.MustCompile(`^[A-Za-z0-9_-]{51}$`), map[string]bool{} // the time, and 32 bytes
		for range 50 {
			ticket := boardTicket(t, e)
			if !form.MatchString(ticket) || seen[ticket[8:]] {
				t.Fatalf("got ticket %q", ticket)
			}
			seen[ticket[8:]] = true
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
