package tests

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/trust"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asserting starts a server whose client photoz-app has keys instead of a secret; other-app has
// keys too, and a resource server, keyed-api.
func asserting(t testing.TB, app, other, api *signer, more ...func(*options)) *env {
	t.Helper()
	photoz := photozWith(t, nil, "  - {id: photoz-app, secret: app-secret,", fmt.Sprintf(`
  - {id: other-app, service_account: true, jwks: %s}
  - {id: keyed-api, service_account: true, resource_server: true, password_grant: true, jwks: %s}
  - {id: photoz-app, jwks: %s,`, jwks(t, other), jwks(t, api), jwks(t, app)))
	return start(t, append([]func(*options){photoz}, more...)...)
}

// assertion has the claims of a client's assertion.
func (e *env) assertion(client string, change ...any) map[string]any {
	now := e.Clock.Now()
	claims := map[string]any{
		"iss": client, "sub": client, "aud": e.base(), "jti": fmt.Sprint("jti-", serial.Add(1)),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for pair := range slices.Chunk(change, 2) {
		if pair[1] == nil {
			delete(claims, pair[0].(string))
			continue
		}
		claims[pair[0].(string)] = pair[1]
	}
	return claims
}

var serial atomic.Int64

// by adds a client assertion to the parameters of a request.
func by(assertion string, kv ...string) []string {
	return append(kv, "client_assertion_type", jwtBearer, "client_assertion", assertion)
}

// TestPrivateKeyJWT: a client authenticates by its key wherever another presents its secret
// (RFC 7523 §2.2).
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	app, api := newSigner(t, "ES256", "app"), newSigner(t, "RS256", "api")
	e := asserting(t, app, newSigner(t, "EdDSA", "other"), api)
	sign := func(change ...any) string { return app.sign(t, e.assertion("photoz-app", change...)) }
	rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board#view").str("access_token")

	for name, aud := range map[string]string{
		"the issuer":              e.base(),
		"the token endpoint":      e.base() + tokenPath,
		"PingAM's token endpoint": e.do(t, request{method: "GET", url: e.URL + "/uma/realms/root/realms/photoz/.well-known/uma2-configuration"}).str("token_endpoint"),
	} {
		res := e.post(t, tokenPath, credentials{}, by(sign("aud", aud), "grant_type", "client_credentials")...)
		if res.status != 200 {
			t.Errorf("for %s: got %s", name, res)
		}
	}
	res := e.post(t, tokenPath, credentials{}, by(sign(), "grant_type", "password", "username", "bob", "password", "bob")...)
	if res.status != 200 {
		t.Fatalf("password: got %s", res)
	}
	refresh := res.str("refresh_token")
	res = e.post(t, tokenPath, credentials{}, by(sign(), "grant_type", "refresh_token", "refresh_token", refresh, "client_id", "photoz-app")...)
	if res.status != 200 {
		t.Fatalf("refresh: got %s", res)
	}
	refresh = res.str("refresh_token")
	e.post(t, tokenPath, credentials{}, by(sign(), "grant_type", umaGrant, "ticket", boardTicket(t, e), "subject_token", e.token(t, "bob", "photoz-web"))...).expectGranted(t, "Public board: view")
	pat := e.post(t, tokenPath, credentials{}, by(api.sign(t, e.assertion("keyed-api")), "grant_type", "client_credentials")...).str("access_token")
	if res := e.send(t, "POST", resourceSet, bearer(pat), map[string]any{"name": "of keyed-api"}); res.status != 201 {
		t.Errorf("a PAT of a client with keys: got %s", res)
	}

	for name, check := range map[string]func() (*response, int){
		"introspection": func() (*response, int) { return e.post(t, introspect, credentials{}, by(sign(), "token", rpt)...), 200 },
		"WSO2's introspection": func() (*response, int) {
			return e.post(t, e.URL+"/t/photoz/oauth2/introspect", credentials{}, by(sign(), "token", rpt)...), 200
		},
		"PingAM's introspection": func() (*response, int) {
			return e.post(t, e.URL+"/oauth2/realms/root/realms/photoz/introspect", credentials{}, by(sign(), "token", rpt)...), 200
		},
		"WSO2's token endpoint": func() (*response, int) {
			return e.post(t, e.URL+"/t/photoz/oauth2/token", credentials{}, by(sign(), "grant_type", "client_credentials")...), 200
		},
		"PingAM's token endpoint": func() (*response, int) {
			return e.post(t, e.URL+"/oauth2/realms/root/realms/photoz/access_token", credentials{}, by(sign(), "grant_type", "client_credentials")...), 200
		},
		"revocation": func() (*response, int) {
			return e.post(t, "/protocol/openid-connect/revoke", credentials{}, by(sign(), "token", "x")...), 200
		},
		"logout": func() (*response, int) {
			return e.post(t, "/protocol/openid-connect/logout", credentials{}, by(sign(), "refresh_token", refresh)...), 204
		},
	} {
		if res, want := check(); res.status != want {
			t.Errorf("%s: got %s, want %d", name, res, want)
		}
	}
}

// TestPrivateKeyJWTRefused, each at the token endpoint.
func TestPrivateKeyJWTRefused(t *testing.T) {
	t.Parallel()
	app, other, api := newSigner(t, "RS256", "app"), newSigner(t, "ES256", "other"), newSigner(t, "EdDSA", "api")
	e := asserting(t, app, other, api, unlimited)
	try := func(assertion string, kv ...string) *response {
		return e.post(t, tokenPath, credentials{}, by(assertion, append(kv, "grant_type", "client_credentials")...)...)
	}
	claims := func(change ...any) map[string]any { return e.assertion("photoz-app", change...) }
	header := func(change ...any) map[string]any {
		h := map[string]any{"alg": "RS256", "kid": "app"}
		for pair := range slices.Chunk(change, 2) {
			h[pair[0].(string)] = pair[1]
		}
		return h
	}
	now := e.Clock.Now()
	if res := try(app.signWith(t, header(), encoded(t, claims()))); res.status != 200 {
		t.Fatalf("a good one: got %s", res)
	}
	good := app.sign(t, claims())

	assertions := map[string]string{
		"alg none":                 app.signWith(t, header("alg", "none"), encoded(t, claims())),
		"alg nOnE":                 app.signWith(t, header("alg", "nOnE"), encoded(t, claims())),
		"no alg":                   app.signWith(t, map[string]any{"kid": "app"}, encoded(t, claims())),
		"HS256 by the public key":  app.signWith(t, header("alg", "HS256"), encoded(t, claims())),
		"ES256 by an RSA key":      app.signWith(t, header("alg", "ES256"), encoded(t, claims())),
		"PS256 by a key for RS256": app.signWith(t, header("alg", "PS256"), encoded(t, claims())),
		"another client's key":     other.sign(t, claims()),
		"another's key, our kid":   other.signWith(t, map[string]any{"alg": "ES256", "kid": "app"}, encoded(t, claims())),
		"another's, by kid":        app.signWith(t, header("kid", "other"), encoded(t, claims())),
		"crit":                     app.signWith(t, header("crit", []string{"b64"}, "b64", true), encoded(t, claims())),
		"jwk":                      app.signWith(t, header("jwk", map[string]any{"kty": "oct"}), encoded(t, claims())),
		"jku":                      app.signWith(t, header("jku", "https://example.com/keys"), encoded(t, claims())),
		"x5u":                      app.signWith(t, header("x5u", "https://example.com/keys"), encoded(t, claims())),
		"a token by its typ":       app.signWith(t, header("typ", "at+jwt"), encoded(t, claims())),

		"aud of somebody else":   app.sign(t, claims("aud", "https://elsewhere.example.com")),
		"aud of another realm":   app.sign(t, claims("aud", e.URL+"/realms/other")),
		"aud with a slash":       app.sign(t, claims("aud", e.base()+"/")),
		"several aud":            app.sign(t, claims("aud", []string{e.base(), "https://elsewhere.example.com"})),
		"a list of one aud":      app.sign(t, claims("aud", []string{e.base()})),
		"no aud":                 app.sign(t, claims("aud", nil)),
		"empty aud":              app.sign(t, claims("aud", "")),
		"expired":                app.sign(t, claims("exp", now.Unix())),
		"expires in years":       app.sign(t, claims("exp", now.AddDate(5, 0, 0).Unix())),
		"expires in 6 minutes":   app.sign(t, claims("exp", now.Add(6*time.Minute).Unix())),
		"exp as text":            app.sign(t, claims("exp", fmt.Sprint(now.Add(time.Minute).Unix()))),
		"no exp":                 app.sign(t, claims("exp", nil)),
		"not yet valid":          app.sign(t, claims("nbf", now.Add(time.Minute).Unix())),
		"no jti":                 app.sign(t, claims("jti", nil)),
		"empty jti":              app.sign(t, claims("jti", "")),
		"jti is a number":        app.sign(t, claims("jti", 7)),
		"iss is another":         app.sign(t, claims("iss", "other-app")),
		"sub is another":         app.sign(t, claims("sub", "other-app")),
		"no iss":                 app.sign(t, claims("iss", nil)),
		"no sub":                 app.sign(t, claims("sub", nil)),
		"an unknown client":      app.sign(t, e.assertion("nobody")),
		"a client with a secret": app.sign(t, e.assertion("photoz-api")),
		"a public client":        app.sign(t, e.assertion("photoz-web")),
		"a member twice": app.signWith(t, header(), fmt.Sprintf(`{"iss":"photoz-app","sub":"photoz-app","aud":%q,"aud":%q,"jti":"x","exp":%d}`,
			"https://elsewhere.example.com", e.base(), now.Add(time.Minute).Unix())),
		"cut":             good[:len(good)-4],
		"no signature":    good[:strings.LastIndex(good, ".")+1],
		"two parts":       good[:strings.LastIndex(good, ".")],
		"not a JWT":       "assertion",
		"an access token": e.as(t, "bob", "photoz-web").bearer,
	}
	for name, assertion := range assertions {
		for _, kv := range [][]string{{}, {"client_id", "photoz-app"}} {
			res := try(assertion, kv...)
			if res.status != 401 || res.str("error") != "invalid_client" || res.str("error_description") != "Invalid client or Invalid client credentials" {
				t.Errorf("%s: got %s, want 401 invalid_client", name, res)
			}
		}
	}
	if res := try(good, "client_id", "other-app"); res.status != 401 || res.str("error") != "invalid_client" {
		t.Errorf("with another client_id: got %s", res)
	}

	// no two ways to authenticate in one request.
	for name, res := range map[string]*response{
		"and Basic":             e.post(t, tokenPath, basic("photoz-api"), by(good, "grant_type", "client_credentials")...),
		"and a secret":          try(good, "client_id", "photoz-api", "client_secret", "secret"),
		"and an empty secret":   try(good, "client_secret", ""),
		"without its type":      e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_assertion", good),
		"of another type":       e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_assertion", good, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
		"a type alone":          e.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_id", "photoz-web", "client_assertion_type", jwtBearer),
		"empty":                 try(""),
		"twice":                 e.post(t, tokenPath, credentials{}, by(good, by(good, "grant_type", "client_credentials")...)...),
		"and Basic, introspect": e.post(t, introspect, basic("photoz-api"), by(good, "token", "x")...),
	} {
		if res.status != 400 || res.str("error") != "invalid_request" {
			t.Errorf("%s: got %s, want 400 invalid_request", name, res)
		}
	}
	res := e.do(t, request{method: "GET", url: e.URL + "/oauth2/realms/root/realms/photoz/introspect", query: map[string][]string{"token": {"x"}, "client_assertion": {good}, "client_assertion_type": {jwtBearer}}})
	res.expect(t, 400, "invalid_request", "client_assertion does not belong in a query")

	// Nothing of that has spent the assertion, and it is spent once: after that, and at any
	// endpoint, for as long as it would be valid.
	if res := try(good); res.status != 200 {
		t.Errorf("the good one: got %s", res)
	}
	for range 2 {
		try(good).expect(t, 401, "invalid_client", "")
		e.post(t, introspect, credentials{}, by(good, "token", "x")...).expect(t, 401, "invalid_client", "")
		e.Clock.Advance(59 * time.Second)
	}
	// The jti of one client is not that of another.
	mine, theirs := e.assertion("photoz-app", "jti", "same"), e.assertion("other-app", "jti", "same")
	for name, res := range map[string]*response{"photoz-app": try(app.sign(t, mine)), "other-app": try(other.sign(t, theirs))} {
		if res.status != 200 {
			t.Errorf("%s: got %s", name, res)
		}
	}
	again := maps.Clone(mine)
	again["exp"] = e.Clock.Now().Add(2 * time.Minute).Unix()
	try(app.sign(t, again)).expect(t, 401, "invalid_client", "") // another assertion, of the same id

	// No key was fetched, and no assertion is in a log.
	if log := readFile(t, e.Data+"/server.log"); strings.Contains(string(log), strings.Split(good, ".")[1]) {
		t.Error("the log has an assertion")
	}
}

// TestPrivateKeyJWTRace: of many requests with one assertion one gets a token.
func TestPrivateKeyJWTRace(t *testing.T) {
	t.Parallel()
	app := newSigner(t, "EdDSA", "app")
	e := asserting(t, app, newSigner(t, "EdDSA", "other"), newSigner(t, "EdDSA", "api"), unlimited)
	for range 5 {
		assertion := app.sign(t, e.assertion("photoz-app"))
		var wg sync.WaitGroup
		var won atomic.Int64
		begin := make(chan struct{})
		for range 20 {
			wg.Go(func() {
				<-begin
				if e.post(t, tokenPath, credentials{}, by(assertion, "grant_type", "client_credentials")...).status == 200 {
					won.Add(1)
				}
			})
		}
		close(begin)
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d requests got a token by one assertion", won.Load())
		}
	}
}

// TestPrivateKeyJWTFetched: keys of a client's jwks_uri are fetched, from the internet alone. While
// they could not be had the answer is 503, and the server is ready.
func TestPrivateKeyJWTFetched(t *testing.T) {
	t.Parallel()
	first, second := newSigner(t, "ES256", "first"), newSigner(t, "ES256", "second")
	var document atomic.Value
	document.Store("down")
	var fetches atomic.Int64
	keys := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		if text := document.Load().(string); text != "down" {
			fmt.Fprint(w, text)
			return
		}
		http.Error(w, "down", http.StatusBadGateway)
	}))
	t.Cleanup(keys.Close)
	roots := x509.NewCertPool()
	roots.AddCert(keys.Certificate())
	network := trust.Network{
		Roots: roots,
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "example.com":
				return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
			case "inside.example.com":
				return []netip.Addr{netip.MustParseAddr("10.0.0.8")}, nil
			}
			return nil, errors.New("no such host")
		},
		Connect: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			if to.Addr() != netip.MustParseAddr("8.8.8.8") {
				t.Errorf("connected to %s", to)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", keys.Listener.Addr().String())
		},
	}
	realm := photozWith(t, nil, "  - {id: photoz-app, secret: app-secret,", `
  - {id: inside-app, service_account: true, jwks_uri: "https://inside.example.com/keys"}
  - {id: photoz-app, jwks_uri: "https://example.com/keys",`)
	e := run(t, func(cfg *node.Config) { cfg.Network = network }, realm)
	try := func(s *signer, client string) *response {
		return e.post(t, tokenPath, credentials{}, by(s.sign(t, e.assertion(client)), "grant_type", "client_credentials")...)
	}
	within1s(t, "the server is ready", func() bool {
		res, err := http.Get(e.Admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	for _, client := range []string{"photoz-app", "inside-app"} {
		res := try(first, client)
		res.expect(t, 503, "temporarily_unavailable", "The keys that the token is signed with could not be fetched yet: try again")
		if res.header.Get("Retry-After") != "5" {
			t.Errorf("got Retry-After %q", res.header.Get("Retry-After"))
		}
	}
	document.Store(jwks(t, first))
	e.Clock.Advance(10 * time.Second)
	if res := try(first, "photoz-app"); res.status != 200 {
		t.Errorf("once it is up: got %s", res)
	}
	if res := try(first, "inside-app"); res.status != 503 {
		t.Errorf("a private address: got %s", res)
	}
	document.Store(jwks(t, second)) // rotated
	e.Clock.Advance(10 * time.Second)
	if res := try(second, "photoz-app"); res.status != 200 {
		t.Errorf("a new key: got %s", res)
	}
	try(first, "photoz-app").expect(t, 401, "invalid_client", "")
	before := fetches.Load()
	for range 20 {
		try(first, "photoz-app").expect(t, 401, "invalid_client", "")
		try(&signer{"ES256", "second", first.key}, "photoz-app").expect(t, 401, "invalid_client", "") // a bad signature
	}
	if got := fetches.Load() - before; got > 0 {
		t.Errorf("tokens that are not valid made it fetch %d times", got)
	}

	text := string(e.admin(t, "/metrics").raw)
	for _, line := range []string{
		`umpire_keys_held{kind="client",name="photoz-app",realm="photoz"} 1`,
		`umpire_keys_age_seconds{kind="client",name="photoz-app",realm="photoz"} 0`,
		`umpire_keys_held{kind="client",name="inside-app",realm="photoz"} 0`,
		`umpire_keys_fetch_failures_total{kind="client",name="photoz-app",realm="photoz"} `,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if strings.Contains(text, `umpire_keys_age_seconds{kind="client",name="inside-app"`) {
		t.Error("keys that were never had have an age")
	}
}

// TestPrivateKeyJWTDiscovery: the documents name the method and its algorithms (RFC 8414 §2).
func TestPrivateKeyJWTDiscovery(t *testing.T) {
	t.Parallel()
	e := start(t)
	for _, path := range []string{
		e.base() + "/.well-known/openid-configuration", e.base() + "/.well-known/uma2-configuration",
		e.URL + "/uma/realms/root/realms/photoz/.well-known/uma2-configuration",
	} {
		d := e.do(t, request{method: "GET", url: path}).object()
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			methods, _ := d[endpoint+"_endpoint_auth_methods_supported"].([]any)
			algs, _ := d[endpoint+"_endpoint_auth_signing_alg_values_supported"].([]any)
			if !slices.Contains(methods, any("private_key_jwt")) || !slices.Contains(algs, any("ES256")) || slices.Contains(algs, any("HS256")) || slices.Contains(algs, any("none")) {
				t.Errorf("%s, %s: got %v, %v", path, endpoint, methods, algs)
			}
		}
	}
}
