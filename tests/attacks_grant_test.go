package tests

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAttackGrant is those on the token endpoint.
func TestAttackGrant(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil,
		"  - {id: photoz-web, public: true,", "  - {id: batch, secret: batch-secret}\n  - {id: photoz-web, public: true,"))
	bob := e.as(t, "bob", "photoz-web")
	album := e.resourceID(t, "Holiday album")

	t.Run("A-44_empty_ticket", func(t *testing.T) {
		t.Parallel()
		refused(t, "empty ticket", e.uma(t, bob, "ticket", ""))
		refused(t, "empty ticket beside permissions", e.uma(t, bob, "ticket", "", "permission", "Public board", "audience", "photoz-api"))
		refused(t, "blank ticket", e.uma(t, bob, "ticket", " "))
		e.post(t, tokenPath, bob, "ticket", boardTicket(t, e)).expect(t, 400, "invalid_request", "Missing form parameter: grant_type")
	})

	t.Run("A-45_other_bodies", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		for kind, body := range map[string]string{
			"application/json":                `{"grant_type":"` + umaGrant + `","ticket":"` + ticket + `"}`,
			"multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\n" + umaGrant + "\r\n--b\r\nContent-Disposition: form-data; name=\"ticket\"\r\n\r\n" + ticket + "\r\n--b--\r\n",
			"text/plain":                      form("grant_type", umaGrant, "ticket", ticket).encode(),
		} {
			res := e.do(t, request{method: "POST", url: tokenPath, as: bob, body: body, headers: map[string]string{"Content-Type": kind}})
			refused(t, kind, res)
		}
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
	})

	t.Run("A-46_grants_that_are_not_the_clients", func(t *testing.T) {
		t.Parallel()
		e.post(t, tokenPath, basic("photoz-app"), "grant_type", "urn:x").expect(t, 400, "unsupported_grant_type", "Unsupported grant_type")
		for _, grant := range []string{"authorization_code", "implicit"} {
			e.post(t, tokenPath, basic("photoz-app"), "grant_type", grant).expect(t, 400, "unsupported_grant_type", "Unsupported grant_type")
		}
		for name, res := range map[string]*response{
			"client_credentials without a service account": e.post(t, tokenPath, basic("plain-app"), "grant_type", "client_credentials"),
			"client_credentials of a public client":        e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_id", "photoz-web"),
			"the grant as oneself without one":             e.uma(t, basic("plain-app"), "permission", "Public board"),
			"password without the right": e.post(t, tokenPath, credentials{}, "grant_type", "password", "client_id", "batch", "client_secret", "batch-secret",
				"username", "bob", "password", "bob"),
		} {
			refused(t, name, res)
			if res.str("error") != "unauthorized_client" {
				t.Errorf("%s: got error %q, want unauthorized_client", name, res.str("error"))
			}
		}
	})

	t.Run("A-47_two_clients_in_one_request", func(t *testing.T) {
		t.Parallel()
		for name, res := range map[string]*response{
			"one right, one of another":  e.post(t, tokenPath, basic("photoz-app"), "grant_type", "client_credentials", "client_id", "other-api", "client_secret", "other-secret"),
			"one right, the other wrong": e.post(t, tokenPath, basic("photoz-app"), "grant_type", "client_credentials", "client_id", "photoz-app", "client_secret", "wrong"),
		} {
			refused(t, name, res)
		}
	})

	t.Run("A-48_client_assertions", func(t *testing.T) {
		t.Parallel()
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"photoz-app","sub":"photoz-app","aud":%q,"jti":"1","exp":9999999999}`, e.base()))
		for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS256"}`, `{"alg":"RS256"}`} {
			assertion := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + claims + "."
			for _, kv := range [][]string{{}, {"client_id", "photoz-app"}} {
				res := e.post(t, tokenPath, credentials{}, append(kv, "grant_type", "client_credentials",
					"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion)...)
				res.expect(t, 401, "invalid_client", "")
			}
		}
	})

	t.Run("A-49_scopes_that_the_ticket_is_not_for", func(t *testing.T) {
		t.Parallel()
		// photoz-web has registered no scopes: what it asks for beside the ticket adds nothing (UMA Grant §3.3.4).
		for _, scope := range []string{"post", "view post", "withdraw", "fly"} {
			res := e.uma(t, bob, "ticket", boardTicket(t, e), "scope", scope)
			if res.status == 200 {
				res.expectGranted(t, "Public board: view")
			} else {
				refused(t, scope, res)
			}
		}
	})

	t.Run("A-51_no_policy_grants_nothing", func(t *testing.T) {
		t.Parallel()
		policies := map[string]map[string]string{
			"none at all":             {},
			"an empty package":        {"board.rego": "package uma.policies.board\n"},
			"undefined":               {"board.rego": "package uma.policies.board\ngrant contains s if { some s in input.nothing }\n"},
			"an error in a rule":      {"board.rego": "package uma.policies.board\ngrant contains \"*\" if to_number(input.subject.username) > 0\n"},
			"a value that is no name": {"board.rego": "package uma.policies.board\ngrant contains true\ngrant contains 1\ngrant contains {}\n"},
		}
		for name, files := range policies {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := start(t, withRealm(photozRealm(t), files))
				bob := e.as(t, "bob", "photoz-web")
				for _, ask := range [][]string{{"permission", "Public board"}, {"permission", "#view"}, {}, {"ticket", boardTicket(t, e)}} {
					res := e.uma(t, bob, ask...)
					if res.status != 403 && res.status != 503 || res.str("access_token") != "" {
						t.Errorf("%v: got %s, want a refusal", ask, res)
					}
				}
			})
		}
	})

	t.Run("A-51_an_error_in_a_denial_is_no_grant", func(t *testing.T) {
		t.Parallel()
		e := start(t, photozWith(t, map[string]string{"guardrails.rego": "package uma.guardrails\ndeny contains \"no\" if to_number(input.subject.username) > 0\n"}))
		res := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board")
		if res.status != 403 && res.status != 503 {
			t.Errorf("got %s, want a refusal", res)
		}
	})

	t.Run("A-52_permissions_without_scopes", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "ticket", e.ticket(t, perm{Resource: "Admin area"})).expect(t, 403, "access_denied", "request_denied")
		e.uma(t, bob, "ticket", e.ticket(t, perm{Resource: "Admin area", Scopes: []string{}})).expect(t, 403, "access_denied", "request_denied")
		carol := e.as(t, "carol", "photoz-web")
		e.uma(t, carol, "permission", "Bare").expect(t, 403, "access_denied", "not_authorized")
		e.uma(t, carol, "ticket", e.ticket(t, perm{Resource: "Bare"})).expect(t, 403, "access_denied", "request_denied")
	})

	t.Run("A-53_odd_characters", func(t *testing.T) {
		t.Parallel()
		for _, odd := range []string{"a\r\nSet-Cookie: x=1", `a"},{"access_token":"x`, "ü\u202e<script>", "\x00", "\xff\xfe", strings.Repeat("%0a", 50)} {
			for _, ask := range [][]string{{"permission", odd}, {"permission", "Public board#" + odd}, {"ticket", odd}, {"permission", "x", "audience", odd}, {"permission", "Public board", "response_mode", odd}} {
				res := e.uma(t, bob, ask...)
				refused(t, fmt.Sprintf("%q", ask), res)
				if res.json == nil || res.header.Get("Set-Cookie") != "" || res.str("error") == "" {
					t.Errorf("%q: got %s with %v, want one JSON error and no header of the sender's", ask, res, res.header)
				}
			}
		}
	})

	t.Run("A-54_refresh_after_a_withdrawal", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		id := share(t, e, "alice", e.resourceID(t, "Holiday album"), "bob", "view")
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Holiday album", "permission", "Public board#view")
		rpt.expectGranted(t, "Holiday album: view", "Public board: view")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + id, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
			t.Fatalf("withdraw: got %s", res)
		}
		left := e.post(t, introspect, basic("photoz-api"), "token", rpt.str("access_token"), "token_type_hint", "requesting_party_token")
		names := []string{}
		for _, p := range asList(left.object()["permissions"]) {
			names = append(names, fmt.Sprint(asObject(p)["rsname"]))
		}
		if left.object()["active"] != true || !slices.Equal(names, []string{"Public board"}) {
			t.Errorf("introspection: got %s, want what is left", left)
		}
		res := e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", rpt.str("refresh_token"))
		res.expect(t, 400, "invalid_grant", "")
	})

	t.Run("A-54_bearer_after_a_withdrawal", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		id := share(t, e, "alice", e.resourceID(t, "Holiday album"), "bob", "view")
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Holiday album").str("access_token")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + id, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
			t.Fatalf("withdraw: got %s", res)
		}
		if active(t, e, rpt) {
			t.Error("the RPT is still active")
		}
		e.uma(t, bearer(rpt), "permission", "Public board").expect(t, 401, "invalid_grant", "Invalid bearer token")
	})

	t.Run("A-55_refresh_by_another_client", func(t *testing.T) {
		t.Parallel()
		mine := e.newSignIn(t, "bob", "photoz-web", "").str("refresh_token")
		res := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", mine)
		res.expect(t, 400, "invalid_grant", "Invalid refresh token. Token client and authorized client don't match")
		// That attempt ended nothing.
		if res := e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", mine); res.status != 200 {
			t.Errorf("the rightful client: got %s, want 200", res)
		}
	})

	t.Run("A-55_refresh_with_more", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, bob, "permission", "Public board#view")
		res := e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", rpt.str("refresh_token"),
			"scope", "post", "permission", "Mixed", "audience", "other-api")
		if res.status == 200 {
			res.expectGranted(t, "Public board: view")
			if got := payload(t, res.str("access_token"))["aud"]; got != "photoz-api" {
				t.Errorf("got aud %v, want photoz-api", got)
			}
		} else {
			refused(t, "with more", res)
		}
	})

	t.Run("A-55_reuse_of_a_rotated_refresh_token", func(t *testing.T) {
		t.Parallel()
		first := e.newSignIn(t, "bob", "photoz-web", "")
		refresh := func(token string) *response {
			return e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", token)
		}
		second := refresh(first.str("refresh_token"))
		if second.status != 200 || second.str("refresh_token") == first.str("refresh_token") {
			t.Fatalf("refresh: got %s, want a new refresh token", second)
		}
		refresh(first.str("refresh_token")).expect(t, 400, "invalid_grant", "")
		refresh(second.str("refresh_token")).expect(t, 400, "invalid_grant", "")
		e.uma(t, bearer(second.str("access_token")), "permission", "Public board").expect(t, 401, "invalid_grant", "Invalid bearer token")
	})

	t.Run("A-55_fifty_refreshes_at_once", func(t *testing.T) {
		t.Parallel()
		first := e.newSignIn(t, "bob", "photoz-web", "").str("refresh_token")
		var ok atomic.Int32
		var wait sync.WaitGroup
		barrier := make(chan struct{})
		for range 50 {
			wait.Go(func() {
				<-barrier
				if e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", first).status == 200 {
					ok.Add(1)
				}
			})
		}
		close(barrier)
		wait.Wait()
		if ok.Load() > 1 {
			t.Errorf("one refresh token was good %d times", ok.Load())
		}
	})

	t.Run("A-56_RPT_at_another_resource_server", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, bob, "permission", "Public board").str("access_token")
		res := e.post(t, introspect, basic("other-api"), "token", rpt, "token_type_hint", "requesting_party_token")
		if res.status != 200 || res.object()["active"] != false || len(res.object()) != 1 {
			t.Errorf("introspection by another resource server: got %s, want inactive", res)
		}
		// A resource server that was shown an RPT can use it for nothing elsewhere.
		refused(t, "for another audience", e.uma(t, bearer(rpt), "permission", "Other thing", "audience", "other-api"))
		for _, path := range []string{"/protocol/openid-connect/userinfo", "/account"} {
			if res := e.get(t, path, bearer(rpt)); res.status == 200 {
				t.Errorf("%s: got %s, want a refusal", path, res)
			}
		}
	})

	t.Run("A-56_RPT_for_another_audience", func(t *testing.T) {
		t.Parallel()
		e := start(t, withRealm(resolveRealm, resolvePolicies)) // whose policy would grant it
		bob := e.as(t, "bob", "photoz-web")
		e.uma(t, bob, "permission", "Other thing", "audience", "other-api").expectGranted(t, "Other thing: view")
		rpt := e.uma(t, bob, "permission", "Doc A").str("access_token")
		for _, ask := range [][]string{
			{"permission", "Other thing", "audience", "other-api"}, {"audience", "other-api"}, {"permission", "#view", "audience", "other-api"},
		} {
			e.uma(t, bearer(rpt), ask...).expect(t, 401, "invalid_grant", "Invalid bearer token")
		}
		refused(t, "as subject_token", e.uma(t, basic("photoz-app"), "permission", "Other thing", "audience", "other-api", "subject_token", rpt))
	})

	t.Run("A-56_what_an_RPT_obtains_ends_with_it", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").str("access_token")
		e.Clock.Advance(4 * time.Minute)
		next := e.uma(t, bearer(rpt), "permission", "Mixed#read")
		if next.status != 200 {
			return // it obtains nothing at all, which is safe
		}
		if next.str("refresh_token") != "" || payload(t, next.str("access_token"))["exp"].(float64) > payload(t, rpt)["exp"].(float64) {
			t.Errorf("got %s, want no refresh token and no longer life than the RPT's", next)
		}
	})

	t.Run("A-58_resource_parameter", func(t *testing.T) {
		t.Parallel()
		for _, resource := range []string{"other-api", "https://other.example", album} {
			e.uma(t, bob, "permission", "Public board#view", "resource", resource).expect(t, 400, "invalid_target", "")
		}
	})
}
