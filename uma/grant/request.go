package grant

import (
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// Response modes of the UMA grant.
const (
	ModeToken       = ""            // a token response
	ModeDecision    = "decision"    // whether anything was granted
	ModePermissions = "permissions" // what was granted
)

// A TokenRequest asks for an RPT (§3.3.1 and Keycloak's additions), parsed but
// not yet believed. Empty members are absent parameters; a parameter that is
// present and empty never gets here.
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
	Scopes   []uma.Scope
}

// A TokenAnswer is the answer to a TokenRequest that succeeds. Which member is
// of interest is a matter of the mode.
type Answer struct {
	Token       *party.Tokens
	Upgraded    bool // the RPT stands in for the one that was given
	Permissions []uma.GrantedPermission
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
	if r.Legacy == nil {
		return
	}
	for _, p := range r.Legacy.Permissions {
		if !yield(p.Scopes) {
			return
		}
	}
}
