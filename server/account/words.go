package account

import (
	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
)

// Dialect is how the face says refusals.
var Dialect = wire.Dialect{Words: uma2.Words}
