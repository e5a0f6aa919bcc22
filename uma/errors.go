package uma

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The results of a store that are not its failures.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("exists already")
	ErrSpent    = errors.New("used already") // a ticket or a refresh token
	ErrMoved    = errors.New("changed meanwhile")
	ErrBusy     = errors.New("too many writes are waiting")
	ErrPrune    = errors.New("needs --prune")
	ErrFull     = errors.New("the limit of stored bytes is reached")
	ErrVague    = errors.New("too many rows searched without a match")
	ErrTorn     = errors.New("the store changed while it was read") // see Read
	ErrTooMuch  = errors.New("one request would read too many rows")
)

// A URITakenError says which URI of a resource belongs to another. It is an
// ErrConflict.
type URITakenError struct{ URI string }

func (e *URITakenError) Error() string { return "the URI " + e.URI + " belongs to another resource" }

// Is makes errors.Is(err, ErrConflict) true.
func (e *URITakenError) Is(target error) bool { return target == ErrConflict }

// An AliasError says that a realm file gives an alias to another issuer than the one that has
// it, or an issuer another alias. It is an ErrConflict.
type AliasError struct {
	Alias, Issuer       string // in the file
	HasAlias, HasIssuer string // in the realm, of which one is in the file
}

func (e *AliasError) Error() string {
	if e.Alias == e.HasAlias {
		return fmt.Sprintf("the alias %s belongs to the issuer %s, and is not given to %s", e.Alias, e.HasIssuer, e.Issuer)
	}
	return fmt.Sprintf("the issuer %s has the alias %s, with which the names of its parties begin: keep it instead of %s", e.HasIssuer, e.HasAlias, e.Alias)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *AliasError) Is(target error) bool { return target == ErrConflict }

// A UsernameError says that a realm file has a local user whose name begins with the alias of
// an issuer and a slash, as those of its parties do. It is an ErrConflict.
type UsernameError struct{ Username, Alias string }

func (e *UsernameError) Error() string {
	return fmt.Sprintf("the username %s begins with %s/, as the names of the parties of the issuer %s do: choose another one", e.Username, strings.ToLower(e.Alias), e.Alias)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *UsernameError) Is(target error) bool { return target == ErrConflict }

// A Reason is why a request is refused. Faces turn it into the status and the words of their
// protocol. A reason that is also an OAuth error code has that code as its text.
type Reason string

// The reasons.
const (
	// Of OAuth 2.0 (RFC 6749 §5.2) and of UMA (§3.3.6).
	InvalidRequest       Reason = "invalid_request"
	InvalidClient        Reason = "invalid_client"
	InvalidGrant         Reason = "invalid_grant"
	UnauthorizedClient   Reason = "unauthorized_client"
	UnsupportedGrantType Reason = "unsupported_grant_type"
	InvalidScope         Reason = "invalid_scope"
	InvalidTarget        Reason = "invalid_target" // RFC 8693 §2.2.2, RFC 8707 §2
	NeedInfo             Reason = "need_info"
	Denied               Reason = "request_denied"    // with a ticket
	Submitted            Reason = "request_submitted" // stored, or pending already

	// Of the UMA grant, where faces differ.
	NotAuthorized     Reason = "not_authorized" // refused without a ticket
	UnusableTicket    Reason = "unusable_ticket"
	UnusableRPT       Reason = "unusable_rpt"
	UnusableBearer    Reason = "unusable_bearer" // at the token endpoint
	UnusableClaims    Reason = "invalid_claim_token"
	UnusableIdentity  Reason = "unusable_identity" // an identity token without a live session
	PublicMayNotPush  Reason = "public_client_claims"
	InvalidResource   Reason = "invalid_resource"
	ResourceServerBad Reason = "unusable_resource_server"

	// Of the protection API.
	NoPAT                    Reason = "invalid_bearer_token"
	NotAResourceServer       Reason = "invalid_clientId"
	NoProtectionScope        Reason = "no_uma_protection"
	InvalidPermissionRequest Reason = "invalid_permission_request"
	InvalidResourceID        Reason = "invalid_resource_id"
	InvalidPermission        Reason = "invalid_permission"
	NotOwner                 Reason = "not_authorised"
	Forbidden                Reason = "forbidden"
	NotFound                 Reason = "not_found"
	Conflict                 Reason = "conflict"
	UnknownUser              Reason = "user_not_found" // whom an owner names
	AmbiguousUser            Reason = "ambiguous_user" // the same, where several are called so

	// Of resources protected by an access token, such as userinfo.
	InvalidToken      Reason = "invalid_token"
	InsufficientScope Reason = "insufficient_scope"

	RealmNotFound Reason = "realm_not_found"
	RealmDisabled Reason = "realm_disabled"

	// Failures of this server after which a client may try again: the policy failed
	// (PolicyFailed), or too many writes wait or rows keep changing (Busy).
	PolicyFailed Reason = "policy_failed"
	Busy         Reason = "busy"
)

// A RequiredClaim is a hint to the client about a claim that would help
// (§3.3.6).
type RequiredClaim struct {
	Name         string   `json:"name,omitempty"`
	FriendlyName string   `json:"friendly_name,omitempty"`
	Type         string   `json:"claim_type,omitempty"`
	Formats      []string `json:"claim_token_format,omitempty"`
	Issuers      []string `json:"issuer,omitempty"`
}

// An Error is a refusal, which the client is told. Any other error is a failure of this
// server: the client gets server_error without a cause, and the log has the cause.
type Error struct {
	Reason         Reason
	Fault          Fault
	Ticket         string        // that the client presents next; empty for none
	Interval       time.Duration // to wait before it is presented, with Submitted
	RequiredClaims []RequiredClaim

	// Err is the cause. It goes to the log and never to the client.
	Err error
}

// Reject returns an Error with a fault, which a face puts into words. The cause goes to the
// log and never to the client.
func Reject(reason Reason, fault Fault, cause error) *Error {
	return &Error{Reason: reason, Fault: fault, Err: cause}
}

func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Fault.Kind != "" {
		s += ": " + e.Fault.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// A Meaning is the refusal that an error of the store means for a request.
type Meaning struct {
	err    error
	reason Reason
	fault  Fault
}

// Means says that err is to be answered with a refusal.
func Means(err error, reason Reason, fault Fault) Meaning { return Meaning{err, reason, fault} }

// Tell turns an error of the store into the error of a request: the refusal that one of the
// meanings has for it, Busy for ErrBusy, or else a failure, which says what was being done.
func Tell(doing string, err error, meanings ...Meaning) error {
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return Reject(m.reason, m.fault, err)
		}
	}
	if errors.Is(err, ErrBusy) {
		return Reject(Busy, Fault{}, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
