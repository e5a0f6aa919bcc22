package trust

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/umpire/uma"
)

const (
	maxAssertion = 5 * time.Minute  // how long an assertion may be valid
	clockSkew    = 30 * time.Second // by how much the clock of a client may be ahead
	maxJTI       = 255              // bytes
)

// errNoClient is the same whether there is no such client or it has no keys.
var errNoClient = errors.New("its iss and sub are not those of a client that authenticates by private_key_jwt")

// VerifyAssertion implements uma.Trust.
func (s *Service) VerifyAssertion(ctx context.Context, snap *uma.Snapshot, audiences []string, raw string) (*uma.Assertion, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	signed, err := parse(raw)
	if err != nil {
		return nil, &uma.TrustError{Why: err.Error()}
	}
	client, err := assertingClient(snap, signed)
	if err != nil {
		return nil, &uma.TrustError{Why: err.Error()}
	}
	key, err := s.clientKey(ctx, snap, client, signed.header.kid, signed.header.alg)
	if err != nil {
		return nil, err
	}
	if err := signed.checkSignature(key); err != nil {
		return nil, &uma.TrustError{Why: err.Error()}
	}
	a, err := checkAssertion(signed.claims, audiences, s.Now())
	if err != nil {
		return nil, &uma.TrustError{Why: err.Error()}
	}
	a.Client = client
	return a, nil
}

// assertingClient returns the client that an assertion names (RFC 7523 §3), which is not
// proved yet.
func assertingClient(snap *uma.Snapshot, signed *signedToken) (*uma.Client, error) {
	if !slices.Contains([]string{"", "JWT", "client-authentication+jwt"}, signed.header.typ) {
		return nil, errors.New("its header has a typ that is not one of client assertions")
	}
	id, err := signed.claims.text("iss")
	if err != nil || id == "" || signed.claims["sub"] != id {
		return nil, errors.New("its iss and sub are not one client_id")
	}
	client := snap.Clients[id]
	if client == nil || !client.Enabled || client.Public || !client.HasKeys() {
		return nil, errNoClient
	}
	return client, nil
}

// checkAssertion checks the claims of an assertion whose signature is valid.
func checkAssertion(c claims, audiences []string, now time.Time) (*uma.Assertion, error) {
	aud, err := c.text("aud") // a list would be an assertion for somebody else, too
	if err != nil || aud == "" || !slices.Contains(audiences, aud) {
		return nil, errors.New("its aud is not one text, the issuer of this realm or its token endpoint")
	}
	exp, err := c.expires()
	if err != nil {
		return nil, err
	}
	notBefore, err := c.notBefore()
	if err != nil {
		return nil, err
	}
	jti, err := c.text("jti")
	switch expires := uma.FromUnix(exp); {
	case err != nil || jti == "" || len(jti) > maxJTI:
		return nil, errors.New("its jti is not a text of 1 to 255 bytes")
	case !now.Before(expires):
		return nil, errExpired
	case expires.Sub(now) > maxAssertion:
		return nil, errors.New("it is valid for more than five minutes")
	case uma.FromUnix(notBefore).Sub(now) > clockSkew:
		return nil, errTooEarly
	default:
		return &uma.Assertion{ID: jti, Expires: expires}, nil
	}
}
