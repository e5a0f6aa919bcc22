package tests

import (
	"os"
	"strconv"
	"testing"

	"example.com/umpire/store/postgres/pgtest"
)

// TestRoundTripsOfRequests: a decision takes at most two round trips to a database that is elsewhere: one to
// read, one to commit. Introspection takes two to read: what the token rests on is in its row. What the
// server does besides takes some, too, so that the least of several attempts counts. A search takes more.
func TestRoundTripsOfRequests(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	e := start(t, photozTrusting(t, []*issuer{corp}, nil), func(o *options) { o.NoDecisionLog = true })
	alice, stranger := e.as(t, "alice", "photoz-web"), corp.of(t, e, "stranger", "")
	decision := []string{"response_mode", "decision", "audience", "photoz-api", "permission"}[:5:5]
	album := e.resourceID(t, "Holiday album")
	for name, ask := range map[string]struct {
		as     credentials
		form   []string
		status int
	}{
		"a decision":                             {alice, append(decision, album+"#view"), 200},
		"by the name of a resource server's own": {alice, append(decision, "Public board#view"), 200},
		"of a service account":                   {basic("photoz-api"), append(decision, "Public board#view"), 403},
		"of a party of a trusted issuer":         {stranger, append(decision, "Public board#view"), 200},
		"about a scope that no album has":        {alice, append(decision, album+"#withdraw"), 403},
		"an RPT":                                 {alice, append(decision[2:], album+"#view"), 200},
	} {
		t.Run(name, func(t *testing.T) {
			e.expectRoundTrips(t, func() *response { return e.uma(t, ask.as, ask.form...) }, ask.status)
		})
	}
	token := e.uma(t, alice, append(decision[2:], album+"#view")...).str("access_token")
	t.Run("introspection", func(t *testing.T) {
		e.expectRoundTrips(t, func() *response {
			return e.post(t, introspect, basic("photoz-api"), "token", token)
		}, 200)
	})
}

// expectRoundTrips fails unless a request takes at most two round trips to the database.
func (e *env) expectRoundTrips(t *testing.T, ask func() *response, status int) {
	t.Helper()
	ask() // what it has to read before others, such as a month's partition, is there afterwards
	if os.Getenv(pgtest.Variable) != "postgres" {
		ask() // a database in the same process has no round trips
		return
	}
	trips := func() int {
		n, err := strconv.ParseFloat(e.metric(t, "umpire_database_round_trips_total"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	leastOf := func(do func()) int {
		least := 1 << 30
		for range 8 {
			before := trips()
			do()
			least = min(least, trips()-before)
		}
		return least
	}
	scrape := leastOf(func() {})
	got := leastOf(func() {
		if res := ask(); res.status != status {
			t.Fatalf("got %s, want %d", res, status)
		}
	}) - scrape
	if got > 2 {
		t.Errorf("%d round trips, want at most 2", got)
	}
}
