package tests

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRaceOfDecisionsAndWithdrawals: while a client asks again and again for what alice shared with
// bob, so that all is read from memory, she takes it back. Once she is told so, nothing is granted.
func TestRaceOfDecisionsAndWithdrawals(t *testing.T) {
	t.Parallel()
	e := start(t, unlimited)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	for round := range rounds(50) {
		w := withdrawals[round%len(withdrawals)]
		name := fmt.Sprint("Album ", round)
		resource := e.album(t, name)
		share := ""
		if w.policy {
			share = e.shareBy(t, resource, policyOf(name, map[string]any{"users": []string{"bob", "erin"}}))
		} else {
			share = e.share(t, resource, "bob", "view")
		}
		ask := func() int {
			return e.uma(t, bob, "permission", resource+"#view", "response_mode", "decision").status
		}
		if got := ask(); got != 200 {
			t.Fatalf("before the withdrawal: got %d", got)
		}
		var told atomic.Int64 // the newest record when the owner was told
		told.Store(math.MaxInt64)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for last := false; !last; {
					last = told.Load() < math.MaxInt64
					if got := ask(); last && got == 200 {
						t.Errorf("%s: granted after the withdrawal", w.name)
					}
				}
			})
		}
		if res := w.by(t, e, resource, share); res.status/100 != 2 {
			t.Errorf("%s: got %s", w.name, res)
		}
		told.Store(lastDecision(t, db))
		wg.Wait()
		for _, r := range recordsAfter(t, db, told.Load()) {
			if string(r.Resource) == resource && r.Outcome == "granted" {
				t.Errorf("%s: decision %s grants after the withdrawal was answered", w.name, r.ID)
			}
		}
	}
}

// TestCachesBesideCommands: what a command changes beside a running server, the server knows within
// a second, whatever it has in memory.
func TestCachesBesideCommands(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t))
	bob := bearer(p.newSignIn(t, "bob", "photoz-app", "").str("access_token"))
	ask := func() int {
		return p.uma(t, bob, "permission", "Public board#view", "response_mode", "decision").status
	}
	for range 3 {
		if got := ask(); got != 200 {
			t.Fatalf("got %d", got)
		}
	}
	disabled := strings.Replace(photozRealm(t), "username: bob,", "username: bob, enabled: false,", 1)
	if _, stderr, code := p.applied(t, disabled); code != 0 {
		t.Fatalf("apply: exit %d\n%s", code, stderr)
	}
	within1s(t, "bob is refused", func() bool { return ask() == 401 })
}

// TestCacheMetrics: /metrics shows what is in memory, and that it is used.
func TestCacheMetrics(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-app")
	for range 3 {
		e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	metrics := string(e.admin(t, "/metrics").raw)
	on := caches(t)
	for name, used := range map[string]bool{"sessions": on.Sessions, "users": on.Users, "resources": on.Resources, "shares": on.Shares} {
		for _, metric := range []string{"bytes", "entries", "hits_total", "misses_total"} {
			count := "[1-9]"
			if name == "users" && metric == "misses_total" {
				count = `\d` // a user is looked for only if the session was there
			}
			line := fmt.Sprintf(`(?m)^umpire_cache_%s\{cache="%s"\} %s`, metric, name, count)
			if regexp.MustCompile(line).MatchString(metrics) != used {
				t.Errorf("%s: used %v, and /metrics has\n%s", line, used, strings.Join(regexp.MustCompile(`(?m)^umpire_cache.*$`).FindAllString(metrics, -1), "\n"))
			}
		}
	}
}
