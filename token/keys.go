package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// Keys signs and verifies the tokens of all realms.
type Keys struct {
	vault  KeyWrapper
	secret []byte // the keys of ownKey are derived from it
	now    func() time.Time

	private  *recent.Cache[string, crypto.Signer] // by kid
	publics  *recent.Cache[string, *publicKey]    // by kid
	own      *recent.Cache[string, []byte]        // by realm, see ownKey
	verified *recent.Cache[verifiedID, *uma.Claims]
}

var (
	_ uma.Issuer   = (*Keys)(nil)
	_ uma.Verifier = (*Keys)(nil)
)

// NewKeys returns a Keys whose signing keys are wrapped by v. The secret is the server's
// HMAC key of 32 bytes. NewHasher takes the same one: the keys derived from it differ by
// purpose.
func NewKeys(v KeyWrapper, secret []byte, now func() time.Time) (*Keys, error) {
	secret, err := derive(secret, "refresh tokens")
	if err != nil {
		return nil, err
	}
	return &Keys{
		vault: v, secret: secret, now: now,
		private:  recent.New[string, crypto.Signer](1000),
		publics:  recent.New[string, *publicKey](1000),
		own:      recent.New[string, []byte](1000),
		verified: recent.New[verifiedID, *uma.Claims](maxVerified),
	}, nil
}

// derive returns the key of 32 bytes for one purpose.
func derive(secret []byte, purpose string) ([]byte, error) {
	if len(secret) != keyBytes {
		return nil, fmt.Errorf("the server's key has %d bytes, not %d", len(secret), keyBytes)
	}
	key, err := hkdf.Expand(sha256.New, secret, "umpire "+purpose, keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
	}
	return key, nil
}

// NewKey implements uma.Issuer. The kid is the thumbprint of RFC 7638.
func (k *Keys) NewKey(ctx context.Context, alg string) (uma.SigningKey, error) {
	if err := ctx.Err(); err != nil {
		return uma.SigningKey{}, fmt.Errorf("make a key: %w", err)
	}
	signer, err := generate(alg)
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("make a key: %w", err)
	}
	j, err := newJWK(alg, signer.Public())
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("make a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("encode a public key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("encode a private key: %w", err)
	}
	sealed, err := k.vault.Wrap(ctx, private, keyContext(j.KID))
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("seal a private key: %w", err)
	}
	return uma.SigningKey{
		KID: j.KID, Alg: alg, Public: public, Sealed: sealed,
		Created: k.now().UTC(), Active: true,
	}, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case rs256:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	case es256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case edDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no algorithm %q", alg)
}

// keyContext binds a sealed private key to its kid, and with it to its public half.
func keyContext(kid string) []byte { return []byte("signing key " + kid) }

// signer returns the private half of a key, from the cache if it was used before.
func (k *Keys) signer(ctx context.Context, key *uma.SigningKey) (crypto.Signer, error) {
	if s, ok := k.private.Get(key.KID); ok {
		return s, nil
	}
	der, err := k.vault.Unwrap(ctx, key.Sealed, keyContext(key.KID))
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil { // err could quote the key
		return nil, errors.New("signing key " + key.KID + " is not a private key in PKCS #8")
	}
	s, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s cannot sign", key.KID)
	}
	return k.private.Add(key.KID, s), nil
}

// A publicKey is a parsed public key of a realm.
type publicKey struct {
	alg    string
	der    []byte // as the store has it
	key    crypto.PublicKey
	method jwt.SigningMethod
	jwk    publicJWK

	// The first segments of the tokens it signs: headers with the typ JWT and at+jwt.
	plain, access string
}

// header returns the first segment of a token with a typ claim, for realms with a
// profile; false if this server writes no such claim. Access tokens are at+jwt (RFC 9068
// §2.1) with the profile of UMA 2.0. With Keycloak's they are JWT, as in Keycloak, because
// some libraries (Spring Security) accept nothing else. The typ claim tells them from ID
// tokens in both.
func (p *publicKey) header(typ string, profile uma.Profile) (string, bool) {
	switch typ {
	case uma.TypeID:
		return p.plain, true
	case uma.TypeBearer, uma.TypeEntitlement:
		if profile == uma.ProfileUMA2 {
			return p.access, true
		}
		return p.plain, true
	}
	return "", false
}

// matches reports whether a token with a typ claim may have a header. Access tokens may
// have that of either profile, because the realm's profile may have changed since.
func (p *publicKey) matches(typ, head string) bool {
	keycloak, ok := p.header(typ, uma.ProfileKeycloak)
	strict, _ := p.header(typ, uma.ProfileUMA2)
	return ok && (head == keycloak || head == strict)
}

func (k *Keys) public(key *uma.SigningKey) (*publicKey, error) {
	if p, ok := k.publics.Get(key.KID); ok && p.alg == key.Alg && bytes.Equal(p.der, key.Public) {
		return p, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(key.Public)
	if err != nil {
		return nil, fmt.Errorf("read the public key %s: %w", key.KID, err)
	}
	j, err := newJWK(key.Alg, parsed)
	if err != nil {
		return nil, fmt.Errorf("read the public key %s: %w", key.KID, err)
	}
	if j.KID != key.KID { // caches rely on it that a kid always names the same key
		return nil, fmt.Errorf("read the public key %s: the kid is not its thumbprint", key.KID)
	}
	p := &publicKey{
		alg: key.Alg, der: key.Public,
		key: parsed, method: jwt.GetSigningMethod(key.Alg), jwk: j,
		plain: header(key.Alg, key.KID, "JWT"), access: header(key.Alg, key.KID, "at+jwt"),
	}
	k.publics.Add(key.KID, p)
	return p, nil
}

// ownHeader is the first segment of the tokens that only this server reads.
var ownHeader = header("HS256", "", "JWT")

// header returns the first segment of a token. Some clients decode it as standard base64,
// so it must contain neither `-` nor `_`. That holds as long as the JSON is ASCII without
// `>`, `?` and `~`, and a kid, which is a thumbprint, has none of them.
func header(alg, kid, typ string) string {
	s := `{"alg":"` + alg + `","typ":"` + typ + `"`
	if kid != "" {
		s += `,"kid":"` + kid + `"`
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s + "}"))
}

// Sign implements uma.Issuer.
func (k *Keys) Sign(ctx context.Context, s *uma.Snapshot, c *uma.Claims) (string, error) {
	key, pub, head, err := k.active(s, c.Type)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	private, err := k.signer(ctx, key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return sign(ctx, pub.method, private, head, c)
}

// Length implements uma.Issuer.
func (k *Keys) Length(s *uma.Snapshot, c *uma.Claims) (int, error) {
	_, pub, head, err := k.active(s, c.Type)
	if err != nil {
		return 0, fmt.Errorf("measure a token: %w", err)
	}
	payload, err := encode(c)
	if err != nil {
		return 0, fmt.Errorf("measure a token: %w", err)
	}
	b64 := base64.RawURLEncoding
	return len(head) + 1 + b64.EncodedLen(len(payload)) + 1 + b64.EncodedLen(pub.signatureSize()), nil
}

// active returns the key that signs for a realm, and the header of a token of that type.
func (k *Keys) active(s *uma.Snapshot, typ string) (*uma.SigningKey, *publicKey, string, error) {
	key := s.SigningKey()
	if key == nil {
		return nil, nil, "", fmt.Errorf("the realm has no active %s key", s.Realm.SigningAlg)
	}
	pub, err := k.public(key)
	if err != nil {
		return nil, nil, "", err
	}
	head, ok := pub.header(typ, s.Realm.Profile)
	if !ok {
		return nil, nil, "", fmt.Errorf("no token has typ %q", typ)
	}
	return key, pub, head, nil
}

// signatureSize is the number of bytes of a signature by the key.
func (p *publicKey) signatureSize() int {
	if key, ok := p.key.(*rsa.PublicKey); ok {
		return key.Size()
	}
	return 64 // of ES256 and EdDSA
}

// SignOwn implements uma.Issuer.
func (k *Keys) SignOwn(ctx context.Context, s *uma.Snapshot, c *uma.Claims) (string, error) {
	if c.Type != uma.TypeRefresh && c.Type != uma.TypeTicket {
		return "", fmt.Errorf("sign for this server: typ %q", c.Type)
	}
	key, err := k.ownKey(s)
	if err != nil {
		return "", fmt.Errorf("sign for this server: %w", err)
	}
	return sign(ctx, jwt.SigningMethodHS256, key, ownHeader, c)
}

// ownKey returns the key of the tokens that only this server reads. Each realm has another
// one, so that no realm accepts the tokens of another.
func (k *Keys) ownKey(s *uma.Snapshot) ([]byte, error) {
	if s.Realm.Name == "" {
		return nil, errors.New("the realm has no name")
	}
	if key, ok := k.own.Get(s.Realm.Name); ok {
		return key, nil
	}
	key, err := derive(k.secret, "realm "+s.Realm.Name)
	if err != nil {
		return nil, err
	}
	return k.own.Add(s.Realm.Name, key), nil
}

func sign(ctx context.Context, m jwt.SigningMethod, key any, head string, c *uma.Claims) (string, error) {
	if c.Issuer == "" || c.Expires <= 0 {
		return "", errors.New("sign a token: it has no issuer or no expiry")
	}
	payload, err := encode(c)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	b64 := base64.RawURLEncoding
	n := len(head) + 1
	buf := make([]byte, n+b64.EncodedLen(len(payload)), n+b64.EncodedLen(len(payload))+1+b64.EncodedLen(minRSABits/8))
	copy(buf, head)
	buf[n-1] = '.'
	b64.Encode(buf[n:], payload)
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	sig, err := m.Sign(string(buf), key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return string(b64.AppendEncode(append(buf, '.'), sig)), nil
}
