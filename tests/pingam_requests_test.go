package tests

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// pendingOf are the requests that an owner is shown.
func (p ping) pendingOf(t testing.TB, owner string, query ...string) *response {
	t.Helper()
	r := request{method: "GET", url: p.URL + pingUser + owner + "/uma/pendingrequests", as: p.owner(t, owner), query: url.Values{"_queryFilter": {"true"}}}
	for _, kv := range form(query...) {
		r.query.Set(kv[0], kv[1])
	}
	return p.do(t, r)
}

// asks submits a user's request for a resource and returns the client's answer.
func (p ping) asks(t testing.TB, user, resource string, scopes ...string) *response {
	t.Helper()
	res := p.grant(t, user, p.newTicket(t, resource, scopes...))
	res.expect(t, 403, "request_submitted", "")
	return res
}

// onlyPending is the id of the one request that is pending for alice.
func (p ping) onlyPending(t testing.TB) string {
	t.Helper()
	res := p.pendingOf(t, "alice")
	if found := pingIDs(res); len(found) == 1 {
		return found[0]
	}
	t.Fatalf("got %s, want one pending request", res)
	return ""
}

// answer answers a request as alice; with an empty id all of them. The body is
// sent as curl does it: as a form.
func (p ping) answer(t testing.TB, as credentials, id, action, body string) *response {
	t.Helper()
	target := p.URL + pingAlice + "pendingrequests"
	if id != "" {
		target += "/" + id
	}
	return p.do(t, request{
		method: "POST", url: target, as: as, query: url.Values{"_action": {action}}, body: body,
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept-API-Version": "resource=1.0"},
	})
}

// TestPingAMPending: what an owner sees of who asks.
func TestPingAMPending(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	alice := p.owner(t, "alice")
	if res := p.pendingOf(t, "alice"); res.status != 200 || len(pingIDs(res)) != 0 || res.object()["result"] == nil {
		t.Errorf("got %s, want none", res)
	}
	asked := p.Clock.Now()
	p.asks(t, "bob", photos, "view", "download")
	p.Clock.Advance(10 * time.Second)
	p.asks(t, "bob", photos, "comment") // more of the same by the same
	p.asks(t, "carol", "whole")

	res := p.pendingOf(t, "alice")
	o := res.object()
	if res.status != 200 || len(pingIDs(res)) != 2 || o["resultCount"] != 2.0 || o["remainingPagedResults"] != 0.0 || o["pagedResultsCookie"] != nil {
		t.Fatalf("got %s, want what two ask for", res)
	}
	for _, v := range asList(o["result"]) {
		r := asObject(v)
		permissions := asList(r["permissions"])
		var want []any
		when, resource := asked, "Photos"
		switch r["user"] {
		case "bob":
			want = []any{"comment", "download", "view"}
		case "carol":
			when, resource = p.Clock.Now(), "Whole"
		}
		if !sameScopes(permissions, want) || r["resource"] != resource || r["when"] != float64(when.UnixMilli()) || len(r) != 5 || permissions == nil {
			t.Errorf("got %v, want %v of %s, at %d", r, want, resource, when.UnixMilli())
		}
		one := p.call(t, "GET", pingAlice+"pendingrequests/"+fmt.Sprint(r["_id"]), alice, nil)
		if one.status != 200 || fmt.Sprint(one.json) != fmt.Sprint(v) {
			t.Errorf("alone it is %s, in the list %v", one, v)
		}
	}

	first := p.pendingOf(t, "alice", "_pageSize", "1")
	cookie := first.str("pagedResultsCookie")
	second := p.pendingOf(t, "alice", "_pageSize", "1", "_pagedResultsCookie", cookie)
	if cookie == "" || !slices.Equal(append(pingIDs(first), pingIDs(second)...), pingIDs(res)) || second.object()["pagedResultsCookie"] != nil || first.object()["remainingPagedResults"] != -1.0 {
		t.Errorf("got pages %s and %s", first, second)
	}
	for _, other := range []string{"bob", "carol"} {
		if res := p.pendingOf(t, other); len(pingIDs(res)) != 0 {
			t.Errorf("%s, who owns nothing of it, sees %s", other, res)
		}
	}
	for query, message := range map[string]string{
		"": "_queryFilter must be true", "_queryFilter=": "_queryFilter must be true", `_queryFilter=user+eq+"bob"`: "_queryFilter must be true",
		"_queryFilter=true&_sortKeys=user": "_sortKeys is not supported here", "_queryFilter=true&_pageSize=-2": "_pageSize must be a number of at least 0",
		"_queryFilter=true&_pagedResultsOffset=1": "_pagedResultsOffset is not supported here: use _pagedResultsCookie",
	} {
		p.call(t, "GET", pingAlice+"pendingrequests?"+query, alice, nil).expectCREST(t, 400, message)
	}
	p.call(t, "GET", pingAlice+"pendingrequests/nothing", alice, nil).expectCREST(t, 404, "Pending request, nothing, not found")
}

func sameScopes(got, want []any) bool {
	sorted := func(list []any) []string {
		var out []string
		for _, v := range list {
			out = append(out, fmt.Sprint(v))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(sorted(got), sorted(want))
}

// TestPingAMApprove: what is approved is granted and nothing more, and what is
// denied is remembered.
func TestPingAMApprove(t *testing.T) {
	t.Parallel()
	bodies := map[string]struct {
		action, body string
		granted      string // of view and download; empty: nothing
	}{
		"all without a body":        {"approve", ``, "bob: download view"},
		"all with an empty object":  {"approve", `{}`, "bob: download view"},
		"the scopes of the body":    {"approve", `{"scopes":["view"]}`, "bob: view"},
		"its permissions":           {"approve", `{"permissions":["download"]}`, "bob: download"},
		"both scopes":               {"approve", `{"scopes":["view","download"]}`, "bob: download view"},
		"a representation":          {"approve", `{"_id":"x","user":"carol","resource":"Photos","when":1,"permissions":["view"]}`, "bob: view"},
		"nothing":                   {"deny", ``, ""},
		"nothing, whatever is said": {"deny", `{"scopes":["view"]}`, ""},
	}
	for name, tc := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPing(t)
			p.asks(t, "bob", photos, "view", "download")
			p.asks(t, "carol", photos, "view")
			id := pingIDs(p.pendingOf(t, "alice"))[slices.IndexFunc(asList(p.pendingOf(t, "alice").object()["result"]), func(v any) bool { return asObject(v)["user"] == "bob" })]
			if res := p.answer(t, p.owner(t, "alice"), id, tc.action, tc.body); res.status != 200 || string(res.raw) != "{}" {
				t.Fatalf("got %s, want {}", res)
			}
			var want []string
			if tc.granted != "" {
				want = []string{tc.granted}
			}
			if got := pingGrants(p.policy(t, photos).json); !slices.Equal(got, want) {
				t.Errorf("got %v shared, want %v", got, want)
			}
			if left := p.pendingOf(t, "alice"); len(pingIDs(left)) != 1 || pingIDs(left)[0] == id {
				t.Errorf("got %s, want carol's left", left)
			}
			p.call(t, "GET", pingAlice+"pendingrequests/"+id, p.owner(t, "alice"), nil).expectCREST(t, 404, "Pending request, "+id+", not found")
			for _, scope := range []string{"view", "download"} {
				res := p.grant(t, "bob", p.newTicket(t, photos, scope))
				if strings.Contains(tc.granted, scope) {
					if res.status != 200 {
						t.Errorf("%s: got %s, want it granted", scope, res)
					}
				} else {
					res.expect(t, 403, "request_denied", "") // not asked again so soon
				}
			}
		})
	}
}

// TestPingAMAnswerErrors: what is no answer changes nothing.
func TestPingAMAnswerErrors(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	p.asks(t, "bob", photos, "view")
	id, alice := p.onlyPending(t), p.owner(t, "alice")
	for _, tc := range []struct{ action, body, message string }{
		{"", ``, "_action must be approve or deny"},
		{"Approve", ``, "_action must be approve or deny"},
		{"approveAll", ``, "_action must be approve or deny"},
		{"delete", ``, "_action must be approve or deny"},
		{"approve", `{"scopes":[]}`, "scopes must not be empty"},
		{"approve", `{"scopes":null}`, "scopes must not be empty"},
		{"approve", `{"permissions":[]}`, "permissions must not be empty"},
		{"approve", `{"scopes":"view"}`, "scopes must be an array of strings"},
		{"approve", `{"scopes":[1]}`, "scopes must be an array of strings"},
		{"approve", `{"scopes":["view"],"permissions":["view"]}`, "scopes and permissions exclude one another"},
		{"approve", `{"scopes":["view"],"scopes":["view"]}`, ""},
		{"approve", `["view"]`, "The body must be a JSON object"},
		{"approve", `"view"`, "The body must be a JSON object"},
		{"approve", `{"scopes":`, ""},
		{"approve", `scopes=view`, ""},
		{"approve", `{"scopes":["View"]}`, "Scope [View] was not asked for"},
		{"approve", `{"scopes":["*"]}`, "Scope [*] was not asked for"},
		{"approve", `{"scopes":[""]}`, "Scope [] was not asked for"},
	} {
		p.answer(t, alice, id, tc.action, tc.body).expectCREST(t, 400, tc.message)
	}
	for _, action := range []string{"", "approve", "deny", "approveall"} {
		p.answer(t, alice, "", action, "").expectCREST(t, 400, "_action must be approveAll or denyAll")
	}
	p.answer(t, alice, "", "approveAll", `{"scopes":[]}`).expectCREST(t, 400, "scopes must not be empty")
	p.answer(t, alice, id, "approve", `{"scopes":["`+strings.Repeat("x", 2<<20)+`"]}`).expectCREST(t, 413, "the body is too large")
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		p.call(t, method, pingAlice+"pendingrequests/"+id, alice, nil).expectCREST(t, 405, "")
	}
	if got := p.onlyPending(t); got != id {
		t.Errorf("got %s pending, want %s", got, id)
	}
	p.policy(t, photos).expectCREST(t, 404, "")
}

// TestPingAMAnswerAll: all at once, or of all only what the body says.
func TestPingAMAnswerAll(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T) (ping, credentials) {
		t.Helper()
		p := startPing(t)
		p.asks(t, "bob", photos, "view", "download")
		p.asks(t, "carol", photos, "view")
		p.asks(t, "carol", "whole")
		p.grant(t, "alice", p.ticketOf(t, "bob", "of-bob", "view")).expect(t, 403, "request_submitted", "")
		return p, p.owner(t, "alice")
	}
	ofBob := func(t *testing.T, p ping) {
		t.Helper()
		if res := p.pendingOf(t, "bob"); len(pingIDs(res)) != 1 {
			t.Errorf("bob is shown %s, want the request to him as it was", res)
		}
	}

	t.Run("approveAll", func(t *testing.T) {
		t.Parallel()
		p, alice := ask(t)
		if res := p.answer(t, alice, "", "approveAll", ""); res.status != 200 || string(res.raw) != "{}" {
			t.Fatalf("got %s", res)
		}
		if got := pingGrants(p.policy(t, photos).json); !slices.Equal(got, []string{"bob: download view", "carol: view"}) {
			t.Errorf("got %v", got)
		}
		if got := pingGrants(p.policy(t, "whole").json); !slices.Equal(got, []string{"carol: "}) {
			t.Errorf("got %v", got)
		}
		if res := p.pendingOf(t, "alice"); len(pingIDs(res)) != 0 {
			t.Errorf("got %s, want nothing left", res)
		}
		ofBob(t, p)
	})

	t.Run("approveAll of some scopes", func(t *testing.T) {
		t.Parallel()
		p, alice := ask(t)
		if res := p.answer(t, alice, "", "approveAll", `{"scopes":["view","comment"]}`); res.status != 200 {
			t.Fatalf("got %s", res)
		}
		if got := pingGrants(p.policy(t, photos).json); !slices.Equal(got, []string{"bob: view", "carol: view"}) {
			t.Errorf("got %v, want what was asked for and is named", got)
		}
		p.policy(t, "whole").expectCREST(t, 404, "")
		if res := p.pendingOf(t, "alice"); len(pingIDs(res)) != 2 {
			t.Errorf("got %s, want the rest still pending", res)
		}
		ofBob(t, p)
	})

	t.Run("denyAll", func(t *testing.T) {
		t.Parallel()
		p, alice := ask(t)
		if res := p.answer(t, alice, "", "denyAll", ""); res.status != 200 || string(res.raw) != "{}" {
			t.Fatalf("got %s", res)
		}
		p.policy(t, photos).expectCREST(t, 404, "")
		if res := p.pendingOf(t, "alice"); len(pingIDs(res)) != 0 {
			t.Errorf("got %s, want nothing left", res)
		}
		p.grant(t, "bob", p.newTicket(t, photos, "view")).expect(t, 403, "request_denied", "")
		ofBob(t, p)
	})
}

// ticketOf is a ticket for what another user than alice owns.
func (p ping) ticketOf(t testing.TB, owner, resource string, scopes ...string) string {
	t.Helper()
	res := p.call(t, "POST", pingTicket, p.pat(t, owner), one(resource, scopes))
	if res.status != 201 {
		t.Fatalf("ask for a ticket: got %s", res)
	}
	return res.str("ticket")
}
