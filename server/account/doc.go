// Package account is the owner's own API, as Keycloak's account console speaks it.
package account

import "example.com/umpire/server/wire"

// Face serves it.
type Face struct {
	Core *wire.Core
}
