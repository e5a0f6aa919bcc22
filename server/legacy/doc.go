// Package legacy is the face of Keycloak's Authorization API before version 4:
// /authz/authorize, /authz/entitlement and the permission endpoints of that time.
package legacy

import "example.com/umpire/server/wire"

// Face serves it.
type Face struct {
	Core *wire.Core
}
