package tests

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// understood are the claim token formats that the realm takes.
var understood = []any{claimsID, claimsJWT}

// TestUMA2Errors is the table of UMA Grant §3.3.6, in the words of the
// specification: what is presented, what is answered, and whether the ticket is
// still good afterwards.
func TestUMA2Errors(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, bob, app := e.patOf(t, "alice", "photoz-api"), e.as(t, "bob", "photoz-web"), e.as(t, "bob", "photoz-app")
	open := e.register(t, alice, typed("open", "view", "print"))
	adult := e.register(t, alice, typed("adult", "view"))
	closed := e.register(t, alice, typed("closed", "view"))
	album := e.register(t, alice, scoped("view"))
	foreign := e.idToken(t, "carol", "photoz-app")

	for _, tc := range []struct {
		name     string
		resource string
		scopes   []string
		as       credentials
		params   []string
		status   int
		code     string
		text     string
		next     bool  // a ticket goes with it
		interval any   // seconds
		accepts  []any // claim token formats that are asked for
		unspent  bool  // the ticket that was presented is still good
	}{
		{name: "G59_a_scope_of_no_resource_of_the_ticket", params: []string{"scope", "fly"}, status: 400, code: "invalid_scope"},
		{name: "G59_one_such_scope_among_others", params: []string{"scope", "view fly"}, status: 400, code: "invalid_scope"},
		{name: "G59_by_case", params: []string{"scope", "View"}, status: 400, code: "invalid_scope"},
		{name: "G60_claims_are_wanted", resource: adult, status: 403, code: "need_info", next: true},
		{name: "G60_claim_token_of_an_unknown_format", as: app, params: []string{"claim_token", "x", "claim_token_format", "urn:x"}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_claim_token_that_is_no_token", as: app, params: []string{"claim_token", "garbage", "claim_token_format", claimsID}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_claim_token_of_a_wrong_signature", as: app, params: []string{"claim_token", forged(e.idToken(t, "bob", "photoz-app")), "claim_token_format", claimsID}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_claim_token_of_somebody_else", as: app, params: []string{"claim_token", foreign, "claim_token_format", claimsID}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_pushed_claims_that_cannot_be_decoded", as: app, params: []string{"claim_token", "%%%", "claim_token_format", claimsJWT}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_identity_of_a_wrong_signature", as: basic("photoz-app"), params: []string{"claim_token", forged(e.idToken(t, "bob", "photoz-app")), "claim_token_format", claimsID}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G60_identity_of_another_client", as: basic("photoz-app"), params: []string{"claim_token", e.idToken(t, "bob", "photoz-web"), "claim_token_format", claimsID}, status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G61_denied", resource: closed, status: 403, code: "request_denied"},
		{name: "G61_denied_and_the_owner_not_to_be_asked", resource: album, params: []string{"submit_request", "false"}, status: 403, code: "request_denied"},
		{name: "G62_submitted_to_the_owner", resource: album, status: 403, code: "request_submitted", next: true, interval: 5.0},
		{name: "G63_a_claim_token_without_its_format", as: app, params: []string{"claim_token", foreign}, status: 400, code: "invalid_request", text: "claim_token and claim_token_format must come together", unspent: true},
		{name: "G63_a_format_without_a_claim_token", as: app, params: []string{"claim_token_format", claimsID}, status: 400, code: "invalid_request", text: "claim_token and claim_token_format must come together", unspent: true},
		{name: "G63_a_parameter_twice", params: []string{"rpt", "a", "rpt", "b"}, status: 400, code: "invalid_request", text: "duplicated parameter: rpt", unspent: true},
		{name: "G63_an_empty_rpt", params: []string{"rpt", ""}, status: 400, code: "invalid_request", unspent: true},
		{name: "G63_no_such_client", as: basic("ghost"), status: 401, code: "invalid_client", text: "Client authentication failed", unspent: true},
		{name: "G63_a_bearer_token_that_is_none", as: bearer("garbage"), status: 401, code: "invalid_token", unspent: true},
		{name: "G60_nobody_says_who_asks", as: basic("plain-app"), status: 403, code: "need_info", next: true, accepts: understood},
		{name: "G63_a_public_client_that_pushes_claims", params: []string{"claim_token", pushed(t, map[string][]string{"email": {"x"}}), "claim_token_format", claimsJWT}, status: 403, code: "unauthorized_client", text: "Public clients may not push claims", unspent: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.resource == "" {
				tc.resource = open
			}
			if tc.as == (credentials{}) {
				tc.as = bob
			}
			ticket := e.strictTicket(t, alice, ask(tc.resource, "view"))
			res := e.uma(t, tc.as, append(tc.params, "ticket", ticket)...)
			res.expect(t, tc.status, tc.code, tc.text)
			if got := res.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("got Cache-Control %q, want no-store", got) // G66
			}
			next := res.str("ticket")
			if (next != "") != tc.next || next == ticket || res.object()["interval"] != tc.interval {
				t.Errorf("got %s, want a new ticket: %t, and interval %v", res, tc.next, tc.interval)
			}
			if tc.accepts != nil {
				want := []any{map[string]any{"claim_token_format": tc.accepts}}
				if got := asList(res.object()["required_claims"]); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got required_claims %v, want %v", got, want)
				}
			} else if (tc.code == "need_info") != (res.object()["required_claims"] != nil) {
				t.Errorf("got %s, want required_claims with need_info alone", res)
			}
			again := e.uma(t, bob, "ticket", ticket)
			if tc.unspent {
				again.expectGranted(t, open+": view")
			} else {
				again.expect(t, 400, "invalid_grant", "")
			}
		})
	}

	t.Run("G58_unusable_tickets_look_alike", func(t *testing.T) {
		t.Parallel()
		spent := e.strictTicket(t, alice, ask(open, "view"))
		e.uma(t, bob, "ticket", spent).expectGranted(t, open+": view")
		gone := e.register(t, alice, typed("open", "view"))
		ofGone := e.strictTicket(t, alice, ask(gone, "view"))
		e.do(t, request{method: "DELETE", url: resourceSet + "/" + gone, as: alice})
		for name, ticket := range map[string]string{
			"garbage": "garbage", "spent": spent, "unknown": strings.Repeat("A", len(spent)), "of a resource that is gone": ofGone,
			"an access token": bob.bearer, "a PAT": alice.bearer, "an ID token": foreign,
		} {
			res := e.uma(t, bob, "ticket", ticket)
			if res.status != 400 || string(res.raw) != `{"error":"invalid_grant"}` {
				t.Errorf("%s: got %s, want 400 invalid_grant and not a word more", name, res)
			}
		}
	})

	t.Run("G58_expired", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		alice := e.patOf(t, "alice", "photoz-api")
		ticket := e.strictTicket(t, alice, ask(e.register(t, alice, typed("open", "view")), "view"))
		e.Clock.Advance(2 * time.Minute)
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket).expect(t, 400, "invalid_grant", "")
	})

	t.Run("G60_an_expired_claim_token", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		alice := e.patOf(t, "alice", "photoz-api")
		id := e.register(t, alice, typed("open", "view"))
		old := e.idToken(t, "bob", "photoz-app")
		e.Clock.Advance(10 * time.Minute)
		alice = e.patOf(t, "alice", "photoz-api")
		for _, as := range []credentials{basic("photoz-app"), e.as(t, "bob", "photoz-app")} {
			ticket := e.strictTicket(t, alice, ask(id, "view"))
			res := e.uma(t, as, "ticket", ticket, "claim_token", old, "claim_token_format", claimsID)
			res.expect(t, 403, "need_info", "")
			// The client brings a better one, with the ticket that it was given.
			e.uma(t, basic("photoz-app"), "ticket", res.str("ticket"), "claim_token", e.newSignIn(t, "bob", "photoz-app", "openid").str("id_token"), "claim_token_format", claimsID).
				expectGranted(t, id+": view")
		}
	})

	t.Run("G61_refused_without_a_ticket", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "permission", closed).expect(t, 403, "request_denied", "")
		e.uma(t, bob, "permission", album).expect(t, 403, "request_denied", "")
	})

	t.Run("G63_neither_a_ticket_nor_an_audience", func(t *testing.T) {
		t.Parallel()
		e.post(t, tokenPath, bob, "grant_type", umaGrant).expect(t, 400, "invalid_request", "The request has no ticket, and its audience is no resource server")
	})

	t.Run("G63_a_bad_bearer_token_is_challenged", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bearer("garbage"), "ticket", "x")
		if got := res.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="sharing", error="invalid_token"`) {
			t.Errorf("got WWW-Authenticate %q", got)
		}
	})
}

// TestUMA2Grant is the rest of UMA Grant in a realm with the profile uma2.
func TestUMA2Grant(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, bob := e.patOf(t, "alice", "photoz-api"), e.as(t, "bob", "photoz-web")
	open := e.register(t, alice, typed("open", "view", "print"))
	adult := e.register(t, alice, typed("adult", "view"))

	t.Run("G3_an_RPT_is_for_one_owner", func(t *testing.T) {
		t.Parallel()
		his := e.register(t, e.patOf(t, "bob", "photoz-api"), typed("open", "view"))
		old := e.uma(t, bob, "ticket", e.strictTicket(t, e.patOf(t, "bob", "photoz-api"), ask(his, "view")))
		res := e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(open, "view")), "rpt", old.str("access_token"))
		res.expectGranted(t, open+": view")
		if res.object()["upgraded"] != nil || !active(t, e, old.str("access_token")) {
			t.Errorf("got %s, want another RPT beside the first", res)
		}
	})

	t.Run("G42_a_rotated_ticket_is_its_clients_and_its_partys", func(t *testing.T) {
		t.Parallel()
		album := e.register(t, alice, scoped("view"))
		for _, resource := range []string{adult, album} {
			res := e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(resource, "view")))
			e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", res.str("ticket")).expect(t, 400, "invalid_grant", "")
			e.uma(t, e.as(t, "carol", "photoz-web"), "ticket", res.str("ticket")).expect(t, 400, "invalid_grant", "")
			e.uma(t, bob, "ticket", res.str("ticket")).expect(t, 403, res.str("error"), "") // nobody else spent it
		}
	})

	t.Run("G42_a_bad_claim_token_binds_the_ticket_to_its_client", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, basic("photoz-app"), "ticket", e.strictTicket(t, alice, ask(open, "view")), "claim_token", "x", "claim_token_format", "urn:x")
		res.expect(t, 403, "need_info", "")
		e.uma(t, bob, "ticket", res.str("ticket")).expect(t, 400, "invalid_grant", "")
		again := e.uma(t, basic("photoz-app"), "ticket", res.str("ticket"), "claim_token", "x", "claim_token_format", "urn:x")
		again.expect(t, 403, "need_info", "")
		e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", again.str("ticket")).expectGranted(t, open+": view")
	})

	t.Run("G37_one_of_fifty_at_once", func(t *testing.T) {
		t.Parallel()
		app := e.as(t, "bob", "photoz-app")
		for _, kv := range [][]string{nil, {"claim_token", "x", "claim_token_format", "urn:x"}, {"scope", "fly"}} {
			ticket := e.strictTicket(t, alice, ask(open, "view"))
			var first, spent atomic.Int32
			var wait sync.WaitGroup
			barrier := make(chan struct{})
			for range 50 {
				wait.Go(func() {
					<-barrier
					if res := e.uma(t, app, append(kv, "ticket", ticket)...); res.str("error") == "invalid_grant" {
						spent.Add(1)
					} else {
						first.Add(1)
					}
				})
			}
			close(barrier)
			wait.Wait()
			if first.Load() != 1 || spent.Load() != 49 {
				t.Errorf("%v: got %d answers and %d unusable tickets, want 1 and 49", kv, first.Load(), spent.Load())
			}
		}
	})

	t.Run("G50_G51_success_has_no_scope", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(open, "view")))
		if got, want := members(res), []string{"access_token", "expires_in", "refresh_token", "token_type"}; res.status != 200 || !slices.Equal(got, want) {
			t.Errorf("got %d with %q, want 200 with %q", res.status, got, want)
		}
		if res.str("token_type") != "Bearer" || res.object()["expires_in"] != 300.0 || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %s", res)
		}
	})

	t.Run("G51_nor_has_a_refreshed_RPT", func(t *testing.T) {
		t.Parallel()
		own := e.newSignIn(t, "bob", "photoz-app", "")
		if own.str("scope") == "" {
			t.Errorf("sign in: got %s, want scope", own)
		}
		res := e.uma(t, bearer(own.str("access_token")), "ticket", e.strictTicket(t, alice, ask(open, "view")))
		next := e.refresh(t, res.str("refresh_token"))
		if got, want := members(next), []string{"access_token", "expires_in", "refresh_token", "token_type"}; next.status != 200 || !slices.Equal(got, want) {
			t.Errorf("got %d with %q, want 200 with %q", next.status, got, want)
		}
	})

	t.Run("G59_scopes_that_are_available_but_not_registered_add_nothing", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(open, "view")), "scope", "print").expectGranted(t, open+": view")
	})

	t.Run("G70_a_signed_token_of_a_public_client", func(t *testing.T) {
		t.Parallel()
		signed := []string{"claim_token", e.idToken(t, "bob", "photoz-web"), "claim_token_format", claimsID}
		ticket := func() string { return e.strictTicket(t, alice, ask(adult, "view")) }
		e.uma(t, bob, append(signed, "ticket", ticket())...).expectGranted(t, adult+": view")
		// It does not say who asks: anyone could say that it is that client.
		res := e.post(t, tokenPath, credentials{}, append(signed, "grant_type", umaGrant, "client_id", "photoz-web", "ticket", ticket())...)
		res.expect(t, 403, "unauthorized_client", "Public clients may not push claims")
		// And it is about whom the bearer token speaks for.
		res = e.uma(t, bob, "ticket", ticket(), "claim_token", e.idToken(t, "alice", "photoz-web"), "claim_token_format", claimsID)
		res.expect(t, 403, "need_info", "")
	})

	t.Run("A-97_polling", func(t *testing.T) {
		t.Parallel()
		polling(t)
	})
}

// approve grants the one request that waits for an owner's answer.
func approve(t *testing.T, e *env, owner credentials) {
	t.Helper()
	waiting := asList(e.get(t, requests, owner, "granted", "false").json)
	if len(waiting) != 1 {
		t.Fatalf("got requests %v, want one", waiting)
	}
	res := e.send(t, "PUT", requests, owner, map[string]any{"id": asObject(waiting[0])["id"], "granted": true})
	if res.status != 204 {
		t.Fatalf("approve: got %s", res)
	}
}

// polling asks an owner, and asks again sooner and later than it was told to.
func polling(t *testing.T) {
	e := strictly(t)
	alice := e.patOf(t, "alice", "photoz-api")
	album := e.register(t, alice, scoped("view"))
	poll := func(ticket string) *response { return e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket) }
	res := poll(e.strictTicket(t, alice, ask(album, "view")))
	told := func(want float64) {
		t.Helper()
		res.expect(t, 403, "request_submitted", "")
		if res.object()["interval"] != want || res.str("ticket") == "" {
			t.Errorf("got %s, want a ticket, and to wait %v seconds", res, want)
		}
	}
	told(5)
	e.Clock.Advance(5 * time.Second)
	res = poll(res.str("ticket"))
	told(5) // in time
	approve(t, e, alice)
	for _, want := range []float64{10, 20, 40, 60, 60} {
		old := res.str("ticket")
		e.Clock.Advance(4 * time.Second)
		res = poll(old)
		told(want)
		poll(old).expect(t, 400, "invalid_grant", "")
	}
	e.Clock.Advance(60*time.Second + 119*time.Second) // G41: there is time for it still
	poll(res.str("ticket")).expectGranted(t, album+": view")
	poll(res.str("ticket")).expect(t, 400, "invalid_grant", "")
}
