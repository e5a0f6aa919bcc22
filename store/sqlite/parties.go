package sqlite

import (
	"slices"
	"strconv"
	"strings"

	"example.com/umpire/uma"
)

// The kinds of parties in share_party.
const (
	userPrefix   = "u:"
	groupPrefix  = "g:"
	rolePrefix   = "r:"
	clientPrefix = "c:"
)

// indexParties returns the parties that a share is found by. A party of a UNANIMOUS
// share is in each of its lists, unless that is empty, so the narrowest list is enough.
// A party of any other share may be in one list alone.
func indexParties(s *uma.Share) []string {
	var parties []string
	for _, kind := range []struct {
		prefix string
		names  []string
	}{{userPrefix, s.Users}, {groupPrefix, s.Groups}, {rolePrefix, s.Roles}, {clientPrefix, s.Clients}} {
		for _, name := range kind.names {
			parties = append(parties, kind.prefix+name)
		}
		if s.Strategy == unanimous && len(parties) > 0 {
			break
		}
	}
	slices.Sort(parties)
	return slices.Compact(parties)
}

// partyText is one text for all that sharing depends on of a party, in whatever order its roles
// and groups are.
func partyText(p *uma.Party) string {
	parties := append(partiesOf(p), userPrefix+p.ID) // also of a party without an id
	slices.Sort(parties)
	size := 0
	for _, name := range parties {
		size += len(name) + 2
	}
	var text strings.Builder
	text.Grow(size)
	for _, name := range parties {
		text.WriteString(strconv.Itoa(len(name)))
		text.WriteString(name)
	}
	return text.String()
}

// partiesOf returns the parties by which shares for p are found.
func partiesOf(p *uma.Party) []string {
	parties := make([]string, 0, len(p.Groups)+len(p.Roles)+3)
	add := func(kind string, names ...string) {
		for _, name := range names {
			if name != "" {
				parties = append(parties, kind+name)
			}
		}
	}
	add(userPrefix, p.ID)
	add(groupPrefix, p.Groups...)
	add(rolePrefix, p.Roles...)
	add(clientPrefix, p.Client)
	return parties
}
