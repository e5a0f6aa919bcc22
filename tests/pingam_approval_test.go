package tests

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAttackPingAMApproval is those on the owner's approval.
func TestAttackPingAMApproval(t *testing.T) {
	t.Parallel()

	t.Run("A-95_non-owner", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view")
		id := p.onlyPending(t)
		for _, user := range []string{"bob", "carol"} {
			as := p.owner(t, user)
			for _, call := range []struct{ method, query string }{{"GET", ""}, {"POST", "?_action=approve"}, {"POST", "?_action=deny"}} {
				own := pingUser + user + "/uma/pendingrequests/"
				foreign := p.call(t, call.method, own+id+call.query, as, nil)
				unknown := p.call(t, call.method, own+newUUID()+".0123456789abcdef"+call.query, as, nil)
				foreign.expectCREST(t, 404, "Pending request, "+id+", not found")
				if len(foreign.raw) != len(unknown.raw) || foreign.status != unknown.status {
					t.Errorf("%s %s as %s: got %s for one of another, %s for one of nobody", call.method, call.query, user, foreign, unknown)
				}
				// by the owner's path
				p.call(t, call.method, pingAlice+"pendingrequests/"+id+call.query, as, nil).expectCREST(t, 403, "The path is about another user than the token")
			}
			for _, action := range []string{"approveAll", "denyAll"} {
				if res := p.call(t, "POST", pingUser+user+"/uma/pendingrequests?_action="+action, as, nil); res.status != 200 {
					t.Errorf("got %s", res)
				}
			}
		}
		if got := p.onlyPending(t); got != id {
			t.Errorf("got %s pending, want %s", got, id)
		}
		p.grant(t, "bob", p.newTicket(t, photos, "view")).expect(t, 403, "request_submitted", "")
	})

	t.Run("A-95_a_path_of_another_user", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		bob := p.owner(t, "bob")
		for _, path := range []string{"policies?_queryFilter=true", "policies/" + photos, "pendingrequests?_queryFilter=true", "pendingrequests/x"} {
			foreign := p.call(t, "GET", pingAlice+path, bob, nil)
			nobody := p.call(t, "GET", pingUser+"nobody/uma/"+path, bob, nil)
			foreign.expectCREST(t, 403, "")
			if !bytes.Equal(foreign.raw, nobody.raw) {
				t.Errorf("%s: got %s for a user who exists, %s for one who does not", path, foreign, nobody)
			}
		}
		if res := p.call(t, "GET", pingUser+"ALICE/uma/policies?_queryFilter=true", p.owner(t, "alice"), nil); res.status != 200 {
			t.Errorf("usernames have no case: got %s", res)
		}
	})

	t.Run("A-95_cross-site", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view")
		id := p.onlyPending(t)
		// What a page of another site can make a browser send: a form, cookies, basic
		// credentials that it remembers. None of them speaks for an owner here.
		for _, as := range []credentials{{}, basic("photoz-app")} {
			res := p.do(t, request{
				method: "POST", url: p.URL + pingAlice + "pendingrequests/" + id, as: as, query: url.Values{"_action": {"approve"}},
				form:    form("iPlanetDirectoryPro", p.owner(t, "alice").bearer),
				headers: map[string]string{"Origin": "https://evil.example", "Cookie": "iPlanetDirectoryPro=" + p.owner(t, "alice").bearer},
			})
			res.expectCREST(t, 401, "Access Denied")
			if got := res.header.Get("WWW-Authenticate"); got != `Bearer realm="alpha"` || res.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got challenge %q, allowed origin %q", got, res.header.Get("Access-Control-Allow-Origin"))
			}
		}
		if got := p.onlyPending(t); got != id {
			t.Errorf("got %s pending, want %s", got, id)
		}
	})

	t.Run("A-95_widened_scopes", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view")
		id := p.onlyPending(t)
		for _, body := range []string{`{"scopes":["view","download"]}`, `{"scopes":["download"]}`, `{"permissions":["view","comment"]}`} {
			p.answer(t, p.owner(t, "alice"), id, "approve", body).expectCREST(t, 400, "")
		}
		p.policy(t, photos).expectCREST(t, 404, "")
		if got := p.onlyPending(t); got != id {
			t.Errorf("got %s pending, want %s", got, id)
		}
	})

	t.Run("A-95_approve_after_deny", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view")
		id, alice := p.onlyPending(t), p.owner(t, "alice")
		if res := p.answer(t, alice, id, "deny", ""); res.status != 200 {
			t.Fatalf("got %s", res)
		}
		for _, action := range []string{"approve", "deny"} {
			p.answer(t, alice, id, action, "").expectCREST(t, 409, "The request was answered already")
		}
		p.policy(t, photos).expectCREST(t, 404, "")
		p.grant(t, "bob", p.newTicket(t, photos, "view")).expect(t, 403, "request_denied", "")
	})

	t.Run("A-95_two_answers_at_once", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view", "comment", "download")
		id, alice := p.onlyPending(t), p.owner(t, "alice")
		var mu sync.Mutex
		statuses := map[string]int{}
		answer := func(action string) func() {
			return func() {
				res := p.answer(t, alice, id, action, "")
				mu.Lock()
				defer mu.Unlock()
				statuses[fmt.Sprint(action, " ", res.status)]++
			}
		}
		atOnce(answer("approve"), answer("deny"), answer("approve"), answer("deny"))
		approved, denied := statuses["approve 200"], statuses["deny 200"]
		if approved+denied != 1 || statuses["approve 409"]+statuses["deny 409"] != 3 {
			t.Errorf("got %v, want one answer to count", statuses)
		}
		want := map[bool]int{true: 200, false: 404}[approved == 1]
		if res := p.policy(t, photos); res.status != want {
			t.Errorf("got %s after %v", res, statuses)
		}
	})

	t.Run("A-95_what_was_asked_since_is_not_approved_unseen", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		p.asks(t, "bob", photos, "view")
		seen := p.onlyPending(t)
		p.asks(t, "bob", photos, "view", "comment")
		p.answer(t, p.owner(t, "alice"), seen, "approve", "").expectCREST(t, 409, "The request has changed since it was read: read it again")
		p.policy(t, photos).expectCREST(t, 404, "")
		if res := p.answer(t, p.owner(t, "alice"), p.onlyPending(t), "approve", ""); res.status != 200 {
			t.Errorf("got %s", res)
		}
	})

	t.Run("A-96_spam", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		for range 20 {
			p.asks(t, "bob", photos, "view")
		}
		p.onlyPending(t)
		for range 5 {
			res := p.asks(t, "bob", photos, "view", "comment")
			if !strings.HasPrefix(res.str("ticket"), "eyJ") {
				t.Errorf("got %s, want a ticket", res)
			}
		}
		res := p.pendingOf(t, "alice")
		if len(pingIDs(res)) != 1 || !sameScopes(asList(asObject(asList(res.object()["result"])[0])["permissions"]), []any{"view", "comment"}) {
			t.Errorf("got %s, want one request with both scopes", res)
		}
		p.answer(t, p.owner(t, "alice"), p.onlyPending(t), "approve", `{"scopes":["view"]}`)
		p.asks(t, "carol", photos, "view")
		if res := p.pendingOf(t, "alice"); len(pingIDs(res)) != 1 {
			t.Errorf("got %s, want carol's alone", res)
		}
	})

	t.Run("A-97_polling", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		res := p.asks(t, "bob", photos, "view")
		interval, ticket := seconds(res), res.str("ticket")
		for range 3 { // without waiting
			res = p.grant(t, "bob", ticket)
			res.expect(t, 403, "request_submitted", "")
			if next := res.str("ticket"); next == ticket || !strings.HasPrefix(next, "eyJ") || seconds(res) < interval {
				t.Errorf("got %s after interval %s, want a new ticket and no smaller one", res, interval)
			}
			interval, ticket = seconds(res), res.str("ticket")
		}
		if first := seconds(p.asks(t, "bob", photos, "view")); interval <= first {
			t.Errorf("got interval %s after polling too fast, %s at first: want it larger", interval, first)
		}
		if got := p.onlyPending(t); got == "" {
			t.Error("no request is pending")
		}
		if res := p.answer(t, p.owner(t, "alice"), p.onlyPending(t), "approve", ""); res.status != 200 {
			t.Fatalf("got %s", res)
		}
		p.Clock.Advance(interval)
		res = p.grant(t, "bob", ticket)
		if res.status != 200 {
			t.Errorf("after the approval: got %s", res)
		}
	})
}

// seconds is the interval that an answer asks for.
func seconds(res *response) time.Duration {
	n, _ := res.object()["interval"].(float64)
	return time.Duration(n) * time.Second
}
