package rows

import (
	"slices"

	"example.com/umpire/uma"
)

// The strategies of shares that stores tell apart.
const (
	Unanimous   = "UNANIMOUS"
	Affirmative = "AFFIRMATIVE"
)

// ShareOf returns a granted request in the form of a share, as decisions see it.
func ShareOf(q *uma.Request) uma.Share {
	s := uma.Share{
		Key: q.Key, ID: q.ID, Kind: uma.ByRequest, Server: q.Server, Resource: q.Resource, ResourceID: q.ResourceID,
		Owner: q.Owner, Users: []string{q.Requester}, Strategy: Unanimous, Version: q.Version,
	}
	if q.Scope != "" {
		s.Scopes = []uma.Scope{q.Scope}
	}
	return s
}

// ShareSize is how many bytes of a record a share takes.
func ShareSize(s *uma.Share) int {
	size := len(s.ID) + len(s.Name) + len(s.Strategy) + len(ListText(s.Scopes))
	for _, list := range [][]string{s.Users, s.Roles, s.Groups, s.Clients} {
		size += len(ListText(list))
	}
	return size
}

// SameShare reports whether two states of a share are equal, except for their versions.
func SameShare(a, b *uma.Share) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Strategy == b.Strategy &&
		slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.Users, b.Users) && slices.Equal(a.Roles, b.Roles) &&
		slices.Equal(a.Groups, b.Groups) && slices.Equal(a.Clients, b.Clients)
}

// OnlyAddsParties reports whether a share is still for everybody whom it was for. A
// list that was empty and now names somebody is one more condition to meet, unless the
// strategy is AFFIRMATIVE.
func OnlyAddsParties(old, next *uma.Share) bool {
	if old.Strategy != next.Strategy {
		return false
	}
	for _, kind := range [][2][]string{{old.Users, next.Users}, {old.Groups, next.Groups},
		{old.Roles, next.Roles}, {old.Clients, next.Clients}} {
		was, is := kind[0], kind[1]
		if !ContainsAll(is, was) || len(was) == 0 && len(is) > 0 && old.Strategy != Affirmative {
			return false
		}
	}
	return true
}

// ContainsAll reports whether a list has all of some values.
func ContainsAll[T comparable](list, all []T) bool {
	return !slices.ContainsFunc(all, func(one T) bool { return !slices.Contains(list, one) })
}
