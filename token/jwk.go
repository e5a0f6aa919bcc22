package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"example.com/umpire/uma"
)

// The algorithms that sign (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	rs256 = "RS256"
	es256 = "ES256"
	edDSA = "EdDSA"
)

// minRSABits is what RFC 7518 §3.3 asks for.
const minRSABits = 2048

// A publicJWK is a public key as the JWK Set has it (RFC 7517 §4), its members in the
// order in which Keycloak has them.
type publicJWK struct {
	KeyType string `json:"kty"`
	Use     string `json:"use"`
	Alg     string `json:"alg"`
	KID     string `json:"kid"`
	N       string `json:"n,omitempty"`
	E       string `json:"e,omitempty"`
	Curve   string `json:"crv,omitempty"`
	X       string `json:"x,omitempty"`
	Y       string `json:"y,omitempty"`
}

// newJWK describes a public key. Its kid is its thumbprint (RFC 7638), which everybody
// computes alike. A key of another kind or size than the algorithm takes is an error.
func newJWK(alg string, public crypto.PublicKey) (publicJWK, error) {
	if !fits(alg, public) {
		return publicJWK{}, fmt.Errorf("a %T does not sign with %s", public, alg)
	}
	key, err := jwk.Import(public)
	if err != nil {
		return publicJWK{}, fmt.Errorf("turn a key into a JWK: %w", err)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return publicJWK{}, fmt.Errorf("compute the thumbprint of a key: %w", err)
	}
	members, err := json.Marshal(key)
	if err != nil {
		return publicJWK{}, fmt.Errorf("encode a JWK: %w", err)
	}
	j := publicJWK{Use: "sig", Alg: alg, KID: base64.RawURLEncoding.EncodeToString(sum)}
	return j, json.Unmarshal(members, &j)
}

// fits reports whether keys of this kind and size sign with the algorithm.
func fits(alg string, public crypto.PublicKey) bool {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return alg == rs256 && p.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return alg == es256 && p.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == edDSA
	}
	return false
}

// KeySet implements uma.Verifier. A realm without keys is an error: clients that cache an
// empty set would refuse every token.
func (k *Keys) KeySet(s *uma.Snapshot) ([]byte, error) {
	if len(s.Keys) == 0 {
		return nil, errors.New("the realm has no keys")
	}
	set := struct {
		Keys []publicJWK `json:"keys"`
	}{make([]publicJWK, 0, len(s.Keys))}
	for i := range s.Keys {
		pub, err := k.public(&s.Keys[i])
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, pub.jwk)
	}
	return json.Marshal(set)
}
