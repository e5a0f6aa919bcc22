package account

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is how the face says refusals: in Keycloak's words, of which the account
// API has some of its own.
var Dialect = wire.Dialect{Words: words}

func words(e *uma.Error) wire.Refusal {
	r := keycloak.Words(e)
	switch e.Reason {
	case uma.NotFound: // also of a resource that the caller may not see
		r.Code = "resource_not_found"
	case uma.InvalidPermission:
		r.Status, r.Code = http.StatusBadRequest, "invalid_permissions"
	}
	return r
}
