package tests

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// pingProtected is a request to each endpoint that wants a PAT.
func pingProtected(p ping, id string) []request {
	resource := specified("Intruder", []string{"view"})
	return []request{
		{method: "POST", url: p.URL + pingSets, json: resource},
		{method: "GET", url: p.URL + pingSets},
		{method: "GET", url: p.URL + pingSets + "/" + id},
		{method: "PUT", url: p.URL + pingSets + "/" + id, json: resource},
		{method: "DELETE", url: p.URL + pingSets + "/" + id},
		{method: "POST", url: p.URL + pingTicket, json: one(id, []string{"view"})},
	}
}

// pingOwned is a request to each endpoint that wants the owner's token.
func pingOwned(p ping, id string) []request {
	return []request{
		{method: "GET", url: p.URL + pingAlice + "policies?_queryFilter=true"},
		{method: "GET", url: p.URL + pingAlice + "policies/" + id},
		{method: "PUT", url: p.URL + pingAlice + "policies/" + id, json: aPolicy(id, grantTo("bob", "view"))},
		{method: "DELETE", url: p.URL + pingAlice + "policies/" + id},
		{method: "GET", url: p.URL + pingAlice + "pendingrequests?_queryFilter=true"},
		{method: "GET", url: p.URL + pingAlice + "pendingrequests/x"},
		{method: "POST", url: p.URL + pingAlice + "pendingrequests/x?_action=approve"},
		{method: "POST", url: p.URL + pingAlice + "pendingrequests?_action=approveAll"},
	}
}

// steady reads what alice registered and shared, so that two readings can be
// compared.
func (p ping) steady(t *testing.T) func() {
	t.Helper()
	read := func() [][]byte {
		var out [][]byte
		for _, id := range []string{photos, "whole", "fixed"} {
			out = append(out, p.call(t, "GET", pingSets+"/"+id, p.pat(t, "alice"), nil).raw, p.policy(t, id).raw)
		}
		return append(out, p.call(t, "GET", pingSets, p.pat(t, "alice"), nil).raw)
	}
	before := read()
	return func() {
		t.Helper()
		if after := read(); !slices.EqualFunc(before, after, bytes.Equal) {
			t.Errorf("it was %s and is %s, want it untouched", before, after)
		}
	}
}

// TestAttackPingAMTokens is who may call the protection API at all, on PingAM's paths.
func TestAttackPingAMTokens(t *testing.T) {
	t.Parallel()
	p := startPing(t, func(o *options) {
		o.More = []string{strings.ReplaceAll(alphaRealm, "realm: alpha", "realm: beta")}
	})
	if res := p.put(t, photos, aPolicy(photos, grantTo("carol", "view"))); res.status != 201 {
		t.Fatalf("got %s", res)
	}

	t.Run("A-17_no_token", func(t *testing.T) {
		t.Parallel()
		check := p.steady(t)
		for _, as := range []credentials{{}, basic("photoz-api")} {
			for _, r := range append(pingProtected(p, photos), pingOwned(p, photos)...) {
				r.as = as
				res := p.do(t, r)
				if res.status != 401 || res.header.Get("WWW-Authenticate") != `Bearer realm="alpha"` {
					t.Errorf("%s %s: got %s, challenge %q", r.method, r.url, res, res.header.Get("WWW-Authenticate"))
				}
			}
		}
		check()
	})

	for name, token := range map[string]func(t *testing.T) string{
		"A-18_garbage":          func(*testing.T) string { return "garbage" },
		"A-18_forged_signature": func(t *testing.T) string { return forged(p.pat(t, "alice").bearer) },
		"A-18_alg_none":         func(t *testing.T) string { return unsigned(p.pat(t, "alice").bearer) },
		"A-18_revoked": func(t *testing.T) string {
			token := p.newSignIn(t, "alice", "photoz-api", "uma_protection").str("access_token")
			p.post(t, "/protocol/openid-connect/revoke", basic("photoz-api"), "token", token)
			return token
		},
		"A-18_a_ticket":         func(t *testing.T) string { return p.newTicket(t, photos, "view") },
		"A-18_an_ID_token":      func(t *testing.T) string { return p.idToken(t, "alice", "photoz-api") },
		"A-18_a_refresh_token":  func(t *testing.T) string { return p.newSignIn(t, "alice", "photoz-api", "").str("refresh_token") },
		"A-20_of_another_realm": func(t *testing.T) string { return ping{p.in("beta")}.pat(t, "alice").bearer },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check, as := p.steady(t), bearer(token(t))
			for _, r := range append(pingProtected(p, photos), pingOwned(p, photos)...) {
				r.as = as
				res := p.do(t, r)
				if res.status != 401 || !strings.Contains(res.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
					t.Errorf("%s %s: got %s, challenge %q", r.method, r.url, res, res.header.Get("WWW-Authenticate"))
				}
			}
			check()
		})
	}

	t.Run("A-18_expired", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		pat, alice := p.pat(t, "alice"), p.owner(t, "alice")
		p.Clock.Advance(5*time.Minute + time.Second)
		for _, r := range pingProtected(p, photos) {
			r.as = pat
			p.do(t, r).expect(t, 401, "invalid_token", "")
		}
		for _, r := range pingOwned(p, photos) {
			r.as = alice
			p.do(t, r).expectCREST(t, 401, "Access Denied")
		}
	})

	t.Run("A-19_without_uma_protection", func(t *testing.T) {
		t.Parallel()
		check := p.steady(t)
		rpt := p.grant(t, "alice", p.newTicket(t, photos, "view")).str("access_token")
		for name, as := range map[string]credentials{
			"alice's without the scope": p.as(t, "alice", "photoz-api"), "carol's, who lacks the role": bearer(p.signIn(t, "carol", "photoz-api", "uma_protection").access),
			"of another client": bearer(p.signIn(t, "alice", "photoz-web", "uma_protection").access), "an RPT": bearer(rpt),
		} {
			for _, r := range pingProtected(p, photos) {
				r.as = as
				res := p.do(t, r)
				res.expect(t, 403, "insufficient_scope", "")
				if !strings.Contains(res.header.Get("WWW-Authenticate"), `scope="uma_protection"`) {
					t.Errorf("%s: got challenge %q", name, res.header.Get("WWW-Authenticate"))
				}
			}
		}
		// An owner's token is a user's, not made for a resource server.
		for name, as := range map[string]credentials{"an RPT": bearer(rpt), "a service account's": p.service(t, "photoz-api")} {
			for _, r := range pingOwned(p, photos) {
				r.as = as
				if res := p.do(t, r); res.status != 403 {
					t.Errorf("%s: got %s", name, res)
				}
			}
		}
		check()
	})

	t.Run("A-21_token_in_the_query_or_the_body", func(t *testing.T) {
		t.Parallel()
		check, token := p.steady(t), p.pat(t, "alice").bearer
		for _, r := range append(pingProtected(p, photos), pingOwned(p, photos)...) {
			r.query = map[string][]string{"access_token": {token}}
			if strings.Contains(r.url, "?") {
				r.url, r.query = r.url+"&access_token="+token, nil
			}
			if res := p.do(t, r); res.status != 401 {
				t.Errorf("%s %s: got %s", r.method, r.url, res)
			}
		}
		res := p.do(t, request{method: "POST", url: p.URL + pingTicket, form: form("access_token", token)})
		res.expect(t, 401, "invalid_token", "")
		check()
	})
}
