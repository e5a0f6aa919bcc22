// Package account is the face of Keycloak's account API: what owners do with their own
// resources.
package account

import "example.com/umpire/server/wire"

// Face holds the handlers of the account API.
type Face struct {
	Core *wire.Core
}
