package wso2

import (
	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
)

// Dialect is how the face says refusals.
var Dialect = wire.Dialect{Words: uma2.Words}

// RegistrationDialect is that of the resource registration endpoint.
var RegistrationDialect = wire.Dialect{Words: uma2.Words}
