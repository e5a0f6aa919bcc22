package trust

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	first := w.has(t, "first")

	w.rotate(t, "second", otherKey)
	w.advance(5*time.Second - 1)
	w.lacks(t, "second", uma.ErrUnverified) // fetched just now
	w.expectFetches(t, 1)
	w.advance(1)
	w.has(t, "second")
	w.expectFetches(t, 2)
	w.lacks(t, "first", uma.ErrUnverified) // the set is replaced, not merged
	w.expectFetches(t, 2)

	w.rotate(t, "first", rsaKey)
	w.advance(minFetch)
	if again := w.has(t, "first"); again == first {
		t.Error("a key that was withdrawn is the same when it is published again")
	}
}

func TestWithdrawnKeyEndsAtTheNextRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	first := w.has(t, "first")
	w.advance(11 * time.Minute)
	w.Refresh(t.Context())
	if w.has(t, "first") != first {
		t.Error("a key that is still published is another one after a refresh")
	}
	w.rotate(t, "first", otherKey) // another key under the same id
	w.advance(11 * time.Minute)
	w.Refresh(t.Context())
	if w.has(t, "first") == first {
		t.Error("a key that was replaced is still there")
	}
	w.set(func(rw http.ResponseWriter, r *http.Request) { answer(w, rw, r, `{"keys":[]}`) })
	w.advance(11 * time.Minute)
	w.Refresh(t.Context())
	w.lacks(t, "first", uma.ErrUnverified)
}

// answer serves the provider's discovery document, and these keys.
func answer(w *world, rw http.ResponseWriter, r *http.Request, keys string) {
	if r.URL.Path == discoveryPath {
		w.Discovery(rw, r)
		return
	}
	_, _ = rw.Write([]byte(keys))
}

// An unknown kid fetches at most once in five seconds, however many tokens have one; a known
// one never fetches, whatever is wrong with the token.
func TestUnknownKeyIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { w.lacks(t, fmt.Sprint("unknown-", i), uma.ErrUnverified) })
	}
	wg.Wait()
	w.expectFetches(t, 1)
	w.advance(minFetch)
	for range 50 {
		wg.Go(func() { w.has(t, "first") })
	}
	wg.Wait()
	for _, alg := range []string{"HS256", "ES256", "none", "PS256"} {
		if _, err := w.issuerKey(t.Context(), w.snap, w.issuer, "first", alg); !errors.Is(err, uma.ErrUnverified) {
			t.Errorf("%s: got %v", alg, err)
		}
	}
	w.expectFetches(t, 1)
}

// A caller that leaves does not end the fetch for the others, and does not wait for it.
func TestCallersLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	w.set(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == discoveryPath {
			close(asked)
			<-goOn
		}
		w.set(nil)
		w.Discovery(rw, r)
	})
	gone, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if k, err := w.issuerKey(gone, w.snap, w.issuer, "first", "RS256"); k == nil {
			t.Errorf("the caller that fetches: got %v", err)
		}
	})
	<-asked
	leave()
	if _, err := w.issuerKey(gone, w.snap, w.issuer, "first", "RS256"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that waits and leaves: got %v", err)
	}
	close(goOn)
	wg.Wait()
	w.has(t, "first")
	w.expectFetches(t, 1)
}

func TestIssuerIsDownAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "down", http.StatusBadGateway) }
	w.set(down)
	w.Refresh(t.Context())
	w.lacks(t, "first", uma.ErrKeysMissing)
	w.advance(minFetch)
	w.lacks(t, "first", uma.ErrKeysMissing)
	w.set(nil)
	w.lacks(t, "first", uma.ErrKeysMissing) // not again so soon
	w.advance(minFetch)
	w.has(t, "first")

	// Without a token that needs them, keys come soon after the issuer is up again.
	w = newWorld(t)
	w.set(down)
	for range 20 {
		w.Refresh(t.Context())
		w.advance(retrying)
	}
	w.set(nil)
	w.Refresh(t.Context())
	w.has(t, "first")
	w.expectFetches(t, 1)
	if stats := w.Stats(); len(stats) != 1 || stats[0].Failures != 20 || stats[0].Keys != 1 || stats[0].Kind != "issuer" || stats[0].Name != "example" {
		t.Errorf("got %+v", stats)
	}
}

// Keys are kept for a day while the issuer is down.
func TestIssuerIsDownLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	kept := w.has(t, "first")
	w.set(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "down", http.StatusBadGateway) })
	for range 24 {
		w.advance(time.Hour)
		w.Refresh(t.Context())
	}
	if w.has(t, "first") != kept {
		t.Error("a fetch that failed replaced the keys")
	}
	w.lacks(t, "unknown", uma.ErrUnverified)
	w.advance(time.Second)
	w.lacks(t, "first", uma.ErrKeysMissing)
	if stats := w.Stats(); stats[0].Keys != 0 || stats[0].Fetched.IsZero() {
		t.Errorf("got %+v", stats)
	}
	w.set(nil)
	w.advance(time.Minute)
	w.has(t, "first")
}

// Other settings are another source: nothing that was fetched by the old ones is used.
func TestSettingsChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	w.has(t, "first")
	realm := w.snap.Realm
	elsewhere := newFront(t)
	elsewhere.rotate(t, "elsewhere", otherKey)
	realm.Issuers = []uma.TrustedIssuer{realm.Issuers[0]}
	realm.Issuers[0].JWKSURI = elsewhere.JWKSEndpoint()
	w.use(realm)
	w.lacks(t, "first", uma.ErrUnverified)
	w.has(t, "elsewhere")

	realm.Issuers = []uma.TrustedIssuer{realm.Issuers[0]}
	realm.Issuers[0].JWKS = []byte(`{"keys":[` + jwk(t, &rsaKey.PublicKey, "inline", "RS256") + `]}`)
	w.use(realm)
	before := elsewhere.fetched()
	w.has(t, "inline")
	w.lacks(t, "elsewhere", uma.ErrUnverified)
	w.Refresh(t.Context())
	if len(w.held) != 1 || len(w.Stats()) != 0 || elsewhere.fetched() != before {
		t.Errorf("held: %d, stats: %v, fetches %d", len(w.held), w.Stats(), elsewhere.fetched()-before)
	}
	w.advance(100 * 24 * time.Hour)
	w.has(t, "inline")

	realm.Enabled = false
	w.use(realm)
	w.Refresh(t.Context())
	if len(w.held) != 0 {
		t.Errorf("held of a disabled realm: %d", len(w.held))
	}
}

// Keys of one realm, issuer or client are not those of another.
func TestKeysOfClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inline := []byte(`{"keys":[` + jwk(t, &rsaKey.PublicKey, "k", "RS256") + `]}`)
	with := &uma.Client{Key: 1, ID: "with", UUID: "1", Enabled: true, JWKS: inline}
	without := &uma.Client{Key: 2, ID: "without", UUID: "2", Enabled: true}
	far := &uma.Client{Key: 3, ID: "far", UUID: "3", Enabled: true, JWKSURI: w.JWKSEndpoint()}
	disabled := &uma.Client{Key: 4, ID: "disabled", UUID: "4", JWKSURI: w.JWKSEndpoint()}
	w.snap = uma.NewSnapshot(w.snap.Realm, []*uma.Client{with, without, far, disabled}, nil)
	if k, err := w.clientKey(t.Context(), w.snap, with, "k", "RS256"); err != nil || k.ID != "k" {
		t.Errorf("got %v, %v", k, err)
	}
	w.lacks(t, "k", uma.ErrUnverified)
	if k, err := w.clientKey(t.Context(), w.snap, without, "k", "RS256"); !errors.Is(err, uma.ErrUnverified) {
		t.Errorf("a client without keys: got %v, %v", k, err)
	}
	before := w.fetched()
	if k, err := w.clientKey(t.Context(), w.snap, far, "first", "RS256"); !errors.Is(err, uma.ErrKeysMissing) {
		t.Errorf("a client's jwks_uri on a loopback address: got %v, %v", k, err)
	}
	w.expectFetches(t, before)
	w.Refresh(t.Context())
	if len(w.held) != 3 {
		t.Errorf("got %d sources, want that of the issuer and of two clients", len(w.held))
	}
}

// A snapshot does not change, so that its settings, which may be long, are compared with those of
// held keys once: not whenever a token is presented. Another snapshot of the same settings has
// the same keys.
func TestSettingsAreComparedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Refresh(t.Context())
	held := w.keysOf(w.snap, w.issuer)
	again := func() {
		realm := w.snap.Realm
		realm.Issuers = slices.Clone(realm.Issuers)
		w.use(realm)
	}
	for range 3 {
		again()
		if w.keysOf(w.snap, w.issuer) != held {
			t.Fatal("another snapshot has other keys")
		}
	}
	w.issuer.CA = []byte("not looked at")
	if w.keysOf(w.snap, w.issuer) != held {
		t.Error("the settings of a snapshot were compared again")
	}
	w.issuer.CA = nil
	again()
	w.Refresh(t.Context())
	if len(w.owned) != 1 || len(w.held) != 1 || w.keysOf(w.snap, w.issuer) != held {
		t.Errorf("%d issuers and %d sources are held, want those of the last snapshot", len(w.owned), len(w.held))
	}
}

// A key that is published in other words verifies its tokens anew, and once.
func TestRepublishedKey(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	raw := s.token(t, "ed", "EdDSA", nil)
	if _, err := s.Verify(t.Context(), s.snap, raw); err != nil {
		t.Fatal(err)
	}
	realm := s.snap.Realm
	realm.Issuers = []uma.TrustedIssuer{*s.issuer}
	realm.Issuers[0].JWKS = s.jwks(t, "rsa", "ed")
	snap := uma.NewSnapshot(realm, nil, nil)
	var seen []*verifiedToken
	for range 2 {
		if _, err := s.Verify(t.Context(), snap, raw); err != nil {
			t.Fatal(err)
		}
		v, _ := s.cache().Get(tokenID{realm.Key, realm.Generation, sha256.Sum256([]byte(raw))})
		seen = append(seen, v)
	}
	key, err := s.keyOf(t.Context(), snap, foreign, header{"EdDSA", "ed", ""})
	if err != nil || seen[0] != seen[1] || seen[0].key != key {
		t.Errorf("got %v: the token was verified again, or by another key", err)
	}
}

// A fetch that panics, in a request, ends: nobody waits for it for ever.
func TestFetchPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Network.Proxy = func(*http.Request) (*url.URL, error) { panic("in a fetch") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("got no panic")
			}
		}()
		_, _ = w.key(t, "first")
	}()
	w.Network.Proxy = nil
	w.lacks(t, "first", uma.ErrKeysMissing)
	w.advance(minFetch)
	w.has(t, "first")
	if stats := w.Stats(); stats[0].Failures != 1 {
		t.Errorf("got %+v", stats)
	}
}
