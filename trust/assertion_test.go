package trust

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// assertion is one of the client `backend`, with changed claims; a nil claim is taken away.
func (s *signer) assertion(t testing.TB, change map[string]any) string {
	t.Helper()
	return signText(t, clientKeys, "ES256", headerText("ES256", "c", "JWT"), s.assertionPayload(t, change))
}

func (s *signer) assertionPayload(t testing.TB, change map[string]any) string {
	t.Helper()
	c := map[string]any{"iss": "backend", "sub": "backend", "aud": asURL, "jti": "once", "exp": s.now.Add(5 * time.Minute).Unix()}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestVerifyAssertion(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	audiences := []string{asURL, asURL + "/token"}
	for name, raw := range map[string]string{
		"plain":              s.assertion(t, nil),
		"the token endpoint": s.assertion(t, map[string]any{"aud": audiences[1]}),
		"its own typ":        signText(t, clientKeys, "ES256", headerText("ES256", "c", "client-authentication+jwt"), s.assertionPayload(t, nil)),
		"no kid":             signText(t, clientKeys, "ES256", `{"alg":"ES256"}`, s.assertionPayload(t, nil)),
		"a fast clock":       s.assertion(t, map[string]any{"iat": s.now.Add(clockSkew).Unix(), "nbf": s.now.Unix()}),
	} {
		got, err := s.VerifyAssertion(t.Context(), s.snap, audiences, raw)
		want := &uma.Assertion{Client: s.client, ID: "once", Expires: s.now.Add(5 * time.Minute)}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// A-48, at the level of the assertion.
func TestAssertionAttacks(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	good := headerText("ES256", "c", "JWT")
	plain := s.assertionPayload(t, nil)
	claim := func(change map[string]any) string { return s.assertion(t, change) }
	der, err := x509.MarshalPKIXPublicKey(clientKeys.Public())
	if err != nil {
		t.Fatal(err)
	}
	ed := func(client string) string {
		return signText(t, edKey, "EdDSA", headerText("EdDSA", "ed", "JWT"), s.assertionPayload(t, map[string]any{"iss": client, "sub": client}))
	}
	by := func(key crypto.Signer, alg, kid string) string {
		return signText(t, key, alg, headerText(alg, kid, "JWT"), plain)
	}
	valid := claim(nil)
	for name, f := range map[string]forgery{
		"alg none":             {signHMAC(nil, headerText("none", "c", "JWT"), plain), "its alg is none"},
		"HS256 by the key":     {signHMAC(der, headerText("HS256", "c", "JWT"), plain), "its alg is none"},
		"HS256 under ES256":    {signHMAC(der, good, plain), "signature"},
		"no signature":         {valid[:strings.LastIndexByte(valid, '.')+1], "signature"},
		"another key":          {by(ecKey, "ES256", "c"), "signature"},
		"another client's key": {by(edKey, "EdDSA", "ed"), "not published"},
		"the issuer's key":     {by(rsaKey, "RS256", "rsa"), "not published"},
		"another algorithm":    {signText(t, clientKeys, "ES256", headerText("ES384", "c", "JWT"), plain), "its key is not one"},
		"crit":                 {signText(t, clientKeys, "ES256", `{"alg":"ES256","kid":"c","crit":["x"],"x":1}`, plain), "crit"},
		"a jwk of its own":     {signText(t, ecKey, "ES256", `{"alg":"ES256","jwk":`+publicJWK(t, ecKey, "c")+`}`, plain), "jwk"},
		"an access token":      {signText(t, clientKeys, "ES256", headerText("ES256", "c", "at+jwt"), plain), "typ"},
		"a DPoP proof":         {signText(t, clientKeys, "ES256", headerText("ES256", "c", "dpop+jwt"), plain), "typ"},
		"tampered":             {tamper(t, valid, "once", "twice"), "signature"},
		"a line end":           {valid + "\n", "line end"},

		"aud of another":        {claim(map[string]any{"aud": "https://other.example"}), "its aud"},
		"aud of another realm":  {claim(map[string]any{"aud": strings.Replace(asURL, "photoz", "other", 1)}), "its aud"},
		"aud with a slash":      {claim(map[string]any{"aud": asURL + "/"}), "its aud"},
		"aud a list":            {claim(map[string]any{"aud": []string{asURL, "https://other.example"}}), "its aud"},
		"aud a list of one":     {claim(map[string]any{"aud": []string{asURL}}), "its aud"},
		"aud empty":             {claim(map[string]any{"aud": ""}), "its aud"},
		"no aud":                {claim(map[string]any{"aud": nil}), "its aud"},
		"iss is not sub":        {claim(map[string]any{"sub": "other"}), "iss and sub"},
		"sub is not iss":        {claim(map[string]any{"iss": "other"}), "iss and sub"},
		"no iss":                {claim(map[string]any{"iss": nil}), "iss and sub"},
		"no sub":                {claim(map[string]any{"sub": nil}), "iss and sub"},
		"neither":               {claim(map[string]any{"iss": nil, "sub": nil}), "iss and sub"},
		"both empty":            {claim(map[string]any{"iss": "", "sub": ""}), "iss and sub"},
		"both lists":            {claim(map[string]any{"iss": []string{"backend"}, "sub": []string{"backend"}}), "iss and sub"},
		"another client":        {claim(map[string]any{"iss": "other", "sub": "other"}), "not published"},
		"no such client":        {ed("nobody"), errNoClient.Error()},
		"a disabled client":     {ed("disabled"), errNoClient.Error()},
		"a public client":       {ed("public"), errNoClient.Error()},
		"a client with secret":  {ed("secret"), errNoClient.Error()},
		"no exp":                {claim(map[string]any{"exp": nil}), "no exp"},
		"exp a text":            {claim(map[string]any{"exp": "4102444800"}), "its exp"},
		"expired":               {claim(map[string]any{"exp": s.now.Unix()}), "expired"},
		"valid for too long":    {claim(map[string]any{"exp": s.now.Add(5*time.Minute + time.Second).Unix()}), "five minutes"},
		"valid for years":       {claim(map[string]any{"exp": 4102444800}), "five minutes"},
		"iat in the future":     {claim(map[string]any{"iat": s.now.Add(clockSkew + time.Second).Unix()}), "not valid yet"},
		"nbf in the future":     {claim(map[string]any{"nbf": s.now.Add(clockSkew + time.Second).Unix()}), "not valid yet"},
		"no jti":                {claim(map[string]any{"jti": nil}), "its jti"},
		"jti empty":             {claim(map[string]any{"jti": ""}), "its jti"},
		"jti a number":          {claim(map[string]any{"jti": 1}), "its jti"},
		"jti long":              {claim(map[string]any{"jti": strings.Repeat("x", maxJTI+1)}), "its jti"},
		"jti twice":             {signText(t, clientKeys, "ES256", good, strings.Replace(plain, "{", `{"jti":"x",`, 1)), "cannot be read"},
		"an issuer's own token": {s.token(t, "rsa", "RS256", nil), "typ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := s.VerifyAssertion(t.Context(), s.snap, []string{asURL, ""}, f.raw)
			if e := refused(t, err); got != nil || !strings.Contains(e.Why, f.why) || strings.Contains(e.Error(), "backend") {
				t.Errorf("got %+v, %v, want %q", got, e, f.why)
			}
		})
	}
	if _, err := s.VerifyAssertion(t.Context(), s.snap, nil, valid); err == nil {
		t.Error("without audiences any aud is one")
	}
}

// An assertion is no token of an issuer, even if issuer and client have one name and one key.
func TestAssertionIsNoToken(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.issuer.Issuer, s.issuer.JWKS = "backend", s.client.JWKS
	raw := signText(t, clientKeys, "ES256", headerText("ES256", "c", "client-authentication+jwt"), s.assertionPayload(t, nil))
	_, err := s.Verify(t.Context(), s.snap, raw)
	refused(t, err)
}
