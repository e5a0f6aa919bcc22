package pep_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Every one of these tokens is answered as if there were none: UMA Grant §3.5.
func TestTokensThatGiveNoAccess(t *testing.T) {
	t.Parallel()
	permissions := func(ps ...any) map[string]any {
		return map[string]any{"authorization": map[string]any{"permissions": ps}}
	}
	cases := map[string]map[string]any{
		"expired":        {"exp": start.Unix()},
		"no exp":         {"exp": nil},
		"not yet":        {"nbf": start.Add(time.Minute).Unix()},
		"other issuer":   {"iss": "https://evil.example/realms/photoz"},
		"no issuer":      {"iss": nil},
		"other audience": {"aud": "other-api"},
		"no audience":    {"aud": nil},
		"empty audience": {"aud": []string{}},
		"refresh token":  {"typ": "Refresh"},
		"ID token":       {"typ": "ID"},
		"no typ":         {"typ": nil},
		"no subject":     {"sub": nil},
		"bound to a key": {"cnf": map[string]any{"jkt": "x"}},
		"no permissions": {"authorization": nil},
		"other resource": permissions(map[string]any{"rsid": "r-2", "scopes": []string{"view"}}),
		"other scope":    permissions(map[string]any{"rsid": "r-1", "scopes": []string{"comment"}}),
		"no scopes":      permissions(map[string]any{"rsid": "r-1"}),
		"empty resource": permissions(map[string]any{"rsid": "", "scopes": []string{"view"}}),
		"by name":        permissions(map[string]any{"rsid": "x", "rsname": "r-1", "scopes": []string{"view"}}),
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nil)
			e.wantTicket(t, e.do(t, "GET", "/album/1", e.rpt(t, change)))
			if e.served() != 0 {
				t.Error("the handler ran")
			}
		})
	}
}

// Access tokens are JWT in realms of Keycloak's profile and at+jwt in those of UMA 2.0.
func TestTypeInTheHeader(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	for _, typ := range []any{"JWT", "jwt", "at+jwt", "application/at+jwt"} {
		wantStatus(t, e.do(t, "GET", "/album/1", e.key.sign(t, map[string]any{"typ": typ}, e.claims(nil))), 200)
	}
	for _, typ := range []any{"logout+jwt", "dpop+jwt", "", "ID", 1} {
		e.wantTicket(t, e.do(t, "GET", "/album/1", e.key.sign(t, map[string]any{"typ": typ}, e.claims(nil))))
	}
}

func TestAllScopesAreNeeded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	entry := func(scope string) any { return map[string]any{"rsid": "r-1", "scopes": []string{scope}} }
	with := func(ps ...any) string {
		return e.rpt(t, map[string]any{"authorization": map[string]any{"permissions": ps}})
	}
	e.wantTicket(t, e.do(t, "DELETE", "/album/1", with(entry("view"))))
	e.wantTicket(t, e.do(t, "DELETE", "/album/1", with(entry("delete"))))
	wantStatus(t, e.do(t, "DELETE", "/album/1", with(entry("view"), entry("delete"))), 200)
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	rs := newSigner(t, "rsa", "RS256")
	e.as.set(func() { e.as.keys = append(e.as.keys, rs.jwk()) })
	good := e.rpt(t, nil)
	wantStatus(t, e.do(t, "GET", "/album/1", good), 200)

	hmac := func(secret []byte, kid string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(e.claims(nil)))
		token.Header["kid"] = kid
		s, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims(e.claims(nil)))
	none.Header["kid"] = "k1"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	rs512 := signer{"rsa", jwt.SigningMethodRS512, rs.key}
	stranger := newSigner(t, "k1", "ES256")
	parts := strings.Split(good, ".")
	cases := map[string]string{
		"alg none":                unsigned,
		"HMAC with a public key":  hmac([]byte(rs.jwk()["n"].(string)), "rsa"),
		"HMAC with nothing":       hmac(nil, "k1"),
		"RS512":                   rs512.sign(t, nil, e.claims(nil)),
		"another's key":           stranger.sign(t, nil, e.claims(nil)),
		"key of another alg":      rs.sign(t, map[string]any{"kid": "k1"}, e.claims(nil)),
		"no kid":                  e.key.sign(t, map[string]any{"kid": ""}, e.claims(nil)),
		"kid no string":           e.key.sign(t, map[string]any{"kid": 1}, e.claims(nil)),
		"crit":                    e.key.sign(t, map[string]any{"crit": []string{"b64"}}, e.claims(nil)),
		"empty crit":              e.key.sign(t, map[string]any{"crit": []string{}}, e.claims(nil)),
		"key in the header":       stranger.sign(t, map[string]any{"jwk": stranger.jwk()}, e.claims(nil)),
		"no signature":            parts[0] + "." + parts[1] + ".",
		"signature of another":    parts[0] + "." + parts[1] + "." + strings.Split(e.rpt(t, map[string]any{"sub": "x"}), ".")[2],
		"two parts":               parts[0] + "." + parts[1],
		"no JWT":                  "opaque",
		"larger than any RPT":     strings.Repeat("a", 17<<10),
		"with a space":            good + " x",
		"payload under no header": "." + parts[1] + "." + parts[2],
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			e.wantTicket(t, e.do(t, "GET", "/album/1", token))
		})
	}
	if e.served() != 1 {
		t.Errorf("the handler ran %d times, want once", e.served())
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	old := e.rpt(t, nil)
	wantStatus(t, e.do(t, "GET", "/own/1", old), 200)

	second := newSigner(t, "k2", "EdDSA")
	e.as.set(func() { e.as.keys = append(e.as.keys, second.jwk()) })
	fresh := second.sign(t, nil, e.claims(nil))
	e.wantTicket(t, e.do(t, "GET", "/own/1", fresh)) // asked for keys just now
	e.clock.Add(pause)
	wantStatus(t, e.do(t, "GET", "/own/1", fresh), 200)
	wantStatus(t, e.do(t, "GET", "/own/1", old), 200)
	if got := e.as.count("certs"); got != 2 {
		t.Errorf("key sets: got %d, want 2", got)
	}

	// made-up key ids: one request per pause, however many tokens
	for i := range 20 {
		made := newSigner(t, fmt.Sprintf("made-%d", i), "EdDSA")
		e.wantTicket(t, e.do(t, "GET", "/own/1", made.sign(t, nil, e.claims(nil))))
	}
	if got := e.as.count("certs"); got != 2 {
		t.Errorf("key sets: got %d, want 2", got)
	}

	// a key that is published no more counts no more, once the set is read again
	e.as.set(func() { e.as.keys = e.as.keys[1:] })
	e.clock.Add(5 * time.Minute)
	e.wantTicket(t, e.do(t, "GET", "/own/1", e.rpt(t, nil)))

	// the set cannot be read, or holds nothing: the last good one goes on
	for _, change := range []func(){func() { e.as.keys = nil }, func() { e.as.down = true }} {
		e.as.set(change)
		e.clock.Add(10 * time.Minute)
		wantStatus(t, e.do(t, "GET", "/own/1", second.sign(t, nil, e.claims(nil))), 200)
	}
}
