package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A signer signs JWTs as somebody else than the server: an issuer, or a client.
type signer struct {
	alg, kid string
	key      crypto.Signer
}

// newSigner makes a key for RS256, ES256 or EdDSA.
func newSigner(t testing.TB, alg, kid string) *signer {
	t.Helper()
	s := &signer{alg: alg, kid: kid}
	var err error
	switch alg {
	case "RS256":
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, s.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no keys for %s", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// jwks is the JWK Set of signers, which YAML reads too.
func jwks(t testing.TB, signers ...*signer) string {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: s.alg, Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sign signs claims.
func (s *signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return s.signWith(t, map[string]any{"alg": s.alg, "kid": s.kid, "typ": "JWT"}, claims)
}

// signWith signs claims under a header, whatever that says: with "none" and without a signature
// for alg none, and for HS256 by the text of the public key.
func (s *signer) signWith(t testing.TB, header, claims any) string {
	t.Helper()
	text := segment(t, header) + "." + segment(t, claims)
	alg := s.alg
	if h, ok := header.(map[string]any); ok {
		alg, _ = h["alg"].(string)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(s.signature(t, alg, text))
}

func segment(t testing.TB, value any) string {
	t.Helper()
	text, ok := value.(string)
	if !ok {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func (s *signer) signature(t testing.TB, alg, text string) (signature []byte) {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	var err error
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, v, failed := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = failed; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	switch alg {
	case "none", "nOnE", "":
		return nil
	case "HS256":
		public, err := x509.MarshalPKIXPublicKey(s.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	return signature
}
