// Package legacy is the face of Keycloak's Authorization API before version 4:
// /authz/authorize and /authz/entitlement.
package legacy

import "example.com/umpire/uma"

// Face serves it.
type Face struct {
	Authority *uma.Authority
}
