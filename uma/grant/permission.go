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
	listed    []uma.Scope // of asked: those that the request lists; without any, it asks for the resource
	named     bool        // by id, name or URI, or by the ticket: not found by a search
	carried   bool
	former    *uma.GrantedPermission // in the RPT, if nothing but that asks for it
}

// requested is what a request asks for.
type requested struct {
	permissions []*permission
	several     []uma.ResourceID // that one name or URI leads to
	unmet       unmet
}

// unmet are the permissions in a request that get no decision.
type unmet struct {
	resource bool // one that leads nowhere, has none of the scopes asked for, or is beyond the limit
	scope    bool // one that no resource of that name has
}

// find returns the permission for the same resource, or without a resource for the same
// scopes; nil if there is none.
func (w *requested) find(p *permission) *permission {
	i := slices.IndexFunc(w.permissions, func(have *permission) bool {
		if p.resource == nil || have.resource == nil {
			return p.resource == have.resource && slices.Equal(p.scopes, have.scopes)
		}
		return have.resource.ID == p.resource.ID
	})
	if i < 0 {
		return nil
	}
	return w.permissions[i]
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
