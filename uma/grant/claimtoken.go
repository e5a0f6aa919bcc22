package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// Why a claim token does not count, beside what a uma.TrustError says. Policies may compare
// these texts.
const (
	unverified   = "does not verify"
	keysMissing  = "the keys of its issuer are not known yet"
	otherClient  = "issued to another client" // so it proves nothing about this client
	noIdentity   = "not an identity token"
	noIDToken    = "not an ID token"
	noAccess     = "not an access token"
	expired      = "expired"
	inactive     = "not active"
	unbound      = "not about the requesting party"
	tooManyBytes = "its claims are too large"
)

// A proof is what a claim token proves about the requesting party. Tickets remember it.
type proof struct {
	Format  string         `json:"format"`
	Issuer  string         `json:"issuer"`
	Subject string         `json:"subject"`
	Email   string         `json:"email,omitempty"` // that the token proves
	Claims  map[string]any `json:"claims"`
	Expires int64          `json:"expires"`

	// Own has what is asked of the store about a token of this realm; nil for one of a trusted
	// issuer.
	Own *uma.Claims `json:"own,omitempty"`
}

// readClaimToken reads the signed claim token of a request. A token that proves nothing about
// the party gives no proof, and the reason: the policy sees why, and may ask for a better one.
func (s *Service) readClaimToken(ctx context.Context, view uma.View, q *question, format string) (uma.InputClaimToken, *proof, error) {
	seen := uma.InputClaimToken{Format: format}
	token := q.tokens.claim
	var p *proof
	var err error
	switch {
	case token.Own != nil:
		p, seen.Reason, err = s.readOwn(ctx, view, q, token.Own)
	case token.Trusted != nil:
		seen.Issuer = token.Trusted.Issuer.Issuer
		p, seen.Reason, err = q.readTrusted(ctx, view, token.Trusted, format)
	case errors.Is(token.Err, uma.ErrKeysMissing):
		seen.Reason = keysMissing
	case !errors.Is(token.Err, party.ErrInactive):
		return seen, nil, token.Err
	default:
		seen.Reason = unverified
		if why, ok := errors.AsType[*uma.TrustError](token.Err); ok {
			seen.Reason = why.Why
			if issuer := q.realm.Realm.IssuerCalled(why.Issuer); issuer != nil {
				seen.Issuer = issuer.Issuer
			}
		}
	}
	if err != nil || seen.Reason != "" {
		return seen, nil, err
	}
	p.Format = format
	if size, err := json.Marshal(p.Claims); err != nil || len(size) > uma.MaxPushed {
		seen.Reason = tooManyBytes
		return seen, nil, nil
	}
	return seen, p, nil
}

// readOwn reads a claim token of this realm. It must be about the requesting party; faces whose
// answer to a bad claim token is not need_info refuse another one.
func (s *Service) readOwn(ctx context.Context, view uma.View, q *question, token *uma.Claims) (*proof, string, error) {
	switch {
	case token.Subject != q.party.Subject && q.asksForBetter():
		return nil, unbound, nil
	case token.Subject != q.party.Subject:
		return nil, "", badClaim(uma.UnusableClaims, uma.Fault{Kind: uma.ClaimTokenOfOtherSubject}, nil)
	case token.AuthorizedParty != q.client.ID && !slices.Contains(token.Audience, q.client.ID):
		return nil, otherClient, nil
	case !q.req.Rules.identifies(token):
		return nil, noIdentity, nil
	case token.Expires <= q.now.Unix():
		return nil, expired, nil
	}
	switch _, err := s.Party.Identify(ctx, view, q.realm, token); {
	case errors.Is(err, party.ErrInactive):
		return nil, inactive, nil
	case err != nil:
		return nil, "", err
	}
	own := *token
	own.Extra, own.Attributes, own.RealmAccess, own.ResourceAccess, own.Groups = nil, nil, nil, nil, nil
	return &proof{Issuer: token.Issuer, Subject: token.Subject, Claims: claimsOf(token), Expires: token.Expires, Own: &own}, "", nil
}

// readTrusted reads a claim token of a trusted issuer.
func (q *question) readTrusted(ctx context.Context, view uma.View, token *uma.TrustedToken, format string) (*proof, string, error) {
	clientID, err := token.Client(uma.UseClaims, q.authenticatedClient())
	if why, ok := errors.AsType[*uma.TrustError](err); ok {
		return nil, why.Why, nil
	}
	switch {
	case err != nil:
		return nil, "", err
	case clientID != "" && clientID != q.client.ID:
		return nil, otherClient, nil
	case format == uma.FormatID && token.Kind != uma.IDToken:
		return nil, noIDToken, nil
	case format == uma.FormatAccessToken && token.Kind != uma.AccessToken:
		return nil, noAccess, nil
	case token.Expires <= q.now.Unix():
		return nil, expired, nil
	}
	p := &proof{Issuer: token.Issuer.Issuer, Subject: token.Subject, Claims: maps.Clone(token.Claims), Expires: token.Expires}
	if token.EmailVerified {
		p.Email = token.Email
	}
	switch bound, err := q.binds(ctx, view, p); {
	case err != nil:
		return nil, "", err
	case !bound:
		return nil, unbound, nil
	}
	return p, "", nil
}

// binds reports whether a proof of a trusted issuer is about the requesting party: its subject
// is the party, or is linked to it, or the issuer binds by e-mail and both tokens prove one
// address. Otherwise anybody could present what an issuer says of somebody else.
func (q *question) binds(ctx context.Context, view uma.View, p *proof) (bool, error) {
	if q.party.User == nil { // a client is nobody that an issuer knows
		return false, nil
	}
	if id := q.party.SubjectID(); id != nil && id.Issuer == p.Issuer && id.Subject == p.Subject {
		return true, nil
	}
	if q.identities == nil {
		found, err := view.IdentitiesOf(ctx, q.realm.Realm.Key, q.party.Subject)
		if err != nil {
			return false, fmt.Errorf("read identities of the party: %w", err)
		}
		q.identities = append([]uma.Identity{}, found...)
	}
	if slices.ContainsFunc(q.identities, func(i uma.Identity) bool { return i.Issuer == p.Issuer && i.Subject == p.Subject }) {
		return true, nil
	}
	issuer := q.realm.Realm.Issuer(p.Issuer)
	return issuer != nil && issuer.Bind == uma.BindEmail && p.Email != "" && p.Email == provedEmail(q.party), nil
}

// provedEmail is the e-mail address that the token presented proves, or that a realm file has
// of a local user, as addresses are compared. It is empty for none.
func provedEmail(id *party.Identity) string {
	switch {
	case id.Trusted != nil && id.Trusted.EmailVerified:
		return id.Trusted.Email
	case id.Trusted != nil, id.User == nil, id.User.Identity != nil:
		return ""
	}
	if verified, said := id.User.Claims["email_verified"]; said && verified != true {
		return ""
	}
	of, _ := id.User.Claims["email"].(string)
	address, _, _ := uma.EmailAddress(of)
	return address
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
