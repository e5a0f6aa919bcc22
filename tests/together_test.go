package tests

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/umpire/node"
)

// together starts two servers of one database, with the same settings. They know of each other only
// what is in the database.
func together(t testing.TB, opts ...func(*options)) (a, b *running) {
	t.Helper()
	all := servers(t, 2, opts...)
	return all[0], all[1]
}

// servers starts some servers of one database.
func servers(t testing.TB, n int, opts ...func(*options)) (all []*running) {
	t.Helper()
	o := newOptions(t, append(opts, unlimited))
	files := o.write(t)
	public, admin := listen(t), listen(t)
	url := "http://" + public.Addr().String()
	all = append(all, join(t, o, url, files, public, admin))
	for len(all) < n {
		all = append(all, join(t, o, url, files, listen(t), listen(t)))
	}
	return all
}

// TestRaceAtSeveralServers: of fifty clients that present one ticket to three servers at once, one gets an
// RPT.
func TestRaceAtSeveralServers(t *testing.T) {
	t.Parallel()
	all := servers(t, 3)
	bob := all[0].as(t, "bob", "photoz-web")
	n := 100
	if raceEnabled {
		n = rounds(n)
	}
	for range n {
		race(t, bob, boardTicket(t, all[0].env), all[0].env, all[1].env, all[2].env)
	}
}

// join starts one of several servers of a database, whose public URL is that of a load balancer. It
// returns when the server is ready.
func join(t testing.TB, o *options, url string, files []string, public, admin net.Listener) *running {
	t.Helper()
	e := &env{
		URL: "http://" + public.Addr().String(), Admin: "http://" + admin.Addr().String(), Data: o.Data, File: files[0],
		Realm: "photoz", Clock: o.Clock, tokens: map[string]*signIn{},
	}
	cfg := e.nodeConfig(t)
	cfg.PublicURL, cfg.Caches, cfg.Limits = url, caches(t), o.Limits
	cfg.Log = slog.New(slog.NewJSONHandler(logFile(t, o.Data, "server.log"), nil))
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	realms, err := node.ReadRealms(files, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), realms); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, public, admin) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	within1s(t, "a server that is ready", func() bool { return e.admin(t, "/readyz").status == 200 })
	return &running{e, n, stop}
}

// TestWithdrawalOnAnotherServer: what is taken back on one server, the other one no longer grants: as
// soon as the owner has the answer.
func TestWithdrawalOnAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := together(t)
	db := a.stored(t)
	bob := a.as(t, "bob", "photoz-app")
	for round := range rounds(8) {
		w := withdrawals[round%len(withdrawals)]
		name := fmt.Sprint("Album ", round)
		resource := a.album(t, name)
		share := ""
		if w.policy {
			share = a.shareBy(t, resource, policyOf(name, map[string]any{"users": []string{"bob", "erin"}}))
		} else {
			share = a.share(t, resource, "bob", "view")
		}
		ask := func() int {
			return b.uma(t, bob, "permission", resource+"#view", "response_mode", "decision").status
		}
		within1s(t, "the other server grants", func() bool { return ask() == 200 })
		rpt := b.uma(t, bob, "permission", resource+"#view").str("access_token")
		if !active(t, b.env, rpt) {
			t.Errorf("%s: the RPT is not active before", w.name)
		}
		var told atomic.Int64 // the newest record when the owner was told
		told.Store(math.MaxInt64)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for last := false; !last; {
					last = told.Load() < math.MaxInt64
					if got := ask(); last && got == 200 {
						t.Errorf("%s: granted after the withdrawal", w.name)
					}
				}
			})
		}
		if res := w.by(t, a.env, resource, share); res.status/100 != 2 {
			t.Errorf("%s: got %s", w.name, res)
		}
		told.Store(lastDecision(t, db))
		wg.Wait()
		within1s(t, w.name+": the RPT ends on the other server", func() bool { return !active(t, b.env, rpt) })
	}
}

// TestRevocationOnAnotherServer: tokens that are revoked on one server, and sessions that are ended
// there, are inactive on the other one within a second.
func TestRevocationOnAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := together(t)
	accepted := func(token string) bool {
		return b.get(t, "/protocol/openid-connect/userinfo", bearer(token)).status == 200
	}
	for range 5 {
		in := a.newSignIn(t, "bob", "photoz-app", "openid")
		token := in.str("access_token")
		within1s(t, "the token counts", func() bool { return accepted(token) }) // twice: the second time from memory
		if res := a.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", token); res.status != 200 {
			t.Fatalf("revoke: got %s", res)
		}
		within1s(t, "the token is revoked", func() bool { return !accepted(token) })

		in = a.newSignIn(t, "bob", "photoz-app", "openid")
		token = in.str("access_token")
		within1s(t, "the token counts", func() bool { return accepted(token) })
		if res := a.post(t, "/protocol/openid-connect/logout", basic("photoz-app"), "refresh_token", in.str("refresh_token")); res.status != 204 {
			t.Fatalf("log out: got %s", res)
		}
		within1s(t, "the session has ended", func() bool { return !accepted(token) })
	}
}

// TestRotationOnAnotherServer: as soon as one server signs with a new key, the other one accepts such
// tokens, and publishes the key.
func TestRotationOnAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := together(t)
	before := kid(t, a.newSignIn(t, "bob", "photoz-app", "").str("access_token"))
	for round := range 10 {
		if _, err := a.node.Core.Realms.RotateKey(t.Context(), "photoz"); err != nil {
			t.Fatal(err)
		}
		if err := a.node.Core.Realms.Reload(t.Context()); err != nil { // as it does twice a second
			t.Fatal(err)
		}
		in := a.newSignIn(t, "bob", "photoz-app", "openid")
		token := in.str("access_token")
		if kid(t, token) == before {
			t.Fatal("the first server signs with the key from before")
		}
		before = kid(t, token)
		switch round % 3 { // the first request that the other server gets
		case 0:
			if keys := b.get(t, "/protocol/openid-connect/certs", credentials{}); !strings.Contains(string(keys.raw), before) {
				t.Errorf("round %d: the other server publishes %s", round, keys)
			}
		case 1:
			if res := b.post(t, introspect, basic("photoz-api"), "token", token); res.object()["active"] != true {
				t.Errorf("round %d: introspection on the other server: %s", round, res)
			}
		case 2:
			if res := b.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", token); res.status != 200 || active(t, b.env, token) {
				t.Errorf("round %d: revocation on the other server: %s", round, res)
			}
			continue
		}
		if res := b.get(t, "/protocol/openid-connect/userinfo", bearer(token)); res.status != 200 {
			t.Errorf("round %d: got %s from the other server", round, res)
		}
	}
}

// TestRealmOnAnotherServer: what a realm file changes holds on all servers within a second. One of them
// does the upkeep.
func TestRealmOnAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := together(t)
	bob := a.as(t, "bob", "photoz-app")
	ask := func(r *running) int {
		return r.uma(t, bob, "permission", "Public board#view", "response_mode", "decision").status
	}
	for _, r := range []*running{a, b} {
		if got := ask(r); got != 200 {
			t.Fatalf("before: got %d", got)
		}
	}
	disabled := strings.Replace(photozRealm(t), "username: bob,", "username: bob, enabled: false,", 1)
	a.apply(t, disabled)
	for _, r := range []*running{a, b} {
		within1s(t, "bob is refused", func() bool { return ask(r) == 401 })
	}
	held := []string{a.metric(t, `umpire_lease_held{lease="upkeep"}`), b.metric(t, `umpire_lease_held{lease="upkeep"}`)}
	if !slices.Equal(held, []string{"1", "0"}) {
		t.Errorf("got leases %q, want that of the first server", held)
	}
}
