package tests

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The attacks that the endpoints of this server can meet, numbered. On the keycloak face the effect counts: nothing is granted,
// spent or leaked that should not be. The words are those of design §7. Those that
// every face meets alike are in TestFaces (A-39, A-60 and what follows, A-95, A-96;
// A-41 also in TestUMAPolicyIsAnothersBusiness). What is nowhere needs what is not
// served: interaction (A-5, A-15, A-85 and what follows), PCTs,
// DPoP, on this face entity tags.

// boardTicket is a ticket that bob is granted, and grants it when asked to.
func boardTicket(t *testing.T, e *env) string {
	t.Helper()
	return e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
}

// unusable is the one answer to every ticket that is no good.
func unusable(t *testing.T, res *response) {
	t.Helper()
	res.expect(t, 403, "invalid_ticket", "Ticket verification failed")
	wellFormed(t, res)
}

// refused fails unless a request was refused by the client's own fault, without
// a token.
func refused(t *testing.T, what string, res *response) {
	t.Helper()
	if res.status < 400 || res.status >= 500 || res.str("access_token") != "" || res.str("ticket") != "" {
		t.Errorf("%s: got %s, want a refusal", what, res)
	}
}

// TestAttackTickets is those on permission tickets.
func TestAttackTickets(t *testing.T) {
	t.Parallel()
	guardrail := map[string]string{"guardrails.rego": `package uma.guardrails
need_info contains {"name": "email"} if {
	input.resource.type == "bare"
	not input.claims.verified.email
}`}
	e := start(t, photozWith(t, guardrail), func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	bob := e.as(t, "bob", "photoz-web")

	t.Run("A-1_replay_after_success", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
		unusable(t, e.uma(t, bob, "ticket", ticket))
		unusable(t, e.uma(t, bob, "ticket", ticket, "response_mode", "decision"))
	})

	t.Run("A-2_replay_by_another_client", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
		unusable(t, e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket))
		unusable(t, e.uma(t, e.as(t, "dave", "photoz-app"), "ticket", ticket))
	})

	t.Run("A-3_old_ticket_after_need_info", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: "Bare"})
		res := e.uma(t, bob, "ticket", ticket)
		res.expect(t, 403, "need_info", "")
		unusable(t, e.uma(t, bob, "ticket", ticket))
		next := res.str("ticket")
		// The new one is the client's and the party's that it was given to.
		unusable(t, e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", next))
		unusable(t, e.uma(t, e.as(t, "erin", "photoz-web"), "ticket", next))
		if again := e.uma(t, bob, "ticket", next); again.str("error") != "need_info" {
			t.Errorf("the new ticket: got %s, want need_info: nobody else may spend it", again)
		}
	})

	t.Run("A-3_old_ticket_after_request_submitted", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Family album"), Scopes: []string{"view"}})
		e.uma(t, bob, "ticket", ticket).expect(t, 403, "access_denied", "request_submitted")
		unusable(t, e.uma(t, bob, "ticket", ticket))
	})

	t.Run("A-3_old_ticket_after_a_refusal", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: "Admin area", Scopes: []string{"view"}})
		e.uma(t, bob, "ticket", ticket).expect(t, 403, "access_denied", "request_denied")
		unusable(t, e.uma(t, bob, "ticket", ticket))
		unusable(t, e.uma(t, e.as(t, "dave", "photoz-web"), "ticket", ticket))
	})

	t.Run("A-4_fifty_at_once", func(t *testing.T) {
		t.Parallel()
		for range 3 {
			race(t, bob, boardTicket(t, e), e)
		}
	})

	t.Run("A-6_all_unusable_tickets_look_alike", func(t *testing.T) {
		t.Parallel()
		spent := boardTicket(t, e)
		e.uma(t, bob, "ticket", spent).expectGranted(t, "Public board: view")
		elsewhere := ticketOf(t, e, "other", "Public board")
		want := e.uma(t, bob, "ticket", "garbage")
		unusable(t, want)
		for name, ticket := range map[string]string{
			"spent": spent, "unknown": strings.Repeat("A", len(spent)), "of another realm": elsewhere,
			"one character changed": flip(spent), "a prefix": spent[:len(spent)-1], "long": strings.Repeat("x", 3000),
		} {
			got := e.uma(t, bob, "ticket", ticket)
			if got.status != want.status || !bytes.Equal(got.raw, want.raw) {
				t.Errorf("%s: got %s, want the same answer as to garbage, %s", name, got, want)
			}
		}
	})

	t.Run("A-6_guessing_is_slowed_down", func(t *testing.T) {
		t.Parallel()
		e := start(t, func(o *options) { o.Limits.FailedTickets = 3 })
		bob, good := e.as(t, "bob", "photoz-web"), boardTicket(t, e)
		for range 3 {
			unusable(t, e.uma(t, bob, "ticket", "garbage"))
		}
		res := e.uma(t, bob, "ticket", good)
		res.expect(t, 429, "temporarily_unavailable", "Too many unusable tickets were presented")
		if got := res.header.Get("Retry-After"); got != "60" {
			t.Errorf("got Retry-After %q, want the 60 seconds of the window", got)
		}
		e.uma(t, bob, "audience", "photoz-api", "permission", "Public board#view").expectGranted(t, "Public board: view") // guesses nothing
		e.uma(t, e.as(t, "erin", "photoz-web"), "ticket", boardTicket(t, e)).expectGranted(t, "Public board: view")
		// What is ignored beside a bearer token, and another token of the same user, are no other callers.
		again := bearer(e.newSignIn(t, "bob", "photoz-web", "").str("access_token"))
		for _, as := range []credentials{bob, again} {
			e.uma(t, as, "ticket", good, "client_id", "made-up").expect(t, 429, "temporarily_unavailable", "")
		}
		e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", boardTicket(t, e)).expectGranted(t, "Public board: view")
		e.Clock.Advance(time.Minute)
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", good).expectGranted(t, "Public board: view")
	})

	t.Run("A-14_one_PAT_makes_so_many_tickets_a_second", func(t *testing.T) {
		t.Parallel()
		e := start(t, func(o *options) { o.Limits.Tickets = 3 })
		board := []perm{{Resource: "Public board", Scopes: []string{"view"}}}
		pat := e.service(t, "photoz-api")
		ask := func() *response { return e.send(t, "POST", permission, pat, board) }
		for range 3 {
			ask().expect(t, 201, "", "")
		}
		ask().expect(t, 429, "temporarily_unavailable", "Too many permission tickets were asked for by this client and user")
		pat = bearer(e.newSignIn(t, "", "photoz-api", "").str("access_token"))
		ask().expect(t, 429, "temporarily_unavailable", "")
		e.send(t, "POST", permission, e.as(t, "alice", "photoz-api"), board).expect(t, 201, "", "")
		e.Clock.Advance(time.Second)
		ask().expect(t, 201, "", "")
	})

	t.Run("A-7_expired", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		early, late := boardTicket(t, e), boardTicket(t, e)
		e.Clock.Advance(119 * time.Second)
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", early).expectGranted(t, "Public board: view")
		e.Clock.Advance(time.Second)
		unusable(t, e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", late))
	})

	t.Run("A-9_wrong_secret_spends_nothing", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		res := e.post(t, tokenPath, credentials{}, "grant_type", umaGrant, "ticket", ticket, "client_id", "photoz-app", "client_secret", "wrong",
			"subject_token", e.token(t, "bob", "photoz-app"))
		res.expect(t, 401, "invalid_client", "Invalid client or Invalid client credentials")
		e.uma(t, bearer("garbage"), "ticket", ticket).expect(t, 401, "invalid_grant", "Invalid bearer token")
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
	})

	t.Run("A-10_malformed_request_spends_nothing", func(t *testing.T) {
		t.Parallel()
		ticket, app := boardTicket(t, e), e.as(t, "bob", "photoz-app")
		for _, kv := range [][]string{
			{"claim_token", "%%%", "claim_token_format", claimsJWT},
			{"claim_token", "x", "claim_token_format", "urn:x"},
			{"response_permissions_limit", "many"},
			{"submit_request", "perhaps"},
			{"response_mode", "decision", "response_mode", "decision"},
		} {
			res := e.uma(t, app, append(kv, "ticket", ticket)...)
			res.expect(t, 400, "invalid_request", "")
		}
		e.uma(t, app, "ticket", ticket).expectGranted(t, "Public board: view")
	})

	t.Run("A-11_ticket_of_another_realm", func(t *testing.T) {
		t.Parallel()
		ticket := ticketOf(t, e, "other", "Public board")
		unusable(t, e.uma(t, bob, "ticket", ticket))
		there := e.in("other")
		there.uma(t, there.as(t, "bob", "photoz-web"), "ticket", ticket).expectGranted(t, "Public board: view")
	})

	t.Run("A-12_other_tokens_as_ticket", func(t *testing.T) {
		t.Parallel()
		answer := e.uma(t, bob, "permission", "Public board")
		for name, token := range map[string]string{
			"RPT": answer.str("access_token"), "refresh token": answer.str("refresh_token"), "PAT": e.serviceToken(t, "photoz-api"),
			"access token": e.token(t, "bob", "photoz-web"), "ID token": e.idToken(t, "bob", "photoz-web"),
		} {
			res := e.uma(t, bob, "ticket", token)
			if token == "" {
				t.Errorf("got no %s to try with", name)
			}
			unusable(t, res)
		}
	})

	t.Run("A-13_resource_gone", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Gone", "type": "board", "resource_scopes": []string{"view"}})
		ticket := e.ticket(t, perm{Resource: id}, perm{Resource: "Public board", Scopes: []string{"view"}})
		remove(t, e, id)
		unusable(t, e.uma(t, bob, "ticket", ticket))
	})

	t.Run("A-13_resource_gone_and_registered_again", func(t *testing.T) {
		t.Parallel()
		again := map[string]any{"name": "Gone and back", "type": "board", "resource_scopes": []string{"view"}}
		id := e.create(t, again)
		ticket := e.ticket(t, perm{Resource: id})
		remove(t, e, id)
		e.create(t, again)
		unusable(t, e.uma(t, bob, "ticket", ticket))
	})

	t.Run("A-13_scope_gone", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Shrinking", "type": "board", "resource_scopes": []string{"view", "post"}})
		both, one := e.ticket(t, perm{Resource: id}), e.ticket(t, perm{Resource: id, Scopes: []string{"post"}})
		replace(t, e, id, map[string]any{"name": "Shrinking", "type": "board", "resource_scopes": []string{"view"}})
		e.uma(t, bob, "ticket", both).expectGranted(t, "Shrinking: view")
		unusable(t, e.uma(t, bob, "ticket", one)) // it is for nothing any more, which is not everything
	})

	t.Run("A-13_all_scopes_gone", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, map[string]any{"name": "Emptied", "type": "board", "resource_scopes": []string{"view"}})
		ticket := e.ticket(t, perm{Resource: id})
		replace(t, e, id, map[string]any{"name": "Emptied", "type": "board", "resource_scopes": []string{}})
		unusable(t, e.uma(t, bob, "ticket", ticket))
	})

	t.Run("A-16_ticket_in_a_URL", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		res := e.get(t, tokenPath, bob, "grant_type", umaGrant, "ticket", ticket)
		if res.status != 405 || !strings.Contains(res.header.Get("Allow"), "POST") {
			t.Errorf("GET: got %s, Allow %q, want 405 and POST", res, res.header.Get("Allow"))
		}
		res = e.do(t, request{method: "POST", url: tokenPath, as: bob, query: looseQuery("ticket=" + ticket), form: form("grant_type", umaGrant)})
		refused(t, "POST with the ticket in the query", res)
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
	})
}

// race presents one ticket from fifty clients at once: one is granted.
func race(t *testing.T, as credentials, ticket string, servers ...*env) {
	t.Helper()
	const clients = 50
	var granted, spent atomic.Int32
	var wait sync.WaitGroup
	barrier := make(chan struct{})
	for i := range clients {
		wait.Go(func() {
			<-barrier
			switch res := servers[i%len(servers)].uma(t, as, "ticket", ticket); {
			case res.status == 200 && res.str("access_token") != "":
				granted.Add(1)
			case res.status == 403 && res.str("error") == "invalid_ticket":
				spent.Add(1)
			default:
				t.Errorf("got %s, want an RPT or an unusable ticket", res)
			}
		})
	}
	close(barrier)
	wait.Wait()
	if granted.Load() != 1 || spent.Load() != clients-1 {
		t.Errorf("got %d RPTs and %d unusable tickets, want 1 and %d", granted.Load(), spent.Load(), clients-1)
	}
}

// flip changes the middle character of a secret.
func flip(s string) string {
	b := []byte(s)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// in is the same server, seen through another realm of it.
func (e *env) in(realm string) *env {
	return &env{URL: e.URL, Admin: e.Admin, Data: e.Data, Realm: realm, Clock: e.Clock}
}

// ticketOf is a ticket of another realm of the server.
func ticketOf(t *testing.T, e *env, realm, resource string) string {
	t.Helper()
	return e.in(realm).ticket(t, perm{Resource: resource, Scopes: []string{"view"}})
}

func remove(t *testing.T, e *env, id string) {
	t.Helper()
	if res := e.do(t, request{method: "DELETE", url: resourceSet + "/" + id, as: e.service(t, "photoz-api")}); res.status != 204 {
		t.Fatalf("delete a resource: got %s", res)
	}
}

func replace(t *testing.T, e *env, id string, resource map[string]any) {
	t.Helper()
	if res := e.send(t, "PUT", resourceSet+"/"+id, e.service(t, "photoz-api"), resource); res.status != 204 {
		t.Fatalf("replace a resource: got %s", res)
	}
}
