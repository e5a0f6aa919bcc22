package keycloak

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// phrases has every reason of errors.go (design §7; what was recorded of a Keycloak,
// tests/testdata/keycloak-answers.jsonl). Those of the legacy API are said there.
var phrases = map[uma.Reason]wire.Phrase{
	// The token endpoint.
	uma.InvalidRequest:       {Status: http.StatusBadRequest, Code: "invalid_request"},
	uma.InvalidClient:        {Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Invalid client or Invalid client credentials"},
	uma.InvalidGrant:         {Status: http.StatusBadRequest, Code: "invalid_grant"},
	uma.UnauthorizedClient:   {Status: http.StatusUnauthorized, Code: "unauthorized_client"},
	uma.UnsupportedGrantType: {Status: http.StatusBadRequest, Code: "unsupported_grant_type", Description: "Unsupported grant_type"},
	uma.InvalidScope:         {Status: http.StatusBadRequest, Code: "invalid_scope"},
	uma.InvalidTarget:        {Status: http.StatusBadRequest, Code: "invalid_target", Description: "The target of the token cannot be chosen by this parameter"},
	uma.NeedInfo:             {Status: http.StatusForbidden, Code: "need_info"},
	uma.Denied:               {Status: http.StatusForbidden, Code: "access_denied", Description: "request_denied"},
	uma.Submitted:            {Status: http.StatusForbidden, Code: "access_denied", Description: "request_submitted"},
	uma.NotAuthorized:        {Status: http.StatusForbidden, Code: "access_denied", Description: "not_authorized"},
	uma.UnusableTicket:       {Status: http.StatusForbidden, Code: "invalid_ticket", Description: "Ticket verification failed"},
	uma.UnusableRPT:          {Status: http.StatusForbidden, Code: "invalid_rpt", Description: "RPT signature is invalid"},
	uma.UnusableBearer:       {Status: http.StatusUnauthorized, Code: "invalid_grant", Description: "Invalid bearer token"},
	uma.UnusableClaims:       {Status: http.StatusBadRequest, Code: "invalid_claim_token"},
	uma.UnusableIdentity:     {Status: http.StatusBadRequest, Code: "unauthorized_client", Description: "Invalid identity"},
	uma.PublicMayNotPush:     {Status: http.StatusForbidden, Code: "invalid_grant", Description: "Public clients are not allowed to send claims"},
	uma.InvalidResource:      {Status: http.StatusBadRequest, Code: "invalid_resource"},
	uma.ResourceServerBad:    {Status: http.StatusBadRequest, Code: "invalid_request"},

	// The protection API.
	uma.NoPAT:                    {Status: http.StatusForbidden, Code: "invalid_bearer_token", Description: "Could not obtain bearer access_token from request."},
	uma.NotAResourceServer:       {Status: http.StatusForbidden, Code: "invalid_clientId"},
	uma.NoProtectionScope:        {Status: http.StatusForbidden, Code: "invalid_scope", Description: "Requires uma_protection scope."},
	uma.InvalidPermissionRequest: {Status: http.StatusBadRequest, Code: "invalid_permission_request", Description: "Invalid permission request."},
	uma.InvalidResourceID:        {Status: http.StatusBadRequest, Code: "invalid_resource_id"},
	uma.InvalidPermission:        {Status: http.StatusBadRequest, Code: "invalid_permission"},
	uma.NotOwner:                 {Status: http.StatusForbidden, Code: "not_authorised"},
	uma.Forbidden:                {Status: http.StatusForbidden, Code: "forbidden", Description: "You don't have permission to manage this resource"},
	uma.NotFound:                 {Status: http.StatusNotFound, Code: "HTTP 404 Not Found"},
	uma.Conflict:                 {Status: http.StatusConflict, Code: "invalid_request"},
	uma.UnknownUser:              {Status: http.StatusNotFound, Code: "user_not_found"},
	uma.AmbiguousUser:            {Status: http.StatusBadRequest, Code: "ambiguous_user"},

	// Other endpoints.
	uma.InvalidToken:      {Status: http.StatusUnauthorized, Code: "invalid_token", Description: "Token verification failed"},
	uma.InsufficientScope: {Status: http.StatusForbidden, Code: "insufficient_scope", Description: "Missing openid scope"},
	uma.RealmNotFound:     {Status: http.StatusNotFound, Code: "Realm does not exist"},
	uma.RealmDisabled:     {Status: http.StatusForbidden, Code: "access_denied", Description: "Realm not enabled"},

	// What passes.
	uma.PolicyFailed: {Status: http.StatusServiceUnavailable, Code: "server_error", Description: "The policy could not be evaluated"},
	uma.Busy:         {Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "Too much is going on: try again"},
}

// Dialect is Keycloak's.
var Dialect = wire.Dialect{Words: Words}

var vocabulary = wire.Vocabulary{Phrases: phrases, Sentences: sentences, Fixed: []uma.Reason{uma.NotFound, uma.RealmNotFound}}

// Words returns the answer to a refusal as Keycloak gives it.
func Words(e *uma.Error) wire.Refusal {
	r := vocabulary.Words(e)
	r.Challenge = e.Reason == uma.InvalidToken || e.Reason == uma.InsufficientScope
	return r
}

// Sentence is what Keycloak says of a fault.
func Sentence(e *uma.Error) string { return sentences.Say(e.Fault) }
