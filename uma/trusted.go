package uma

import (
	"fmt"
	"slices"
)

// A TokenKind is the kind of a token of a trusted issuer.
type TokenKind string

// The kinds.
const (
	AccessToken TokenKind = "access_token"
	IDToken     TokenKind = "id_token"
)

// A TrustedToken is a verified token of a trusted issuer, its claims as the issuer's map
// finds them.
type TrustedToken struct {
	Issuer   *TrustedIssuer
	Kind     TokenKind
	Subject  string
	ClientID string // of the issuer's own client ids; empty for none
	Audience []string

	Username      string
	Email         string
	EmailVerified bool // the token says so, or the issuer is the authority on the address's domain
	Groups        []string
	GroupsKnown   bool
	Roles         []string
	ACR           string
	AuthTime      int64
	Attributes    map[string]any // numbers are json.Number

	// Claims are those of the token that the issuer may assert in claim tokens.
	Claims map[string]any

	Application       bool   // an application's own token
	KeyBound          bool   // `cnf`: only who has a key may present it
	JWTID             string // jti; empty for none
	IssuedAt, Expires int64
}

// Client returns the client_id of the client that a token may be used for, in this realm.
// authenticated is the client that authenticated in this request; nil if none did.
//
// As a bearer, an access token must be for one of the issuer's audiences, and its client be
// mapped to one of ours. As a subject_token or a claim token it may instead be for a client
// id that is mapped to the authenticated client: an API shows the token that was made for
// itself. If it names a client, that must be mapped to the authenticated client too. A
// subject_token for one of the audiences must name its client.
//
// Without an authenticated client, the caller compares the result with the client of its
// bearer token; it is empty if a claim token names no client.
//
// Any error is an ErrUnverified, as a *TrustError.
func (t *TrustedToken) Client(use TokenUse, authenticated *Client) (clientID string, err error) {
	ours := t.Issuer.ourClient(t.ClientID)
	forUs := slices.ContainsFunc(t.Audience, func(a string) bool { return a != "" && slices.Contains(t.Issuer.Audiences, a) })
	switch {
	case !slices.Contains(t.Issuer.Accept, use):
		return "", t.refuse(fmt.Sprintf("the realm does not accept its tokens as %s", use))
	case t.ClientID != "" && ours == "":
		return "", t.refuse("the client that it was issued to is not among the issuer's clients in the realm file")
	case use == UseBearer && t.Kind != AccessToken:
		return "", t.refuse("it is not an access token")
	case use == UseBearer && t.KeyBound:
		return "", t.refuse("it is bound to a key (cnf) and cannot be used as a bearer token")
	case t.ClientID == "" && (use == UseBearer || use == UseSubjectToken && forUs):
		return "", t.refuse("it does not say which client it was issued to")
	case use == UseBearer && !forUs:
		return "", t.refuse("it is not for one of the issuer's audiences in the realm file")
	case use == UseBearer:
		return ours, nil
	case use == UseSubjectToken && authenticated == nil:
		return "", t.refuse("no client authenticated in this request")
	case !forUs && !t.isFor(authenticated):
		return "", t.refuse("it is neither for one of the issuer's audiences nor for the client that authenticated")
	case authenticated == nil:
		return ours, nil
	case t.ClientID != "" && ours != authenticated.ID:
		return "", t.refuse("it was issued to another client than the one that authenticated")
	}
	return authenticated.ID, nil
}

// isFor reports whether the token's audience has a client id that is mapped to a client.
// AnyClient maps no audience: a token for any API of the issuer would count.
func (t *TrustedToken) isFor(c *Client) bool {
	return c != nil && slices.ContainsFunc(t.Audience, func(a string) bool {
		return a != "" && a != AnyClient && t.Issuer.Clients[a] == c.ID
	})
}

// refuse says why the token is not believed.
func (t *TrustedToken) refuse(why string) error { return &TrustError{t.Issuer.Alias, why} }

// ourClient returns the client_id that one of the issuer's client ids is mapped to; empty for
// none.
func (i *TrustedIssuer) ourClient(theirs string) string {
	if theirs == "" {
		return ""
	}
	if ours, ok := i.Clients[theirs]; ok {
		return ours
	}
	return i.Clients[AnyClient]
}

// SubjectID is the subject of a token in RPTs, introspection and records, beside the party's
// own id (RFC 9493 §3.2.3).
type SubjectID struct {
	Format  string `json:"format"` // iss_sub
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// SubjectIDOf returns the SubjectID of an identity.
func SubjectIDOf(issuer, subject string) *SubjectID {
	return &SubjectID{Format: "iss_sub", Issuer: issuer, Subject: subject}
}
