package trust

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"example.com/umpire/uma"
)

// A front is an OpenID provider that does what a test tells it.
type front struct {
	*mockoidc.MockOIDC

	mu    sync.Mutex
	hits  map[string]int
	fault http.HandlerFunc // answers instead; nil: nothing does
}

const (
	discoveryPath = "/oidc/.well-known/openid-configuration"
	keysPath      = "/oidc/.well-known/jwks.json"
)

func newFront(t *testing.T) *front {
	t.Helper()
	provider, err := mockoidc.NewServer(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	provider.Keypair.Kid = "first"
	f := &front{MockOIDC: provider, hits: map[string]int{}}
	if err := provider.AddMiddleware(f.serve); err != nil {
		t.Fatal(err)
	}
	if err := provider.Start(listen(t), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Server.Close() })
	return f
}

func (f *front) serve(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.hits[r.URL.Path]++
		fault := f.fault
		if fault == nil {
			defer f.mu.Unlock()
			provider.ServeHTTP(w, r)
			return
		}
		f.mu.Unlock()
		fault(w, r)
	})
}

func (f *front) set(fault http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// rotate replaces the key by another one of that id.
func (f *front) rotate(t *testing.T, kid string, key *rsa.PrivateKey) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	pair, err := mockoidc.NewKeypair(key)
	if err != nil {
		t.Fatal(err)
	}
	pair.Kid = kid
	f.Keypair = pair
}

// fetched is how often the keys were asked for.
func (f *front) fetched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[keysPath]
}

var otherKey, _ = rsa.GenerateKey(rand.Reader, 2048) // never fails

// A world is a realm that trusts the provider of a front.
type world struct {
	*Service
	*front
	snap   *uma.Snapshot
	issuer *uma.TrustedIssuer
	log    *bytes.Buffer // of one goroutine at a time

	clock sync.Mutex
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{front: newFront(t), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	realm := uma.Realm{Key: 1, Name: "photoz", Enabled: true, Issuers: []uma.TrustedIssuer{{
		Issuer: w.Issuer(), Alias: "example", Algorithms: []string{"RS256"}, AllowPrivate: true,
	}}}
	w.use(realm)
	w.Service = &Service{
		Realms: func(context.Context) ([]*uma.Snapshot, error) { return []*uma.Snapshot{w.snap}, nil },
		Now: func() time.Time {
			w.clock.Lock()
			defer w.clock.Unlock()
			return w.now
		},
		Network: Network{Timeout: time.Minute}, // also on a busy machine
		Log:     slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

// Refresh fetches what is due, and waits for it.
func (w *world) Refresh(ctx context.Context) {
	q := newQueue()
	w.refresh(ctx, q)
	q.fetches.Wait()
}

func (w *world) use(realm uma.Realm) {
	w.snap = uma.NewSnapshot(realm, nil, nil)
	w.issuer = &w.snap.Realm.Issuers[0]
}

func (w *world) advance(d time.Duration) {
	w.clock.Lock()
	defer w.clock.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) key(t *testing.T, kid string) (*Key, error) {
	t.Helper()
	return w.issuerKey(t.Context(), w.snap, w.issuer, kid, "RS256")
}

func (w *world) has(t *testing.T, kid string) *Key {
	t.Helper()
	k, err := w.key(t, kid)
	if err != nil || k == nil {
		t.Fatalf("the key %s: got %v, %v", kid, k, err)
	}
	return k
}

// lacks expects that a token of this key is not believed, or cannot be checked.
func (w *world) lacks(t *testing.T, kid string, want error) {
	t.Helper()
	if k, err := w.key(t, kid); !errors.Is(err, want) || k != nil {
		t.Errorf("the key %s: got %v, %v, want %v", kid, k, err, want)
	}
}

// expectFetches compares how often the keys were fetched since the front was made.
func (w *world) expectFetches(t *testing.T, want int) {
	t.Helper()
	if got := w.fetched(); got != want {
		t.Errorf("the keys were fetched %d times, want %d", got, want)
	}
}
