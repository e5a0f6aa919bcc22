package pep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/umpire/pep"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rsaKey is made once: it takes longer than all tests together.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// signer signs as one published key does.
type signer struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
}

func newSigner(t *testing.T, kid, alg string) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "RS256":
		key = rsaKey()
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jwt.GetSigningMethod(alg), key}
}

func (s signer) sign(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(s.method, jwt.MapClaims(claims))
	token.Header["kid"] = s.kid
	maps.Copy(token.Header, header)
	out, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s signer) jwk() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	k := map[string]any{"kid": s.kid, "use": "sig", "alg": s.method.Alg()}
	switch pub := s.key.Public().(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := pub.Bytes()
		k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", b64(pub)
	}
	return k
}

// authServer is an authorization server of a few lines. What it did is counted by the last part of the path.
type authServer struct {
	*httptest.Server
	issuer string

	mu         sync.Mutex
	calls      map[string]int
	down       bool
	keys       []map[string]any
	metadata   map[string]any // overrides
	resources  []map[string]any
	permission json.RawMessage           // the last body at the permission endpoint
	ticket     string                    // what it answers
	answers    map[string]map[string]any // introspection, by token
	pat        string                    // the PAT in force; a number is put behind at each request
	patLife    int
	auth       string // the last Authorization header at the token or introspection endpoint
	override   map[string]http.HandlerFunc
}

func newAuthServer(t *testing.T) *authServer {
	t.Helper()
	as := &authServer{calls: map[string]int{}, ticket: "ticket-1", patLife: 300, answers: map[string]map[string]any{}, override: map[string]http.HandlerFunc{}}
	as.Server = httptest.NewServer(as)
	t.Cleanup(as.Close)
	as.issuer = as.URL + "/realms/photoz"
	return as
}

func (as *authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	as.calls[name]++
	if as.down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	if h := as.override[name]; h != nil {
		h(w, r)
		return
	}
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch name {
	case "uma2-configuration":
		doc := map[string]any{
			"issuer": as.issuer, "token_endpoint": as.issuer + "/token", "introspection_endpoint": as.issuer + "/introspect",
			"jwks_uri": as.issuer + "/certs", "permission_endpoint": as.issuer + "/permission",
			"resource_registration_endpoint": as.issuer + "/resource_set",
		}
		maps.Copy(doc, as.metadata)
		answer(200, doc)
	case "certs":
		answer(200, map[string]any{"keys": as.keys})
	case "token":
		as.auth = r.Header.Get("Authorization")
		as.pat = fmt.Sprintf("pat-%d", as.calls[name])
		answer(200, map[string]any{"access_token": as.pat, "token_type": "Bearer", "expires_in": as.patLife})
	case "introspect":
		as.auth = r.Header.Get("Authorization")
		if r.PostFormValue("token_type_hint") != "requesting_party_token" {
			answer(400, map[string]any{"error": "invalid_request"})
			return
		}
		if a, ok := as.answers[r.PostFormValue("token")]; ok {
			answer(200, a)
			return
		}
		answer(200, map[string]any{"active": false})
	default:
		if r.Header.Get("Authorization") != "Bearer "+as.pat {
			answer(401, map[string]any{"error": "invalid_token"})
			return
		}
		as.protection(w, r, name, answer)
	}
}

func (as *authServer) protection(w http.ResponseWriter, r *http.Request, name string, answer func(int, any)) {
	switch {
	case name == "permission":
		as.permission, _ = io.ReadAll(r.Body)
		answer(201, map[string]any{"ticket": as.ticket})
	case r.Method == http.MethodGet:
		found := []map[string]any{}
		q := r.URL.Query()
		asked := q.Get("uri")
		if i := strings.IndexAny(asked, "?#;"); i >= 0 { // taken away before it is decoded once; encoded, they name nothing
			asked = asked[:i]
		}
		if asked, _ = url.PathUnescape(asked); strings.ContainsAny(asked, "?#;") {
			asked = ""
		}
		for _, res := range as.resources {
			for _, uri := range res["uris"].([]string) {
				if strings.EqualFold(uri, asked) || q.Get("matchingUri") == "true" && strings.HasSuffix(uri, "*") && strings.HasPrefix(asked, uri[:len(uri)-1]) {
					found = append(found, res)
				}
			}
		}
		answer(200, found)
	case r.Method == http.MethodPost:
		var res map[string]any
		_ = json.NewDecoder(r.Body).Decode(&res)
		res["_id"] = "made"
		as.resources = append(as.resources, map[string]any{"_id": "made", "uris": []string{res["uris"].([]any)[0].(string)}, "sent": res})
		answer(201, res)
	case r.Method == http.MethodDelete:
		if name == "unknown" {
			w.WriteHeader(404)
			return
		}
		as.resources = nil
		w.WriteHeader(204)
	}
}

// set changes the server while requests may be under way.
func (as *authServer) set(change func()) {
	as.mu.Lock()
	defer as.mu.Unlock()
	change()
}

func (as *authServer) count(name string) int {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.calls[name]
}

// env is a resource server behind the enforcer, over a socket, and its authorization server.
type env struct {
	as     *authServer
	clock  *clock
	key    signer
	pep    *pep.Enforcer
	url    string
	served func() int // how often the application's handler ran
}

func newEnv(t *testing.T, change func(*pep.Config)) *env {
	t.Helper()
	as := newAuthServer(t)
	e := &env{as: as, clock: &clock{now: start}, key: newSigner(t, "k1", "ES256")}
	as.keys = []map[string]any{e.key.jwk()}
	as.resources = []map[string]any{
		{"_id": "r-1", "uris": []string{"/album/1"}},
		{"_id": "r-board", "uris": []string{"/board/*"}},
	}
	cfg := pep.Config{
		AuthorizationServer: as.issuer, Realm: "photoz", ClientID: "photoz-api", ClientSecret: "s:cr%t", Mode: pep.Local, Now: e.clock.Now,
		Rules: []pep.Rule{
			{Method: "GET", Path: "/album/{id}", URI: "/album/{id}", Scopes: []string{"view"}},
			{Method: "DELETE", Path: "/album/{id}", URI: "/album/{id}", Scopes: []string{"view", "delete"}},
			{Method: "GET", Path: "/board/{rest...}", URI: "/board/{rest}", Scopes: []string{"view"}},
			{Method: "GET", Path: "/own/{id}", Scopes: []string{"view"}, Resource: func(r *http.Request) (string, bool, error) {
				switch r.PathValue("id") {
				case "broken":
					return "", false, io.ErrUnexpectedEOF
				case "empty":
					return "", true, nil
				}
				return "r-1", r.PathValue("id") == "1", nil
			}},
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if e.pep, err = pep.New(cfg); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	served := 0
	e.served = func() int { mu.Lock(); defer mu.Unlock(); return served }
	rs := httptest.NewServer(e.pep.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		served++
		mu.Unlock()
		granted, _ := pep.FromContext(r.Context())
		_ = json.NewEncoder(w).Encode(granted)
	})))
	t.Cleanup(rs.Close)
	e.url = rs.URL
	return e
}

// claims are those of an RPT that carries view and comment of r-1; change alters them.
func (e *env) claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": e.as.issuer, "aud": "photoz-api", "exp": e.clock.Now().Add(5 * time.Minute).Unix(), "typ": "Bearer",
		"sub": "u-bob", "azp": "photoz-web", "preferred_username": "bob",
		"authorization": map[string]any{"permissions": []any{map[string]any{"rsid": "r-1", "rsname": "Holiday", "scopes": []string{"view", "comment"}}}},
	}
	for k, v := range change {
		c[k] = v
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (e *env) rpt(t *testing.T, change map[string]any) string {
	t.Helper()
	return e.key.sign(t, nil, e.claims(change))
}

type answer struct {
	status  int
	header  http.Header
	granted pep.Granted
}

func (e *env) do(t *testing.T, method, path, rpt string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rpt != "" {
		req.Header.Set("Authorization", "Bearer "+rpt)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.status == 200 {
		if err := json.NewDecoder(resp.Body).Decode(&a.granted); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// wantTicket checks for the challenge of UMA Grant §3.2.1.
func (e *env) wantTicket(t *testing.T, a answer) {
	t.Helper()
	want := fmt.Sprintf(`UMA realm="photoz", as_uri="%s", ticket="ticket-1"`, e.as.issuer)
	if got := a.header.Get("WWW-Authenticate"); a.status != 401 || got != want {
		t.Errorf("got %d %q, want 401 %q", a.status, got, want)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
}

// wantUnreachable checks for the answer of UMA Grant §3.2.2.
func wantUnreachable(t *testing.T, a answer) {
	t.Helper()
	const want = `199 - "UMA Authorization Server Unreachable"`
	if got := a.header.Get("Warning"); a.status != 403 || got != want || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("got %d, Warning %q, %q, want 403, %q", a.status, got, a.header.Get("WWW-Authenticate"), want)
	}
}

func wantStatus(t *testing.T, a answer, want int) {
	t.Helper()
	if a.status != want {
		t.Errorf("got %d, want %d", a.status, want)
	}
}
