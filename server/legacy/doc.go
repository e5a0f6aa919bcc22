// Package legacy is the face of Keycloak's Authorization API before version 4:
// /authz/authorize, /authz/entitlement and the permission endpoints of that time.
package legacy

import (
	"example.com/umpire/server/wire"
	"example.com/umpire/uma/protection"
)

// ProtectionRules are those of the permission endpoints.
var ProtectionRules = protection.Rules{PAT: protection.OfServiceAccount, LeaveOutUnknownScopes: true}

// A Face holds the handlers.
type Face struct {
	Core *wire.Core
}
