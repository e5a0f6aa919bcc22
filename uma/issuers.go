package uma

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A TrustedIssuer is one of a realm's `issuers`: a server elsewhere whose tokens are believed,
// as far as it says.
type TrustedIssuer struct {
	Issuer string `json:"issuer"` // compared with `iss` byte by byte
	Alias  string `json:"alias"`  // begins usernames; never that of another issuer

	// Keys are found by OpenID Connect Discovery, unless one of these says where they are.
	JWKSURI string `json:"jwks_uri,omitempty"`
	JWKS    []byte `json:"jwks,omitempty"` // a JWK Set

	Audiences    []string          `json:"audiences,omitempty"`
	Clients      map[string]string `json:"clients,omitempty"` // its client ids → ours; AnyClient: of all others
	Algorithms   []string          `json:"algorithms,omitempty"`
	Accept       []TokenUse        `json:"accept,omitempty"`
	Require      map[string]any    `json:"require,omitempty"`       // members that a token must have: text, bool or json.Number
	Leeway       time.Duration     `json:"leeway,omitempty"`        // by which its clock may be ahead
	AllowPrivate bool              `json:"allow_private,omitempty"` // its URLs may lead to private and loopback addresses
	CA           []byte            `json:"ca,omitempty"`            // PEM; nil: the system's
	EmailDomains []string          `json:"email_domains,omitempty"` // lower case: it is the authority on addresses of these
	Claims       []string          `json:"claims,omitempty"`        // what its claim tokens may assert
	Bind         Binding           `json:"bind,omitempty"`
	Map          ClaimsMap         `json:"map"`
}

// AnyClient stands in TrustedIssuer.Clients for client ids that are not listed.
const AnyClient = "*"

// A TokenUse is what a token is presented as.
type TokenUse string

// The uses of tokens of trusted issuers.
const (
	UseBearer       TokenUse = "bearer"        // in the header, at the UMA grant and the account API
	UseSubjectToken TokenUse = "subject_token" // of the UMA grant and of token exchange
	UseClaims       TokenUse = "claims"        // as claim_token
)

// A Binding says when a claim token of another identity than the party's is about the party.
type Binding string

// The bindings. A claim token of the party's own identity, or of one that is linked to the
// party, is bound in any case.
const (
	BindSubject Binding = "subject" // in no other case
	BindEmail   Binding = "email"   // also if both tokens prove the same e-mail address
)

// A ClaimsMap says where the claims of an issuer's tokens are. A nil path: nowhere.
type ClaimsMap struct {
	Subject    SubjectPath          `json:"subject"`
	Client     ClaimPath            `json:"client,omitempty"`
	Username   ClaimPath            `json:"username,omitempty"`
	Email      ClaimPath            `json:"email,omitempty"`
	Groups     GroupsMap            `json:"groups,omitzero"`
	Roles      ClaimPath            `json:"roles,omitempty"`
	ACR        ClaimPath            `json:"acr,omitempty"`
	Attributes map[string]ClaimPath `json:"attributes,omitempty"`
}

// A ClaimPath has the exact names of the members on the way to a claim.
type ClaimPath []string

// A SubjectPath says where the subject is, by the kind of the token.
type SubjectPath struct {
	AccessToken ClaimPath `json:"access_token"`
	IDToken     ClaimPath `json:"id_token"`
}

// A GroupsMap says which groups of an issuer a party has.
type GroupsMap struct {
	From   ClaimPath `json:"from,omitempty"`
	Prefix string    `json:"prefix,omitempty"` // before each name, with a slash between
	Only   []string  `json:"only,omitempty"`   // these alone, without the prefix; nil: all

	// Optional: a token without the groups is taken; its party's groups are not known.
	Optional bool `json:"optional,omitempty"`
}

// SignatureAlgorithms are those by which issuers and clients may sign: never by a shared secret,
// which anybody could make from a published key, and never none.
func SignatureAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Trust verifies tokens of trusted issuers.
type Trust interface {
	// Verify verifies a token of one of the realm's issuers: signature, times, the members
	// that it must and must not have, and the mapping of its claims. It may ask the issuer for
	// keys, for seconds: call it before a view is opened. What the token may be used for, and
	// by whom, is said by TrustedToken.Client. The maps and lists of the token are shared with
	// other callers and must not be changed.
	//
	// ErrUnverified, as a *TrustError: the token is not believed. ErrKeysMissing: the keys of
	// its issuer could not be fetched yet.
	Verify(ctx context.Context, s *Snapshot, raw string) (*TrustedToken, error)

	// VerifyAssertion verifies the assertion by which a client authenticates (RFC 7523 §3):
	// signed with a key of the client, `iss` and `sub` its client id, `aud` one text that is
	// among audiences, and valid for at most five minutes. The caller spends the id. Errors
	// are those of Verify.
	VerifyAssertion(ctx context.Context, s *Snapshot, audiences []string, raw string) (*Assertion, error)
}

// An Assertion authenticates a client once.
type Assertion struct {
	Client  *Client
	ID      string // jti
	Expires time.Time
}

// ErrKeysMissing says that a token cannot be checked because the keys of its issuer were
// never fetched. A client may try again.
var ErrKeysMissing = errors.New("the keys of the issuer are not known yet")

// A TrustError says why a token of elsewhere is not believed, in words that quote nothing of
// it. It is an ErrUnverified.
type TrustError struct {
	Issuer string // the alias; empty if no trusted issuer is named
	Why    string // "expired", "the signature is not valid"
}

func (e *TrustError) Error() string {
	if e.Issuer == "" {
		return e.Why
	}
	return fmt.Sprintf("token of issuer %s: %s", e.Issuer, e.Why)
}

// Is makes errors.Is(err, ErrUnverified) true.
func (e *TrustError) Is(target error) bool { return target == ErrUnverified }
