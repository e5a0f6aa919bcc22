package tests

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A guesser tries to sign in through the public client photoz-web, from an address
// that a proxy names.
type guesser struct {
	*env
	address string
}

func (g guesser) try(t *testing.T, user, password string) *response {
	t.Helper()
	return g.do(t, request{
		method: "POST", url: tokenPath, headers: map[string]string{"X-Forwarded-For": g.address},
		form: form("grant_type", "password", "client_id", "photoz-web", "username", user, "password", password),
	})
}

func (g guesser) fail(t *testing.T, user string, times int) {
	t.Helper()
	for range times {
		g.try(t, user, "wrong").expect(t, 400, "invalid_grant", "Invalid user credentials")
	}
}

func (g guesser) signIn(t *testing.T, user string) {
	t.Helper()
	if res := g.try(t, user, user); res.status != 200 {
		t.Errorf("%s from %s: got %s, want 200", user, g.address, res)
	}
}

func (g guesser) mustWait(t *testing.T, user, what string) {
	t.Helper()
	res := g.try(t, user, user)
	res.expect(t, 429, "temporarily_unavailable", what)
	if got := res.header.Get("Retry-After"); got != "60" {
		t.Errorf("got Retry-After %q, want the 60 seconds of the window", got)
	}
}

const (
	ofThisUser   = "Too many wrong passwords were tried for this user"
	fromAnywhere = "Too many sign-ins from this address failed"
)

// TestPasswordGuessesOfOneUser: any number of passwords could be tried; then, few from
// one address locked the user out at all others.
func TestPasswordGuessesOfOneUser(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits.FailedPasswords = 2 })
	here, there := guesser{e, "203.0.113.9"}, guesser{e, "198.51.100.1"}
	there.signIn(t, "erin")
	here.fail(t, "erin", 1)
	here.fail(t, "ERIN", 1)
	here.mustWait(t, "Erin", ofThisUser)
	guesser{e, "192.0.2.1"}.signIn(t, "erin")
	for _, address := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		guesser{e, address}.fail(t, "erin", 2)
	}
	guesser{e, "192.0.2.5"}.mustWait(t, "erin", ofThisUser) // from wherever
	here.signIn(t, "dave")
	there.signIn(t, "erin") // who cannot be locked out where she has signed in before
	there.fail(t, "erin", 2)
	there.mustWait(t, "erin", ofThisUser)
	here.fail(t, "nobody", 2)
	here.mustWait(t, "nobody", ofThisUser) // as if there were such a user
	e.Clock.Advance(time.Minute)
	here.signIn(t, "erin")
	there.signIn(t, "erin")
	if got := e.metric(t, `umpire_throttled_requests_total{limit="user"}`); got != "4" {
		t.Errorf("got %q throttled, want 4", got)
	}
}

// TestPasswordGuessesFromOneAddress: one password for each of many users is a way
// to guess, too.
func TestPasswordGuessesFromOneAddress(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits.FailedSignIns = 3 })
	here, there := guesser{e, "2001:db8::1"}, guesser{e, "198.51.100.1"}
	here.signIn(t, "dave")
	for _, user := range []string{"alice", "bob", "carol"} {
		here.fail(t, user, 1)
	}
	guesser{e, "2001:db8::2"}.mustWait(t, "erin", fromAnywhere) // one host has many such addresses
	here.signIn(t, "dave")                                      // who has signed in from here before
	there.signIn(t, "erin")
	e.Clock.Advance(time.Minute)
	here.signIn(t, "erin")
}

// TestGuessesFromOneAddressKeepNobodyOut: one address filled the places of a user, and
// the user could sign in nowhere.
func TestGuessesFromOneAddressKeepNobodyOut(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits.FailedPasswords, o.Limits.FailedSignIns = -1, -1 })
	here, there := guesser{e, "203.0.113.9"}, guesser{e, "198.51.100.1"}
	var guessers sync.WaitGroup
	var stop atomic.Bool
	defer func() {
		stop.Store(true)
		guessers.Wait()
	}()
	for i := range 34 { // one is served, 32 wait
		guessers.Go(func() {
			for user := []string{"alice", fmt.Sprint("nobody ", i)}[i%2]; !stop.Load(); {
				here.try(t, user, "wrong")
			}
		})
	}
	for e.metric(t, `umpire_throttled_requests_total{limit="queue"}`) == "" && !t.Failed() {
	}
	there.signIn(t, "alice")
}

// TestSecretGuesses: the same of clients, wherever they authenticate.
func TestSecretGuesses(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits.FailedSecrets = 3 })
	try := func(address, path, secret string) *response {
		t.Helper()
		return e.do(t, request{
			method: "POST", url: path, headers: map[string]string{"X-Forwarded-For": address},
			form: form("grant_type", "client_credentials", "token", "x", "refresh_token", "x", "client_id", "photoz-api", "client_secret", secret),
		})
	}
	if res := try("198.51.100.1", tokenPath, "secret"); res.status != 200 {
		t.Fatalf("got %s", res)
	}
	for _, path := range []string{tokenPath, introspect, "/protocol/openid-connect/logout"} {
		try("203.0.113.9", path, "wrong").expect(t, 401, "invalid_client", "")
	}
	for _, path := range []string{tokenPath, introspect, "/protocol/openid-connect/logout", "/protocol/openid-connect/revoke"} {
		try("203.0.113.9", path, "secret").expect(t, 429, "temporarily_unavailable", "Too many wrong secrets were tried for this client")
	}
	if res := try("198.51.100.1", tokenPath, "secret"); res.status != 200 {
		t.Errorf("the client where it is known: got %s", res)
	}
	if res := try("192.0.2.1", tokenPath, "secret"); res.status != 200 {
		t.Errorf("the client from elsewhere: got %s", res)
	}
	e.newSignIn(t, "", "other-api", "")
	e.Clock.Advance(time.Minute)
	if res := try("203.0.113.9", tokenPath, "secret"); res.status != 200 {
		t.Errorf("a minute later: got %s", res)
	}
}

// metric is the value of a line of /metrics.
func (e *env) metric(t testing.TB, series string) string {
	t.Helper()
	lines := strings.Split(string(e.do(t, request{method: "GET", url: e.Admin + "/metrics"}).raw), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, series+" ") })
	if i < 0 {
		return ""
	}
	return strings.TrimPrefix(lines[i], series+" ")
}
