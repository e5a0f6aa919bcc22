package pingam

import (
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Innermost leaves of nested realms in a path of the face, /realms/root/realms/a/realms/b,
// the last: that is the realm here.
func Innermost(path string) string {
	const root = "/realms/root"
	before, rest, found := strings.Cut(path, root)
	switch strings.TrimPrefix(before, "/am") {
	case "/uma", "/oauth2", "/json":
	default:
		found = false
	}
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

// URL is where one of the realm's endpoints of the face is: of "uma", "oauth2" or
// "json".
func URL(a *wire.Core, s *uma.Snapshot, of string) string {
	return a.PublicURL.Root() + "/am/" + of + "/realms/root/realms/" + s.Realm.Name
}
