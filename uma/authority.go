package uma

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"example.com/umpire/workers"
)

// An Authority is the authorization server, without its HTTP.
type Authority struct {
	Store    Store
	Policy   Policy
	Issuer   Issuer
	Verifier Verifier
	Hasher   Hasher

	// PublicURL is what every URL begins with, without a slash at its end, such
	// as https://as.example.com or https://as.example.com/auth.
	PublicURL PublicURL

	Now func() time.Time

	// NewID makes a fresh UUID for what clients know by its id, NewSerial one that
	// begins with the time (RFC 9562 §5.7) for what each request adds to an index: a
	// row follows the one before it there, and not every row is on a page of its own.
	NewID, NewSerial func() string

	Log func(ctx context.Context, msg string, args ...any) // of trouble that no client is told about

	// Labels go into every decision record: which server decided.
	Labels map[string]string

	// Decided observes each decision, and what the request was answered; may be nil.
	Decided func(realm, outcome, answered string, evaluation time.Duration)

	// Stuck is told when an evaluation is given up because it goes on after its
	// deadline (1), and when it ends after all (-1); may be nil.
	Stuck func(realm string, delta int)

	snapshots atomic.Pointer[snapshots]

	// Signatures do not wait for evaluations, which last as long as a policy makes
	// them.
	evaluations, signatures workers.Pool
}

// Validate reports everything that a lacks to serve, so that the program can say
// so when it starts and not when the first client calls.
func (a *Authority) Validate() error {
	parts := []struct {
		name string
		ok   bool
	}{
		{"Store", a.Store != nil},
		{"Policy", a.Policy != nil},
		{"Issuer", a.Issuer != nil},
		{"Verifier", a.Verifier != nil},
		{"Hasher", a.Hasher != nil},
		{"PublicURL", a.PublicURL != ""},
		{"Now", a.Now != nil},
		{"NewID", a.NewID != nil},
		{"NewSerial", a.NewSerial != nil},
		{"Log", a.Log != nil},
	}
	var errs []error
	for _, p := range parts {
		if !p.ok {
			errs = append(errs, fmt.Errorf("authority has no %s", p.name))
		}
	}
	return errors.Join(errs...)
}

// A Caller is what a request says of who makes it, and, as the Authority learns
// it, who that is.
type Caller struct {
	// Bearer is the token of an `Authorization: Bearer` header. A header with an
	// empty token is HasBearer with an empty Bearer: present and bad.
	Bearer    string
	HasBearer bool

	// ClientID and ClientSecret are from a Basic header or the form.
	ClientID, ClientSecret string
	HasSecret              bool

	IP        string // of the connection, or what a trusted proxy says; "" when that says no address
	UserAgent string
	RequestID string
	TraceID   string

	Attempt Attempt // of a password

	// Decided are the decision records of the request, once they are stored: of one
	// its id, of several the batch_decision_id that they share, and how many.
	Decided struct {
		ID, Batch string
		Count     int
	}

	// Client is set once the client is authenticated, or known by a verified
	// token. Its web origins may read the answer, whatever it is.
	Client *Client
}

// A TokenResponse is the answer of the token endpoint (RFC 6749 §5.1) as
// Keycloak writes it.
type TokenResponse struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	TokenType        string `json:"token_type"`
	IDToken          string `json:"id_token,omitempty"`
	NotBeforePolicy  int64  `json:"not-before-policy"`
	SessionState     string `json:"session_state,omitempty"`
	Scope            string `json:"scope,omitempty"`
	Upgraded         *bool  `json:"upgraded,omitempty"` // always in the answer to a UMA grant
	RPT              bool   `json:"-"`                  // what the access token is
}

// Response modes of the UMA grant.
const (
	ModeToken       = ""            // a token response
	ModeDecision    = "decision"    // whether anything was granted
	ModePermissions = "permissions" // what was granted
)

// A TokenRequest asks for an RPT (§3.3.1 and Keycloak's additions), parsed but
// not yet believed. Empty members are absent parameters; a parameter that is
// present and empty never gets here.
type TokenRequest struct {
	Ticket           string
	Permissions      []AskedPermission // of `permission`, in order
	ByURI            bool              // permission_resource_format=uri
	MatchingURI      bool              // permission_resource_matching_uri
	Audience         string
	ClaimToken       string
	ClaimTokenFormat string
	RPT              string
	Scopes           []Scope // of `scope`
	SubjectToken     string
	NoSubmit         bool // submit_request=false
	WithoutNames     bool // response_include_resource_name=false
	Limit            int  // response_permissions_limit; 0 for none
	Mode             string

	// Strict takes the request as UMA 2.0 has it, beyond Keycloak: a refusal that
	// was submitted carries a ticket to ask again with, a claim token that is no
	// good asks for a better one, an RPT that cannot be upgraded is as none, and
	// one that was upgraded is good no more.
	Strict bool

	// Legacy has it answered as Keycloak's Authorization API did, and asks for what
	// that names; nil for all others.
	Legacy *LegacyRequest
}

// An AskedPermission is one `permission` parameter: `RESOURCE#scope,scope`.
type AskedPermission struct {
	Resource string // id, name, `resource-type…:T` or URI; empty for scopes alone
	Scopes   []Scope
}

// A TokenAnswer is the answer to a TokenRequest that succeeds. Which member is
// of interest is a matter of the mode.
type TokenAnswer struct {
	Token       *TokenResponse
	Permissions []GrantedPermission
}
