package uma2

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is that of the specifications: OAuth 2.0's JSON (RFC 6749 §5.2) with
// the codes of UMA Grant §3.3.6 and FedAuthz §3.2, §4.3 and §6.
var Dialect = wire.Dialect{Words: Words}

// phrases has every reason of errors.go; those of the legacy API are said there.
var phrases = map[uma.Reason]wire.Phrase{
	// The token endpoint.
	uma.InvalidRequest:       {Status: http.StatusBadRequest, Code: "invalid_request"},
	uma.InvalidClient:        {Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Client authentication failed"},
	uma.InvalidGrant:         {Status: http.StatusBadRequest, Code: "invalid_grant"},
	uma.UnauthorizedClient:   {Status: http.StatusBadRequest, Code: "unauthorized_client"},
	uma.UnsupportedGrantType: {Status: http.StatusBadRequest, Code: "unsupported_grant_type"},
	uma.InvalidScope:         {Status: http.StatusBadRequest, Code: "invalid_scope"},
	uma.InvalidTarget:        {Status: http.StatusBadRequest, Code: "invalid_target", Description: "The target of the token cannot be chosen by this parameter"},
	uma.NeedInfo:             {Status: http.StatusForbidden, Code: "need_info"},
	uma.Denied:               {Status: http.StatusForbidden, Code: "request_denied"},
	uma.Submitted:            {Status: http.StatusForbidden, Code: "request_submitted"},
	uma.NotAuthorized:        {Status: http.StatusForbidden, Code: "request_denied"},
	uma.UnusableTicket:       {Status: http.StatusBadRequest, Code: "invalid_grant"},
	uma.UnusableRPT:          {Status: http.StatusBadRequest, Code: "invalid_grant", Description: "The rpt cannot be upgraded"},
	uma.UnusableBearer:       {Status: http.StatusUnauthorized, Code: "invalid_token"},
	uma.UnusableClaims:       {Status: http.StatusBadRequest, Code: "invalid_grant"},
	uma.UnusableIdentity:     {Status: http.StatusBadRequest, Code: "invalid_grant", Description: "The identity that the token is about is not good"},
	uma.PublicMayNotPush:     {Status: http.StatusForbidden, Code: "unauthorized_client", Description: "Public clients may not push claims"},
	uma.InvalidResource:      {Status: http.StatusBadRequest, Code: "invalid_resource_id"},
	uma.ResourceServerBad:    {Status: http.StatusBadRequest, Code: "invalid_request", Description: "The request has no ticket, and its audience is no resource server"},

	// The protection API.
	uma.NoPAT:                    {Status: http.StatusUnauthorized, Code: "invalid_token"},
	uma.NotAResourceServer:       {Status: http.StatusForbidden, Code: "insufficient_scope"},
	uma.NoProtectionScope:        {Status: http.StatusForbidden, Code: "insufficient_scope", Description: "The token lacks the scope uma_protection"},
	uma.InvalidPermissionRequest: {Status: http.StatusBadRequest, Code: "invalid_request", Description: "The body must be a permission or an array of them"},
	uma.InvalidResourceID:        {Status: http.StatusBadRequest, Code: "invalid_resource_id"},
	uma.InvalidPermission:        {Status: http.StatusBadRequest, Code: "invalid_request"},
	uma.NotOwner:                 {Status: http.StatusForbidden, Code: "access_denied"},
	uma.Forbidden:                {Status: http.StatusNotFound, Code: "not_found"}, // of another owner: as if it were not there
	uma.NotFound:                 {Status: http.StatusNotFound, Code: "not_found"},
	uma.Conflict:                 {Status: http.StatusBadRequest, Code: "invalid_request"},
	uma.UnknownUser:              {Status: http.StatusNotFound, Code: "not_found"},
	uma.AmbiguousUser:            {Status: http.StatusBadRequest, Code: "invalid_request"},

	// Other endpoints.
	uma.InvalidToken:      {Status: http.StatusUnauthorized, Code: "invalid_token"},
	uma.InsufficientScope: {Status: http.StatusForbidden, Code: "insufficient_scope"},
	uma.RealmNotFound:     {Status: http.StatusNotFound, Code: "not_found", Description: "There is no such realm"},
	uma.RealmDisabled:     {Status: http.StatusForbidden, Code: "access_denied", Description: "The realm is disabled"},

	// What passes.
	uma.PolicyFailed: {Status: http.StatusServiceUnavailable, Code: "server_error", Description: "The policy could not be evaluated"},
	uma.Busy:         {Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "Too much is going on: try again"},
}

// sentences are those of this face alone, the first as in the example of FedAuthz §4.3.
var sentences = wire.Sentences{
	uma.ResourceNotRegistered: "Permission request failed with bad resource ID.",
	uma.ResourceLacksScope:    "Permission request failed with bad resource scope.",
}

var vocabulary = wire.Vocabulary{
	Phrases: phrases, Sentences: sentences, Fixed: []uma.Reason{uma.NotFound, uma.Forbidden, uma.RealmNotFound},
}

// Words returns the answer to a refusal as the specifications have it.
func Words(e *uma.Error) wire.Refusal {
	r := vocabulary.Words(e)
	r.Challenge = r.Code == "invalid_token" || r.Code == "insufficient_scope"
	if e.Reason == uma.NoProtectionScope || e.Reason == uma.NotAResourceServer {
		r.Scope = "uma_protection"
	}
	return r
}
