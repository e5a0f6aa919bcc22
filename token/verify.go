package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"

	"example.com/umpire/uma"
)

const (
	// maxToken is the size of the largest token that is read, in bytes. An RPT of 200
	// permissions has some 30,000.
	maxToken = 256 << 10

	// maxCached is the size of the largest token whose claims are cached, maxVerified how
	// many are cached at least.
	maxCached   = 8 << 10
	maxVerified = 4096
)

// errInvalid does not say which check failed: that helps only those who forge tokens.
var errInvalid = uma.ErrUnverified

// A verifiedID identifies a verified token by its hash and the key that verified it. The
// key must be one of the snapshot, so tokens are no longer accepted once their key is gone.
type verifiedID struct {
	token [sha256.Size]byte
	key   *publicKey
}

// Verify implements uma.Verifier. The maps and lists of the claims may be shared with
// other callers and must not be changed.
//
// The header of a token is compared as a whole with the few that this server writes, and
// not decoded. So a token cannot choose an algorithm, a crit cannot be overlooked, and no
// key is fetched.
func (k *Keys) Verify(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head, signed, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	pub, err := k.keyOf(s, head)
	if err != nil {
		return nil, err
	}
	if pub == nil {
		return nil, k.unknown(head, signed, issuer)
	}
	id := verifiedID{digest(raw), pub}
	c, ok := k.verified.Get(id)
	if !ok {
		c, err = verify(pub.method, pub.key, head, signed, sig)
		if err != nil {
			return nil, err
		}
	}
	if issuer == "" || c.Issuer != issuer || !pub.matches(c.Type, head) {
		return nil, errInvalid
	}
	if !ok && len(raw) <= maxCached {
		k.verified.Add(id, c)
	}
	shallow := *c
	return &shallow, nil
}

// digests are buffers for digest, which each request needs.
var digests = sync.Pool{New: func() any { return new([]byte) }}

func digest(raw string) [sha256.Size]byte {
	buf := digests.Get().(*[]byte)
	*buf = append((*buf)[:0], raw...)
	sum := sha256.Sum256(*buf)
	if cap(*buf) <= 2*maxCached {
		digests.Put(buf)
	}
	return sum
}

// VerifyRefresh implements uma.Verifier.
func (k *Keys) VerifyRefresh(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return k.verifyOwn(ctx, s, issuer, raw, uma.TypeRefresh)
}

// VerifyTicket implements uma.Verifier.
func (k *Keys) VerifyTicket(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return k.verifyOwn(ctx, s, issuer, raw, uma.TypeTicket)
}

// verifyOwn verifies a token that only this server reads.
func (k *Keys) verifyOwn(ctx context.Context, s *uma.Snapshot, issuer, raw, typ string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head, signed, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	if head != ownHeader {
		return nil, errInvalid
	}
	key, err := k.ownKey(s)
	if err != nil {
		return nil, err
	}
	c, err := verify(jwt.SigningMethodHS256, key, head, signed, sig)
	if err != nil {
		return nil, err
	}
	if issuer == "" || c.Issuer != issuer || c.Type != typ {
		return nil, errInvalid
	}
	return c, nil
}

// keyOf returns the key of the snapshot whose tokens have this header, nil if there is none.
func (k *Keys) keyOf(s *uma.Snapshot, head string) (*publicKey, error) {
	for i := range s.Keys {
		pub, err := k.public(&s.Keys[i])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errInvalid, err)
		}
		if head == pub.plain || head == pub.access {
			return pub, nil
		}
	}
	return nil, nil
}

// unknown is the error of a token that no key of the snapshot has signed. Its claims are not
// verified: they only tell those tokens apart for which nobody need look for a key.
func (k *Keys) unknown(head, signed, issuer string) error {
	if head == ownHeader {
		return errInvalid
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(signed[len(head)+1:])
	if err != nil {
		return errInvalid
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Expires int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || issuer == "" || claims.Issuer != issuer || claims.Expires <= k.now().Unix() {
		return errInvalid
	}
	return uma.ErrUnknownKey
}

// split cuts a compact JWS (RFC 7515 §7.1): its header, what is signed, and the
// signature.
func split(raw string) (head, signed, sig string, err error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return "", "", "", errInvalid
	}
	// Go's base64 skips line ends, so that one token could be written in many ways. Two
	// calls of IndexByte are ten times as fast as one of IndexAny.
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 {
		return "", "", "", errInvalid
	}
	end := strings.LastIndexByte(raw, '.')
	return raw[:strings.IndexByte(raw, '.')], raw[:end], raw[end+1:], nil
}

// verify checks the signature, and only then decodes the claims.
func verify(m jwt.SigningMethod, key any, head, signed, sig string) (*uma.Claims, error) {
	b64 := base64.RawURLEncoding.Strict()
	signature, err := b64.DecodeString(sig)
	if err != nil || m.Verify(signed, signature, key) != nil {
		return nil, errInvalid
	}
	payload, err := b64.DecodeString(signed[len(head)+1:])
	if err != nil {
		return nil, errInvalid
	}
	c, err := decode(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if c.Expires <= 0 {
		return nil, errInvalid
	}
	return c, nil
}
