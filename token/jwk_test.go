package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// The keys and thumbprints of RFC 7517 A.1, RFC 7638 §3.1 and RFC 8037 A.2 and A.3. The
// RFCs have no thumbprint for the EC key.
const (
	rsaN   = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	rsaKID = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
	ecX    = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
	ecY    = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	ecKID  = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
	edX    = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	edKID  = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
)

// Clients compare the JWK Set with the one that they have cached: the same keys are the
// same bytes in every version of the server.
func TestKeySetBytes(t *testing.T) {
	t.Parallel()
	point := append([]byte{4}, append(decode(t, ecX), decode(t, ecY)...)...)
	ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	keys := []uma.SigningKey{
		published(t, rsaKID, "RS256", &rsa.PublicKey{N: new(big.Int).SetBytes(decode(t, rsaN)), E: 65537}),
		published(t, ecKID, "ES256", ec),
		published(t, edKID, "EdDSA", ed25519.PublicKey(decode(t, edX))),
	}
	got, err := newEnv(t, "EdDSA").keys.KeySet(snapshot("photoz", keys...))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"keys":[` +
		`{"kty":"RSA","use":"sig","alg":"RS256","kid":"` + rsaKID + `","n":"` + rsaN + `","e":"AQAB"},` +
		`{"kty":"EC","use":"sig","alg":"ES256","kid":"` + ecKID + `","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"},` +
		`{"kty":"OKP","use":"sig","alg":"EdDSA","kid":"` + edKID + `","crv":"Ed25519","x":"` + edX + `"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A key that is too short, or of another curve or kind than its algorithm, is not published.
func TestKeySetRefusesKeys(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := &rsa.PublicKey{N: new(big.Int).Rsh(new(big.Int).SetBytes(decode(t, rsaN)), 1), E: 65537}
	ed := ed25519.PublicKey(decode(t, edX))
	e := newEnv(t, "EdDSA")
	for name, c := range map[string]struct {
		key  uma.SigningKey
		want string
	}{
		"RSA of 2047 bits": {published(t, rsaKID, "RS256", short), "does not sign with RS256"},
		"P-384":            {published(t, ecKID, "ES256", p384.Public()), "does not sign with ES256"},
		"P-384 for ES384":  {published(t, ecKID, "ES384", p384.Public()), "does not sign with ES384"},
		"Ed25519 as ES256": {published(t, edKID, "ES256", ed), "does not sign with ES256"},
		"another kid":      {published(t, ecKID, "EdDSA", ed), "not its thumbprint"},
	} {
		got, err := e.keys.KeySet(snapshot("photoz", c.key))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: published %s, %v, want an error with %q", name, got, err, c.want)
		}
	}
}

func published(t *testing.T, kid, alg string, key crypto.PublicKey) uma.SigningKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return uma.SigningKey{KID: kid, Alg: alg, Public: der, Active: true}
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
