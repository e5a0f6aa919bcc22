package wso2

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is that of the OAuth endpoints.
var Dialect = wire.Dialect{Words: uma2.Words}

// PermissionDialect is that of the permission endpoint.
var PermissionDialect = wire.Dialect{Words: permissionWords}

// RegistrationDialect is that of the resource registration endpoint.
var RegistrationDialect = wire.Dialect{Words: registrationWords, Body: showError}

func permissionWords(e *uma.Error) wire.Refusal {
	r := uma2.Words(e)
	switch e.Reason {
	case uma.InvalidScope:
		r.Code = "invalid_resource_scope"
	case uma.InvalidPermissionRequest: // one that is no array is none here
		r.Description = "The body must be an array of permissions"
	}
	return r
}

func registrationWords(e *uma.Error) wire.Refusal {
	r := uma2.Words(e)
	if e.Reason == uma.Conflict {
		r.Status, r.Code = http.StatusConflict, "conflict"
	}
	return r
}

// An errorBody is how the registration endpoint says what is wrong.
type errorBody struct {
	Code        string `json:"code"`
	Description string `json:"description"`
}

func showError(r *wire.Refusal) any {
	if r.Description == "" {
		return errorBody{r.Code, http.StatusText(r.Status)}
	}
	return errorBody{r.Code, r.Description}
}
