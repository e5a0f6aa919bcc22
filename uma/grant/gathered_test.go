package grant

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// round reads the claims of a question that presents a ticket, and returns them with the
// ticket after it.
func (w *world) round(q *question, ticket *uma.Ticket) (claims, *uma.Ticket) {
	w.Helper()
	q.ticket, q.now = ticket, w.Now
	q.claims = w.claims(q)
	next, _ := w.service.reissue(q, 0)
	return q.claims, next
}

func firstTicket() *uma.Ticket { return &uma.Ticket{Round: 1} }

// A ticket remembers what its rounds gathered: for the client and the party that presented it,
// as long as the token is valid, and while the token, presented again, would count.
func TestGathered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world, *question)
		want   map[string]any // beside the limit of the second round
	}{
		"a claim of the round before": {want: map[string]any{"license": "L-bob"}},
		"by another client":           {change: func(w *world, q *question) { q.client = w.App }},
		"by another party": {change: func(w *world, q *question) {
			w.View.Linked[umatest.Linked{Issuer: employer, Subject: "bob"}] = "u-alice"
			q.party = &party.Identity{Subject: "u-alice", User: w.View.Users["u-alice"], Client: w.Web}
		}},
		"of an expired token": {change: func(w *world, q *question) { w.Now = w.Now.Add(time.Minute) }},
		"of a token that is about to expire": {
			change: func(w *world, q *question) { w.Now = w.Now.Add(time.Minute - time.Second) }, want: map[string]any{"license": "L-bob"},
		},
		"of an identity that was unlinked": {change: func(w *world, q *question) { delete(w.View.Linked, umatest.Linked{Issuer: council, Subject: "bob"}) }},
		"after a change of the realm":      {change: func(w *world, q *question) { w.Snap.Realm.Generation++ }},
		"of a changed seal":                {change: func(w *world, q *question) { q.ticket.Gathered[0] = '?' }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).trusting()
			first, ticket := w.round(w.bobAsks(w.signed(council, nil), uma.FormatJWT), firstTicket())
			if !reflect.DeepEqual(first.verified, map[string]any{"license": "L-bob"}) {
				t.Fatalf("got %v", first.verified)
			}
			q := w.bobAsks("", uma.FormatJWT)
			q.ticket = ticket
			if c.change != nil {
				c.change(w, q)
			}
			q.req.ClaimToken = w.signed(employer, func(t *uma.TrustedToken) { t.Claims = map[string]any{"limit": "5"} })
			second, _ := w.round(q, ticket)
			want := map[string]any{"limit": "5"}
			maps.Copy(want, c.want)
			if !reflect.DeepEqual(second.verified, want) || len(second.tokens) != len(want) {
				t.Errorf("got %v of %+v, want %v", second.verified, second.tokens, want)
			}
		})
	}
}

// A token that is valid for longer than the issuer's keys are believed is remembered no longer.
func TestGatheredNoLongerThanKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t).trusting()
	long := w.signed(council, func(t *uma.TrustedToken) { t.Expires = w.Unix() + 86400 })
	_, ticket := w.round(w.bobAsks(long, uma.FormatJWT), firstTicket())
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{5 * time.Minute, 1}, {4 * time.Minute, 1}, {time.Minute, 0}} {
		w.Now = w.Now.Add(c.after)
		var got claims
		if got, ticket = w.round(w.bobAsks("", ""), ticket); len(got.verified) != c.want {
			t.Errorf("%s later: got %v, want %d claims", c.after, got.verified, c.want)
		}
	}
}

// A token of this realm is remembered while it is active.
func TestGatheredOfThisRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t).trusting()
	w.Tokens["id.of.bob"] = &uma.Claims{
		ID: "j", Issuer: "https://as.example/realms/photoz", Subject: "u-bob", Type: uma.TypeID, Expires: w.Unix() + 60,
		AuthorizedParty: "photoz-web", SessionID: "s-bob", Extra: map[string]any{"email": "bob@example.com"},
	}
	first, ticket := w.round(w.bobAsks("id.of.bob", ""), firstTicket())
	second, ticket := w.round(w.bobAsks("", ""), ticket)
	if first.verified["email"] != "bob@example.com" || second.verified["email"] != "bob@example.com" {
		t.Errorf("got %v, then %v", first.verified, second.verified)
	}
	w.View.Sessions["s-bob"].Ended = true
	if third, _ := w.round(w.bobAsks("", ""), ticket); len(third.verified) != 0 {
		t.Errorf("after the session: got %v", third.verified)
	}
}

// Pushed claims are remembered, too: the newer value counts, and the ticket's own before it.
func TestGatheredPushedClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(token string) *question {
		q := w.bobAsks(token, uma.FormatJWT)
		q.client, q.party.Client = w.App, w.App
		return q
	}
	ticket := firstTicket()
	ticket.Claims = map[string][]string{"amount": {"500"}}
	_, ticket = w.round(ask("eyJhIjpbIjEiXSwiYiI6WyIxIl0sImFtb3VudCI6WyI1Il19"), ticket) // {"a":["1"],"b":["1"],"amount":["5"]}
	got, ticket := w.round(ask("eyJiIjpbIjIiXX0"), ticket)                               // {"b":["2"]}
	if want := map[string][]string{"a": {"1"}, "b": {"2"}, "amount": {"500"}}; !reflect.DeepEqual(got.pushed, want) {
		t.Errorf("got %v, want %v", got.pushed, want)
	}
	other := ask("")
	other.party = &party.Identity{Subject: "u-alice", User: w.View.Users["u-alice"], Client: w.App}
	if got, _ := w.round(other, ticket); len(got.pushed) != 1 {
		t.Errorf("of another party: got %v", got.pushed)
	}
	w.App.Public = true
	q := ask("")
	if got, _ := w.round(q, ticket); len(got.pushed) != 1 {
		t.Errorf("of a client that is public now: got %v", got.pushed)
	}
	g := &gatheredClaims{Pushed: map[string][]string{"a": {strings.Repeat("x", uma.MaxPushed-100)}}}
	g.push(map[string][]string{"b": {strings.Repeat("x", 200)}})
	if len(g.Pushed) != 1 || g.Pushed["b"] == nil {
		t.Error("claims that are too large together: the newer ones alone count")
	}
}

// What two issuers, or two subjects of one, say differently is verified for neither. What the
// same subject says later replaces what it said.
func TestIssuersThatDiffer(t *testing.T) {
	t.Parallel()
	say := func(issuer, subject string, claims map[string]any) *proof {
		return &proof{Issuer: issuer, Subject: subject, Claims: claims}
	}
	type m = map[string]any
	for name, c := range map[string]struct {
		proofs  []*proof
		want    m
		reasons []string
	}{
		"one":                        {[]*proof{say(council, "a", m{"limit": "5"})}, m{"limit": "5"}, []string{""}},
		"the same":                   {[]*proof{say(council, "a", m{"limit": "5"}), say(employer, "a", m{"limit": "5", "acr": "2"})}, m{"limit": "5", "acr": "2"}, []string{"", ""}},
		"two issuers differ":         {[]*proof{say(council, "a", m{"limit": "5", "license": "L"}), say(employer, "a", m{"limit": "9"})}, m{"license": "L"}, []string{"another issuer says otherwise: limit", "another issuer says otherwise: limit"}},
		"of three, two agree":        {[]*proof{say(council, "a", m{"limit": "5"}), say(employer, "a", m{"limit": "9"}), say(employer, "b", m{"limit": "5"})}, m{}, []string{"another issuer says otherwise: limit", "another issuer says otherwise: limit", "another issuer says otherwise: limit"}},
		"two subjects differ":        {[]*proof{say(council, "a", m{"limit": "5"}), say(council, "b", m{"limit": "9"})}, m{}, []string{"another issuer says otherwise: limit", "another issuer says otherwise: limit"}},
		"text and number":            {[]*proof{say(council, "a", m{"limit": "5"}), say(employer, "a", m{"limit": 5})}, m{}, []string{"another issuer says otherwise: limit", "another issuer says otherwise: limit"}},
		"the same subject, later":    {[]*proof{say(council, "a", m{"limit": "5", "license": "L"}), say(council, "a", m{"limit": "9"})}, m{"limit": "9", "license": "L"}, []string{"", ""}},
		"and nothing is left of it":  {[]*proof{say(council, "a", m{"limit": "5"}), say(council, "a", m{"limit": "9"})}, m{"limit": "9"}, []string{""}},
		"a name that nobody may say": {[]*proof{say(council, "a", m{"kc.client.id": "x"})}, m{}, []string{""}},
	} {
		g := &gatheredClaims{}
		for _, p := range c.proofs {
			g.add(p)
		}
		tokens, verified := g.input()
		var reasons []string
		for _, seen := range tokens {
			reasons = append(reasons, seen.Reason)
		}
		if !reflect.DeepEqual(verified, c.want) || !slices.Equal(reasons, c.reasons) {
			t.Errorf("%s: got %v, %q", name, verified, reasons)
		}
	}
}

// A ticket remembers a bounded number of proofs of a bounded size, the newest.
func TestGatheredIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t).trusting()
	ticket := firstTicket()
	for i := range maxProofs + 3 {
		subject := fmt.Sprint("s", i)
		w.View.Linked[umatest.Linked{Issuer: council, Subject: subject}] = "u-bob"
		var got claims
		got, ticket = w.round(w.bobAsks(w.signed(council, func(t *uma.TrustedToken) {
			t.Subject, t.Claims = subject, map[string]any{"license": "L", subject: strings.Repeat("x", 8000)}
		}), uma.FormatJWT), ticket)
		if len(got.tokens) > maxProofs || got.verified[subject] == nil || len(ticket.Gathered) > maxGathered+200 {
			t.Fatalf("round %d: got %d tokens, and a ticket that remembers %d bytes", i, len(got.tokens), len(ticket.Gathered))
		}
	}
}

// Whatever rounds a ticket has: no claim is verified that is not said of the party, and none
// that a fresh request with one of the tokens would not have now.
func TestGatheredGivesNoMore(t *testing.T) {
	t.Parallel()
	users := []string{"u-bob", "u-alice"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t).trusting()
		w.View.Linked = map[umatest.Linked]string{}
		for _, issuer := range []string{council, employer} {
			for _, subject := range []string{"a", "b", "c"} {
				if user := rapid.SampledFrom(append(users, "")).Draw(rt, "linked"); user != "" {
					w.View.Linked[umatest.Linked{Issuer: issuer, Subject: subject}] = user
				}
			}
		}
		who := rapid.SampledFrom(users).Draw(rt, "party")
		ask := func(token string) *question {
			q := w.bobAsks(token, uma.FormatJWT)
			q.party = &party.Identity{Subject: who, User: w.View.Users[who], Client: w.Web}
			return q
		}
		var presented []string
		ticket := firstTicket()
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			switch rapid.IntRange(0, 5).Draw(rt, "meanwhile") {
			case 0:
				w.Now = w.Now.Add(time.Duration(rapid.IntRange(1, 400).Draw(rt, "seconds")) * time.Second)
			case 1:
				for id := range w.View.Linked {
					delete(w.View.Linked, id)
					break
				}
			case 2:
				w.Snap.Realm.Generation++
				w.Snap.Realm.Issuers[0].Accept = rapid.SampledFrom([][]uma.TokenUse{{uma.UseClaims}, {uma.UseBearer}}).Draw(rt, "accept")
			case 3:
				who = rapid.SampledFrom(users).Draw(rt, "another party")
			}
			issuer, subject := rapid.SampledFrom([]string{council, employer}).Draw(rt, "issuer"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "subject")
			token := w.signed(issuer, func(t *uma.TrustedToken) {
				t.Subject, t.Expires = subject, w.Unix()+int64(rapid.IntRange(-5, 600).Draw(rt, "expires"))
				t.Claims = map[string]any{rapid.SampledFrom([]string{"license", "limit"}).Draw(rt, "name"): rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "value")}
			})
			presented = append(presented, token)
			var got claims
			got, ticket = w.round(ask(token), ticket)
			for name, value := range got.verified {
				if !slices.ContainsFunc(presented, func(token string) bool {
					said := w.Trust.Tokens[token]
					return w.claims(ask(token)).verified[name] == value && w.View.Linked[umatest.Linked{Issuer: said.Issuer.Issuer, Subject: said.Subject}] == who
				}) {
					rt.Fatalf("%s: %v is verified, and no token proves it now", name, value)
				}
			}
		}
	})
}
