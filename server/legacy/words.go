package legacy

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is how the face says refusals: as Keycloak still does, but for what is
// below.
var Dialect = wire.Dialect{Words: Words, Body: body}

// differ are the statuses and codes that were others then. A code that is empty
// is that of today.
var differ = map[uma.Reason]struct {
	status int
	code   string
}{
	uma.Denied:                 {http.StatusForbidden, "not_authorized"},
	uma.NotAuthorized:          {http.StatusForbidden, "not_authorized"},
	uma.Submitted:              {http.StatusForbidden, "not_authorized"},
	uma.InvalidResource:        {http.StatusForbidden, "invalid_resource"},
	uma.InsufficientScope:      {http.StatusForbidden, "invalid_scope"},
	uma.ResourceServerBad:      {http.StatusBadRequest, "invalid_clientId"},
	uma.NoResourceSet:          {http.StatusBadRequest, "invalid_resource_set_id"},
	uma.UnknownResourceSet:     {http.StatusBadRequest, "nonexistent_resource_set_id"},
	uma.UnknownResourceSetName: {http.StatusBadRequest, "nonexistent_resource_set_name"},
}

// Words says a refusal of the Core.
func Words(e *uma.Error) wire.Refusal {
	if e.Reason == uma.UnusableBearer { // here it is what every request begins with
		e = uma.Refuse(uma.NoPAT, "", e)
	}
	d, ok := differ[e.Reason]
	if !ok {
		return keycloak.Words(e)
	}
	return wire.Refusal{Status: d.status, Code: d.code, Description: keycloak.Sentence(e)}
}

// body leaves empty what was empty.
func body(r *wire.Refusal) any {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		return nil
	}
	return wire.OAuthBody(r)
}
