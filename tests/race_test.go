package tests

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/umpire/uma"
)

// rounds is how often a race is run: a handful of rounds shows little, and under
// the race detector, which finds other faults, a handful must do.
func rounds(n int) int {
	if raceEnabled || testing.Short() {
		return max(n/20, 2)
	}
	return n
}

// atOnce runs functions that all begin at the same moment, and waits for them.
func atOnce(functions ...func()) {
	var wait sync.WaitGroup
	barrier := make(chan struct{})
	for _, f := range functions {
		wait.Go(func() {
			<-barrier
			f()
		})
	}
	close(barrier)
	wait.Wait()
}

// TestRaceForATicket: of fifty clients that present one ticket at once, one gets
// an RPT. That is the one grant on record; whoever got as far as deciding and
// lost leaves a record that says so.
func TestRaceForATicket(t *testing.T) {
	t.Parallel()
	e := start(t, unlimited)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-web")
	for range rounds(100) {
		ticket := boardTicket(t, e)
		outcomes := map[string]int{}
		for _, r := range recordsOf(t, db, func() { race(t, bob, ticket, e) }) {
			outcomes[r.Outcome]++
			event := eventOf(t, r)
			if got, want := at(event, "input", "ticket", "id"), ticketID(ticket); got != want {
				t.Errorf("a record is of ticket %v, want %s", got, want)
			}
			if r.Outcome == "granted" {
				continue
			}
			if event["error"] != "ticket_spent" || event["result"] != nil {
				t.Errorf("a loser's record: got error %v and result %v, want ticket_spent and none", event["error"], event["result"])
			}
		}
		if outcomes["granted"] != 1 || outcomes["granted"]+outcomes["error"] > 50 || len(outcomes) > 2 {
			t.Fatalf("got records %v, want one granted and at most 49 of losers", outcomes)
		}
	}
}

// withdrawals are the ways to take back what an owner shared.
var withdrawals = []struct {
	name string
	by   func(t *testing.T, e *env, resource, share string) *response

	policy bool // what is shared is shared by a policy
}{
	{name: "the owner says no", by: func(t *testing.T, e *env, _, share string) *response {
		return e.send(t, "PUT", requests, e.as(t, "alice", "photoz-api"), map[string]any{"id": share, "granted": false})
	}},
	{name: "the request is deleted", by: func(t *testing.T, e *env, _, share string) *response {
		return e.do(t, request{method: "DELETE", url: requests + "/" + share, as: e.as(t, "alice", "photoz-api")})
	}},
	{name: "the scope leaves the resource", by: func(t *testing.T, e *env, resource, _ string) *response {
		return e.send(t, "PUT", resourceSet+"/"+resource, e.service(t, "photoz-api"), map[string]any{
			"name": resource, "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": []string{"comment"},
		})
	}},
	{name: "the owner no longer manages it", by: func(t *testing.T, e *env, resource, _ string) *response {
		return e.send(t, "PUT", resourceSet+"/"+resource, e.service(t, "photoz-api"), map[string]any{
			"name": resource, "type": "album", "owner": "alice", "resource_scopes": []string{"view", "comment"},
		})
	}},
	{name: "the resource is deleted", by: func(t *testing.T, e *env, resource, _ string) *response {
		return e.do(t, request{method: "DELETE", url: resourceSet + "/" + resource, as: e.service(t, "photoz-api")})
	}},
	{name: "the account page takes it back", by: func(t *testing.T, e *env, resource, _ string) *response {
		return e.send(t, "PUT", accountResources+"/"+resource+"/permissions", e.as(t, "alice", "photoz-web"), []userScopes{{"bob", []string{}}})
	}},
	{name: "the policy is deleted", policy: true, by: func(t *testing.T, e *env, _, share string) *response {
		return e.do(t, request{method: "DELETE", url: umaPolicy + "/" + share, as: e.as(t, "alice", "photoz-api")})
	}},
	{name: "the scope leaves the policy", policy: true, by: func(t *testing.T, e *env, resource, share string) *response {
		return e.send(t, "PUT", umaPolicy+"/"+share, e.as(t, "alice", "photoz-api"), map[string]any{
			"name": resource, "scopes": []string{"comment"}, "users": []string{"bob"},
		})
	}},
	{name: "the user leaves the policy", policy: true, by: func(t *testing.T, e *env, resource, share string) *response {
		return e.send(t, "PUT", umaPolicy+"/"+share, e.as(t, "alice", "photoz-api"), map[string]any{
			"name": resource, "scopes": []string{"view"}, "users": []string{"erin"},
		})
	}},
}

// album registers a resource of alice's.
func (e *env) album(t testing.TB, name string) string {
	t.Helper()
	return e.create(t, map[string]any{
		"name": name, "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": []string{"view", "comment"},
	})
}

// share shares a scope of alice's resource with a user and returns its id.
func (e *env) share(t testing.TB, resource, user, scope string) string {
	t.Helper()
	res := e.send(t, "POST", requests, e.as(t, "alice", "photoz-api"), map[string]any{
		"resource": resource, "requesterName": user, "scopeName": scope, "granted": true,
	})
	if res.status != 200 || res.str("id") == "" {
		t.Fatalf("share %s of %s with %s: got %s", scope, resource, user, res)
	}
	return res.str("id")
}

// remaining is what a resource server learns of an RPT, a line for each
// permission; nil when it is not active.
func (e *env) remaining(t testing.TB, rpt string) []string {
	t.Helper()
	res := e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", "requesting_party_token")
	if res.status != 200 {
		t.Fatalf("introspect: got %s", res)
	}
	if res.object()["active"] != true {
		return nil
	}
	return granted(t, &response{json: res.object()["permissions"]})
}

// TestRaceWithAWithdrawal: while clients present tickets for what alice shared
// with bob, she takes it back. Once she is told so nothing is granted any more,
// and no RPT of before is good for it.
func TestRaceWithAWithdrawal(t *testing.T) {
	t.Parallel()
	e := start(t, unlimited)
	db := e.stored(t)
	t.Run("all", func(t *testing.T) {
		for _, w := range withdrawals {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				for round := range rounds(20) {
					name := fmt.Sprintf("%s %d", w.name, round)
					resource := e.album(t, name)
					if w.policy {
						share := e.shareBy(t, resource, policyOf(resource, map[string]any{"users": []string{"bob", "erin"}}))
						raceWithdrawal(t, e, db, name, resource, share, w.by)
						continue
					}
					raceWithdrawal(t, e, db, name, resource, e.share(t, resource, "bob", "view"), w.by)
				}
			})
		}
	})
	for _, r := range recordsAfter(t, db, 0) {
		if r.Outcome == "error" {
			t.Errorf("got a record of an error: %v", eventOf(t, r)["error"])
		}
	}
}

func raceWithdrawal(t *testing.T, e *env, db uma.Decisions, name, resource, share string, withdraw func(*testing.T, *env, string, string) *response) {
	t.Helper()
	const clients = 12
	bob := e.as(t, "bob", "photoz-app")
	tickets := make([]string, clients)
	for i := range tickets {
		tickets[i] = e.ticket(t, perm{Resource: resource, Scopes: []string{"view"}})
	}
	ask := func(ticket string) *response { return e.uma(t, bob, "ticket", ticket, "submit_request", "false") }

	var told atomic.Int64 // the newest record when the owner was told; what is granted later is one too many
	told.Store(math.MaxInt64)
	answers := make([]*response, clients)
	race := []func(){func() {
		if res := withdraw(t, e, resource, share); res.status/100 != 2 {
			t.Errorf("withdraw: got %s", res)
		}
		told.Store(lastDecision(t, db))
	}}
	for i, ticket := range tickets {
		race = append(race, func() {
			answers[i] = ask(ticket)
		})
	}
	// The withdrawal is neither always the first nor always the last to start.
	slices.Reverse(race[:1+len(name)%clients])
	atOnce(race...)

	for _, res := range answers {
		rpt := res.str("access_token")
		switch {
		case res.status == 403 || res.status == 503:
			continue
		case rpt == "":
			t.Errorf("%s: got %s, want an RPT or a refusal", name, res)
			continue
		}
		if left := e.remaining(t, rpt); left != nil {
			t.Errorf("%s: an RPT is still good for %q", name, left)
		}
		again := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", res.str("refresh_token"))
		again.expect(t, 400, "invalid_grant", "")
	}
	if res := e.uma(t, bob, "permission", resource+"#view"); res.status == 200 {
		t.Errorf("%s: granted after the withdrawal: %s", name, res)
	}
	for _, r := range recordsAfter(t, db, told.Load()) {
		if string(r.Resource) == resource && r.Outcome == "granted" {
			t.Errorf("%s: decision %s grants after the withdrawal was answered", name, r.ID)
		}
	}
}

// TestRaceForARefreshToken: a refresh token presented many times at once is good
// once, and ends its session, so that the winner's tokens are worth nothing
// either: nobody can tell which of them is the thief.
func TestRaceForARefreshToken(t *testing.T) {
	t.Parallel()
	e := start(t, unlimited)
	client := basic("photoz-app")
	for round := range rounds(20) {
		session := e.newSignIn(t, "bob", "photoz-app", "")
		if round%2 == 1 { // that of an RPT
			session = e.uma(t, bearer(session.str("access_token")), "permission", "Public board#view")
		}
		used := session.str("refresh_token")
		var mu sync.Mutex
		var won []*response
		var lost int
		refresh := func() {
			res := e.post(t, tokenPath, client, "grant_type", "refresh_token", "refresh_token", used)
			mu.Lock()
			defer mu.Unlock()
			if res.status == 200 {
				won = append(won, res)
				return
			}
			res.expect(t, 400, "invalid_grant", "")
			lost++
		}
		atOnce(slices.Repeat([]func(){refresh}, 20)...)
		if len(won) != 1 || lost != 19 {
			t.Fatalf("got %d new tokens and %d refusals, want 1 and 19", len(won), lost)
		}
		for _, token := range []string{won[0].str("access_token"), won[0].str("refresh_token"), session.str("access_token")} {
			res := e.post(t, introspect, client, "token", token)
			if res.status != 200 || res.object()["active"] != false {
				t.Errorf("a token of the session: got %s, want it inactive", res)
			}
		}
		e.post(t, tokenPath, client, "grant_type", "refresh_token", "refresh_token", won[0].str("refresh_token")).
			expect(t, 400, "invalid_grant", "")
	}
}
