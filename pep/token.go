package pep

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is the size of the largest RPT that is accepted, in bytes.
const maxToken = 56 << 10

// errToken: a token is not valid. The request is answered like one without a token, UMA Grant §3.5. Any other error of
// validation means that the authorization server could not be asked.
var errToken = errors.New("invalid token")

// Granted is the content of a request's RPT, for the application's handlers. See [FromContext].
type Granted struct {
	Subject     string // the requesting party; empty if introspection does not tell
	Username    string // `preferred_username` or `username`, for display; may be empty
	Client      string // the client that the RPT was issued to; empty if introspection does not tell
	Expires     time.Time
	Permission  Permission   // that this request needed
	Permissions []Permission // all that the RPT has
}

// covers reports whether the permissions held contain all scopes needed, in one entry or in several.
func covers(held []Permission, need Permission) bool {
	if need.ResourceID == "" || len(need.Scopes) == 0 {
		return false
	}
	for _, scope := range need.Scopes {
		if !slices.ContainsFunc(held, func(p Permission) bool {
			return p.ResourceID == need.ResourceID && slices.Contains(p.Scopes, scope)
		}) {
			return false
		}
	}
	return true
}

// bearer returns the token of the Authorization header, RFC 6750 §2.1. False: there is none, several, or it is malformed.
func bearer(h http.Header) (string, bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken {
		return "", false
	}
	body := strings.TrimRight(token, "=")
	if body == "" || strings.Trim(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") != "" {
		return "", false
	}
	return token, true
}

// claims are the claims of an RPT that are checked or used. A token with `cnf` is bound to a key and not accepted as a
// bearer token, RFC 9449 §7.2.
type claims struct {
	jwt.RegisteredClaims
	Type          string          `json:"typ"`
	Client        string          `json:"azp"`
	Username      string          `json:"preferred_username"`
	Confirmation  json.RawMessage `json:"cnf"`
	Authorization struct {
		Permissions []struct {
			ID     string   `json:"rsid"`
			Scopes []string `json:"scopes"`
		} `json:"permissions"`
	} `json:"authorization"`
}

// verify validates an RPT with the authorization server's keys.
func (s *server) verify(ctx context.Context, token string) (Granted, error) {
	var c claims
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}),
		// Config.Validate refuses an empty one, with which the parser would accept any issuer or audience
		jwt.WithIssuer(s.cfg.AuthorizationServer),
		jwt.WithAudience(s.cfg.ClientID),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(s.now),
		jwt.WithStrictDecoding(),
	)
	var keysErr error // why the keys could not be fetched: no error of the token
	_, err := parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("an extension that must be understood, RFC 7515 §4.1.11")
		}
		if typ, ok := t.Header["typ"]; ok && !isTokenType(typ) {
			return nil, errors.New("the header's typ is not that of an access token")
		}
		kid, _ := t.Header["kid"].(string)
		var key publicKey
		if key, keysErr = s.key(ctx, kid); keysErr != nil {
			return nil, keysErr
		}
		if key.alg != t.Method.Alg() {
			return nil, errors.New("no key of this id for this algorithm")
		}
		return key.key, nil
	})
	switch {
	case keysErr != nil:
		return Granted{}, keysErr
	case err != nil:
		return Granted{}, fmt.Errorf("%w: %w", errToken, err)
	case c.Type != "Bearer":
		return Granted{}, fmt.Errorf("%w: typ is not Bearer", errToken)
	case c.Confirmation != nil:
		return Granted{}, fmt.Errorf("%w: bound to a key", errToken)
	case c.Subject == "":
		return Granted{}, fmt.Errorf("%w: no subject", errToken)
	}
	g := Granted{Subject: c.Subject, Username: c.Username, Client: c.Client, Expires: c.ExpiresAt.Time}
	for _, p := range c.Authorization.Permissions {
		g.Permissions = append(g.Permissions, Permission{p.ID, p.Scopes})
	}
	return g, nil
}

// isTokenType reports whether access tokens have such a header typ: `at+jwt`, RFC 9068 §4, or `JWT` with Keycloak and in
// realms with its profile. Tokens with another typ have another purpose, RFC 8725 §3.11. ID tokens may have `JWT`, too; they
// differ by the claim typ.
func isTokenType(typ any) bool {
	name, _ := typ.(string)
	name = strings.ToLower(strings.TrimPrefix(name, "application/"))
	return name == "jwt" || name == "at+jwt"
}

// key returns the key of an id; the zero key when the authorization server has none.
func (s *server) key(ctx context.Context, kid string) (publicKey, error) {
	set, err := s.keys.get(ctx)
	if err != nil {
		return publicKey{}, err
	}
	if key, ok := set[kid]; ok || kid == "" {
		return key, nil
	}
	if set, err = s.keys.renew(ctx); err != nil {
		return publicKey{}, err
	}
	return set[kid], nil
}

// introspected is the answer of RFC 7662 §2.2 with the permissions of UMA Federated Authorization §5.1.1.
type introspected struct {
	Active       bool             `json:"active"`
	Type         string           `json:"typ"`
	Audience     jwt.ClaimStrings `json:"aud"`
	Expires      int64            `json:"exp"`
	NotBefore    int64            `json:"nbf"`
	Subject      string           `json:"sub"`
	Username     string           `json:"username"`
	Preferred    string           `json:"preferred_username"`
	Client       string           `json:"client_id"`
	Confirmation json.RawMessage  `json:"cnf"`
	Permissions  []struct {
		ID        string   `json:"resource_id"`
		Scopes    []string `json:"resource_scopes"`
		Expires   int64    `json:"exp"`
		NotBefore int64    `json:"nbf"`
	} `json:"permissions"`
}

// introspect asks the authorization server about an RPT. A positive answer is cached until the token expires, at most for
// CacheTTL. A negative one is not cached, because invented tokens would displace valid ones.
func (s *server) introspect(ctx context.Context, token string) (Granted, error) {
	hash := sha256.Sum256([]byte(token))
	if g, ok := s.tokens.get(hash, s.now()); ok {
		return g, nil
	}
	m, err := s.metadata.get(ctx)
	if err != nil {
		return Granted{}, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"requesting_party_token"}}
	var a introspected
	asked := s.now()
	if err := s.post(ctx, m.Introspection, form, &a); err != nil {
		return Granted{}, fmt.Errorf("introspect: %w", err)
	}
	g, until, err := a.granted(s.cfg.ClientID, asked)
	if err != nil {
		return Granted{}, err
	}
	if end := asked.Add(s.cfg.CacheTTL); end.Before(until) {
		until = end
	}
	s.tokens.put(hash, g, until)
	return g, nil
}

// granted returns what an answer grants, and its expiry. `aud` and `typ` are checked if the answer has them. The
// authorization server makes sure that the token is for the resource server that asks, RFC 7662 §4.
func (a introspected) granted(clientID string, now time.Time) (Granted, time.Time, error) {
	switch {
	case !a.Active:
		return Granted{}, time.Time{}, fmt.Errorf("%w: inactive", errToken)
	case a.Expires <= now.Unix(), a.NotBefore > now.Unix():
		return Granted{}, time.Time{}, fmt.Errorf("%w: no exp, or not its time", errToken)
	case a.Audience != nil && !slices.Contains(a.Audience, clientID):
		return Granted{}, time.Time{}, fmt.Errorf("%w: for another audience", errToken)
	case a.Type != "" && a.Type != "Bearer":
		return Granted{}, time.Time{}, fmt.Errorf("%w: typ is not Bearer", errToken)
	case a.Confirmation != nil:
		return Granted{}, time.Time{}, fmt.Errorf("%w: bound to a key", errToken)
	}
	until := a.Expires
	g := Granted{Subject: a.Subject, Username: a.Preferred, Client: a.Client, Expires: time.Unix(a.Expires, 0)}
	if g.Username == "" {
		g.Username = a.Username
	}
	for _, p := range a.Permissions {
		if p.NotBefore > now.Unix() || p.Expires != 0 && p.Expires <= now.Unix() {
			continue
		}
		if p.Expires != 0 {
			until = min(until, p.Expires)
		}
		g.Permissions = append(g.Permissions, Permission{p.ID, p.Scopes})
	}
	return g, time.Unix(until, 0), nil
}
