package realm

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"strings"
)

// The bounds of RSA keys, in bits: smaller ones can be broken, larger ones take long to verify
// with.
const (
	minRSA = 2048
	maxRSA = 4096
)

// maxPublicKeys is how many keys a set may have.
const maxPublicKeys = 50

var rsaAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// curves are the elliptic curves of keys, by `crv`, each with its algorithm (RFC 7518 §3.4).
var curves = map[string]struct {
	curve elliptic.Curve
	alg   string
}{
	"P-256": {elliptic.P256(), "ES256"}, "P-384": {elliptic.P384(), "ES384"}, "P-521": {elliptic.P521(), "ES512"},
}

// A publicKey is a key of a set that was read.
type publicKey struct {
	at         value
	algorithms []string // those that it may verify
}

// clientKeysURL reads the URL of a client's keys. It is on the internet: a client is trusted
// less than an issuer, which may say allow_private.
func clientKeysURL(v value) string {
	return matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && !strings.Contains(s, "#") && !isPrivate(u.Hostname())
	}, "want an absolute https URL on the internet, or write the keys into jwks")(v)
}

// keySet reads a JWK Set of public keys into JSON (RFC 7517 §5). A published set may have keys
// that are of no use here; in a realm file each of them is a mistake.
func (v value) keySet() ([]byte, []publicKey) {
	var keys []publicKey
	kids := make(map[string]bool)
	before := len(v.r.mistakes)
	m := v.object(fields{"keys": func(v value) {
		v.list(func(v value) {
			key := named(value.any)(v)
			if algorithms, ok := v.publicKey(key); ok {
				keys = append(keys, publicKey{v, algorithms})
			}
			kid, isText := key["kid"].(string)
			if _, has := key["kid"]; has && !isText {
				v.wrong("has a kid that is not text")
			}
			if kids[kid] {
				v.wrong("another key has this kid, or none as well: a token could not say which of them signed it")
			}
			kids[kid] = true
		})
		if len(v.node.Content) == 0 {
			v.wrong("has no keys")
		}
		if len(v.node.Content) > maxPublicKeys {
			v.wrong("has more than %d keys", maxPublicKeys)
		}
	}})
	m.need("keys")
	if len(v.r.mistakes) > before {
		return nil, nil
	}
	set, err := json.Marshal(v.any())
	if err != nil {
		v.wrong("cannot be written as JSON")
	}
	return set, keys
}

// publicKey returns the algorithms whose signatures a key verifies.
func (v value) publicKey(key map[string]any) (algorithms []string, ok bool) {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, has := key[private]; has {
			v.wrong("contains a private key (member %s): give the public key only", private)
			return nil, false
		}
	}
	text := func(name string) string { s, _ := key[name].(string); return s }
	switch text("kty") {
	case "RSA":
		algorithms = v.rsaKey(text("n"), text("e"))
	case "EC":
		algorithms = v.ecKey(text("crv"), text("x"), text("y"))
	case "OKP":
		algorithms = v.okpKey(text("crv"), text("x"))
	default:
		v.wrong("want a public key, with kty RSA, EC or OKP")
	}
	if len(algorithms) == 0 {
		return nil, false
	}
	if use, has := key["use"]; has && use != "sig" {
		v.wrong("is not for signatures: its use is not sig")
		return nil, false
	}
	if ops, has := key["key_ops"]; has {
		if list, _ := ops.([]any); !slices.Contains(list, any("verify")) {
			v.wrong("is not for signatures: its key_ops do not have verify")
			return nil, false
		}
	}
	if alg, has := key["alg"]; has {
		if !slices.ContainsFunc(algorithms, func(a string) bool { return a == alg }) {
			v.wrong("has an alg that is not one of its kind: want %s", strings.Join(algorithms, " or "))
			return nil, false
		}
		algorithms = []string{text("alg")}
	}
	return algorithms, true
}

// rsaKey checks an RSA key (RFC 7518 §6.3.1).
func (v value) rsaKey(n, e string) []string {
	modulus, err1 := base64.RawURLEncoding.DecodeString(n)
	exponent, err2 := base64.RawURLEncoding.DecodeString(e)
	size, public := new(big.Int).SetBytes(modulus).BitLen(), new(big.Int).SetBytes(exponent)
	switch {
	case err1 != nil || err2 != nil || size == 0 || public.BitLen() < 2 || public.BitLen() > 31 || public.Bit(0) == 0:
		v.wrong("is no RSA key: want n and e in base64url without padding")
	case size < minRSA || size > maxRSA:
		v.wrong("is an RSA key of %d bits: want %d to %d", size, minRSA, maxRSA)
	default:
		return rsaAlgorithms
	}
	return nil
}

// ecKey checks a key of an elliptic curve (RFC 7518 §6.2.1).
func (v value) ecKey(crv, x, y string) []string {
	c, ok := curves[crv]
	if !ok {
		v.wrong("want crv P-256, P-384 or P-521")
		return nil
	}
	xb, err1 := base64.RawURLEncoding.DecodeString(x)
	yb, err2 := base64.RawURLEncoding.DecodeString(y)
	point := slices.Concat([]byte{4}, xb, yb)
	if _, err := ecdsa.ParseUncompressedPublicKey(c.curve, point); err1 != nil || err2 != nil || len(xb) != len(yb) || err != nil {
		v.wrong("is no point of the curve %s: want x and y in base64url without padding", crv)
		return nil
	}
	return []string{c.alg}
}

// okpKey checks a key of RFC 8037.
func (v value) okpKey(crv, x string) []string {
	if crv != "Ed25519" {
		v.wrong("want crv Ed25519")
		return nil
	}
	if b, err := base64.RawURLEncoding.DecodeString(x); err != nil || len(b) != ed25519.PublicKeySize {
		v.wrong("is no key of Ed25519: want x in base64url without padding")
		return nil
	}
	return []string{"EdDSA"}
}
