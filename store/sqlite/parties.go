package sqlite

import (
	"slices"

	"example.com/umpire/uma"
)

// Who a share may be for is written as a text with the kind in front.
const (
	aUser   = "u:"
	aGroup  = "g:"
	aRole   = "r:"
	aClient = "c:"
)

// indexParties returns the parties that a share is found by. Who a UNANIMOUS share is
// for is in every list that is not empty, so the narrowest is enough; of any other
// one list may do.
func indexParties(s *uma.Share) []string {
	var parties []string
	for _, kind := range []struct {
		is    string
		names []string
	}{{aUser, s.Users}, {aGroup, s.Groups}, {aRole, s.Roles}, {aClient, s.Clients}} {
		for _, name := range kind.names {
			parties = append(parties, kind.is+name)
		}
		if s.Strategy == unanimous && len(parties) > 0 {
			break
		}
	}
	slices.Sort(parties)
	return slices.Compact(parties)
}

// partiesOf returns all that a party is.
func partiesOf(p *uma.Party) []string {
	var parties []string
	add := func(kind string, names ...string) {
		for _, name := range names {
			if name != "" {
				parties = append(parties, kind+name)
			}
		}
	}
	add(aUser, p.ID)
	add(aGroup, p.Groups...)
	add(aRole, p.Roles...)
	add(aClient, p.Client)
	return parties
}
