package trust

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

const (
	// maxCached is the size of the largest token that is cached, in bytes, and maxVerified how
	// many are cached at least.
	maxCached   = 8 << 10
	maxVerified = 2048
)

// A tokenID identifies a verified token. The generation stands for the settings of the realm by
// which it was verified and mapped. The use is not in it: TrustedToken.Client looks at that
// each time.
type tokenID struct {
	realm      uma.Key
	generation int64
	token      [sha256.Size]byte
}

// A verifiedToken is a token, and what must still hold whenever it is presented again.
type verifiedToken struct {
	token     *uma.TrustedToken
	key       *Key
	header    header
	notBefore int64
}

// Verify implements uma.Trust.
func (s *Service) Verify(ctx context.Context, snap *uma.Snapshot, raw string) (*uma.TrustedToken, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(raw) > maxToken {
		return nil, &uma.TrustError{Why: errTokenTooLong.Error()}
	}
	id := tokenID{snap.Realm.Key, snap.Realm.Generation, sha256.Sum256([]byte(raw))}
	v, cached := s.cache().Get(id)
	if cached {
		key, err := s.keyOf(ctx, snap, v.token.Issuer.Issuer, v.header)
		if err != nil {
			return nil, err
		}
		cached = key == v.key
	}
	if !cached {
		var err error
		if v, err = s.verify(ctx, snap, raw); err != nil {
			return nil, err
		}
	}
	if err := v.checkTimes(s.Now().Unix()); err != nil {
		return nil, &uma.TrustError{Issuer: v.token.Issuer.Alias, Why: err.Error()}
	}
	if !cached && len(raw) <= maxCached {
		s.cache().Put(id, v)
	}
	shallow := *v.token
	return &shallow, nil
}

func (s *Service) cache() *recent.Cache[tokenID, *verifiedToken] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified == nil {
		s.verified = recent.New[tokenID, *verifiedToken](maxVerified)
	}
	return s.verified
}

// verify does all but compare the times with the clock.
func (s *Service) verify(ctx context.Context, snap *uma.Snapshot, raw string) (*verifiedToken, error) {
	signed, err := parse(raw)
	if err != nil {
		return nil, &uma.TrustError{Why: err.Error()}
	}
	iss, _ := signed.claims["iss"].(string)
	issuer, err := trustedIssuer(snap, iss)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) error { return &uma.TrustError{Issuer: issuer.Alias, Why: err.Error()} }

	if !slices.Contains([]string{"", "JWT", "at+jwt"}, signed.header.typ) {
		return nil, refuse(errHeaderType)
	}
	key, err := s.keyOf(ctx, snap, iss, signed.header)
	if err != nil {
		return nil, err
	}
	if err := signed.checkSignature(key); err != nil {
		return nil, refuse(err)
	}
	v := &verifiedToken{key: key, header: signed.header}
	if v.notBefore, err = signed.claims.notBefore(); err != nil {
		return nil, refuse(err)
	}
	if v.token, err = mapToken(issuer, signed.header.typ, signed.claims); err != nil {
		return nil, refuse(err)
	}
	return v, nil
}

// keyOf returns the key of an issuer by which tokens with such a header are verified now.
func (s *Service) keyOf(ctx context.Context, snap *uma.Snapshot, iss string, h header) (*Key, error) {
	issuer, err := trustedIssuer(snap, iss)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(issuer.Algorithms, h.alg) {
		return nil, &uma.TrustError{Issuer: issuer.Alias, Why: "its alg is not among the issuer's algorithms in the realm file"}
	}
	return s.issuerKey(ctx, snap, issuer, h.kid, h.alg)
}

// trustedIssuer returns the issuer of a realm that has this URL.
func trustedIssuer(snap *uma.Snapshot, iss string) (*uma.TrustedIssuer, error) {
	i := slices.IndexFunc(snap.Realm.Issuers, func(i uma.TrustedIssuer) bool { return iss != "" && i.Issuer == iss })
	if i < 0 {
		return nil, &uma.TrustError{Why: "its iss is no trusted issuer of the realm"}
	}
	return &snap.Realm.Issuers[i], nil
}

// checkTimes compares the times of a token with the clock. The leeway is for a clock of the
// issuer that is ahead. It revives no token: whatever comes of one ends when it expires.
func (v *verifiedToken) checkTimes(now int64) error {
	leeway := int64(v.token.Issuer.Leeway / time.Second)
	switch {
	case now >= v.token.Expires:
		return errExpired
	case now+leeway < v.notBefore:
		return errTooEarly
	}
	return nil
}
