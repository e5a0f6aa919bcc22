package pep

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keysAge is how long published keys are used before they are fetched again.
const keysAge = 5 * time.Minute

// keySet holds the authorization server's public keys by `kid`.
type keySet map[string]publicKey

type publicKey struct {
	alg string // the algorithm that the key is for
	key any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

func (s *server) fetchKeys(ctx context.Context) (keySet, time.Time, error) {
	m, err := s.metadata.get(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
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

// parseKeys returns the usable signing keys of a set. It ignores all others (RFC 7517 §5), such as keys for encryption.
// If two have the same id, the first is used.
func parseKeys(keys []json.RawMessage) keySet {
	set := keySet{}
	for _, raw := range keys {
		k, err := jwk.ParseKey(raw)
		if err != nil {
			continue
		}
		kid, _ := k.KeyID()
		use, hasUse := k.KeyUsage()
		alg, hasAlg := k.Algorithm()
		key, ok := usable(k)
		_, known := set[kid]
		if !ok || known || kid == "" || hasUse && use != "sig" || hasAlg && alg.String() != key.alg {
			continue
		}
		set[kid] = key
	}
	return set
}

// usable returns the public half of a key whose algorithm is supported and whose size is neither unsafe nor slow.
func usable(k jwk.Key) (publicKey, bool) {
	public, err := jwk.PublicKeyOf(k)
	if err != nil {
		return publicKey{}, false
	}
	var key any
	if err := jwk.Export(public, &key); err != nil {
		return publicKey{}, false
	}
	switch p := key.(type) {
	case *rsa.PublicKey:
		bits := p.N.BitLen()
		return publicKey{"RS256", p}, bits >= 2048 && bits <= 8192 && p.E > 2 && p.E <= math.MaxInt32 && p.E%2 == 1
	case *ecdsa.PublicKey:
		return publicKey{"ES256", p}, p.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return publicKey{"EdDSA", p}, true
	}
	return publicKey{}, false
}
