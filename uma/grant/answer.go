package grant

import (
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// anyGranted reports whether any scope of the permission was granted, or the resource.
func (d *decision) anyGranted() bool { return d.whole || len(d.granted) > 0 }

// allGranted reports whether all requested scopes of the permission were granted. If no scope
// was requested but the resource, any scope that an RPT carries on it is enough.
func (d *decision) allGranted() bool {
	if len(d.asked) == 0 {
		return d.anyGranted()
	}
	return hasAll(d.granted, d.asked)
}

func hasAll(have, want []uma.Scope) bool {
	in := sets.Has(have)
	return !slices.ContainsFunc(want, func(s uma.Scope) bool { return !in(s) })
}

// requestedGranted reports whether any requested scope of the permission was granted.
func (d *decision) requestedGranted() bool {
	if len(d.asked) == 0 {
		return d.anyGranted()
	}
	return len(sets.Within(d.asked, d.granted)) > 0
}

// A verdict is the kind of the answer to a request.
type verdict int

const (
	refused   verdict = iota // Denied with a ticket, else NotAuthorized
	grant                    // an RPT with what was granted
	needInfo                 // the policy wants claims
	submitted                // the owner is asked
)

// conditions are what the answer depends on besides the decisions.
type conditions struct {
	ticket       bool
	submit       bool // asking owners is allowed: a ticket, and no submit_request=false
	upgrade      bool // an RPT was given
	carried      bool // carried permissions count as requested ones
	allOrNothing bool // the realm grants all or nothing
	unmet        unmet
	every        []uma.ResourceID // each must be granted, with the scopes that are listed for it
}

// judge turns the decisions on all permissions into one verdict (docs/design.md, "The
// answer"). It has all rules for that.
func judge(decisions []*decision, c conditions) verdict {
	if isGranted(decisions, c) {
		return grant
	}
	if !c.ticket {
		return refused
	}
	for _, d := range decisions {
		if len(d.needs) > 0 {
			return needInfo
		}
	}
	for _, d := range decisions {
		if c.submit && len(d.submit) > 0 {
			return submitted
		}
	}
	return refused
}

// isGranted reports whether the decisions result in an RPT. One granted permission that was
// requested is enough. With an RPT to upgrade, at least one scope of each named resource
// must be granted, and with a ticket every scope that it lists. A realm that grants all or
// nothing requires all that was named or is in the ticket. Permissions that a limit cut
// off, or that do not exist, count as requested. If one name or URI finds several
// resources and the answer is only whether it is granted, all of them must be.
func isGranted(decisions []*decision, c conditions) bool {
	if (c.upgrade || c.allOrNothing) && c.unmet.resource || (c.upgrade && c.ticket || c.allOrNothing) && c.unmet.scope {
		return false
	}
	for _, id := range c.every {
		if !slices.ContainsFunc(decisions, func(d *decision) bool {
			return d.resource != nil && d.resource.ID == id && d.anyGranted() && hasAll(d.granted, d.listed)
		}) {
			return false
		}
	}
	granted := false
	for _, d := range decisions {
		granted = granted || d.requested && d.requestedGranted() || c.carried && d.anyGranted()
		if !d.requested {
			continue
		}
		switch { // permissions that a search found may be refused in part
		case c.upgrade && d.named && !d.requestedGranted(),
			c.upgrade && d.named && c.ticket && !hasAll(d.granted, d.listed),
			c.allOrNothing && (d.named || c.ticket) && !d.allGranted():
			return false
		}
	}
	return granted
}

// upgraded reports whether every permission of a former RPT is still among those granted:
// the same resource and a scope in common, or the same scope. With UpgradeAll, all its
// scopes.
func (r Rules) upgraded(former []uma.GrantedPermission, now []uma.Grant) bool {
	for _, f := range former {
		if !slices.ContainsFunc(now, func(g uma.Grant) bool {
			if f.Resource() != g.Resource {
				return false
			}
			common := sets.Within(f.Scopes, g.Scopes)
			switch {
			case len(f.Scopes) == 0:
				return len(g.Scopes) == 0
			case r.UpgradeAll:
				return len(common) == len(f.Scopes)
			}
			return len(common) > 0
		}) {
			return false
		}
	}
	return true
}
