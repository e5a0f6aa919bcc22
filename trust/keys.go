package trust

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"example.com/umpire/strictjson"
)

// The bounds of a JWK Set.
const (
	maxDocument = 256 << 10 // bytes, also of a discovery document
	maxKeys     = 50
	minRSA      = 2048 // bits
	maxRSA      = 4096 // a larger one takes long to verify with; go-jose reads no larger one
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

// name is the kind and size of a key.
func (k *Key) name() string {
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", public.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + public.Curve.Params().Name
	}
	return "Ed25519"
}

// A keySet is what was published at one time. The zero keySet: nothing was, ever.
type keySet struct {
	keys   []*Key // not nil if something was published
	unused []unusedKey
}

// An unusedKey verifies nothing.
type unusedKey struct{ id, why string }

var (
	errUnknownKey = errors.New("it is signed by a key that is not published")
	errOtherKey   = errors.New("its key is not one for its algorithm")
	errManyKeys   = errors.New("more than one published key may have signed it")
)

func (set *keySet) find(kid, alg string) (*Key, error) {
	var found []*Key
	known := slices.ContainsFunc(set.unused, func(k unusedKey) bool { return k.id == kid })
	for _, k := range set.keys {
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

// parseKeys reads a JWK Set (RFC 7517 §5). Keys that are not for verifying signatures, of an
// unknown kind, too weak, or published with their private half are not used; a text that two
// programs may read differently is an error.
func parseKeys(text []byte) (keySet, error) {
	if len(text) > maxDocument {
		return keySet{}, errTooLong
	}
	if !json.Valid(text) {
		return keySet{}, errors.New("the JWK Set is not JSON")
	}
	r := strictjson.New(string(text))
	if r.Next() != '{' {
		return keySet{}, errors.New("the JWK Set is not a JSON object")
	}
	set, n, listed := keySet{keys: []*Key{}}, 0, false
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
			members, why, err := readKey(r)
			if err != nil {
				return err
			}
			if why == "" {
				var k *Key
				if k, why = newKey(members); k != nil {
					set.keys = append(set.keys, k)
					return nil
				}
			}
			set.unused = append(set.unused, unusedKey{members["kid"], why})
			return nil
		})
	})
	switch {
	case err != nil:
		return keySet{}, fmt.Errorf("the JWK Set: %w", err)
	case !listed:
		return keySet{}, errors.New("the JWK Set has no keys")
	}
	return set, nil
}

// publicMembers are those that make a public key.
var publicMembers = []string{"kty", "kid", "alg", "crv", "n", "e", "x", "y"}

// readKey reads the members of a JWK that are text, and says why the key is not used.
func readKey(r *strictjson.Reader) (members map[string]string, why string, err error) {
	if r.Next() != '{' {
		return nil, "", errors.New("a key is not an object")
	}
	members = map[string]string{}
	verifies := true
	err = r.Object(func(name string) (err error) {
		switch name {
		case "d", "k", "p", "q", "dp", "dq", "qi", "oth":
			why = "its private half, or a shared secret, is published"
		case "key_ops":
			verifies, err = listsVerify(r)
			return err
		case "kty", "kid", "alg", "use", "crv", "n", "e", "x", "y":
			if r.Next() == '"' {
				members[name], err = r.Text()
				return err
			}
			why = cmp.Or(why, name+" is not text")
		}
		_, err = r.Raw()
		return err
	})
	if use := members["use"]; use != "" && use != "sig" || !verifies {
		why = cmp.Or(why, "it is not for verifying signatures (use, key_ops)")
	}
	return members, why, err
}

// listsVerify reads key_ops (RFC 7517 §4.3).
func listsVerify(r *strictjson.Reader) (found bool, err error) {
	if r.Next() != '[' {
		_, err = r.Raw()
		return false, err
	}
	err = r.Array(func() error {
		value, err := r.Raw()
		found = found || value == `"verify"`
		return err
	})
	return found, err
}

// newKey makes a key of its members, or says why it is not used.
func newKey(members map[string]string) (*Key, string) {
	public := map[string]string{}
	for _, name := range publicMembers {
		if value, ok := members[name]; ok {
			public[name] = value
		}
	}
	text, err := json.Marshal(public)
	if err != nil {
		return nil, err.Error()
	}
	var parsed jose.JSONWebKey
	switch {
	case len(members["e"]) > 6: // go-jose would cut it
		return nil, "its exponent is too large"
	case len(members["n"]) > base64.RawURLEncoding.EncodedLen(maxRSA/8):
		return nil, fmt.Sprintf("its modulus has more than %d bits", maxRSA)
	case parsed.UnmarshalJSON(text) != nil:
		return nil, "it is no key of a kind that is known, or malformed"
	}
	if why := weakness(parsed.Key); why != "" {
		return nil, why
	}
	return &Key{ID: members["kid"], Public: parsed.Key, alg: members["alg"], text: string(text)}, ""
}

// weakness says why a key is not accepted.
func weakness(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA {
			return fmt.Sprintf("it is RSA of %d bits, which may have %d to %d", bits, minRSA, maxRSA)
		}
		if k.E < 3 || k.E%2 == 0 {
			return "its exponent is even, or 1"
		}
		return ""
	case *ecdsa.PublicKey: // of one of the three curves, and on it
		return ""
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return ""
		}
	}
	return "it is no public key of a kind that is known"
}
