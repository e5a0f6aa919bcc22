// Package account is the owner's own API, as Keycloak's account console speaks it.
package account

import "example.com/umpire/uma"

// Face serves it.
type Face struct {
	Authority *uma.Authority
}
