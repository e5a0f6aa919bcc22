package rows

import (
	"slices"
	"strings"

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

// MayShare reports whether a resource with these scopes can be shared so: it has all scopes of the
// share, and none if the share is for the resource as a whole.
func MayShare(has []uma.Scope, s *uma.Share) bool {
	return (len(s.Scopes) > 0 || len(has) == 0) && ContainsAll(has, s.Scopes)
}

// ContainsAll reports whether a list has all of some values.
func ContainsAll[T comparable](list, all []T) bool {
	return !slices.ContainsFunc(all, func(one T) bool { return !slices.Contains(list, one) })
}

// MatchesPolicy returns a function that compares a policy with the filters of f that
// are compared: a part of its name without case, and a scope.
func MatchesPolicy(f uma.UserPolicyFilter) func(s *uma.Share) bool {
	part := Fold(f.Name)
	return func(s *uma.Share) bool {
		return strings.Contains(Fold(s.Name), part) && (f.Scope == "" || slices.Contains(s.Scopes, f.Scope))
	}
}

// IsSharable reports whether the owner of a resource may share these scopes of it. What was
// granted can be revoked of any.
func IsSharable(r *uma.Resource, granted []uma.Scope) bool {
	if len(granted) > 0 && !r.OwnerManaged {
		return false
	}
	return !slices.ContainsFunc(granted, func(scope uma.Scope) bool {
		whole := scope == uma.Everything && len(r.Scopes) == 0
		return !whole && !slices.Contains(r.Scopes, scope)
	})
}
