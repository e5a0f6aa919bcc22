package grant

import (
	"context"
	"errors"
	"maps"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// claims are the claims of a request, and those that earlier rounds of its ticket gathered.
type claims struct {
	pushed   map[string][]string   // by the client, or by the resource server with the ticket
	verified map[string]any        // of claim tokens about the party
	tokens   []uma.InputClaimToken // the results of verifying signed claim tokens

	refused bool            // the claim token of this request does not count
	kept    *gatheredClaims // what the next ticket remembers; nil: what this one does
}

// claimFormat returns the format of the claim token, by its first name. It is empty without a
// claim token, and that of ID tokens if the request names no format.
func (r *Request) claimFormat() string {
	switch {
	case r.ClaimToken == "":
		return ""
	case r.ClaimTokenFormat == "", r.ClaimTokenFormat == uma.FormatIDHTTPS, r.ClaimTokenFormat == uma.FormatIDToken:
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
	case "", uma.FormatID, uma.FormatJWT, uma.FormatAccessToken:
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
// if nothing else identifies the party.
func (s *Service) identifyByClaims(ctx context.Context, view uma.View, q *question) (*party.Identity, error) {
	token := q.tokens.claim
	switch {
	case errors.Is(token.Err, party.ErrInactive):
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{Kind: uma.SignatureInvalid}, token.Err)
	case token.Err != nil:
		return nil, token.Err
	case token.Trusted != nil:
		return s.identifyByIssuer(ctx, view, q)
	}
	return s.identifyByOwn(ctx, view, q, token.Own)
}

// identifyByOwn is identifyByClaims for a token of this realm. It must have been issued to the
// client that authenticated, and its session must not have ended.
func (s *Service) identifyByOwn(ctx context.Context, view uma.View, q *question, token *uma.Claims) (*party.Identity, error) {
	switch {
	case !q.req.Rules.identifies(token):
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, nil)
	case token.AuthorizedParty != q.client.ID:
		return nil, badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenOfOtherClient}, nil)
	case token.Expires <= q.now.Unix():
		return nil, badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenExpired}, nil)
	}
	id, err := s.Party.Identify(ctx, view, q.realm, token)
	switch {
	case errors.Is(err, party.ErrInactive):
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, err)
	case err != nil:
		return nil, err
	case id.IsPartial():
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, nil)
	}
	return id, nil
}

// identifyByIssuer is identifyByClaims for a token of a trusted issuer. It is an ID token, and
// the realm accepts the issuer's tokens as claim tokens and as a subject_token: an issuer that
// is trusted for claims alone signs nobody in.
func (s *Service) identifyByIssuer(ctx context.Context, view uma.View, q *question) (*party.Identity, error) {
	token := q.tokens.claim
	if token.Trusted.Kind != uma.IDToken {
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, errors.New(noIDToken))
	}
	if _, err := token.Trusted.Client(uma.UseClaims, q.authenticatedClient()); err != nil {
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, err)
	}
	id, err := s.Party.Bearer(ctx, view, q.realm, token, party.Acceptance{Use: uma.UseSubjectToken, Client: q.authenticatedClient()})
	if errors.Is(err, party.ErrInactive) {
		return nil, badClaim(uma.UnusableIdentity, uma.Fault{}, err)
	}
	return id, err
}

// authenticatedClient is the client, if it authenticated in this request; else nil.
func (a *asker) authenticatedClient() *uma.Client {
	if !a.authenticated {
		return nil
	}
	return a.client
}

// readClaims reads the claims of the ticket, which take precedence, those of the claim token,
// and those that earlier rounds gathered. What a client says is never among the verified
// claims, and no token is passed on.
func (s *Service) readClaims(ctx context.Context, view uma.View, q *question) (claims, error) {
	g, err := s.openGathered(ctx, view, q)
	if err != nil {
		return claims{}, err
	}
	format := q.req.claimFormat()
	var c claims
	switch signed := isCompactJWS(q.req.ClaimToken); {
	case format == "":
	case signed:
		seen, p, err := s.readClaimToken(ctx, view, q, format)
		if err != nil {
			return claims{}, err
		}
		if p != nil {
			p.Expires = min(p.Expires, q.now.Add(gatheredFor).Unix())
			g.add(p)
		} else {
			c.refused, c.tokens = true, []uma.InputClaimToken{seen}
		}
	case format != uma.FormatJWT:
		return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimTokenUnsigned}, nil)
	default:
		pushed, err := decodePushed(q.req.ClaimToken)
		switch {
		case errors.Is(err, uma.ErrPushed):
			return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimsTooLarge, Limit: uma.MaxPushed}, nil)
		case err != nil:
			return claims{}, badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimsMalformed}, err)
		}
		g.push(pushed)
	}
	tokens, verified := g.input()
	c.tokens, c.verified, c.kept = append(tokens, c.tokens...), verified, g
	c.pushed = maps.Clone(g.Pushed)
	if c.pushed == nil {
		c.pushed = map[string][]string{}
	}
	if q.ticket != nil {
		maps.Copy(c.pushed, q.ticket.Claims)
	}
	c.pushed = withoutReserved(c.pushed)
	return c, nil
}

// isCompactJWS reports whether a token looks like a signed JWT and not like base64: three
// parts between dots.
func isCompactJWS(token string) bool { return strings.Count(token, ".") == 2 }
