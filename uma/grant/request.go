package grant

import (
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// What the answer to a granted request has.
const (
	ModeToken       = ""            // an RPT
	ModeDecision    = "decision"    // whether anything was granted
	ModePermissions = "permissions" // what was granted
)

// A Request asks for an RPT (§3.3.1 and Keycloak's additions). It is parsed, and nothing in it
// is verified. Empty members are absent parameters: a face refuses a parameter that is
// present and empty.
type Request struct {
	Ticket           string
	Permissions      []AskedPermission // of `permission`, in order
	ByURI            bool              // permission_resource_format=uri
	MatchingURI      bool              // permission_resource_matching_uri
	Audience         string
	ClaimToken       string
	ClaimTokenFormat string
	RPT              string
	Scopes           []uma.Scope // of `scope`
	SubjectToken     string
	NoSubmit         bool // submit_request=false
	WithoutNames     bool // response_include_resource_name=false
	Limit            int  // response_permissions_limit; 0 for none
	Mode             string

	// Entitlement asks for what it names; nil for what Permissions name.
	Entitlement *Entitlement

	Rules Rules
}

// An AskedPermission is one `permission` parameter: `RESOURCE#scope,scope`.
type AskedPermission struct {
	Resource string // id, name, `resource-type…:T` or URI; empty for scopes alone
	Scopes   []uma.Scope
}

// An Entitlement is what a request for entitlements of the legacy API names. The zero value
// names nothing.
type Entitlement struct {
	Everything  bool // all entitlements
	Permissions []EntitlementPermission
	Limit       int // how many resources of Permissions count; 0: all
}

// An EntitlementPermission names scopes of a resource, or scopes alone.
type EntitlementPermission struct {
	By       By
	Resource string
	Scopes   []uma.Scope
}

// A By says how an EntitlementPermission names its resource.
type By byte

// The ways.
const (
	NoResource By = iota // scopes alone
	ByID
	ByName
)

// Rules are the behaviours that differ between faces: where the specifications leave room, or
// differ from Keycloak. A face sets them. The zero value is Keycloak's token endpoint.
type Rules struct {
	// PollTickets: request_submitted has a new ticket, which the client presents after an
	// interval to ask whether the owner has answered (§3.3.6).
	PollTickets bool

	// BadClaimIsNeedInfo: if a claim token presented with a ticket is unusable or missing,
	// the answer is need_info with a new ticket.
	BadClaimIsNeedInfo bool

	// IdentifyWithIDToken: only an ID token identifies the party. Otherwise an access
	// token does, too.
	IdentifyWithIDToken bool

	// AskForIdentity: a confidential client without a service account is told to bring a
	// claim token that identifies the party.
	AskForIdentity bool

	// PublicClaims: a public client may present a signed claim token if another token
	// identifies the party.
	PublicClaims bool

	// UnavailableScopeIsError: a scope that no resource of the ticket has is an error, and
	// spends the ticket (§3.3.6).
	UnavailableScopeIsError bool

	// IgnoreBadRPT: an `rpt` that cannot be upgraded is ignored.
	IgnoreBadRPT bool

	// UpgradeAll: an `rpt` is upgraded only if the new RPT has all its permissions, and it is
	// no longer valid then (§3.3.5.1). Without this rule some of them are enough and both RPTs
	// are valid, but at least one scope of each named resource must be granted.
	UpgradeAll bool

	// OneOwner: an RPT is for resources of one owner (§1.3).
	OneOwner bool

	// Entitlements: the request is for entitlements of the legacy API. An RPT may be the
	// bearer token. The permissions of the `rpt` count as requested. The answer is never
	// need_info. The RPT contains an access token, and there is no refresh token.
	Entitlements bool
}

// An Answer is the result of a Request.
type Answer struct {
	// Client is the client that sent the request; nil if the request was refused before the
	// client was authenticated or identified by a verified token.
	Client *uma.Client

	Recorded Recorded

	// Token is the RPT, and its refresh token, in ModeToken.
	Token *party.Tokens

	// Upgraded: the RPT replaces the one in the request.
	Upgraded bool

	// Permissions are what was granted, in the other modes.
	Permissions []uma.GrantedPermission
}

// Recorded says which decision records a request left.
type Recorded struct {
	ID    string // of the last one
	Batch string // batch_decision_id, which they share
	Count int
}

// scopes yields the lists of scopes in a request.
func (r *Request) scopes(yield func([]uma.Scope) bool) {
	if !yield(r.Scopes) {
		return
	}
	for _, p := range r.Permissions {
		if !yield(p.Scopes) {
			return
		}
	}
	if r.Entitlement == nil {
		return
	}
	for _, p := range r.Entitlement.Permissions {
		if !yield(p.Scopes) {
			return
		}
	}
}

// onlyCarries reports whether a request without a ticket asks for nothing but what its
// RPT carries.
func (r *Request) onlyCarries() bool { return len(r.Permissions) == 0 && r.Entitlement == nil }
