package grant

import (
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// accept takes the policy's output for a permission if it keeps to the contract.
func (d *decision) accept(out *uma.Output, shares []uma.Share) error {
	d.output = out
	var err error
	if d.granted, d.whole, err = d.expand("granted", out.Granted); err != nil {
		return err
	}
	var whole bool
	if d.submit, whole, err = d.expand("submit", out.Submit); err != nil {
		return err
	}
	if whole {
		d.submit = []uma.Scope{uma.Everything}
	}
	d.needs = out.NeedInfo
	return d.acceptShares(out, shares)
}

// expand turns the scopes of an output into some of those asked for, in their order; "*"
// is all of them, and stands for a resource without scopes.
func (d *decision) expand(member string, scopes []uma.Scope) (some []uma.Scope, whole bool, err error) {
	for _, s := range scopes {
		if s != uma.Everything && !slices.Contains(d.scopes, s) {
			return nil, false, fmt.Errorf("policy: %s has %q, which was not asked for", member, s)
		}
	}
	if !slices.Contains(scopes, uma.Everything) {
		return sets.Within(d.scopes, scopes), false, nil
	}
	return d.scopes, len(d.scopes) == 0, nil
}

// acceptShares notes the shares that the grant rests on.
func (d *decision) acceptShares(out *uma.Output, shares []uma.Share) error {
	if d.resource == nil {
		if len(out.RestsOn) > 0 {
			return errors.New("policy: rests_on without a resource")
		}
		return nil
	}
	for i := range shares {
		s := &shares[i]
		if s.Resource != d.resource.Key || !out.SharesUnknown && !slices.Contains(out.RestsOn, s.ID) {
			continue
		}
		d.restsOn = append(d.restsOn, s)
		d.shares = append(d.shares, uma.GrantShare{ID: s.ID, Version: s.Version, Scopes: sets.Within(d.granted, s.Scopes)})
	}
	if !out.SharesUnknown && len(d.restsOn) < len(out.RestsOn) {
		return errors.New("policy: rests_on has an id that is none of the shares")
	}
	return nil
}

// askable is what the owner may be asked for of what the policy wants submitted. Only a
// user can ask, and only somebody else who manages the resource. No owner is asked for
// the result of a search, such as for a scope alone: every owner with such a resource
// would be asked.
func (q *question) askable(d *decision) []uma.Scope {
	r := d.resource
	if !d.requested || !d.named || r == nil || q.party.User == nil || !r.OwnerManaged ||
		r.Owner == q.server.UUID || r.Owner == q.party.Subject {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.submit), func(s uma.Scope) bool { return !q.canAsk(d, s) })
}

// canAsk reports whether an owner can be asked for a scope: it was requested, it is the
// resource's own (the owner cannot share one of the type), and it is not yet shared.
func (q *question) canAsk(d *decision, s uma.Scope) bool {
	if s != uma.Everything && (!slices.Contains(d.asked, s) || !slices.Contains(d.resource.Scopes, s)) {
		return false
	}
	return !slices.ContainsFunc(q.shares, func(share uma.Share) bool {
		return share.Kind == uma.ByRequest && share.Resource == d.resource.Key &&
			(slices.Contains(share.Scopes, s) || s == uma.Everything && len(share.Scopes) == 0)
	})
}
