package tests

import (
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"example.com/umpire/uma/umatest"
)

// A provider is an OpenID provider of somebody else's making, whose answers a test may replace.
type provider struct {
	*mockoidc.MockOIDC
	*signer

	mu    sync.Mutex
	hits  int              // of its keys
	fault http.HandlerFunc // answers instead; nil: nothing does
}

// newProvider starts a provider that signs with the key of a signer for RS256.
func newProvider(t testing.TB, kid string) *provider {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{MockOIDC: m}
	p.rotate(t, kid)
	err = m.AddMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			if strings.HasSuffix(r.URL.Path, "/jwks.json") {
				p.hits++
			}
			fault := p.fault
			p.mu.Unlock()
			if fault != nil {
				fault(w, r)
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			next.ServeHTTP(w, r)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(l, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Server.Close() })
	return p
}

// rotate replaces the key by a new one.
func (p *provider) rotate(t testing.TB, kid string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signer = newSigner(t, "RS256", kid)
	pair, err := mockoidc.NewKeypair(p.key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pair.Kid = kid
	p.Keypair = pair
}

func (p *provider) answer(fault http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

func (p *provider) fetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

func down(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }

// trusting is the photoz realm that trusts the provider.
func (p *provider) trusting(t testing.TB) func(*options) {
	t.Helper()
	entry := fmt.Sprintf("issuers: [{issuer: %q, alias: example, audiences: [umpire], clients: {app-guid: photoz-app}, accept: [bearer], allow_private: true, map: {roles: realm_access.roles}}]", p.Issuer())
	return photozWith(t, nil, "\nclients:\n", "\n"+entry+"\nclients:\n")
}

// claimsOf are those of a bearer of a user of the provider.
func (p *provider) claimsOf(e *env) claims {
	now := e.Clock.Now()
	return asUser.with(claims{"iss": p.Issuer(), "sub": "u1", "aud": "umpire", "azp": "app-guid", "iat": now.Unix(), "exp": now.Add(48 * time.Hour).Unix()})
}

// TestProviderIsDown: the server starts, is ready and answers 503 while an issuer was never
// there; it goes on with the keys that it has for a day when the issuer is gone.
func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "first")
	p.answer(down)
	e := start(t, p.trusting(t))
	if res := e.admin(t, "/readyz"); res.status != 200 {
		t.Errorf("/readyz: got %s", res)
	}
	token := p.sign(t, p.claimsOf(e))
	got := e.publicBoard(t, token)
	got.expect(t, 503, "temporarily_unavailable", "The keys that the token is signed with could not be fetched yet: try again")
	if got.header.Get("Retry-After") != "5" {
		t.Errorf("got Retry-After %q", got.header.Get("Retry-After"))
	}
	e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").expectGranted(t, "Public board: view") // what is ours goes on

	p.answer(nil)
	e.Clock.Advance(5 * time.Second)
	e.publicBoard(t, token).expectGranted(t, "Public board: view")
	p.answer(down)
	e.Clock.Advance(23 * time.Hour)
	e.publicBoard(t, token).expectGranted(t, "Public board: view")
	e.Clock.Advance(2 * time.Hour)
	e.publicBoard(t, token).expect(t, 503, "temporarily_unavailable", "")
}

// TestProviderRotates: a token of a new key is believed at once, one of a withdrawn key no
// longer once the new set is there, though it was verified before.
func TestProviderRotates(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "first")
	e := start(t, p.trusting(t))
	old := p.sign(t, p.claimsOf(e))
	e.publicBoard(t, old).expectGranted(t, "Public board: view")
	p.rotate(t, "second")
	e.Clock.Advance(5 * time.Second)
	e.publicBoard(t, old).expectGranted(t, "Public board: view")
	e.publicBoard(t, p.sign(t, p.claimsOf(e))).expectGranted(t, "Public board: view")
	if res := e.publicBoard(t, old); res.status != 401 {
		t.Errorf("a token of a withdrawn key: got %s", res)
	}
}

// TestProviderAttacks: with tokens of a provider. None of
// them makes the server fetch anything.
func TestProviderAttacks(t *testing.T) {
	t.Parallel()
	p, elsewhere := newProvider(t, "first"), newProvider(t, "first")
	e := start(t, p.trusting(t), unlimited)
	e.publicBoard(t, p.sign(t, p.claimsOf(e))).expectGranted(t, "Public board: view")
	fetched := p.fetched()
	e.Clock.Advance(time.Minute) // so that it might fetch again
	c := p.claimsOf(e)
	header := func(kv claims) map[string]any { return claims{"alg": "RS256", "kid": "first", "typ": "JWT"}.with(kv) }
	forged := func(kv claims) string { return p.signWith(t, header(kv), encoded(t, c)) }
	good := p.sign(t, c)
	for name, token := range map[string]string{
		"A-69 none":                    forged(claims{"alg": "none"}),
		"A-69 nOnE":                    forged(claims{"alg": "nOnE"}),
		"A-69 no signature":            good[:strings.LastIndex(good, ".")+1],
		"A-70 HS256 by the public key": forged(claims{"alg": "HS256"}),
		"A-70 PS256":                   forged(claims{"alg": "PS256"}),
		"A-70 ES256":                   forged(claims{"alg": "ES256"}),
		"another's key":                elsewhere.sign(t, c),
		"A-72 an unknown issuer":       elsewhere.sign(t, elsewhere.claimsOf(e)),
		"A-72 with a slash":            p.sign(t, c.with(claims{"iss": p.Issuer() + "/"})),
		"A-72 in other case":           p.sign(t, c.with(claims{"iss": strings.ToUpper(p.Issuer())})),
		"A-72 with a user":             p.sign(t, c.with(claims{"iss": strings.Replace(p.Issuer(), "http://", "http://a@", 1)})),
		"A-73 jku":                     elsewhere.signWith(t, header(claims{"jku": elsewhere.JWKSEndpoint()}), encoded(t, c)),
		"A-73 x5u":                     elsewhere.signWith(t, header(claims{"x5u": elsewhere.JWKSEndpoint()}), encoded(t, c)),
		"A-73 jwk":                     elsewhere.signWith(t, header(claims{"jwk": umatest.PublicJWK(elsewhere.key, elsewhere.kid, elsewhere.alg)}), encoded(t, c)),
		"A-74 an unknown crit":         forged(claims{"crit": []string{"exp"}, "exp": 1}),
		"A-74 b64":                     forged(claims{"crit": []string{"b64"}, "b64": true}),
		"A-79 zip":                     forged(claims{"zip": "DEF"}),
		"A-79 five parts":              good + ".e30.e30",
	} {
		if res := e.publicBoard(t, token); res.status != 401 {
			t.Errorf("%s: got %s, want 401", name, res)
		}
	}
	if p.fetched() != fetched || elsewhere.fetched() != 0 {
		t.Errorf("fetched %d times from the issuer, %d times from elsewhere", p.fetched()-fetched, elsewhere.fetched())
	}
	e.publicBoard(t, good).expectGranted(t, "Public board: view")
}

// TestProviderIsFaulty: whatever a provider answers at the start, no token is believed by it.
func TestProviderIsFaulty(t *testing.T) {
	t.Parallel()
	private := newProvider(t, "first")
	for name, fault := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"huge": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 300<<10)+"{}") },
		"lies": func(w http.ResponseWriter, r *http.Request) { private.Discovery(w, r) },
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, private.DiscoveryEndpoint(), http.StatusFound)
		},
		"link-local": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "first")
			p.answer(fault)
			e := start(t, p.trusting(t))
			e.publicBoard(t, p.sign(t, p.claimsOf(e))).expect(t, 503, "temporarily_unavailable", "")
			if private.fetched() != 0 {
				t.Error("keys were fetched from elsewhere")
			}
		})
	}
}
