package keycloak

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// A phrase is how Keycloak says a reason. The description is that of an error
// that has none of its own.
type phrase struct {
	status      int
	code        string
	description string
}

// phrases has every reason of errors.go (design §7; what was recorded of a Keycloak,
// tests/testdata/keycloak-answers.jsonl). Those of the legacy API are said there.
var phrases = map[uma.Reason]phrase{
	// The token endpoint.
	uma.InvalidRequest:       {http.StatusBadRequest, "invalid_request", ""},
	uma.InvalidClient:        {http.StatusUnauthorized, "invalid_client", "Invalid client or Invalid client credentials"},
	uma.InvalidGrant:         {http.StatusBadRequest, "invalid_grant", ""},
	uma.UnauthorizedClient:   {http.StatusUnauthorized, "unauthorized_client", ""},
	uma.UnsupportedGrantType: {http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant_type"},
	uma.InvalidScope:         {http.StatusBadRequest, "invalid_scope", ""},
	uma.NeedInfo:             {http.StatusForbidden, "need_info", ""},
	uma.Denied:               {http.StatusForbidden, "access_denied", "request_denied"},
	uma.Submitted:            {http.StatusForbidden, "access_denied", "request_submitted"},
	uma.NotAuthorized:        {http.StatusForbidden, "access_denied", "not_authorized"},
	uma.UnusableTicket:       {http.StatusForbidden, "invalid_ticket", "Ticket verification failed"},
	uma.UnusableRPT:          {http.StatusForbidden, "invalid_rpt", "RPT signature is invalid"},
	uma.UnusableBearer:       {http.StatusUnauthorized, "invalid_grant", "Invalid bearer token"},
	uma.UnusableClaims:       {http.StatusBadRequest, "invalid_claim_token", ""},
	uma.UnusableIdentity:     {http.StatusBadRequest, "unauthorized_client", "Invalid identity"},
	uma.PublicMayNotPush:     {http.StatusForbidden, "invalid_grant", "Public clients are not allowed to send claims"},
	uma.InvalidResource:      {http.StatusBadRequest, "invalid_resource", ""},
	uma.ResourceServerBad:    {http.StatusBadRequest, "invalid_request", ""},

	// The protection API.
	uma.NoPAT:                    {http.StatusForbidden, "invalid_bearer_token", "Could not obtain bearer access_token from request."},
	uma.NotAResourceServer:       {http.StatusForbidden, "invalid_clientId", ""},
	uma.NoProtectionScope:        {http.StatusForbidden, "invalid_scope", "Requires uma_protection scope."},
	uma.InvalidPermissionRequest: {http.StatusBadRequest, "invalid_permission_request", "Invalid permission request."},
	uma.InvalidResourceID:        {http.StatusBadRequest, "invalid_resource_id", ""},
	uma.InvalidPermission:        {http.StatusBadRequest, "invalid_permission", ""},
	uma.NotOwner:                 {http.StatusForbidden, "not_authorised", ""},
	uma.Forbidden:                {http.StatusForbidden, "forbidden", "You don't have permission to manage this resource"},
	uma.NotFound:                 {http.StatusNotFound, "HTTP 404 Not Found", ""},
	uma.Conflict:                 {http.StatusConflict, "invalid_request", ""},
	uma.UnknownUser:              {http.StatusNotFound, "user_not_found", ""},
	uma.AmbiguousUser:            {http.StatusBadRequest, "ambiguous_user", ""},

	// Other endpoints.
	uma.InvalidToken:      {http.StatusUnauthorized, "invalid_token", "Token verification failed"},
	uma.InsufficientScope: {http.StatusForbidden, "insufficient_scope", "Missing openid scope"},
	uma.RealmNotFound:     {http.StatusNotFound, "Realm does not exist", ""},
	uma.RealmDisabled:     {http.StatusForbidden, "access_denied", "Realm not enabled"},

	// What passes.
	uma.PolicyFailed: {http.StatusServiceUnavailable, "server_error", "The policy could not be evaluated"},
	uma.Busy:         {http.StatusServiceUnavailable, "temporarily_unavailable", "Too much is going on: try again"},
}

// Dialect is Keycloak's.
var Dialect = wire.Dialect{Words: Words}

// Words returns the answer to a refusal as Keycloak gives it.
func Words(e *uma.Error) wire.Refusal {
	p, ok := phrases[e.Reason]
	if !ok {
		p = phrase{http.StatusInternalServerError, "server_error", ""}
	}
	said := Sentence(e)
	r := wire.Refusal{
		Status: p.status, Code: p.code, Description: p.description,
		Ticket: e.Ticket, Interval: e.Interval, RequiredClaims: e.RequiredClaims,
		Challenge: e.Reason == uma.InvalidToken || e.Reason == uma.InsufficientScope,
		Retry:     p.status == http.StatusServiceUnavailable,
	}
	// What is not there is said in the same bytes whatever was looked for.
	if said != "" && e.Reason != uma.NotFound && e.Reason != uma.RealmNotFound {
		r.Description = said
	}
	return r
}

// Sentence is what Keycloak says of a refusal beside its code.
func Sentence(e *uma.Error) string {
	if said := sentences.Say(e.Fault); said != "" {
		return said
	}
	return e.Description
}
