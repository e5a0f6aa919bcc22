// Package uma2 is the face of the specifications: UMA 2.0 Grant and Federated
// Authorization, strictly, for realms with the profile uma2.
package uma2

import "example.com/umpire/server/wire"

// A Face holds the handlers of the protection API.
type Face struct {
	Core *wire.Core
}
