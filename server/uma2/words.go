package uma2

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is that of the specifications: OAuth 2.0's JSON (RFC 6749 §5.2) with
// the codes of UMA Grant §3.3.6 and FedAuthz §3.2, §4.3 and §6.
var Dialect = wire.Dialect{Words: Words}

// A phrase is how the specifications say a reason. The description is that of an
// error that has none of its own.
type phrase struct {
	status      int
	code        string
	description string
}

// phrases has every reason of errors.go; those of the legacy API are said there.
var phrases = map[uma.Reason]phrase{
	// The token endpoint.
	uma.InvalidRequest:       {http.StatusBadRequest, "invalid_request", ""},
	uma.InvalidClient:        {http.StatusUnauthorized, "invalid_client", "Client authentication failed"},
	uma.InvalidGrant:         {http.StatusBadRequest, "invalid_grant", ""},
	uma.UnauthorizedClient:   {http.StatusBadRequest, "unauthorized_client", ""},
	uma.UnsupportedGrantType: {http.StatusBadRequest, "unsupported_grant_type", ""},
	uma.InvalidScope:         {http.StatusBadRequest, "invalid_scope", ""},
	uma.NeedInfo:             {http.StatusForbidden, "need_info", ""},
	uma.Denied:               {http.StatusForbidden, "request_denied", ""},
	uma.Submitted:            {http.StatusForbidden, "request_submitted", ""},
	uma.NotAuthorized:        {http.StatusForbidden, "request_denied", ""},
	uma.UnusableTicket:       {http.StatusBadRequest, "invalid_grant", ""},
	uma.UnusableRPT:          {http.StatusBadRequest, "invalid_grant", "The rpt cannot be upgraded"},
	uma.UnusableBearer:       {http.StatusUnauthorized, "invalid_token", ""},
	uma.UnusableClaims:       {http.StatusBadRequest, "invalid_grant", ""},
	uma.UnusableIdentity:     {http.StatusBadRequest, "invalid_grant", "The identity that the token is about is not good"},
	uma.PublicMayNotPush:     {http.StatusForbidden, "unauthorized_client", "Public clients may not push claims"},
	uma.InvalidResource:      {http.StatusBadRequest, "invalid_resource_id", ""},
	uma.ResourceServerBad:    {http.StatusBadRequest, "invalid_request", "The request has no ticket, and its audience is no resource server"},

	// The protection API.
	uma.NoPAT:                    {http.StatusUnauthorized, "invalid_token", ""},
	uma.NotAResourceServer:       {http.StatusForbidden, "insufficient_scope", ""},
	uma.NoProtectionScope:        {http.StatusForbidden, "insufficient_scope", "The token lacks the scope uma_protection"},
	uma.InvalidPermissionRequest: {http.StatusBadRequest, "invalid_request", "The body must be a permission or an array of them"},
	uma.InvalidResourceID:        {http.StatusBadRequest, "invalid_resource_id", ""},
	uma.InvalidPermission:        {http.StatusBadRequest, "invalid_request", ""},
	uma.NotOwner:                 {http.StatusForbidden, "access_denied", ""},
	uma.Forbidden:                {http.StatusNotFound, "not_found", ""}, // of another owner: as if it were not there
	uma.NotFound:                 {http.StatusNotFound, "not_found", ""},
	uma.Conflict:                 {http.StatusBadRequest, "invalid_request", ""},
	uma.UnknownUser:              {http.StatusNotFound, "not_found", ""},
	uma.AmbiguousUser:            {http.StatusBadRequest, "invalid_request", ""},

	// Other endpoints.
	uma.InvalidToken:      {http.StatusUnauthorized, "invalid_token", ""},
	uma.InsufficientScope: {http.StatusForbidden, "insufficient_scope", ""},
	uma.RealmNotFound:     {http.StatusNotFound, "not_found", "There is no such realm"},
	uma.RealmDisabled:     {http.StatusForbidden, "access_denied", "The realm is disabled"},

	// What passes.
	uma.PolicyFailed: {http.StatusServiceUnavailable, "server_error", "The policy could not be evaluated"},
	uma.Busy:         {http.StatusServiceUnavailable, "temporarily_unavailable", "Too much is going on: try again"},
}

// sentences are those of this face alone, the first as in the example of FedAuthz §4.3.
var sentences = wire.Sentences{
	uma.ResourceNotRegistered: "Permission request failed with bad resource ID.",
	uma.ResourceLacksScope:    "Permission request failed with bad resource scope.",
}

// Words returns the answer to a refusal as the specifications have it.
func Words(e *uma.Error) wire.Refusal {
	p, ok := phrases[e.Reason]
	if !ok {
		p = phrase{http.StatusInternalServerError, "server_error", ""}
	}
	said := sentences.Say(e.Fault)
	if said == "" {
		said = e.Description
	}
	r := wire.Refusal{
		Status: p.status, Code: p.code, Description: p.description,
		Ticket: e.Ticket, Interval: e.Interval, RequiredClaims: e.RequiredClaims,
		Challenge: p.code == "invalid_token" || p.code == "insufficient_scope",
		Retry:     p.status == http.StatusServiceUnavailable,
	}
	switch e.Reason {
	case uma.NoProtectionScope, uma.NotAResourceServer:
		r.Scope = "uma_protection"
	case uma.NotFound, uma.Forbidden, uma.RealmNotFound: // the same bytes whatever was looked for
	default:
		if said != "" {
			r.Description = said
		}
	}
	return r
}
