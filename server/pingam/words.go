package pingam

import (
	"strings"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
)

// Dialect is how the face says refusals.
var Dialect = wire.Dialect{Words: uma2.Words}

// JSONDialect is that of the /json endpoints.
var JSONDialect = wire.Dialect{Words: uma2.Words}

// Innermost leaves of nested realms in a path the last.
func Innermost(path string) string {
	const root = "/realms/root"
	before, rest, found := strings.Cut(path, root)
	if !found {
		return path
	}
	last := ""
	for {
		after, more := strings.CutPrefix(rest, "/realms/")
		if !more {
			break
		}
		name, _, _ := strings.Cut(after, "/")
		last, rest = "/realms/"+name, after[len(name):]
	}
	return before + root + last + rest
}
