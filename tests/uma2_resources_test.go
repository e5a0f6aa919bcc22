package tests

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestUMA2Registration is FedAuthz §3 in a realm with the profile uma2.
func TestUMA2Registration(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice := e.patOf(t, "alice", "photoz-api")
	send := func(t *testing.T, method, path, body string) *response {
		t.Helper()
		return e.do(t, request{method: method, url: path, as: alice, body: body, headers: map[string]string{"Content-Type": "application/json"}})
	}

	t.Run("F9_all_that_is_registered_is_given_back", func(t *testing.T) {
		t.Parallel()
		want := map[string]any{
			"resource_scopes":  []any{"read-public", "post-updates", "http://www.example.com/scopes/all"},
			"icon_uri":         "http://www.example.com/icons/sharesocial.png",
			"name":             "Tweedl Social Service",
			"type":             "http://www.example.com/rsrcs/socialstream/140-compatible",
			"description":      "What happens,\nline by line",
			"name#fr":          "Service social Tweedl",
			"description#fr":   "Ce qui se passe",
			"name#zh-Hant-TW":  "推文服務",
			"description#de-1": "",
		}
		id := e.register(t, alice, want)
		want["_id"] = id
		if got := e.get(t, resourceSet+"/"+id, alice); got.status != 200 || !reflect.DeepEqual(got.json, any(want)) {
			t.Errorf("got %s, want %v", got, want)
		}
	})

	t.Run("F9_scopes_are_required_and_may_be_none", func(t *testing.T) {
		t.Parallel()
		e.send(t, "POST", resourceSet, alice, description{"name": "No scopes"}).expect(t, 400, "invalid_request", "resource_scopes is missing")
		id := e.register(t, alice, scoped())
		got := e.get(t, resourceSet+"/"+id, alice)
		if list, ok := got.object()["resource_scopes"].([]any); !ok || len(list) != 0 {
			t.Errorf("got %s, want an empty list of scopes", got)
		}
	})

	t.Run("F9_a_name_is_optional", func(t *testing.T) {
		t.Parallel()
		first, second := e.register(t, alice, scoped("view")), e.register(t, alice, scoped("view"))
		if first == second {
			t.Errorf("two resources without a name have the id %s", first)
		}
		if got := e.get(t, resourceSet+"/"+first, alice); !slices.Equal(members(got), []string{"_id", "resource_scopes"}) {
			t.Errorf("got %s, want what was registered and the id", got)
		}
		if got := e.send(t, "PUT", resourceSet+"/"+first, alice, scoped("print")); got.status != 200 {
			t.Errorf("update: got %s", got)
		}
	})

	t.Run("F9_one_name_an_owner", func(t *testing.T) {
		t.Parallel()
		d := description{"name": "Only once", "resource_scopes": []string{"view"}}
		e.register(t, alice, d)
		e.send(t, "POST", resourceSet, alice, d).expect(t, 400, "invalid_request", "The owner has another resource with the name [Only once]")
		other := e.register(t, alice, scoped("view"))
		e.send(t, "PUT", resourceSet+"/"+other, alice, d).expect(t, 400, "invalid_request", "The owner has another resource with the name [Only once]")
	})

	t.Run("F11_with_and_without_a_slash", func(t *testing.T) {
		t.Parallel()
		for _, slash := range []string{"", "/"} {
			res := e.send(t, "POST", resourceSet+slash, alice, scoped("view"))
			one := resourceSet + "/" + res.str("_id") + slash
			if got := e.get(t, one, alice); res.status != 201 || got.status != 200 || got.str("_id") != res.str("_id") {
				t.Errorf("%q: got %s, then %s", slash, res, got)
			}
			if got := e.get(t, resourceSet+slash, alice); !slices.Contains(asList(got.json), any(res.str("_id"))) {
				t.Errorf("%q: got %s, want %s in it", slash, got, res.str("_id"))
			}
			if got := e.do(t, request{method: "DELETE", url: one, as: alice}); got.status != 204 || len(got.raw) != 0 {
				t.Errorf("%q: delete: got %s, want 204", slash, got)
			}
		}
	})

	t.Run("F13_create_answers_201_with_Location", func(t *testing.T) {
		t.Parallel()
		res := e.do(t, request{method: "POST", url: resourceSet, as: alice, json: scoped("view"), headers: map[string]string{"X-Forwarded-Host": "evil.example"}})
		if want := e.base() + resourceSet + "/" + res.str("_id"); res.status != 201 || res.header.Get("Location") != want {
			t.Errorf("got %d with Location %q, want 201 with %s", res.status, res.header.Get("Location"), want)
		}
		if !slices.Equal(members(res), []string{"_id"}) {
			t.Errorf("got %s, want the id alone", res)
		}
		if got := e.do(t, request{method: "GET", url: res.header.Get("Location"), as: alice}); got.status != 200 {
			t.Errorf("read at the Location: got %s", got)
		}
	})

	t.Run("F15_update_replaces_and_answers_200_with_the_id", func(t *testing.T) {
		t.Parallel()
		id := e.register(t, alice, description{
			"name": "Before", "type": "open", "description": "before", "name#fr": "avant", "icon_uri": "https://example.com/i.png",
			"resource_scopes": []string{"view", "print"},
		})
		res := e.send(t, "PUT", resourceSet+"/"+id, alice, description{"_id": id, "name": "After", "resource_scopes": []string{"view"}})
		if res.status != 200 || !reflect.DeepEqual(res.json, any(map[string]any{"_id": id})) {
			t.Errorf("got %s, want 200 with the id", res)
		}
		want := map[string]any{"_id": id, "name": "After", "resource_scopes": []any{"view"}}
		if got := e.get(t, resourceSet+"/"+id, alice); !reflect.DeepEqual(got.json, any(want)) {
			t.Errorf("got %s, want %v", got, want)
		}
		e.send(t, "PUT", resourceSet+"/"+id, alice, description{"_id": newUUID(), "resource_scopes": []string{}}).
			expect(t, 400, "invalid_request", "_id is not that of the path")
	})

	t.Run("F16_delete_ends_the_protection", func(t *testing.T) {
		t.Parallel()
		id := e.register(t, alice, typed("open", "view"))
		rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", e.strictTicket(t, alice, ask(id, "view"))).str("access_token")
		if !active(t, e, rpt) {
			t.Fatal("the RPT is inactive before anything happened")
		}
		if got := e.do(t, request{method: "DELETE", url: resourceSet + "/" + id, as: alice}); got.status != 204 {
			t.Errorf("got %s, want 204", got)
		}
		e.get(t, resourceSet+"/"+id, alice).expect(t, 404, "not_found", "")
		if active(t, e, rpt) {
			t.Error("the RPT is still active")
		}
	})

	t.Run("F17_the_list_is_the_owners", func(t *testing.T) {
		t.Parallel()
		service, bob := e.patOf(t, "", "photoz-api"), e.patOf(t, "bob", "photoz-api")
		hers, his := e.register(t, alice, scoped("view")), e.register(t, bob, scoped("view"))
		for_ := e.register(t, service, description{"owner": "alice", "resource_scopes": []string{"view"}})
		own := e.register(t, service, scoped("view"))
		elsewhere := e.register(t, e.patOf(t, "alice", "other-api"), scoped("view"))
		for name, tc := range map[string]struct {
			pat         credentials
			with, never []string
		}{
			"alice":               {alice, []string{hers, for_}, []string{his, own, elsewhere}},
			"bob":                 {bob, []string{his}, []string{hers, for_, own, elsewhere}},
			"the resource server": {service, []string{own}, []string{hers, his, for_, elsewhere}},
		} {
			got := asList(e.get(t, resourceSet, tc.pat).json)
			for _, id := range tc.with {
				if !slices.Contains(got, any(id)) {
					t.Errorf("%s: got %v, want %s in it", name, got, id)
				}
			}
			for _, id := range tc.never {
				if slices.Contains(got, any(id)) {
					t.Errorf("%s: got %v, want no %s in it", name, got, id)
				}
			}
		}
		if got := e.get(t, resourceSet, e.patOf(t, "", "other-api")); string(got.raw) != "[]" {
			t.Errorf("of nothing: got %s, want an empty array", got)
		}
	})

	t.Run("F18_what_is_not_there", func(t *testing.T) {
		t.Parallel()
		his := e.register(t, e.patOf(t, "bob", "photoz-api"), scoped("view"))
		elsewhere := e.register(t, e.patOf(t, "alice", "other-api"), scoped("view"))
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			var answers [][]byte
			for _, id := range []string{newUUID(), his, elsewhere, "x", "%00"} {
				r := request{method: method, url: resourceSet + "/" + id, as: alice}
				if method == "PUT" {
					r.json = scoped("view")
				}
				res := e.do(t, r)
				res.expect(t, 404, "not_found", "")
				answers = append(answers, res.raw)
			}
			for _, raw := range answers[1:] {
				if !bytes.Equal(raw, answers[0]) {
					t.Errorf("%s: got %s and %s, want no difference", method, answers[0], raw)
				}
			}
		}
	})

	t.Run("F19_other_methods", func(t *testing.T) {
		t.Parallel()
		id := e.register(t, alice, scoped("view"))
		for _, tc := range []struct{ method, path, allow string }{
			{"PATCH", resourceSet + "/" + id, "DELETE, GET, HEAD, OPTIONS, PUT"},
			{"POST", resourceSet + "/" + id, "DELETE, GET, HEAD, OPTIONS, PUT"},
			{"PUT", resourceSet, "GET, HEAD, OPTIONS, POST"},
			{"DELETE", resourceSet + "/", "GET, HEAD, OPTIONS, POST"},
			{"GET", permission, "OPTIONS, POST"},
			{"GET", introspect, "OPTIONS, POST"},
			{"GET", tokenPath, "OPTIONS, POST"},
		} {
			res := e.do(t, request{method: tc.method, url: tc.path, as: alice})
			res.expect(t, 405, "unsupported_method_type", "")
			allow := strings.Split(res.header.Get("Allow"), ", ")
			slices.Sort(allow)
			if got := strings.Join(allow, ", "); got != tc.allow {
				t.Errorf("%s %s: got Allow %q, want %q", tc.method, tc.path, got, tc.allow)
			}
		}
	})

	t.Run("F20_what_is_given_twice_or_is_of_a_wrong_type", func(t *testing.T) {
		t.Parallel()
		id := e.register(t, alice, typed("open", "view"))
		before := e.get(t, resourceSet+"/"+id, alice)
		for body, names := range map[string]string{
			`{"resource_scopes":["view"],"resource_scopes":["view"]}`:                  "resource_scopes",
			`{"resource_scopes":[],"name":"a","name":"a"}`:                             "name",
			`{"resource_scopes":[],"x":1,"x":1}`:                                       "x",
			`{"resource_scopes":[],"name#fr":"a","name#fr":"b"}`:                       "name#fr",
			`{"resource_scopes":"view"}`:                                               "resource_scopes",
			`{"resource_scopes":[1]}`:                                                  "resource_scopes",
			`{"resource_scopes":[{"name":"view"}]}`:                                    "resource_scopes",
			`{"resource_scopes":[["view"]]}`:                                           "resource_scopes",
			`{"resource_scopes":null}`:                                                 "resource_scopes",
			`{"resource_scopes":{}}`:                                                   "resource_scopes",
			`{"resource_scopes":[],"name":1}`:                                          "name",
			`{"resource_scopes":[],"type":["a"]}`:                                      "type",
			`{"resource_scopes":[],"icon_uri":{}}`:                                     "icon_uri",
			`{"resource_scopes":[],"icon_uri":"javascript:alert(1)"}`:                  "icon_uri",
			`{"resource_scopes":[],"description":true}`:                                "description",
			`{"resource_scopes":[],"description#fr":[]}`:                               "description#fr",
			`{"resource_scopes":[],"name#fr":1}`:                                       "name#fr",
			`{"resource_scopes":[],"owner":1}`:                                         "owner",
			`{"Resource_Scopes":["view"]}`:                                             "resource_scopes",
			`{"resource_scopes":[],"name":" "}`:                                        "name",
			`{"resource_scopes":[],"description":"` + strings.Repeat("x", 4001) + `"}`: "4000",
			`["view"]`:                    "JSON object",
			`"view"`:                      "JSON object",
			``:                            "JSON object",
			`{"resource_scopes":[]} {}`:   "JSON",
			`{"resource_scopes":["view"]`: "JSON",
		} {
			for method, path := range map[string]string{"POST": resourceSet, "PUT": resourceSet + "/" + id} {
				res := send(t, method, path, body)
				if res.expect(t, 400, "invalid_request", ""); !strings.Contains(res.str("error_description"), names) {
					t.Errorf("%s %.60s: got %s, want it to name %s", method, body, res, names)
				}
				wellFormed(t, res)
			}
		}
		if after := e.get(t, resourceSet+"/"+id, alice); !bytes.Equal(before.raw, after.raw) {
			t.Errorf("got %s, want it untouched: %s", after, before)
		}
	})

	t.Run("G1_names_differ_by_case_and_G2_unknown_ones_are_ignored", func(t *testing.T) {
		t.Parallel()
		res := send(t, "POST", resourceSet, `{"resource_scopes":["view"],"Name":"By case","NAME":1,"Description":[],"x-tension":{"a":[1]},"client_id":"other-api","uris":"/x"}`)
		if got := e.get(t, resourceSet+"/"+res.str("_id"), alice); !slices.Equal(members(got), []string{"_id", "resource_scopes"}) {
			t.Errorf("got %s, then %s, want the others ignored", res, got)
		}
	})

	t.Run("G3_what_a_user_owns_its_owner_looks_after", func(t *testing.T) {
		t.Parallel()
		service, bob := e.patOf(t, "", "photoz-api"), e.as(t, "bob", "photoz-web")
		for name, tc := range map[string]struct {
			pat  credentials
			d    description
			want string
		}{
			"by the owner":                       {alice, scoped("view"), "request_submitted"},
			"for the owner":                      {service, description{"owner": "alice", "resource_scopes": []string{"view"}}, "request_submitted"},
			"of the resource server":             {service, scoped("view"), "request_denied"},
			"by a user who names somebody else":  {alice, description{"owner": "carol", "resource_scopes": []string{"view"}}, "request_submitted"},
			"for the resource server, by itself": {service, description{"owner": "photoz-api", "resource_scopes": []string{"view"}}, "request_denied"},
		} {
			id := e.register(t, tc.pat, tc.d)
			e.uma(t, bob, "ticket", e.strictTicket(t, service, ask(id, "view"))).expect(t, 403, tc.want, "")
			if tc.d["owner"] == "carol" {
				if got := asList(e.get(t, resourceSet, alice).json); !slices.Contains(got, any(id)) {
					t.Errorf("%s: got %v, want %s to be alice's", name, got, id)
				}
			}
		}
		e.send(t, "POST", resourceSet, service, description{"owner": "nobody", "resource_scopes": []string{}}).expect(t, 400, "invalid_request", "")
	})

	t.Run("an_update_keeps_what_the_specification_has_no_words_for", func(t *testing.T) {
		t.Parallel()
		id := e.register(t, alice, scoped("view"))
		e.send(t, "PUT", resourceSet+"/"+id, e.patOf(t, "", "photoz-api"), scoped("view"))
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", e.strictTicket(t, alice, ask(id, "view"))).expect(t, 403, "request_submitted", "")
	})
}
