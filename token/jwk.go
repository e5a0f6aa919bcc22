package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

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

// jwk is a public key as JSON (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
type jwk struct {
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

// newJWK describes a public key, without its kid. A key of another kind or size
// than the algorithm takes is an error.
func newJWK(alg string, public crypto.PublicKey) (jwk, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	j := jwk{Use: "sig", Alg: alg}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if alg == rs256 && p.N.BitLen() >= minRSABits {
			j.KeyType, j.N, j.E = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
			return j, nil
		}
	case *ecdsa.PublicKey:
		if alg == es256 && p.Curve == elliptic.P256() {
			point, err := p.Bytes() // 4, x, y
			if err != nil {
				return jwk{}, fmt.Errorf("encode the point of a key: %w", err)
			}
			j.KeyType, j.Curve, j.X, j.Y = "EC", "P-256", b64(point[1:33]), b64(point[33:])
			return j, nil
		}
	case ed25519.PublicKey:
		if alg == edDSA {
			j.KeyType, j.Curve, j.X = "OKP", "Ed25519", b64(p)
			return j, nil
		}
	}
	return jwk{}, fmt.Errorf("a %T does not sign with %s", public, alg)
}

// thumbprint is the key's identity by its content (RFC 7638 §3): what every
// party computes alike from the required members in order.
func (j *jwk) thumbprint() string {
	var s string
	switch j.KeyType {
	case "RSA":
		s = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, j.E, j.N)
	case "EC":
		s = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, j.Curve, j.X, j.Y)
	case "OKP":
		s = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, j.Curve, j.X)
	}
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// KeySet implements uma.Verifier. It is never empty: clients that cache an empty
// set would refuse every token.
func (k *Keys) KeySet(s *uma.Snapshot) ([]byte, error) {
	if len(s.Keys) == 0 {
		return nil, errors.New("the realm has no keys")
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{make([]jwk, 0, len(s.Keys))}
	for i := range s.Keys {
		pub, err := k.public(&s.Keys[i])
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, pub.jwk)
	}
	return json.Marshal(set)
}
