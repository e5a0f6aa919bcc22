package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma/umatest"
)

// differentTokens is how many tokens are presented in turn so that none is cached: more than
// the server remembers.
const differentTokens = 10_000

// A signer makes tokens of an issuer with one algorithm.
type signer struct {
	alg string
	key crypto.Signer
}

func newSigners() ([]signer, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	return []signer{{"RS256", rsaKey}, {"PS256", rsaKey}, {"ES256", ecKey}, {"EdDSA", edKey}}, err
}

// token makes the access token number n of bob.
func (s signer) token(n int) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://login.example.com", "sub": "bob", "aud": "umpire", "azp": "app", "jti": fmt.Sprint(s.alg, n), "roles": []string{"user"},
		"license": "physician", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	return umatest.SignJWT(s.key, s.alg, fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, s.alg, s.alg), string(claims))
}

// tokens makes many different tokens.
func (s signer) tokens() ([]string, error) {
	out, failed := make([]string, differentTokens), make([]error, 2)
	var wg sync.WaitGroup
	for part := range failed {
		wg.Go(func() {
			for i := part; i < len(out) && failed[part] == nil; i += len(failed) {
				out[i], failed[part] = s.token(i)
			}
		})
	}
	wg.Wait()
	return out, errors.Join(failed...)
}

// measureTrusted measures decisions with tokens of a trusted issuer, as bearer and as claim
// token: each presented once, and one presented again and again.
func measureTrusted(ctx context.Context, s setting, dir string) (err error) {
	signers, err := newSigners()
	if err != nil {
		return err
	}
	u := &umpire{binary: s.umpire, size: size{resources: s.sizes[0].resources}, dir: dir, data: filepath.Join(dir, "data")}
	if err := u.size.make(ctx, u.data, ""); err != nil {
		return err
	}
	realm := realmFile{alg: "ES256"}
	for _, s := range signers {
		realm.trusted = append(realm.trusted, umatest.PublicJWK(s.key, s.alg, s.alg))
	}
	if err := u.start(ctx, realm); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.stop()) }()
	for _, signer := range signers {
		tokens, err := signer.tokens()
		if err != nil {
			return err
		}
		if err := u.signIn(); err != nil { // again, since access tokens live for five minutes
			return err
		}
		if err := report(ctx, s, "Decisions with tokens of a trusted issuer, "+signer.alg+", 16 callers", 16, []contender{
			u.contender("the realm's own token", u.decision()),
			u.contender("bearer, the first time", u.withBearers(tokens)),
			u.contender("bearer, repeated", u.withBearers(tokens[:1])),
			u.contender("claim token, the first time", u.withClaimTokens(tokens[0], tokens)),
			u.contender("claim token, repeated", u.withClaimTokens(tokens[0], tokens[:1])),
		}); err != nil {
			return err
		}
	}
	return nil
}

// issuers is the realm file's list of an issuer with these keys.
func issuers(keys []map[string]string) (string, error) {
	set, err := json.Marshal(map[string]any{"keys": keys})
	return fmt.Sprintf(`
issuers:
  - {issuer: "https://login.example.com", alias: example, jwks: %s, audiences: [umpire], clients: {app: photoz-app},
     algorithms: [RS256, PS256, ES256, EdDSA], accept: [bearer, claims], claims: [license], map: {roles: roles}}
`, set), err
}

// inTurn returns a function that returns tokens, one after the other.
func inTurn(tokens []string) func() string {
	var next atomic.Int64
	return func() string { return tokens[int(next.Add(1))%len(tokens)] }
}

// withBearers asks for decisions with bearers in turn.
func (u *umpire) withBearers(tokens []string) script {
	token := inTurn(tokens)
	return func(c *conn, caller, turn int) error {
		return decide(c, token(), ofBoards, view(u.board(caller, turn)), 200)
	}
}

// withClaimTokens asks for decisions with one bearer, and claim tokens in turn.
func (u *umpire) withClaimTokens(bearer string, tokens []string) script {
	token := inTurn(tokens)
	return func(c *conn, caller, turn int) error {
		params := view(u.board(caller, turn))
		params.Set("claim_token_format", "urn:ietf:params:oauth:token-type:jwt")
		params.Set("claim_token", token())
		return decide(c, bearer, ofBoards, params, 200)
	}
}
