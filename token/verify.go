package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"example.com/umpire/uma"
)

const (
	// maxToken bounds what is looked at, in bytes. An RPT of 200 permissions
	// has some 30,000.
	maxToken = 256 << 10

	// maxCached bounds the tokens that are remembered, and maxVerified how many.
	maxCached   = 8 << 10
	maxVerified = 4096
)

// errInvalid does not say which check failed: that helps only those who forge tokens.
var errInvalid = uma.ErrUnverified

// verifiedID knows a verified token by its hash and the key that verified it. The
// key is one of the snapshot at hand, so a token is forgotten with its key.
type verifiedID struct {
	token [sha256.Size]byte
	key   *publicKey
}

// Verify implements uma.Verifier. The claims may be shared with other callers:
// what they refer to must not be changed.
//
// A token of this server begins with one of the few headers it writes, compared
// as a whole. So there is no algorithm to be talked into, no crit to overlook and
// no key to be fetched: what is not such a header is refused unread.
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
	id := verifiedID{sha256.Sum256([]byte(raw)), pub}
	c, ok := k.verified.get(id)
	if !ok {
		c, err = verify(pub.method, pub.key, head, signed, sig)
		if err != nil {
			return nil, err
		}
	}
	if issuer == "" || c.Issuer != issuer || !pub.wrote(c.Type, head) {
		return nil, errInvalid
	}
	if !ok && len(raw) <= maxCached {
		k.verified.add(id, c)
	}
	shallow := *c
	return &shallow, nil
}

// VerifyRefresh implements uma.Verifier.
func (k *Keys) VerifyRefresh(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return k.verifyOwn(ctx, s, issuer, raw, uma.TypeRefresh)
}

// VerifyTicket implements uma.Verifier.
func (k *Keys) VerifyTicket(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return k.verifyOwn(ctx, s, issuer, raw, uma.TypeTicket)
}

// verifyOwn reads what only this server reads.
func (k *Keys) verifyOwn(ctx context.Context, s *uma.Snapshot, issuer, raw, typ string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head, signed, sig, err := split(raw)
	if err != nil {
		return nil, err
	}
	if head != refreshHeader {
		return nil, errInvalid
	}
	key, err := k.refreshKey(s)
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

// keyOf finds the key of the snapshot that writes such a header.
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
	return nil, errInvalid
}

// split cuts a compact JWS (RFC 7515 §7.1): its header, what is signed, and the
// signature.
func split(raw string) (head, signed, sig string, err error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return "", "", "", errInvalid
	}
	// Go's base64 skips line ends, so that a token would have many spellings. (A byte
	// is found in a kilobyte ten times as fast as any of two.)
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 {
		return "", "", "", errInvalid
	}
	end := strings.LastIndexByte(raw, '.')
	return raw[:strings.IndexByte(raw, '.')], raw[:end], raw[end+1:], nil
}

// verify checks the signature before it reads anything of what is signed.
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
