package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-jose/go-jose/v4"

	"example.com/umpire/strictjson"
)

// The bounds of a JWK Set.
const (
	maxDocument = 256 << 10 // bytes, also of a discovery document
	maxKeys     = 50
	minRSA      = 2048 // bits
	maxRSA      = 8192 // a larger one takes long to verify with
)

// A Key is a public key that verifies signatures. The same *Key stands for it as long as it is
// published without a pause: what was verified by it may be kept beside it, and is out of reach
// once the key is withdrawn.
type Key struct {
	ID     string // kid; empty for none
	Public crypto.PublicKey

	alg  string // the only algorithm that it is for; empty: any that fits its type
	text string // the JWK without members that do not matter here
}

// curves are the algorithms of elliptic curves, each of which is for one curve.
var curves = map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

// fits reports whether a signature of this algorithm may be verified by the key (RFC 7518 §3.1,
// RFC 8037 §3.1).
func (k *Key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg)
	case *ecdsa.PublicKey:
		return curves[alg] == public.Curve.Params().Name
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// A keySet is what was published at one time.
type keySet []*Key

var (
	errUnknownKey = errors.New("it is signed by a key that is not published")
	errOtherKey   = errors.New("its key is not one for its algorithm")
	errManyKeys   = errors.New("more than one published key may have signed it")
)

func (set keySet) find(kid, alg string) (*Key, error) {
	var found []*Key
	known := false
	for _, k := range set {
		if kid != "" && k.ID != kid {
			continue
		}
		known = true
		if k.fits(alg) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, errManyKeys
	case known && kid != "":
		return nil, errOtherKey
	}
	return nil, errUnknownKey
}

// parseKeys reads a JWK Set (RFC 7517 §5). It skips keys that are not for verifying signatures,
// of an unknown kind, too weak, or published with their private half; a text that two programs
// may read differently is an error.
func parseKeys(text []byte) (keySet, error) {
	if len(text) > maxDocument {
		return nil, errTooLong
	}
	if !json.Valid(text) {
		return nil, errors.New("the JWK Set is not JSON")
	}
	r := strictjson.New(string(text))
	if r.Next() != '{' {
		return nil, errors.New("the JWK Set is not a JSON object")
	}
	set, n, listed := keySet{}, 0, false
	err := r.Object(func(name string) error {
		if name != "keys" {
			_, err := r.Raw()
			return err
		}
		if r.Next() != '[' {
			return errors.New("keys is not an array")
		}
		listed = true
		return r.Array(func() error {
			if n++; n > maxKeys {
				return fmt.Errorf("it has more than %d keys", maxKeys)
			}
			k, err := readKey(r)
			if k != nil {
				set = append(set, k)
			}
			return err
		})
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the JWK Set: %w", err)
	case !listed:
		return nil, errors.New("the JWK Set has no keys")
	}
	return set, nil
}

// publicMembers are those that make a public key, in the order of Key.text.
var publicMembers = []string{"kty", "kid", "alg", "crv", "n", "e", "x", "y"}

// readKey reads a JWK, and returns nil for one that cannot be used.
func readKey(r *strictjson.Reader) (*Key, error) {
	if r.Next() != '{' {
		return nil, errors.New("a key is not an object")
	}
	members, usable := map[string]string{}, true
	err := r.Object(func(name string) error {
		switch name {
		case "d", "k", "p", "q", "dp", "dq", "qi", "oth": // a key that everybody has proves nothing
			usable = false
		case "key_ops":
			if r.Next() != '[' {
				usable = false
				break
			}
			verify := false
			err := r.Array(func() error {
				value, err := r.Raw()
				verify = verify || value == `"verify"`
				return err
			})
			usable = usable && verify
			return err
		case "kty", "kid", "alg", "use", "crv", "n", "e", "x", "y":
			if r.Next() != '"' {
				usable = false
				break
			}
			value, err := r.Text()
			members[name] = value
			return err
		}
		_, err := r.Raw()
		return err
	})
	if err != nil || !usable || members["use"] != "" && members["use"] != "sig" {
		return nil, err
	}
	return newKey(members), nil
}

func newKey(members map[string]string) *Key {
	text := "{"
	for _, name := range publicMembers {
		if value, ok := members[name]; ok {
			quoted, _ := json.Marshal(value) // text always can be
			text += strconv.Quote(name) + ":" + string(quoted) + ","
		}
	}
	text = text[:len(text)-min(1, len(text)-1)] + "}"
	var parsed jose.JSONWebKey
	if len(members["e"]) > 6 || parsed.UnmarshalJSON([]byte(text)) != nil || !strong(parsed.Key) {
		return nil
	}
	return &Key{ID: members["kid"], Public: parsed.Key, alg: members["alg"], text: text}
}

// strong reports whether a key is of a kind and size that is accepted.
func strong(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA && k.E > 2 && k.E%2 == 1
	case *ecdsa.PublicKey:
		return true // of one of the three curves, and on it
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}
