package rows

import (
	"slices"

	"example.com/umpire/uma"
)

// The kinds of parties that shares are found by: each begins the text of a party of its kind.
const (
	UserPrefix   = "u:"
	GroupPrefix  = "g:"
	RolePrefix   = "r:"
	ClientPrefix = "c:"
)

// IndexedParties returns the parties that a share is found by, sorted. A party of a UNANIMOUS
// share is in each of its lists, unless that is empty, so the narrowest list is enough.
// A party of any other share may be in one list alone.
func IndexedParties(s *uma.Share) []string {
	var parties []string
	for _, kind := range []struct {
		prefix string
		names  []string
	}{{UserPrefix, s.Users}, {GroupPrefix, s.Groups}, {RolePrefix, s.Roles}, {ClientPrefix, s.Clients}} {
		for _, name := range kind.names {
			parties = append(parties, kind.prefix+name)
		}
		if s.Strategy == Unanimous && len(parties) > 0 {
			break
		}
	}
	slices.Sort(parties)
	return slices.Compact(parties)
}

// PartiesOf returns the parties by which shares for p are found.
func PartiesOf(p *uma.Party) []string {
	parties := make([]string, 0, len(p.Groups)+len(p.Roles)+3)
	add := func(kind string, names ...string) {
		for _, name := range names {
			if name != "" {
				parties = append(parties, kind+name)
			}
		}
	}
	add(UserPrefix, p.ID)
	add(GroupPrefix, p.Groups...)
	add(RolePrefix, p.Roles...)
	add(ClientPrefix, p.Client)
	return parties
}
