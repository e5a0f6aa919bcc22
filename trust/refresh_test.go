package trust

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func TestKeysAreFetchedAheadOfNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	w.expectFetches(t, 1)
	w.has(t, "first")
	w.expectFetches(t, 1)
	for range 8 { // minutes
		w.advance(time.Minute)
		w.Refresh(t.Context())
	}
	w.expectFetches(t, 1)
	w.advance(4 * time.Minute)
	w.Refresh(t.Context())
	w.expectFetches(t, 2)
	w.has(t, "first")
	w.expectFetches(t, 2)
}

// Many servers, or realms, do not ask an issuer all at the same moment.
func TestRefreshHasJitter(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	seen := map[time.Duration]bool{}
	for range 100 {
		k := &keys{from: &source{}}
		k.settle(now, keySet{keys: []*Key{}}, nil)
		d := k.next.Sub(now)
		seen[d] = true
		if d < 9*time.Minute || d >= 11*time.Minute {
			t.Errorf("fetched again after %s", d)
		}
	}
	if len(seen) < 50 {
		t.Errorf("got %d different times of 100", len(seen))
	}
}

// A server that stops does not wait for a slow issuer.
func TestRunStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := make(chan struct{})
	w.set(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	w.Network.Timeout = time.Hour
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.Run(ctx, make(chan time.Time))
		close(done)
	}()
	<-asked
	stop()
	<-done
	if w.log.Len() > 0 {
		t.Errorf("got log %s", w.log)
	}
}

// An issuer that answers slowly, and any number of those whose last fetch failed, do not delay
// the refresh of another.
func TestSlowIssuersDelayNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuers := []uma.TrustedIssuer{*w.issuer}
	for i := range 2 * fetchesAtOnce {
		slow := *w.issuer
		slow.Alias, slow.JWKSURI = fmt.Sprint("slow-", i), w.JWKSEndpoint()+"?slow"
		issuers = append(issuers, slow)
	}
	fetched := make(chan struct{}, 1)
	serve := func(slow http.HandlerFunc) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.RawQuery == "slow":
				slow(rw, r)
			case r.URL.Path == discoveryPath:
				w.Discovery(rw, r)
			default:
				w.JWKS(rw, r)
				fetched <- struct{}{}
			}
		}
	}
	realm := w.snap.Realm
	realm.Issuers = issuers
	w.use(realm)
	w.set(serve(func(http.ResponseWriter, *http.Request) {})) // an empty answer is no JWK Set
	w.Refresh(t.Context())
	<-fetched

	w.Network.Timeout = time.Hour
	w.set(serve(slow))
	w.advance(retrying)
	tick := make(chan time.Time)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx, tick) })
	for range 3 {
		w.advance(11 * time.Minute)
		for again := true; again; { // a tick may come while the last fetch ends
			select {
			case tick <- time.Time{}:
			case <-fetched:
				again = false
			}
		}
	}
	stop()
	running.Wait()
	if stats := w.Stats(); len(stats) != len(issuers) {
		t.Errorf("got the state of %d sources, want %d", len(stats), len(issuers))
	}
}
