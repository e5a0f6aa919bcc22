package grant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// claimFormat is the format of the claim token: empty without one, and that of
// ID tokens unless the request says otherwise.
func (x *assessment) claimFormat() string {
	switch {
	case x.req.ClaimToken == "":
		return ""
	case x.req.ClaimTokenFormat == "", x.req.ClaimTokenFormat == uma.FormatIDHTTPS:
		return uma.FormatID
	}
	return x.req.ClaimTokenFormat
}

// lacksClaimToken reports whether claim_token_format announces a missing token that
// would have identified the party. A client that lost the token must not become the
// party itself.
func (x *assessment) lacksClaimToken() bool {
	return x.req.ClaimToken == "" && x.req.ClaimTokenFormat != "" && x.req.ClaimTokenFormat != uma.FormatJWT
}

// mayPush reports whether the client may present its claim token. A public client
// pushes none: anyone could say that it is that client. A strict request of one
// may bring a signed token, which is about whom a bearer token speaks for.
func (x *assessment) mayPush() bool {
	known := x.caller.HasBearer || x.req.SubjectToken != ""
	return !x.asking.Public || x.req.Strict && known && isCompactJWS(x.req.ClaimToken)
}

func (x *assessment) checkFormat() error {
	switch f := x.claimFormat(); f {
	case "", uma.FormatID, uma.FormatJWT:
		return nil
	default:
		return badClaim(uma.InvalidRequest, "Claim token format ["+f+"] not supported", nil)
	}
}

// identityToken is whom a claim token in the ID token format speaks for, when
// nothing else says who asks. It must have been issued to the client that
// authenticated, and its session must go on.
func (x *assessment) identityToken(ctx context.Context, view uma.View) (*party.Identity, error) {
	claims, err := x.Verifier.Verify(ctx, x.snap, x.PublicURL.Realm(x.snap), x.req.ClaimToken)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, badClaim(uma.UnusableIdentity, "Invalid signature", err)
	case err != nil:
		return nil, fmt.Errorf("verify claim token: %w", err)
	case !x.saysWho(claims):
		return nil, badClaim(uma.UnusableIdentity, "Invalid identity", nil)
	case claims.AuthorizedParty != x.asking.ID:
		return nil, badClaim(uma.UnusableClaims, "Token issued to a different client", nil)
	case claims.Expires <= x.now.Unix():
		return nil, badClaim(uma.UnusableClaims, "Expired token", nil)
	}
	id, err := x.Party.Identify(ctx, view, x.snap, claims)
	if errors.Is(err, party.ErrInactive) {
		return nil, badClaim(uma.UnusableIdentity, "Invalid identity", err)
	}
	return id, err
}

// whatIsClaimed gathers the claims of the request: those of the ticket, which
// win, and those of a claim token. What a client says is never among the
// verified ones, and no raw token goes any further than this.
func (x *assessment) whatIsClaimed(ctx context.Context, view uma.View) error {
	x.pushed = map[string][]string{}
	if err := x.readClaimToken(ctx, view); err != nil {
		return err
	}
	if x.ticket != nil {
		for name, values := range x.ticket.Claims {
			x.pushed[name] = values
		}
	}
	for name := range x.pushed {
		if strings.HasPrefix(name, "kc.") { // names that Keycloak's policies read facts of the request from
			delete(x.pushed, name)
		}
	}
	return nil
}

func (x *assessment) readClaimToken(ctx context.Context, view uma.View) error {
	format, token := x.claimFormat(), x.req.ClaimToken
	switch {
	case format == "":
		return nil
	case format == uma.FormatID, isCompactJWS(token):
		return x.verifyClaimToken(ctx, view, format, token)
	}
	pushed, err := decodePushed(token)
	switch {
	case errors.Is(err, uma.ErrPushed):
		return badClaim(uma.InvalidRequest, "Invalid claims: "+uma.ErrPushed.Error(), nil)
	case err != nil:
		return badClaim(uma.InvalidRequest, "Invalid claims", err)
	}
	x.pushed = pushed
	return nil
}

// verifyClaimToken adds the claims of a signed token to the verified ones. One
// of this realm must be of the requesting party; one that does not verify, or is
// no longer active, counts as none, and the policy says what is missing.
func (x *assessment) verifyClaimToken(ctx context.Context, view uma.View, format, token string) error {
	if !isCompactJWS(token) {
		return badClaim(uma.InvalidRequest, "Invalid claims: claim_token is no signed JWT", nil)
	}
	seen := uma.InputClaimToken{Format: format}
	claims, err := x.Verifier.Verify(ctx, x.snap, x.PublicURL.Realm(x.snap), token)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		seen.Reason = "does not verify"
	case err != nil:
		return fmt.Errorf("verify claim token: %w", err)
	case claims.Subject != x.Who.Subject:
		return badClaim(uma.UnusableClaims, "Token issued for a different subject", nil)
	case claims.AuthorizedParty != x.asking.ID && !slices.Contains(claims.Audience, x.asking.ID):
		seen.Reason = "issued to another client" // which proves nothing of this one
	case !x.saysWho(claims):
		seen.Reason = "not an identity token"
	case claims.Expires <= x.now.Unix():
		seen.Reason = "expired"
	default:
		switch _, err := x.Party.Identify(ctx, view, x.snap, claims); {
		case errors.Is(err, party.ErrInactive):
			seen.Reason = "not active"
		case err != nil:
			return err
		default:
			seen.Verified, seen.Issuer, seen.Claims = true, claims.Issuer, facts(claims)
			x.verified = seen.Claims
		}
	}
	if x.req.Strict && x.ticket != nil && !seen.Verified {
		return badClaim(uma.UnusableClaims, "The claim token "+seen.Reason, nil)
	}
	x.tokens = append(x.tokens, seen)
	return nil
}

// saysWho reports whether a token identifies a user: an ID token, or for Keycloak's
// clients an access token. An RPT does not.
func (x *assessment) saysWho(claims *uma.Claims) bool {
	return claims.Type == uma.TypeID || claims.Type == uma.TypeBearer && !x.req.Strict && claims.Authorization == nil
}

// facts are the claims of a verified token that say something about its subject.
func facts(c *uma.Claims) map[string]any {
	out := map[string]any{"iss": c.Issuer, "sub": c.Subject, "preferred_username": c.Username, "acr": c.ACR}
	if c.AuthTime != 0 {
		out["auth_time"] = c.AuthTime
	}
	for name, v := range c.Extra {
		out[name] = v
	}
	return out
}

// isCompactJWS reports whether a token looks like a signed JWT and not like
// base64: three parts between dots.
func isCompactJWS(token string) bool { return strings.Count(token, ".") == 2 }

// decodePushed reads the claims that Keycloak's clients push: base64, in either
// alphabet and with or without padding, of a JSON object of lists of strings.
func decodePushed(token string) (map[string][]string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(token), "="))
	if err != nil {
		return nil, errors.New("claim_token is not base64")
	}
	if len(raw) > uma.MaxPushed {
		return nil, uma.ErrPushed
	}
	return readPushed(string(raw))
}

var errNoLists = errors.New("claim_token is no JSON object of lists of strings")

// readPushed reads a JSON object of lists of strings.
func readPushed(text string) (map[string][]string, error) {
	r := strictjson.New(text)
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) || r.Next() != '{' {
		return nil, errNoLists
	}
	claims := map[string][]string{}
	err := r.Object(func(name string) error {
		if r.Next() != '[' || strings.IndexByte(name, 0) >= 0 {
			return errNoLists
		}
		claims[name] = []string{}
		return r.Array(func() error {
			if r.Next() != '"' {
				return errNoLists
			}
			value, err := r.Text()
			if strings.IndexByte(value, 0) >= 0 { // C programs read only what is before it
				err = errNoLists
			}
			claims[name] = append(claims[name], value)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}
