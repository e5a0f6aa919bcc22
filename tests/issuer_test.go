package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma/umatest"
)

// An issuer is a server elsewhere that photoz trusts: it signs tokens of any claims, with
// one key for each of its algorithms, whose ids are the algorithms' names. Its members in the
// realm file are those of photoz's clients app-guid, web-guid and api-guid, with the audience
// umpire, and all uses accepted.
type issuer struct {
	URL   string
	Alias string
	Realm map[string]any // its entry among `issuers`, but for the keys; change it before start

	server *httptest.Server // of its keys; nil: they are in the realm file
	down   bool             // they are nowhere

	mu   sync.Mutex
	keys map[string]crypto.Signer
}

// newIssuer makes an issuer https://ALIAS.example.com whose keys are in the realm file, ES256
// unless other algorithms are named.
func newIssuer(t testing.TB, alias string, algorithms ...string) *issuer {
	t.Helper()
	if len(algorithms) == 0 {
		algorithms = []string{"ES256"}
	}
	i := &issuer{Alias: alias, URL: "https://" + alias + ".example.com", keys: map[string]crypto.Signer{}}
	for _, alg := range algorithms {
		i.rotate(t, alg)
	}
	i.Realm = map[string]any{
		"issuer": i.URL, "alias": alias, "audiences": []string{"umpire"}, "algorithms": algorithms,
		"clients": map[string]string{"app-guid": "photoz-app", "web-guid": "photoz-web", "api-guid": "photoz-api", "plain-guid": "plain-app"},
		"accept":  []string{"bearer", "subject_token", "claims"},
		"map":     map[string]any{},
	}
	return i
}

// serve makes the issuer publish its keys over loopback HTTP, by OpenID Connect Discovery.
func (i *issuer) serve(t testing.TB) *issuer {
	t.Helper()
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/keys")
		case "/keys":
			_ = json.NewEncoder(w).Encode(i.keySet())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL
	i.Realm["issuer"], i.Realm["allow_private"] = i.URL, true
	return i
}

// rotate gives the issuer a new key for an algorithm, under the same id.
func (i *issuer) rotate(t testing.TB, alg string) {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("an issuer of the tests knows no %s", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[alg] = key
}

// keySet is the JWK Set of the issuer's public keys.
func (i *issuer) keySet() map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set []map[string]string
	for _, alg := range slices.Sorted(maps.Keys(i.keys)) {
		set = append(set, umatest.PublicJWK(i.keys[alg], alg, alg))
	}
	return map[string]any{"keys": set}
}

// entry is the issuer in the list `issuers` of a realm file.
func (i *issuer) entry(t testing.TB) string {
	t.Helper()
	members := maps.Clone(i.Realm)
	if i.server == nil && !i.down {
		members["jwks"] = i.keySet()
	}
	text, err := json.Marshal(members) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// photozTrusting starts a server on the photoz realm with trusted issuers, and with some of
// its text replaced and more policies than its own, as photozWith does.
func photozTrusting(t testing.TB, issuers []*issuer, policies map[string]string, replace ...string) func(*options) {
	t.Helper()
	entries := make([]string, len(issuers))
	for n, i := range issuers {
		entries[n] = i.entry(t)
	}
	return photozWith(t, policies, append(replace, "\nclients:\n", "\nissuers: ["+strings.Join(entries, ", ")+"]\nclients:\n")...)
}

// claims are members of a token.
type claims map[string]any

// token is an access token of the issuer for umpire, of the subject, through app-guid. Members
// of change take the place of its own; nil takes them away. It is valid for ten minutes.
func (i *issuer) token(t testing.TB, e *env, subject string, change claims) string {
	t.Helper()
	return i.sign(t, "", i.claimsOf(e, subject, claims{"aud": "umpire", "azp": "app-guid"}, change))
}

// idToken is an ID token of the issuer for the client app-guid; see token.
func (i *issuer) idToken(t testing.TB, e *env, subject string, change claims) string {
	t.Helper()
	return i.sign(t, "", i.claimsOf(e, subject, claims{"aud": "app-guid", "nonce": "n"}, change))
}

func (i *issuer) claimsOf(e *env, subject string, more ...claims) claims {
	now := e.Clock.Now()
	c := claims{"iss": i.URL, "sub": subject, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
	for _, change := range more {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign signs any claims with the key of an algorithm; with "", of the issuer's first one.
func (i *issuer) sign(t testing.TB, alg string, c claims) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if alg == "" {
		alg = slices.Min(slices.Collect(maps.Keys(i.keys)))
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return signedJWT(t, i.keys[alg], alg, fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, alg), string(payload))
}

// signedJWT signs any header and payload with a key, whatever the header says.
func signedJWT(t testing.TB, key crypto.Signer, alg, header, payload string) string {
	t.Helper()
	token, err := umatest.SignJWT(key, alg, header, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestTrustedIssuers: a realm may trust an issuer by keys in its file and by keys that it
// fetches.
func TestTrustedIssuers(t *testing.T) {
	t.Parallel()
	inline, served := newIssuer(t, "inline", "EdDSA", "ES256", "RS256"), newIssuer(t, "served").serve(t)
	e := start(t, photozTrusting(t, []*issuer{inline, served}, nil))
	for _, i := range []*issuer{inline, served} {
		if res := e.get(t, "/protocol/openid-connect/userinfo", bearer(i.token(t, e, "u1", nil))); res.status != 401 {
			t.Errorf("a token of %s at userinfo: got %s, want 401", i.Alias, res)
		}
	}
}
