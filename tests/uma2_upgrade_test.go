package tests

import (
	"strings"
	"testing"
	"time"
)

// TestUMA2Upgrade is UMA Grant §3.3.5.1 in a realm with the profile uma2, with
// the attacks on upgrades that need no PCT.
func TestUMA2Upgrade(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, app := e.patOf(t, "alice", "photoz-api"), e.as(t, "bob", "photoz-app")
	first, second := e.register(t, alice, typed("open", "view")), e.register(t, alice, typed("open", "view"))
	obtain := func(as credentials, resource string, kv ...string) *response {
		return e.uma(t, as, append(kv, "ticket", e.strictTicket(t, alice, ask(resource, "view")))...)
	}
	// alone wants a new RPT that holds nothing of an old one.
	alone := func(t *testing.T, what string, res *response) {
		t.Helper()
		res.expectGranted(t, second+": view")
		if _, ok := res.object()["upgraded"]; ok {
			t.Errorf("%s: got %s, want no member upgraded", what, res)
		}
	}

	t.Run("G56_upgraded_says_that_the_old_permissions_are_included", func(t *testing.T) {
		t.Parallel()
		old := obtain(app, first).str("access_token")
		res := obtain(app, second, "rpt", old)
		res.expectGranted(t, second+": view", first+": view")
		if res.object()["upgraded"] != true {
			t.Errorf("got %s, want upgraded", res)
		}
	})

	t.Run("G48_in_part_with_an_rpt_as_without", func(t *testing.T) {
		t.Parallel()
		both := e.register(t, alice, typed("open", "view", "print"))
		old := obtain(app, first).str("access_token")
		res := e.uma(t, app, "ticket", e.strictTicket(t, alice, ask(both, "view", "print")), "rpt", old)
		res.expectGranted(t, both+": view", first+": view")
	})

	t.Run("G56_not_upgraded_when_a_scope_is_lost", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		alice := e.patOf(t, "alice", "photoz-api")
		album, open := e.register(t, alice, scoped("view", "edit")), e.register(t, alice, typed("open", "view"))
		share(t, e, "alice", album, "bob", "view")
		edit := share(t, e, "alice", album, "bob", "edit")
		app := e.as(t, "bob", "photoz-app")
		old := e.uma(t, app, "ticket", e.strictTicket(t, alice, ask(album, "view", "edit"))).str("access_token")
		e.do(t, request{method: "DELETE", url: requests + "/" + edit, as: alice})
		res := e.uma(t, app, "ticket", e.strictTicket(t, alice, ask(open, "view")), "rpt", old)
		res.expectGranted(t, open+": view", album+": view")
		if res.object()["upgraded"] != nil || !active(t, e, old) {
			t.Errorf("got %s, want it not upgraded, and the old RPT good for what is left of it", res)
		}
	})

	t.Run("A-60_expired_and_withdrawn", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		alice := e.patOf(t, "alice", "photoz-api")
		album, open := e.register(t, alice, scoped("view")), e.register(t, alice, typed("open", "view"))
		id := share(t, e, "alice", album, "bob", "view")
		old := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", e.strictTicket(t, alice, ask(album, "view")))
		old.expectGranted(t, album+": view")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + id, as: alice}); res.status != 204 {
			t.Fatalf("withdraw: got %s", res)
		}
		for range 2 { // still good for a while, then expired
			res := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", e.strictTicket(t, e.patOf(t, "", "photoz-api"), ask(open, "view")), "rpt", old.str("access_token"))
			res.expectGranted(t, open+": view")
			if res.object()["upgraded"] != nil {
				t.Errorf("got %s, want what was withdrawn left out", res)
			}
			e.Clock.Advance(10 * time.Minute)
		}
	})

	t.Run("A-61_an_rpt_that_is_none", func(t *testing.T) {
		t.Parallel()
		for name, rpt := range map[string]string{
			"garbage": "garbage", "a PAT": alice.bearer, "an access token": app.bearer, "an ID token": e.idToken(t, "bob", "photoz-app"),
			"forged":                     forged(obtain(app, first).str("access_token")),
			"a refresh token":            obtain(app, first).str("refresh_token"),
			"of another party":           obtain(e.as(t, "carol", "photoz-app"), first).str("access_token"),
			"of another client":          obtain(e.as(t, "bob", "photoz-web"), first).str("access_token"),
			"of another resource server": otherRPT(t, e, app),
			"long":                       strings.Repeat("x", 20_000),
		} {
			alone(t, name, obtain(app, second, "rpt", rpt))
		}
		ticket := e.strictTicket(t, alice, ask(second, "view"))
		e.uma(t, app, "ticket", ticket, "rpt", strings.Repeat("x", 60_001)).expect(t, 400, "invalid_request", "rpt is too long")
		e.uma(t, app, "ticket", ticket).expectGranted(t, second+": view")
	})

	t.Run("A-61_nothing_but_an_rpt_that_is_none", func(t *testing.T) {
		t.Parallel()
		e.uma(t, app, "rpt", "garbage").expect(t, 403, "request_denied", "")
	})

	t.Run("A-62_the_old_rpt_is_good_no_more", func(t *testing.T) {
		t.Parallel()
		own := e.newSignIn(t, "bob", "photoz-app", "")
		old := obtain(bearer(own.str("access_token")), first)
		next := obtain(bearer(own.str("access_token")), second, "rpt", old.str("access_token"))
		if active(t, e, old.str("access_token")) || !active(t, e, next.str("access_token")) {
			t.Error("want the new RPT active, and the old one no more")
		}
		e.refresh(t, old.str("refresh_token")).expect(t, 400, "invalid_grant", "")
		if got := e.refresh(t, next.str("refresh_token")); got.status != 200 {
			t.Errorf("refresh the new RPT: got %s", got)
		}
		e.uma(t, bearer(old.str("access_token")), "ticket", e.strictTicket(t, alice, ask(first, "view"))).expect(t, 401, "invalid_token", "")
	})

	t.Run("A-62_an_rpt_that_was_not_upgraded_stays", func(t *testing.T) {
		t.Parallel()
		old := obtain(app, first).str("access_token")
		closed := e.register(t, alice, typed("closed", "view"))
		obtain(app, closed, "rpt", old).expect(t, 403, "request_denied", "")
		e.uma(t, app, "ticket", "garbage", "rpt", old).expect(t, 400, "invalid_grant", "")
		if !active(t, e, old) {
			t.Error("the old RPT is gone, and nothing stands in for it")
		}
	})

	t.Run("A-66_nothing_but_tokens_is_handed_out", func(t *testing.T) {
		t.Parallel()
		if res := obtain(app, first); res.object()["pct"] != nil { // there are no PCTs yet
			t.Errorf("got %s", res)
		}
	})

	t.Run("A-68_another_client_revokes", func(t *testing.T) {
		t.Parallel()
		const revoke = "/protocol/openid-connect/revoke"
		rpt := obtain(app, first).str("access_token")
		for _, hint := range []string{"", "access_token", "pct"} {
			e.post(t, revoke, basic("plain-app"), "token", rpt, "token_type_hint", hint)
			if !active(t, e, rpt) {
				t.Fatalf("with the hint %q another client revoked the RPT", hint)
			}
		}
		if res := e.post(t, revoke, basic("photoz-app"), "token", rpt); res.status != 200 || active(t, e, rpt) {
			t.Errorf("its own client: got %s, want it revoked", res)
		}
	})
}

// otherRPT is an RPT of another resource server's.
func otherRPT(t *testing.T, e *env, as credentials) string {
	t.Helper()
	pat := e.patOf(t, "alice", "other-api")
	id := e.register(t, pat, typed("open", "view"))
	res := e.uma(t, as, "ticket", e.strictTicket(t, pat, ask(id, "view")))
	res.expectGranted(t, id+": view")
	return res.str("access_token")
}

// TestReplayedTicket: a ticket that was traded for an RPT and comes again from
// another client may have been stolen, and the RPT with it (UMA Grant §5.5).
func TestReplayedTicket(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) (e *env, ticket func() string){
		"keycloak": func(t *testing.T) (*env, func() string) {
			e := start(t)
			return e, func() string { return boardTicket(t, e) }
		},
		"uma2": func(t *testing.T) (*env, func() string) {
			e := strictly(t)
			alice := e.patOf(t, "alice", "photoz-api")
			id := e.register(t, alice, typed("open", "view"))
			return e, func() string { return e.strictTicket(t, alice, ask(id, "view")) }
		},
	} {
		t.Run("G40_A-2_"+name, func(t *testing.T) {
			t.Parallel()
			e, ticket := env(t)
			own := e.newSignIn(t, "bob", "photoz-app", "")
			for _, again := range []struct {
				by    credentials
				stays bool
			}{
				{bearer(own.str("access_token")), true},
				{e.as(t, "carol", "photoz-app"), true}, // the same client
				{bearer("garbage"), true},
				{basic("ghost"), true},
				{e.as(t, "bob", "photoz-web"), false},
				{basic("photoz-app"), true},
			} {
				ticket := ticket()
				held := e.uma(t, bearer(own.str("access_token")), "ticket", ticket)
				if !active(t, e, held.str("access_token")) {
					t.Fatalf("got %s, want an RPT", held)
				}
				res := e.uma(t, again.by, "ticket", ticket)
				refused(t, "the ticket, again", res)
				if active(t, e, held.str("access_token")) != again.stays {
					t.Errorf("presented again by %v: the RPT is active: %t, want %t", again.by, !again.stays, again.stays)
				}
				if got := e.refresh(t, held.str("refresh_token")).status == 200; got != again.stays {
					t.Errorf("presented again by %v: the refresh token is good: %t, want %t", again.by, got, again.stays)
				}
				if e.logged(t, ticket) || e.logged(t, held.str("access_token")) {
					t.Error("the log has a secret")
				}
			}
			if !e.logged(t, "a spent ticket was presented by another client", "photoz-web", "photoz-app") {
				t.Error("the log does not tell of it")
			}
			if !active(t, e, e.uma(t, bearer(own.str("access_token")), "ticket", ticket()).str("access_token")) {
				t.Error("the session ended with the RPT")
			}
		})
	}
}
