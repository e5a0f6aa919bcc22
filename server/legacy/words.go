package legacy

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is how the face says refusals: as Keycloak still does, with the differences
// below.
var Dialect = wire.Dialect{Words: Words, Body: body}

// differ are the statuses and codes that differ from today's.
var differ = map[uma.Reason]struct {
	status int
	code   string
}{
	uma.Denied:            {http.StatusForbidden, "not_authorized"},
	uma.NotAuthorized:     {http.StatusForbidden, "not_authorized"},
	uma.Submitted:         {http.StatusForbidden, "not_authorized"},
	uma.InvalidResource:   {http.StatusForbidden, "invalid_resource"},
	uma.InsufficientScope: {http.StatusForbidden, "invalid_scope"},
	uma.ResourceServerBad: {http.StatusBadRequest, "invalid_clientId"},
}

// codes are those of a permission request whose resource is invalid.
var codes = map[uma.FaultKind]string{
	uma.NoResourceNamed:       "invalid_resource_set_id",
	uma.ResourceNotRegistered: "nonexistent_resource_set_id",
	uma.ResourceNameUnknown:   "nonexistent_resource_set_name",
}

// sentences are those that differ from today's.
var sentences = wire.Sentences{
	uma.ResourceNotRegistered: "Resource set with id[{resource}] does not exists in this server.",
	uma.ResourceNameUnknown:   "Resource set with name[{name}] does not exists in this server.",
	uma.NotResourceServer:     "Client application [{client}] is not registered as resource server.",
	uma.NotServiceAccount:     "Client application with id [{user}] does not exist in realm [{name}]",
}

// Words returns what the face says of a refusal.
func Words(e *uma.Error) wire.Refusal {
	if e.Reason == uma.UnusableBearer { // here it is what every request begins with
		e = uma.Reject(uma.NoPAT, uma.Fault{}, e)
	}
	r := keycloak.Words(e)
	if d, ok := differ[e.Reason]; ok {
		r = wire.Refusal{Status: d.status, Code: d.code, Description: keycloak.Sentence(e)}
	}
	if code, ok := codes[e.Fault.Kind]; ok && e.Reason == uma.InvalidResourceID {
		r.Code = code
	}
	if sentences[e.Fault.Kind] != "" {
		r.Description = sentences.Say(e.Fault)
	}
	return r
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
