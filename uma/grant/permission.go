package grant

import (
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// A permission is one resource (or none) and the scopes on it to decide: those that are
// requested, and those that an earlier RPT carries.
type permission struct {
	resource  *uma.Resource // nil: scopes asked for without a resource
	scopes    []uma.Scope   // requested and carried; empty: the resource has none
	inherited []uma.Scope   // of scopes: of the resource's type, not its own

	requested bool        // not only carried
	asked     []uma.Scope // of scopes: the requested ones
	listed    []uma.Scope // of asked: those that the request or the ticket lists; none if it asks for all
	named     bool        // the request or the ticket names the resource; false: a search found it
	carried   bool
	former    *uma.GrantedPermission // the permission of the RPT, if only the RPT asks for it
}

// requested is what a request asks for.
type requested struct {
	permissions []*permission
	several     []uma.ResourceID // the resources of a name or URI that finds more than one
	unmet       unmet
}

// unmet says that a part of the request gets no decision.
type unmet struct {
	resource bool // a named resource does not exist, has none of the scopes, or is beyond the limit
	scope    bool // none of the resources with the name has a scope that is listed
}

// find returns the permission for the same resource, or without a resource for the same
// scopes; nil if there is none.
func (r *requested) find(p *permission) *permission {
	i := slices.IndexFunc(r.permissions, func(have *permission) bool {
		if p.resource == nil || have.resource == nil {
			return p.resource == have.resource && slices.Equal(p.scopes, have.scopes)
		}
		return have.resource.ID == p.resource.ID
	})
	if i < 0 {
		return nil
	}
	return r.permissions[i]
}

// join adds a second permission for the same resource. If one is named with scopes and
// the other without, only those scopes are asked for, as in Keycloak: Mixed and
// Mixed#write is Mixed#write.
func (p *permission) join(other permission) {
	p.former = nil
	if p.named && other.named && other.requested && len(p.listed) > 0 != (len(other.listed) > 0) {
		if len(other.listed) == 0 {
			other.scopes = nil
		} else {
			p.scopes, p.asked = nil, nil
		}
	}
	p.scopes = sets.Union(p.scopes, other.scopes)
	p.inherited = sets.Union(p.inherited, other.inherited)
	p.named = p.named || other.named
	p.carried = p.carried || other.carried
	if other.requested {
		p.requested = true
		p.asked = sets.Union(p.asked, other.scopes)
		p.listed = sets.Union(p.listed, other.listed)
	}
}
