package grant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// claims are the claims of a request.
type claims struct {
	pushed   map[string][]string   // by the client, or by the resource server with the ticket
	verified map[string]any        // of a signed claim token, about the party
	tokens   []uma.InputClaimToken // the results of verifying signed claim tokens
}

// claimFormat returns the format of the claim token. It is empty without a claim token, and
// that of ID tokens if the request names no format.
func (r *Request) claimFormat() string {
	switch {
	case r.ClaimToken == "":
		return ""
	case r.ClaimTokenFormat == "", r.ClaimTokenFormat == uma.FormatIDHTTPS:
		return uma.FormatID
	}
	return r.ClaimTokenFormat
}

// announcesClaims reports whether claim_token_format announces a claim token that is
// missing and would have identified the party. A client that lost the token must not
// become the party itself.
func (r *Request) announcesClaims() bool {
	return r.ClaimToken == "" && r.ClaimTokenFormat != "" && r.ClaimTokenFormat != uma.FormatJWT
}

// checkClaimFormat refuses a format that is not understood.
func (r *Request) checkClaimFormat() error {
	switch format := r.claimFormat(); format {
	case "", uma.FormatID, uma.FormatJWT:
		return nil
	default:
		return badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimFormatUnknown, Value: format}, nil)
	}
}

// mayPresentClaims reports whether the client may present its claim token. A public
// client may not push claims: anyone could say that it is that client.
func (q *question) mayPresentClaims() bool {
	known := q.caller.HasBearer || q.req.SubjectToken != ""
	return !q.client.Public || q.req.Rules.PublicClaims && known && isCompactJWS(q.req.ClaimToken)
}

// identifyByClaims returns whom a claim token in the ID token format speaks for. It is used
// if nothing else identifies the party. It must have been issued to the client that authenticated,
// and its session must not have ended.
func (s *Service) identifyByClaims(ctx context.Context, view uma.View, q *question) (*party.Identity, error) {
	token, err := s.Verifier.Verify(ctx, q.realm, s.PublicURL.Realm(q.realm), q.req.ClaimToken)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{Kind: uma.SignatureInvalid}, err)
	case err != nil:
		return nil, fmt.Errorf("verify claim token: %w", err)
	case !q.req.Rules.identifies(token):
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, nil)
	case token.AuthorizedParty != q.client.ID:
		return nil, badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenOfOtherClient}, nil)
	case token.Expires <= q.now.Unix():
		return nil, badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenExpired}, nil)
	}
	id, err := s.Party.Identify(ctx, view, q.realm, token)
	if errors.Is(err, party.ErrInactive) {
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, err)
	}
	return id, err
}

// readClaims reads the claims of the ticket, which take precedence, and those of the
// claim token. What a client says is never among the verified claims, and no token is
// passed on.
func (s *Service) readClaims(ctx context.Context, view uma.View, q *question) (claims, error) {
	c, err := s.readClaimToken(ctx, view, q)
	if err != nil {
		return claims{}, err
	}
	if c.pushed == nil {
		c.pushed = map[string][]string{}
	}
	if q.ticket != nil {
		maps.Copy(c.pushed, q.ticket.Claims)
	}
	c.pushed = withoutReserved(c.pushed)
	return c, nil
}

func (s *Service) readClaimToken(ctx context.Context, view uma.View, q *question) (claims, error) {
	format := q.req.claimFormat()
	switch {
	case format == "":
		return claims{}, nil
	case format == uma.FormatID, isCompactJWS(q.req.ClaimToken):
		return s.verifyClaims(ctx, view, q, format)
	}
	pushed, err := decodePushed(q.req.ClaimToken)
	switch {
	case errors.Is(err, uma.ErrPushed):
		return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimsTooLarge, Limit: uma.MaxPushed}, nil)
	case err != nil:
		return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimsMalformed}, err)
	}
	return claims{pushed: pushed}, nil
}

// verifyClaims reads a signed claim token. A token of this realm must be about the
// requesting party. A token that does not verify, or is no longer active, gives no claims:
// the policy sees why, and may ask for better ones.
func (s *Service) verifyClaims(ctx context.Context, view uma.View, q *question, format string) (claims, error) {
	if !isCompactJWS(q.req.ClaimToken) {
		return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimTokenUnsigned}, nil)
	}
	seen := uma.InputClaimToken{Format: format}
	token, err := s.Verifier.Verify(ctx, q.realm, s.PublicURL.Realm(q.realm), q.req.ClaimToken)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		seen.Reason = "does not verify"
	case err != nil:
		return claims{}, fmt.Errorf("verify claim token: %w", err)
	case token.Subject != q.party.Subject:
		return claims{}, badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenOfOtherSubject}, nil)
	case token.AuthorizedParty != q.client.ID && !slices.Contains(token.Audience, q.client.ID):
		seen.Reason = "issued to another client" // so it proves nothing about this client
	case !q.req.Rules.identifies(token):
		seen.Reason = "not an identity token"
	case token.Expires <= q.now.Unix():
		seen.Reason = "expired"
	default:
		switch _, err := s.Party.Identify(ctx, view, q.realm, token); {
		case errors.Is(err, party.ErrInactive):
			seen.Reason = "not active"
		case err != nil:
			return claims{}, err
		default:
			seen.Verified, seen.Issuer, seen.Claims = true, token.Issuer, claimsOf(token)
		}
	}
	if q.req.Rules.BadClaimIsNeedInfo && q.ticket != nil && !seen.Verified {
		return claims{}, badClaim(uma.UnusableClaims, uma.Fault{}, nil)
	}
	return claims{verified: seen.Claims, tokens: []uma.InputClaimToken{seen}}, nil
}

// identifies reports whether a token identifies a user. An RPT does not.
func (r Rules) identifies(token *uma.Claims) bool {
	return token.Type == uma.TypeID || token.Type == uma.TypeBearer && !r.IdentifyWithIDToken && token.Authorization == nil
}

// claimsOf returns the claims of a verified token that say something about its subject.
func claimsOf(token *uma.Claims) map[string]any {
	out := map[string]any{"iss": token.Issuer, "sub": token.Subject, "preferred_username": token.Username, "acr": token.ACR}
	if token.AuthTime != 0 {
		out["auth_time"] = token.AuthTime
	}
	maps.Copy(out, token.Extra)
	return out
}

// isCompactJWS reports whether a token looks like a signed JWT and not like base64: three
// parts between dots.
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

var errNoLists = errors.New("claim_token is not a JSON object of lists of strings")

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
