package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

var rsaKey, _ = rsa.GenerateKey(rand.Reader, 2048)

func jwk(t *testing.T, key any, kid, alg string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := parseKeys([]byte(`{"keys":[` + jwk(t, &rsaKey.PublicKey, "r", "RS256") + `,` + jwk(t, &ec.PublicKey, "e", "") + `,` + jwk(t, ec, "private", "") + `]}`))
	if err != nil || len(set) != 2 {
		t.Fatalf("got %v, %v", set, err)
	}
	for _, c := range []struct {
		kid, alg string
		want     error
	}{
		{"r", "RS256", nil}, {"r", "RS512", errOtherKey}, {"e", "ES256", nil}, {"e", "ES384", errOtherKey}, {"", "ES256", nil}, {"", "RS256", nil},
		{"r", "HS256", errOtherKey}, {"private", "ES256", errUnknownKey}, {"", "PS256", errUnknownKey}, {"e", "none", errOtherKey},
	} {
		if _, err := set.find(c.kid, c.alg); err != c.want {
			t.Errorf("%s %s: got %v, want %v", c.kid, c.alg, err, c.want)
		}
	}
}
