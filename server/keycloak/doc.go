// Package keycloak is the face of Keycloak's Authorization Services: the
// protection API ({base}/authz/protection), and the words of a realm's own
// endpoints. It holds representations, statuses and texts; what is done is the
// Authority's.
package keycloak

import "example.com/umpire/server/wire"

// A Face serves the protection API.
type Face struct {
	Core *wire.Core
}
