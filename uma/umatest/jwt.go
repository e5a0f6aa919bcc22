package umatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384
	"encoding/base64"
	"fmt"
)

// SignJWT signs any header and payload (RFC 7515 §3.1), whatever alg the header says: libraries
// refuse to write what attackers do.
func SignJWT(key crypto.Signer, alg, header, payload string) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := func(h crypto.Hash) []byte {
		sum := h.New()
		sum.Write([]byte(signed))
		return sum.Sum(nil)
	}
	var signature []byte
	var err error
	switch alg {
	case "RS256":
		signature, err = key.Sign(rand.Reader, digest(crypto.SHA256), crypto.SHA256)
	case "PS256":
		signature, err = key.Sign(rand.Reader, digest(crypto.SHA256), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case "ES256":
		signature, err = signEC(key.(*ecdsa.PrivateKey), digest(crypto.SHA256))
	case "ES384":
		signature, err = signEC(key.(*ecdsa.PrivateKey), digest(crypto.SHA384))
	case "EdDSA":
		signature, err = key.Sign(rand.Reader, []byte(signed), crypto.Hash(0))
	default:
		err = fmt.Errorf("SignJWT knows no %s", alg)
	}
	return signed + "." + encode(signature), err
}

// signEC returns R and S side by side (RFC 7518 §3.4), where Go writes ASN.1.
func signEC(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, len(digest))), s.FillBytes(make([]byte, len(digest)))...), nil
}

// PublicJWK returns the JWK (RFC 7518 §6, RFC 8037 §2) of the public half of a key: RSA, P-256 or
// Ed25519.
func PublicJWK(key crypto.Signer, kid, alg string) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{"kid": kid, "alg": alg, "use": "sig"}
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(k.N.Bytes()), "AQAB"
	case *ecdsa.PublicKey:
		point, _ := k.Bytes() // no error on this curve: 4, then x and y
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(k)
	}
	return jwk
}
