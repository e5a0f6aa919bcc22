package grant

import (
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// What is answered to a request that is granted.
const (
	ModeToken       = ""            // an RPT
	ModeDecision    = "decision"    // whether anything was granted
	ModePermissions = "permissions" // what was granted
)

// A Request asks for an RPT (§3.3.1 and Keycloak's additions), parsed but not yet
// believed. Empty members are absent parameters: a face refuses a parameter that is
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

// An Entitlement is what a request for entitlements names: each resource by its id or by
// its name, as it says. The zero value names nothing.
type Entitlement struct {
	Everything  bool // all entitlements
	Permissions []uma.LegacyPermission
	Limit       int // how many resources of Permissions count; 0: all
}

// Rules are what the specifications leave open, or have otherwise than Keycloak does. A
// face sets them. The zero value is Keycloak's token endpoint.
type Rules struct {
	// PollTickets: with request_submitted comes a ticket, which the client presents after
	// an interval to ask whether the owner has answered (§3.3.6).
	PollTickets bool

	// BadClaimIsNeedInfo: where a ticket is presented, a claim token that cannot be used,
	// or that is missing, is answered by need_info and a new ticket.
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

	// UpgradeAll: an `rpt` counts as upgraded only if the new one has all its permissions,
	// and is no longer valid then (§3.3.5.1). Otherwise a part is enough, and both are
	// valid; but at least one scope of each resource that is named must be granted.
	UpgradeAll bool

	// OneOwner: an RPT is for resources of one owner (§1.3).
	OneOwner bool

	// Entitlements: the request is for entitlements. RPTs speak for their party. What the
	// `rpt` carries counts as requested. Nobody is asked for claims. The RPT has an access
	// token in it, and no refresh token comes with it.
	Entitlements bool
}

// An Answer is what becomes of a Request.
type Answer struct {
	// Client is who asked, once it is authenticated or known by a verified token; nil
	// before.
	Client *uma.Client

	Recorded Recorded

	// Token is the RPT, and its refresh token, in ModeToken.
	Token *party.Tokens

	// Upgraded: the RPT stands in for the one in the request.
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

// scopes are the lists of scopes of a request.
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
