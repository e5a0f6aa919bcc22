package pep

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"
)

// keysAge is how long published keys are used without a look at whether they still are.
const keysAge = 5 * time.Minute

// keySet holds the authorization server's public keys by `kid`.
type keySet map[string]publicKey

type publicKey struct {
	alg string // the only algorithm that the key verifies
	key any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// jwk is a JSON Web Key, RFC 7517 §4, RFC 7518 §6 and RFC 8037 §2.
type jwk struct {
	Kid string `json:"kid"`
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	N   string `json:"n"`
	E   string `json:"e"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

func (s *server) fetchKeys(ctx context.Context) (keySet, time.Time, error) {
	m, err := s.metadata.get(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	var doc struct {
		Keys []jwk `json:"keys"`
	}
	if err := s.get(ctx, m.Keys, &doc); err != nil {
		return nil, time.Time{}, fmt.Errorf("fetch keys: %w", err)
	}
	set := parseKeys(doc.Keys)
	if len(set) == 0 {
		return nil, time.Time{}, fmt.Errorf("fetch keys: none of %d is usable", len(doc.Keys))
	}
	return set, s.now().Add(keysAge), nil
}

// parseKeys keeps the signing keys that it understands. A set may hold others (RFC 7517 §5), for encryption or of
// algorithms to come; of two with one id the first counts.
func parseKeys(keys []jwk) keySet {
	set := keySet{}
	for _, k := range keys {
		key, ok := k.parse()
		_, known := set[k.Kid]
		if !ok || known || k.Kid == "" || k.Use != "" && k.Use != "sig" || k.Alg != "" && k.Alg != key.alg {
			continue
		}
		set[k.Kid] = key
	}
	return set
}

func (k jwk) parse() (publicKey, bool) {
	switch {
	case k.Kty == "RSA":
		n, okN := decode(k.N)
		e, okE := decode(k.E)
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
		if bits := key.N.BitLen(); !okN || !okE || bits < 2048 || bits > 8192 || len(e) > 4 {
			return publicKey{}, false
		}
		key.E = int(new(big.Int).SetBytes(e).Int64())
		return publicKey{"RS256", key}, key.E > 2 && key.E%2 == 1
	case k.Kty == "EC" && k.Crv == "P-256":
		x, okX := decode(k.X)
		y, okY := decode(k.Y)
		if !okX || !okY || len(x) != 32 || len(y) != 32 {
			return publicKey{}, false
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		return publicKey{"ES256", key}, err == nil
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		x, ok := decode(k.X)
		return publicKey{"EdDSA", ed25519.PublicKey(x)}, ok && len(x) == ed25519.PublicKeySize
	}
	return publicKey{}, false
}

func decode(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) > 0
}
