package grant

import (
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// A result is what became of one wanted permission.
type result struct {
	*wanted
	granted []uma.Scope // of scopes; empty for a resource without scopes that was granted
	whole   bool        // a resource without scopes was granted
	needs   []uma.Need
	submit  []uma.Scope // of scopes; {Everything} for a resource without scopes
	output  *uma.Output
	shares  []uma.GrantShare
	rests   []*uma.Share

	// failed says that the policy gave no answer. Broken, that a built-in function
	// failed, which what a client pushes could provoke: nothing is granted then,
	// and that is all.
	failed error
	broken bool
}

// got reports whether anything of the permission was granted.
func (r *result) got() bool { return r.whole || len(r.granted) > 0 }

// all reports whether everything that was requested of it was granted. Without
// scopes, what was requested is the resource, and any scope that an RPT carries on
// it will do.
func (r *result) all() bool {
	if len(r.asked) == 0 {
		return r.got()
	}
	return hasAll(r.granted, r.asked)
}

func hasAll(have, want []uma.Scope) bool {
	in := sets.Has(have)
	return !slices.ContainsFunc(want, func(s uma.Scope) bool { return !in(s) })
}

// gotRequested reports whether anything that was requested of it was granted.
func (r *result) gotRequested() bool {
	if len(r.asked) == 0 {
		return r.got()
	}
	return len(sets.Within(r.asked, r.granted)) > 0
}

// A verdict is the one answer to a request.
type verdict int

const (
	refused   verdict = iota // Denied with a ticket, else NotAuthorized
	grant                    // an RPT with what was granted
	needInfo                 // the policy wants claims
	submitted                // the owner is asked
)

// conditions are what the answer depends on besides the results.
type conditions struct {
	ticket       bool
	submit       bool // asking owners is allowed: a ticket, and no submit_request=false
	upgrade      bool // an RPT was given
	carried      bool // what was carried is as good as what is requested
	allOrNothing bool // the realm grants all or nothing
	unmet        unmet
	every        []uma.ResourceID // each must be granted, with the scopes that are listed for it
}

// answer makes one answer of many results. It is the whole of the rules of
// merging: docs/design.md, "The answer".
func answer(results []result, c conditions) verdict {
	if grants(results, c) {
		return grant
	}
	if !c.ticket {
		return refused
	}
	for _, r := range results {
		if len(r.needs) > 0 {
			return needInfo
		}
	}
	for _, r := range results {
		if c.submit && len(r.submit) > 0 {
			return submitted
		}
	}
	return refused
}

// grants reports whether the results make an RPT. Anything requested that was granted
// does. With an RPT to upgrade, at least one scope of each named resource must be
// granted, and with a ticket every scope that it lists; a realm that grants all or
// nothing requires all that was named or is in the ticket. Permissions that a limit cut
// off, or that do not exist, count as requested. If one name or URI finds several
// resources, a yes for an answer means that all are granted.
func grants(results []result, c conditions) bool {
	if (c.upgrade || c.allOrNothing) && c.unmet.resource || (c.upgrade && c.ticket || c.allOrNothing) && c.unmet.scope {
		return false
	}
	for _, id := range c.every {
		if !slices.ContainsFunc(results, func(r result) bool {
			return r.resource != nil && r.resource.ID == id && r.got() && hasAll(r.granted, r.listed)
		}) {
			return false
		}
	}
	any := false
	for _, r := range results {
		any = any || r.requested && r.gotRequested() || c.carried && r.got()
		if !r.requested {
			continue
		}
		switch { // what was found by a search stays partial
		case c.upgrade && r.named && !r.gotRequested(),
			c.upgrade && r.named && c.ticket && !hasAll(r.granted, r.listed),
			c.allOrNothing && (r.named || c.ticket) && !r.all():
			return false
		}
	}
	return any
}

// upgraded reports whether every permission of a former RPT is still among those
// granted: the same resource and a scope in common, or the same scope.
func upgraded(former []uma.GrantedPermission, now []uma.Grant) bool {
	for _, f := range former {
		if !slices.ContainsFunc(now, func(g uma.Grant) bool {
			return f.Resource() == g.Resource &&
				(len(f.Scopes) == 0 && len(g.Scopes) == 0 || len(sets.Within(f.Scopes, g.Scopes)) > 0)
		}) {
			return false
		}
	}
	return true
}
