package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

var rsaKey, _ = rsa.GenerateKey(rand.Reader, 2048) // never fails

func jwk(t *testing.T, key any, kid, alg string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newEC(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Key type, curve, use and alg of a JWK agree with the algorithm of a token, or it is not
// verified by that key.
func TestFind(t *testing.T) {
	t.Parallel()
	ec := newEC(t, elliptic.P256())
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := &rsaKey.PublicKey
	set, err := parseKeys([]byte(`{"keys":[` + strings.Join([]string{
		jwk(t, public, "r", "RS256"), jwk(t, &ec.PublicKey, "e", ""), jwk(t, ec, "private", ""), jwk(t, ed, "d", ""),
		strings.Replace(jwk(t, &ec.PublicKey, "enc", ""), `"sig"`, `"enc"`, 1),
		jwk(t, &newEC(t, elliptic.P521()).PublicKey, "", ""), jwk(t, &newEC(t, elliptic.P384()).PublicKey, "twice", ""), jwk(t, &newEC(t, elliptic.P384()).PublicKey, "twice", ""),
	}, ",") + `]}`))
	if err != nil || len(set.keys) != 6 {
		t.Fatalf("got %d keys, %v", len(set.keys), err)
	}
	for _, c := range []struct {
		kid, alg string
		want     error
	}{
		{"r", "RS256", nil},
		{"r", "RS512", errOtherKey},
		{"r", "PS256", errOtherKey},
		{"r", "HS256", errOtherKey},
		{"r", "ES256", errOtherKey},
		{"e", "ES256", nil},
		{"e", "ES384", errOtherKey},
		{"e", "RS256", errOtherKey},
		{"e", "none", errOtherKey},
		{"e", "", errOtherKey},
		{"d", "EdDSA", nil},
		{"private", "ES256", errOtherKey},
		{"enc", "ES256", errOtherKey},
		{"twice", "ES384", errManyKeys},
		{"nobody", "RS256", errUnknownKey},
		{"nobody", "ES512", errUnknownKey}, // though a key without an id is there
		{"", "ES512", nil},
		{"R", "RS256", errUnknownKey},
		{"", "RS256", nil}, // the only one
		{"", "ES256", nil},
		{"", "ES384", errManyKeys},
		{"", "PS256", errUnknownKey},
		{"", "HS256", errUnknownKey},
	} {
		if k, err := set.find(c.kid, c.alg); !errors.Is(err, c.want) || (k == nil) != (err != nil) {
			t.Errorf("kid %q, alg %q: got %v, %v, want %v", c.kid, c.alg, k, err, c.want)
		}
	}
}

// A key that is weak, or known to everybody, verifies nothing.
func TestUnusedKeys(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint // that is the point
	if err != nil {
		t.Fatal(err)
	}
	good := jwk(t, &rsaKey.PublicKey, "k", "")
	modulus := jwkMember(t, good, "n")
	for name, c := range map[string]struct{ key, why string }{
		"RSA 1024":        {jwk(t, &weak.PublicKey, "k", ""), "RSA of 1024 bits"},
		"RSA 4104":        {strings.Replace(good, modulus, strings.Repeat("zzzz", 171), 1), "more than 4096 bits"},
		"exponent 1":      {strings.Replace(good, `"AQAB"`, `"AQ"`, 1), "malformed"},
		"exponent 2":      {strings.Replace(good, `"AQAB"`, `"Ag"`, 1), "exponent"},
		"large exponent":  {strings.Replace(good, `"AQAB"`, `"AQAAAAAAAAAB"`, 1), "exponent"},
		"private":         {jwk(t, rsaKey, "k", ""), "private half"},
		"symmetric":       {jwk(t, []byte("secret of thirty-two bytes, more"), "k", ""), "shared secret"},
		"for encryption":  {strings.Replace(good, `"sig"`, `"enc"`, 1), "not for verifying"},
		"key_ops":         {strings.Replace(good, `{`, `{"key_ops":["encrypt"],`, 1), "not for verifying"},
		"key_ops as text": {strings.Replace(good, `{`, `{"key_ops":"verify",`, 1), "not for verifying"},
		"kty as number":   {strings.Replace(good, `"RSA"`, `1`, 1), "kty is not text"},
		"unknown kty":     {strings.Replace(good, `"RSA"`, `"LMS"`, 1), "known"},
		"X25519":          {`{"kty":"OKP","crv":"X25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "known"},
		"off its curve":   {`{"kty":"EC","crv":"P-256","kid":"k","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`, "malformed"},
	} {
		set, err := parseKeys([]byte(`{"keys":[` + c.key + `]}`))
		if err != nil || len(set.keys) != 0 || len(set.unused) != 1 || set.unused[0].id != "k" || !strings.Contains(set.unused[0].why, c.why) {
			t.Errorf("%s: got %+v, %v, want none because %q", name, set, err, c.why)
		}
	}
	if set, err := parseKeys([]byte(`{"keys":[` + strings.Replace(good, `{`, `{"key_ops":["verify"],"x5t":"x","x5c":7,"ext":true,`, 1) + `],"more":{}}`)); err != nil || len(set.keys) != 1 {
		t.Errorf("members that do not matter: got %+v, %v", set, err)
	}
}

func jwkMember(t *testing.T, text, name string) (value string) {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all[name].(string)
}

// A JWK Set that two programs may read differently, or that is too large, is refused whole.
func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	good := jwk(t, &rsaKey.PublicKey, "k", "")
	for name, text := range map[string]string{
		"empty":              ``,
		"HTML":               `<html></html>`,
		"text":               `"keys"`,
		"list":               `[` + good + `]`,
		"no keys":            `{}`,
		"keys is null":       `{"keys":null}`,
		"keys is one":        `{"keys":` + good + `}`,
		"a key is text":      `{"keys":["k"]}`,
		"keys twice":         `{"keys":[],"keys":[` + good + `]}`,
		"a member twice":     `{"keys":[` + strings.Replace(good, `{`, `{"kid":"other",`, 1) + `]}`,
		"a deep one twice":   `{"keys":[],"x":[{"a":1,"a":2}]}`,
		"two texts":          `{"keys":[]}{"keys":[]}`,
		"51 keys":            `{"keys":[` + strings.Repeat(good+",", 50) + good + `]}`,
		"longer than it may": `{"keys":[` + strings.Repeat(" ", maxDocument) + `]}`,
	} {
		if set, err := parseKeys([]byte(text)); err == nil || set.keys != nil {
			t.Errorf("%s: got %+v, %v, want an error", name, set, err)
		}
	}
	if set, err := parseKeys([]byte(`{"keys":[]}`)); err != nil || set.keys == nil {
		t.Errorf("a set of which all keys were withdrawn: got %+v, %v", set, err)
	}
}

// Every text is a set of usable keys or an error.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"c2VjcmV0"}]}`,
		`{"keys":[{"kty":"RSA","e":"AQAB","n":"0vx7","key_ops":["verify",{}],"use":"enc"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := parseKeys([]byte(text))
		if (err == nil) == (set.keys == nil) {
			t.Errorf("got %+v, %v", set, err)
		}
		for _, k := range set.keys {
			if k.Public == nil || k.fits("none") || k.fits("HS256") || k.fits("") || k.name() == "" || weakness(k.Public) != "" {
				t.Errorf("got %+v", k)
			}
		}
	})
}
