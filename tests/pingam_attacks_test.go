package tests

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAttackPingAM is those on the protection API on PingAM's paths, but for who may call.
func TestAttackPingAM(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	if res := p.put(t, photos, aPolicy(photos, grantTo("carol", "view"))); res.status != 201 {
		t.Fatalf("got %s", res)
	}

	t.Run("A-22_resource_of_another", func(t *testing.T) {
		t.Parallel()
		check, nobody := p.steady(t), newUUID()
		for name, as := range map[string]credentials{
			"another owner":           p.pat(t, "bob"),
			"another resource server": bearer(p.signIn(t, "", "other-api", "uma_protection").access),
		} {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				var body any
				if method == "PUT" {
					body = specified("Mine", []string{"view"})
				}
				foreign := p.call(t, method, pingSets+"/"+photos, as, body)
				unknown := p.call(t, method, pingSets+"/"+nobody, as, body)
				if foreign.status != 404 || unknown.status != 404 || !bytes.Equal(foreign.raw, unknown.raw) {
					t.Errorf("%s, %s: got %s and for one of nobody %s", name, method, foreign, unknown)
				}
			}
		}
		check()
	})

	t.Run("A-23_lists_show_ones_own", func(t *testing.T) {
		t.Parallel()
		if res := p.call(t, "GET", pingSets, p.pat(t, "bob"), nil); !slices.Equal(asList(res.json), []any{"of-bob"}) {
			t.Errorf("got %s, want bob's own", res)
		}
		if res := p.call(t, "GET", pingUser+"bob/uma/policies?_queryFilter=true", p.owner(t, "bob"), nil); len(pingIDs(res)) != 0 {
			t.Errorf("got %s, want none of alice's policies", res)
		}
	})

	t.Run("A-24_ticket_for_a_foreign_resource", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"of-bob", "of-another", newUUID(), "Photos"} {
			res := p.call(t, "POST", pingTicket, p.pat(t, "alice"), one(id, []string{"view"}))
			res.expect(t, 400, "invalid_resource_id", "Permission request failed with bad resource ID.")
		}
	})

	t.Run("A-27_scopes_are_compared_byte_by_byte", func(t *testing.T) {
		t.Parallel()
		for _, scope := range []string{"View", "VIEW", "view ", " view", "vіew", "vie", "views", "view,comment", "", "*"} {
			p.call(t, "POST", pingTicket, p.pat(t, "alice"), one(photos, []string{scope})).expect(t, 400, "invalid_scope", "")
		}
		if res := p.call(t, "POST", pingTicket, p.pat(t, "alice"), one(photos, []string{"view\u0000"})); res.status != 400 {
			t.Errorf("got %s", res)
		}
	})

	t.Run("A-28_put_with_other_ids", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		body := map[string]any{"name": "Photos", "resource_scopes": []string{"view"}, "owner": "bob", "client_id": "other-api", "iat": 1}
		if res := p.call(t, "PUT", pingSets+"/"+photos, p.pat(t, "alice"), body); res.status != 200 {
			t.Errorf("got %s", res)
		}
		p.call(t, "GET", pingSets+"/"+photos, p.pat(t, "bob"), nil).expect(t, 404, "not_found", "")
		if res := p.call(t, "GET", pingSets+"/"+photos, p.pat(t, "alice"), nil); res.status != 200 || res.object()["owner"] != nil {
			t.Errorf("got %s, want it alice's", res)
		}
		body["_id"] = "whole"
		p.call(t, "PUT", pingSets+"/"+photos, p.pat(t, "alice"), body).expect(t, 400, "invalid_request", "")
	})

	t.Run("A-29_same_name_as_anothers", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		if res := p.put(t, photos, aPolicy(photos, grantTo("carol", "view"))); res.status != 201 {
			t.Fatalf("got %s", res)
		}
		res := p.call(t, "POST", pingSets, p.pat(t, "bob"), specified("Photos", []string{"view"}))
		if res.status != 201 || res.str("_id") == photos {
			t.Fatalf("got %s", res)
		}
		p.grant(t, "carol", p.ticketOf(t, "bob", res.str("_id"), "view")).expect(t, 403, "request_submitted", "")
	})

	t.Run("A-30_deleted_and_registered_again", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		again := specified("Phoenix", []string{"view"})
		id := p.call(t, "POST", pingSets, p.pat(t, "alice"), again).str("_id")
		p.put(t, id, aPolicy(id, grantTo("bob", "view")))
		rpt := p.grant(t, "bob", p.newTicket(t, id, "view")).str("access_token")
		if p.introspect(t, rpt).object()["active"] != true {
			t.Fatal("the RPT is inactive before anything happened")
		}
		if res := p.call(t, "DELETE", pingSets+"/"+id, p.pat(t, "alice"), nil); res.status != 204 {
			t.Fatalf("got %s", res)
		}
		p.policy(t, id).expectCREST(t, 404, "UMA Policy not found, "+id)
		next := p.call(t, "POST", pingSets, p.pat(t, "alice"), again).str("_id")
		if next == id || next == "" || p.introspect(t, rpt).object()["active"] != false {
			t.Errorf("got id %q after %q, and the RPT %s", next, id, p.introspect(t, rpt))
		}
		p.policy(t, next).expectCREST(t, 404, "")
		p.grant(t, "bob", p.newTicket(t, next, "view")).expect(t, 403, "request_submitted", "")
	})

	for name, body := range map[string]string{
		"scopes are a string": `{"resource_scopes":"a"}`, "scopes are null": `{"resource_scopes":null}`, "a scope is a number": `{"resource_scopes":[1]}`,
		"a scope is empty": `{"resource_scopes":[""]}`, "a scope is a list": `{"resource_scopes":[["a"]]}`, "a scope is an object": `{"resource_scopes":[{"name":"a"}]}`,
		"no scopes": `{"name":"X"}`, "scopes in another case": `{"Resource_Scopes":["a"]}`, "a name that is a number": `{"resource_scopes":["a"],"name":1}`,
		"a member twice": `{"resource_scopes":["a"],"resource_scopes":["b"]}`, "an array": `[]`, "nothing": ``, "two documents": `{"resource_scopes":["a"]}{}`,
		"deep": strings.Repeat(`{"a":`, 100_000),
	} {
		t.Run("A-32_"+name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []request{{method: "POST", url: p.URL + pingSets}, {method: "PUT", url: p.URL + pingSets + "/" + photos}} {
				r.as, r.body, r.headers = p.pat(t, "alice"), body, map[string]string{"Content-Type": "application/json"}
				res := p.do(t, r)
				if res.status != 400 || res.str("error") != "invalid_request" && res.str("error") != "invalid_scope" {
					t.Errorf("%s: got %s", r.method, res)
				}
			}
		})
	}

	t.Run("A-34_too_much", func(t *testing.T) {
		t.Parallel()
		for name, r := range map[string]request{
			"a name of 10 MB":    {method: "POST", url: p.URL + pingSets, as: p.pat(t, "alice"), body: `{"name":"` + strings.Repeat("x", 10<<20) + `"}`},
			"a million scopes":   {method: "POST", url: p.URL + pingTicket, as: p.pat(t, "alice"), body: `{"resource_id":"` + photos + `","resource_scopes":["a"` + strings.Repeat(`,"a"`, 1_000_000) + `]}`},
			"a million subjects": {method: "PUT", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"), body: `{"policyId":"` + photos + `","permissions":[{}` + strings.Repeat(`,{}`, 1_000_000) + `]}`},
			"a deep body":        {method: "POST", url: p.URL + pingAlice + "pendingrequests?_action=approveAll", as: p.owner(t, "alice"), body: strings.Repeat(`[`, 100_000)},
		} {
			r.headers = map[string]string{"Content-Type": "application/json"}
			res, err := attempt(p.newRequest(t, r))
			if err == nil && res.status != 400 && res.status != 413 {
				t.Errorf("%s: got %s, want 400 or 413", name, res)
			}
		}
	})

	t.Run("A-35_wrong_content_type", func(t *testing.T) {
		t.Parallel()
		check := p.steady(t)
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
			for _, r := range []request{
				{method: "POST", url: p.URL + pingSets, as: p.pat(t, "alice"), body: `{"resource_scopes":["view"]}`},
				{method: "POST", url: p.URL + pingTicket, as: p.pat(t, "alice"), body: seedRequest},
				{method: "PUT", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"), body: `{"policyId":"` + photos + `","permissions":[{"subject":"bob","scopes":["view"]}]}`},
			} {
				r.headers = map[string]string{"Content-Type": kind}
				if res := p.do(t, r); res.status != 415 || res.str("ticket") != "" || res.str("_id") != "" {
					t.Errorf("%s %s: got %s", kind, r.url, res)
				}
			}
		}
		check()
	})

	t.Run("A-36_other_methods", func(t *testing.T) {
		t.Parallel()
		check := p.steady(t)
		for _, r := range []request{
			{method: "PATCH", url: pingSets + "/" + photos}, {method: "POST", url: pingSets + "/" + photos}, {method: "DELETE", url: pingSets},
			{method: "GET", url: pingTicket}, {method: "GET", url: pingToken}, {method: "PUT", url: pingCheck},
		} {
			res := p.call(t, r.method, r.url, p.pat(t, "alice"), nil)
			res.expect(t, 405, "unsupported_method_type", "")
			if res.header.Get("Allow") == "" {
				t.Errorf("%s %s: does not say what is allowed", r.method, r.url)
			}
		}
		for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			for _, url := range []string{pingSets + "/" + photos, pingAlice + "policies/" + photos} {
				as := map[bool]credentials{true: p.pat(t, "alice"), false: p.owner(t, "alice")}[strings.HasPrefix(url, pingSets)]
				res := p.do(t, request{method: "GET", url: p.URL + url, as: as, headers: map[string]string{header: "DELETE"}})
				if res.status != 200 {
					t.Errorf("GET with %s: got %s", header, res)
				}
			}
		}
		check()
	})

	t.Run("A-38_icons_are_not_fetched", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		var fetched atomic.Int32
		bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
		defer bait.Close()
		res := p.call(t, "POST", pingSets, p.pat(t, "alice"), map[string]any{"name": "Bait", "icon_uri": bait.URL + "/i.png", "resource_scopes": []string{bait.URL + "/scope"}})
		if res.status != 201 || fetched.Load() != 0 {
			t.Errorf("got %s, %d fetched", res, fetched.Load())
		}
		for _, icon := range []string{"javascript:alert(1)", "file:///etc/passwd", "data:text/html,x"} {
			p.call(t, "POST", pingSets, p.pat(t, "alice"), map[string]any{"name": "Icon", "icon_uri": icon, "resource_scopes": []string{"view"}}).expect(t, 400, "invalid_request", "")
		}
	})

	t.Run("A-39_script_in_names", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		const name = `<script>alert(1)</script>`
		id := p.call(t, "POST", pingSets, p.pat(t, "alice"), specified(name, []string{"view"})).str("_id")
		p.put(t, id, aPolicy(id, grantTo("bob", "view")))
		p.asks(t, "carol", id, "view")
		for _, res := range []*response{
			p.call(t, "GET", pingSets+"/"+id, p.pat(t, "alice"), nil), p.policy(t, id), p.query(t, "_queryFilter", "true"), p.pendingOf(t, "alice"),
			p.call(t, "GET", pingAlice+"policies/<script>", p.owner(t, "alice"), nil),
		} {
			if bytes.Contains(res.raw, []byte("<script")) || res.header.Get("Content-Type") != "application/json" || res.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("got %s as %q", res, res.header.Get("Content-Type"))
			}
		}
		if got := p.policy(t, id).str("name"); got != name {
			t.Errorf("got name %q, want it as it was registered", got)
		}
	})

	t.Run("A-40_host_header", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		headers := map[string]string{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
		res := p.do(t, request{method: "POST", url: p.URL + pingSets, as: p.pat(t, "alice"), json: specified("X", []string{"view"}), headers: headers})
		if !strings.HasPrefix(res.header.Get("Location"), p.URL+pingSets) {
			t.Errorf("got Location %q", res.header.Get("Location"))
		}
		res = p.do(t, request{method: "PUT", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"), json: aPolicy(photos, grantTo("bob", "view")), headers: headers})
		if !strings.HasPrefix(res.header.Get("Location"), p.URL+pingAlice) {
			t.Errorf("got Location %q", res.header.Get("Location"))
		}
	})

	t.Run("A-41_policy_for_somebody_elses_resource", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		good := p.put(t, "of-another", aPolicy("of-another", grantTo("bob", "view")))
		if good.status != 201 {
			t.Errorf("at another resource server, but her own: got %s", good)
		}
		for _, id := range []string{"of-bob", newUUID(), "Photos"} {
			for _, headers := range [][]string{nil, {"If-None-Match", "*"}, {"If-Match", "*"}} {
				p.put(t, id, aPolicy(id, grantTo("carol", "view")), headers...).expectCREST(t, 404, "UMA Policy not found, "+id)
			}
			p.call(t, "DELETE", pingAlice+"policies/"+id, p.owner(t, "alice"), nil).expectCREST(t, 404, "UMA Policy not found, "+id)
		}
		if res := p.call(t, "GET", pingUser+"bob/uma/policies?_queryFilter=true", p.owner(t, "bob"), nil); len(pingIDs(res)) != 0 {
			t.Errorf("got %s shared by bob, who shared nothing", res)
		}
	})

	t.Run("A-42_lost_update", func(t *testing.T) {
		t.Parallel()
		p := startPing(t)
		first := p.put(t, photos, aPolicy(photos, grantTo("bob", "view"))).str("_rev")
		p.put(t, photos, aPolicy(photos, grantTo("bob", "view"), grantTo("carol", "view")))
		p.put(t, photos, aPolicy(photos, grantTo("bob", "comment")), "If-Match", first).expectCREST(t, 412, "")
		if got := pingGrants(p.policy(t, photos).json); !slices.Equal(got, []string{"bob: view", "carol: view"}) {
			t.Errorf("got %v", got)
		}
		// A share that is gone shows too, though no row that is left was changed.
		second := p.policy(t, photos).str("_rev")
		p.put(t, photos, aPolicy(photos, grantTo("bob", "view")))
		p.put(t, photos, aPolicy(photos, grantTo("bob", "comment")), "If-Match", second).expectCREST(t, 412, "")
	})
}
