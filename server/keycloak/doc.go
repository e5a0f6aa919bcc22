// Package keycloak is the face of Keycloak's Authorization Services: the
// protection API ({base}/authz/protection), and the words of a realm's own
// endpoints. It holds representations, statuses and texts: words.go has the answer to each
// refusal. The rooms of uma do the work.
package keycloak

import (
	"example.com/umpire/server/wire"
	"example.com/umpire/uma/protection"
)

// The rules of the face: permission tickets and policies take any token of the resource
// server's client, resources and permission requests one with the role uma_protection.
var (
	AnyPAT  = protection.Rules{PAT: protection.AnyToken}
	RolePAT = protection.Rules{PAT: protection.WithRole}
)

// A Face serves the protection API.
type Face struct {
	Core *wire.Core
}
