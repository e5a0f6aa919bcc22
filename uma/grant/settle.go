package grant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// settle makes one answer of the decisions, commits it, and only then signs.
func (x *assessment) settle(ctx context.Context) (*Answer, error) {
	if err := x.policyFailure(ctx); err != nil {
		return nil, err
	}
	requests := x.toSubmit()
	maySubmit := x.ticket != nil && !x.req.NoSubmit
	c := conditions{
		ticket: x.ticket != nil, submit: maySubmit, upgrade: x.rpt != nil && x.req.Legacy == nil && !x.req.Strict, carried: x.req.Legacy != nil,
		allOrNothing: x.snap.Realm.Policy.AllOrNothing, unmet: x.unmet,
	}
	if x.req.Mode == ModeDecision {
		c.every = x.several
	}
	v := answer(x.results, c)
	if v == needInfo && x.req.Legacy != nil { // whose clients have no claims to bring
		v = refused
	}
	submits := maySubmit && v != needInfo // who lacks a claim is told so first
	st := &uma.Settlement{
		Realm: x.snap.Realm.Key, Now: x.now,
		Records: x.records(ctx, told{word: x.word(v), asksClaims: v == needInfo, asksOwner: submits}),
	}
	if x.ticket != nil {
		st.Ticket, st.Reusable, st.Presenter = x.ticket.Hash, x.snap.Realm.TicketReuse, x.asking.ID
	}
	if submits {
		st.Requests = requests
	}
	if v != grant {
		return nil, x.refuse(ctx, st, v)
	}
	grants := x.grants()
	st.RestsOn = x.rests()
	if x.req.Mode != ModeToken {
		if err := x.commit(ctx, st); err != nil {
			return nil, err
		}
		return &Answer{Permissions: uma.GrantedPermissions(grants)}, nil
	}
	return x.issue(ctx, st, grants)
}

// policyFailure refuses when the policy gave no answer about something that was
// named. The ticket stays unspent, the error is on record. What was only found
// by a search is left out instead.
func (x *assessment) policyFailure(ctx context.Context) error {
	i := slices.IndexFunc(x.results, func(r result) bool {
		return r.failed != nil && r.requested && (r.named || x.ticket != nil)
	})
	if i < 0 {
		return nil
	}
	st := &uma.Settlement{
		Realm: x.snap.Realm.Key, Now: x.now, Records: x.records(ctx, told{word: string(uma.PolicyFailed)}),
	}
	if err := x.keep(ctx, st); err != nil {
		return err
	}
	return uma.Refuse(uma.PolicyFailed, "", x.results[i].failed)
}

// refuse commits a refusal and returns it. It rests on nothing, so nothing is
// checked.
func (x *assessment) refuse(ctx context.Context, st *uma.Settlement, v verdict) error {
	refusal := uma.Refuse(x.refusal(v), "", nil)
	switch {
	case v == needInfo:
		refusal.RequiredClaims = x.requiredClaims()
		st.Successor, refusal.Ticket = x.successor(0)
	case v == submitted && x.req.Strict:
		refusal.Interval = max(x.ticket.Interval, firstInterval)
		st.Successor, refusal.Ticket = x.successor(refusal.Interval)
	}
	if err := x.commit(ctx, st); err != nil {
		return err
	}
	return refusal
}

// A told is the answer to the client, as records have it.
type told struct {
	word                  string // see Record.Answered
	asksClaims, asksOwner bool   // of the client; of owners, by requests that are stored
}

// answeredGranted is the word in records for a granted request. The word for a refusal
// is its Reason, which does not depend on the face.
const answeredGranted = "granted"

// word is the word in records for a verdict.
func (x *assessment) word(v verdict) string {
	if v == grant {
		return answeredGranted
	}
	return string(x.refusal(v))
}

// refusal is the Reason of a verdict that refuses.
func (x *assessment) refusal(v verdict) uma.Reason {
	switch {
	case v == needInfo:
		return uma.NeedInfo
	case v == submitted:
		return uma.Submitted
	case x.ticket != nil:
		return uma.Denied
	}
	return uma.NotAuthorized
}

func (x *assessment) requiredClaims() []uma.RequiredClaim {
	var out []uma.RequiredClaim
	for _, r := range x.results {
		for _, need := range r.needs {
			// A claim of one name from one issuer or another is two hints.
			if !slices.ContainsFunc(out, func(c uma.RequiredClaim) bool { return reflect.DeepEqual(c, need.RequiredClaim) }) {
				out = append(out, need.RequiredClaim)
			}
		}
	}
	return out
}

// commit settles. The loser of a race for the ticket leaves one record of its
// own, and grants nothing.
func (x *assessment) commit(ctx context.Context, st *uma.Settlement) error {
	if len(st.Records) == 0 && st.Ticket == nil {
		return nil // nothing was found to decide
	}
	err := x.keep(ctx, st)
	if !errors.Is(err, uma.ErrSpent) {
		return err
	}
	if len(x.events) > 0 { // none: a legacy ticket for nothing
		if err := x.recordLost(ctx, "ticket_spent", uma.UnusableTicket); err != nil {
			return err
		}
	}
	return x.replayed(ctx, uma.ErrSpent)
}

// recordLost keeps one record of decisions that came to nothing.
func (x *assessment) recordLost(ctx context.Context, why string, answered uma.Reason) error {
	ev := x.events[0]
	ev.Error, ev.Output = why, nil
	return x.keep(ctx, &uma.Settlement{
		Realm: x.snap.Realm.Key, Now: x.now, Records: []uma.Record{x.record(ctx, &ev, outcomeError, string(answered))},
	})
}

func (x *assessment) keep(ctx context.Context, st *uma.Settlement) error {
	if err := x.Store.Commit(ctx, st); err != nil {
		return x.trouble(err)
	}
	for i := range st.Records {
		d := &x.caller.Decided
		d.ID, d.Batch, d.Count = st.Records[i].ID, st.Records[i].Batch, d.Count+1
	}
	x.observe(st.Records)
	return nil
}

// trouble is how a failing commit is told.
func (x *assessment) trouble(err error) error {
	if errors.Is(err, uma.ErrBusy) {
		return uma.Refuse(uma.Busy, "", err)
	}
	return fmt.Errorf("settle: %w", err)
}

// toSubmit is what the policy wants the owners asked for, of what is requested. Only a
// user can ask, and only somebody else who manages the resource. No owner is asked for
// the result of a search, such as for a scope alone: every owner with such a resource
// would be asked.
func (x *assessment) toSubmit() []uma.Request {
	var out []uma.Request
	for i := range x.results {
		r := &x.results[i]
		if !r.requested || !r.named || r.resource == nil || x.Who.User == nil || !r.resource.OwnerManaged ||
			r.resource.Owner == x.server.UUID || r.resource.Owner == x.Who.Subject {
			r.submit = nil
			continue
		}
		r.submit = slices.DeleteFunc(slices.Clone(r.submit), func(s uma.Scope) bool { return !x.canAsk(r, s) })
		for _, scope := range r.submit {
			if scope == uma.Everything {
				scope = ""
			}
			out = append(out, uma.Request{
				ID: x.NewID(), Server: x.server.Key, Resource: r.resource.Key, ResourceID: r.resource.ID,
				ResourceName: r.resource.Name, Owner: r.resource.Owner, Requester: x.Who.Subject,
				Scope: scope, State: uma.Pending, Created: x.now, Decided: x.now,
			})
		}
	}
	return out
}

// canAsk reports whether there is something to ask an owner for: a scope that was
// requested, is the resource's own, since the owner cannot share one of its type,
// and has not been shared already.
func (x *assessment) canAsk(r *result, s uma.Scope) bool {
	if s != uma.Everything && (!slices.Contains(r.asked, s) || !slices.Contains(r.resource.Scopes, s)) {
		return false
	}
	return !slices.ContainsFunc(x.shares, func(share uma.Share) bool {
		return share.Kind == uma.ByRequest && share.Resource == r.resource.Key &&
			(slices.Contains(share.Scopes, s) || s == uma.Everything && len(share.Scopes) == 0)
	})
}

// grants are the permissions of the RPT: what is requested first, what was
// carried after it.
func (x *assessment) grants() []uma.Grant {
	var requested, carried []uma.Grant
	for i := range x.results {
		r := &x.results[i]
		if !r.got() {
			continue
		}
		g := uma.Grant{Scopes: r.granted, Claims: x.grantClaims(r), Shares: r.shares, Inherited: sets.Within(r.granted, r.inherited), TTL: r.output.RPT.TTL}
		if r.resource != nil {
			g.Resource, g.Version = r.resource.ID, r.resource.Version
			if r.resource.Owner == x.Who.Subject {
				g.Owner = r.resource.Owner
			}
			if !x.req.WithoutNames {
				g.Name = r.resource.Name
			}
		}
		if r.requested {
			requested = append(requested, g)
		} else {
			carried = append(carried, g)
		}
	}
	return append(requested, carried...)
}

// grantClaims are the pushed claims, or of a permission that is only carried those of
// the former RPT, and what the policy adds to them; nil when there are none, since
// clients take an empty object for a condition.
func (x *assessment) grantClaims(r *result) map[string][]string {
	claims := x.pushed
	if r.former != nil {
		claims = r.former.Claims
	}
	if len(claims)+len(r.output.RPT.Claims) == 0 {
		return nil
	}
	out := map[string][]string{}
	maps.Copy(out, claims)
	maps.Copy(out, r.output.RPT.Claims)
	return out
}

// rests are the rows that the grant rests on.
func (x *assessment) rests() *uma.Rests {
	out := &uma.Rests{
		Generation: x.snap.Realm.Generation,
		Resources:  map[uma.Key]int64{}, Shares: map[uma.Key]int64{}, Policies: map[uma.Key]int64{},
	}
	if x.Who.User != nil {
		out.User, out.UserVersion = x.Who.Subject, x.Who.User.Version
	}
	for i := range x.results {
		r := &x.results[i]
		if !r.got() || r.resource == nil {
			continue
		}
		out.Resources[r.resource.Key] = r.resource.Version
		for _, s := range r.rests {
			if s.Kind == uma.ByPolicy {
				out.Policies[s.Key] = s.Version
			} else {
				out.Shares[s.Key] = s.Version
			}
		}
	}
	return out
}
