package tests

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"example.com/umpire/uma/umatest"
)

// A signer signs JWTs as a client, with one key.
type signer struct {
	alg, kid string
	key      crypto.Signer
}

// newSigner makes a key for RS256, ES256 or EdDSA.
func newSigner(t testing.TB, alg, kid string) *signer {
	t.Helper()
	return &signer{alg, kid, newIssuer(t, kid, alg).keys[alg]}
}

// jwks is the JWK Set of signers, which YAML reads too.
func jwks(t testing.TB, signers ...*signer) string {
	t.Helper()
	keys := []map[string]string{}
	for _, s := range signers {
		keys = append(keys, umatest.PublicJWK(s.key, s.kid, s.alg))
	}
	return encoded(t, map[string]any{"keys": keys})
}

// sign signs claims.
func (s *signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return s.signWith(t, map[string]any{"alg": s.alg, "kid": s.kid, "typ": "JWT"}, encoded(t, claims))
}

// signWith signs a payload under a header, whatever that says; for the alg none without a
// signature, and for HS256 by the text of the public key.
func (s *signer) signWith(t testing.TB, header map[string]any, payload string) string {
	t.Helper()
	token := signedJWT(t, s.key, s.alg, encoded(t, header), payload)
	text := token[:strings.LastIndex(token, ".")]
	switch header["alg"] {
	case "none", "nOnE", nil:
		return text + "."
	case "HS256":
		public, err := x509.MarshalPKIXPublicKey(s.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	return token
}

func encoded(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
