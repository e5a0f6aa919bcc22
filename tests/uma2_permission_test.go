package tests

import (
	"strings"
	"testing"
	"time"
)

// TestUMA2Permission is FedAuthz §4 in a realm with the profile uma2.
func TestUMA2Permission(t *testing.T) {
	t.Parallel()
	e := strictly(t)
	alice, service, bob := e.patOf(t, "alice", "photoz-api"), e.patOf(t, "", "photoz-api"), e.as(t, "bob", "photoz-web")
	first := e.register(t, alice, typed("open", "view", "print"))
	second := e.register(t, alice, typed("open", "view", "http://photoz.example.com/dev/actions/print"))
	const badID, badScope = "Permission request failed with bad resource ID.", "Permission request failed with bad resource scope."

	t.Run("F21_an_object_or_an_array", func(t *testing.T) {
		t.Parallel()
		for _, body := range []any{ask(first, "view"), []any{ask(first, "view")}} {
			res := e.send(t, "POST", permission, alice, body)
			if res.status != 201 || len(members(res)) != 1 {
				t.Errorf("got %s, want 201 with a ticket alone", res)
			}
			e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, first+": view")
		}
	})

	t.Run("F21_neither", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`[]`, `"` + first + `"`, `1`, `null`, ``, `true`, `[null]`, `["` + first + `"]`, `[[]]`, `[{}]`, `{}`} {
			res := e.do(t, request{method: "POST", url: permission, as: alice, body: body, headers: map[string]string{"Content-Type": "application/json"}})
			res.expect(t, 400, "invalid_request", "")
			wellFormed(t, res)
		}
	})

	t.Run("F22_id_and_scopes_are_required", func(t *testing.T) {
		t.Parallel()
		for want, body := range map[string]any{
			"resource_scopes is missing":                        map[string]any{"resource_id": first},
			"resource_id is missing":                            map[string]any{"resource_scopes": []string{"view"}},
			"resource_id must be a string":                      map[string]any{"resource_id": 1, "resource_scopes": []string{"view"}},
			"resource_scopes must be an array of strings":       map[string]any{"resource_id": first, "resource_scopes": "view"},
			"Cannot parse the JSON: resource_id is given twice": nil,
		} {
			r := request{method: "POST", url: permission, as: alice, json: body}
			if body == nil {
				r.body = `{"resource_id":"` + first + `","resource_id":"` + first + `","resource_scopes":[]}`
				r.headers = map[string]string{"Content-Type": "application/json"}
			}
			e.do(t, r).expect(t, 400, "invalid_request", want)
		}
		e.send(t, "POST", permission, alice, []any{ask(first, "view"), map[string]any{"resource_id": first}}).
			expect(t, 400, "invalid_request", "resource_scopes is missing")
	})

	t.Run("F22_a_resource_is_known_by_its_id", func(t *testing.T) {
		t.Parallel()
		e.register(t, alice, description{"name": "By name", "resource_scopes": []string{"view"}})
		for _, id := range []string{"By name", newUUID(), strings.ToUpper(first), first + " ", "", "#", "Lending board"} {
			e.send(t, "POST", permission, alice, ask(id, "view")).expect(t, 400, "invalid_resource_id", badID)
		}
		e.send(t, "POST", permission, alice, []any{ask(first, "view"), ask(newUUID(), "view")}).expect(t, 400, "invalid_resource_id", badID)
	})

	t.Run("F22_scopes_are_those_of_the_resource", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(second, "view", "http://photoz.example.com/dev/actions/print"))).
			expectGranted(t, second+": view")
		// "lend" is of a resource of the same type, which lends it on other faces.
		for _, scope := range []string{"lend", "http://photoz.example.com/dev/actions/print", "View", "", "*"} {
			e.send(t, "POST", permission, alice, ask(first, "view", scope)).expect(t, 400, "invalid_scope", badScope)
		}
		e.send(t, "POST", permission, alice, []any{ask(first, "view"), ask(second, "print")}).expect(t, 400, "invalid_scope", badScope)
	})

	t.Run("F22_no_scopes_is_a_request_too", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "ticket", e.strictTicket(t, alice, ask(first))).expectGranted(t, first+": view")
	})

	t.Run("F23_one_owner_a_ticket", func(t *testing.T) {
		t.Parallel()
		his, own := e.register(t, e.patOf(t, "bob", "photoz-api"), typed("open", "view")), e.register(t, service, typed("open", "view"))
		for _, asked := range [][]any{
			{ask(first, "view"), ask(his, "view")}, {ask(own, "view"), ask(first, "view")},
			{ask(first, "view"), ask(second, "view"), ask(own, "view")},
		} {
			e.send(t, "POST", permission, service, asked).expect(t, 400, "invalid_resource_id", badID)
		}
		for _, id := range []string{his, own} { // a user's PAT is about what the user owns
			e.send(t, "POST", permission, alice, ask(id, "view")).expect(t, 400, "invalid_resource_id", badID)
		}
		e.uma(t, bob, "ticket", e.strictTicket(t, service, ask(first, "view"), ask(second, "view"))).
			expectGranted(t, first+": view", second+": view")
	})

	t.Run("F24_one_ticket_for_all", func(t *testing.T) {
		t.Parallel()
		res := e.send(t, "POST", permission, alice, []any{ask(first, "view"), ask(second, "view"), ask(first, "print")})
		if res.status != 201 || len(members(res)) != 1 {
			t.Errorf("got %s, want 201 with a ticket alone", res)
		}
		e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, first+": view", second+": view")
	})

	t.Run("F4_while_the_owner_is_offline", func(t *testing.T) {
		t.Parallel()
		e := strictly(t)
		id := e.register(t, e.patOf(t, "alice", "photoz-api"), typed("open", "view"))
		e.Clock.Advance(11 * time.Hour) // her session is over
		ticket := e.strictTicket(t, e.patOf(t, "", "photoz-api"), ask(id, "view"))
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket).expectGranted(t, id+": view")
	})
}
