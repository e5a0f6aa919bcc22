package grant

import (
	"context"
	"maps"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// settle makes one answer of the decisions, commits it, and only then signs.
func (s *Service) settle(ctx context.Context, q *question, d *decisions) (*Answer, error) {
	if failed := d.failed(q); failed != nil {
		return s.refuseRecorded(ctx, q, d, uma.Reject(uma.PolicyFailed, uma.Fault{}, failed))
	}
	v := judge(d.list, q.conditions())
	if q.claims.refused && q.asksForBetter() {
		v = needInfo
	}
	if v == needInfo && q.req.Rules.Entitlements {
		v = refused
	}
	asksOwner := q.maySubmit() && v != needInfo // the client is asked for claims before the owner is asked
	st := &uma.Settlement{
		Realm: q.realm.Realm.Key, Now: q.now,
		Records: s.records(ctx, q, d, recordedAnswer{word: q.word(v), asksClaims: v == needInfo, asksOwner: asksOwner}),
	}
	if q.ticket != nil {
		st.Ticket, st.Reusable, st.Presenter = q.ticket.Hash, q.realm.Realm.TicketReuse, q.client.ID
	}
	if asksOwner {
		st.Requests = s.ownerRequests(q, d)
	}
	if v != grant {
		return s.refuse(ctx, q, d, st, v)
	}
	grants := grantsOf(q, d)
	st.RestsOn = restsOn(q, d)
	if q.req.Mode != ModeToken {
		answer, err := s.commit(ctx, q, d, st)
		if err == nil {
			answer.Permissions = uma.GrantedPermissions(grants)
		}
		return answer, err
	}
	return s.issue(ctx, q, d, st, grants)
}

// failed returns why the policy gave no answer for a permission that the request or the
// ticket names, or nil. Permissions that a search found are left out instead.
func (d *decisions) failed(q *question) error {
	for _, one := range d.list {
		if one.failed != nil && one.requested && (one.named || q.ticket != nil) {
			return one.failed
		}
	}
	return nil
}

func (q *question) maySubmit() bool { return q.ticket != nil && !q.req.NoSubmit }

func (q *question) conditions() conditions {
	rules := q.req.Rules
	c := conditions{
		ticket: q.ticket != nil, submit: q.maySubmit(), upgrade: q.rpt != nil && !rules.Entitlements && !rules.UpgradeAll,
		carried: rules.Entitlements, allOrNothing: q.realm.Realm.Policy.AllOrNothing, unmet: q.requested.unmet,
	}
	if q.req.Mode == ModeDecision {
		c.every = q.requested.several
	}
	return c
}

// refuseRecorded refuses a request after its decisions, without spending the ticket. The
// decisions are recorded.
func (s *Service) refuseRecorded(ctx context.Context, q *question, d *decisions, refusal *uma.Error) (*Answer, error) {
	answer, err := s.writeSettlement(ctx, q, d, &uma.Settlement{
		Realm: q.realm.Realm.Key, Now: q.now, Records: s.records(ctx, q, d, recordedAnswer{word: string(refusal.Reason)}),
	})
	if err != nil {
		return answer, err
	}
	return answer, refusal
}

// refuse commits a refusal. A refusal rests on no rows, so the commit checks none.
func (s *Service) refuse(ctx context.Context, q *question, d *decisions, st *uma.Settlement, v verdict) (*Answer, error) {
	refusal := uma.Reject(q.reason(v), uma.Fault{}, nil)
	switch {
	case v == needInfo:
		refusal.RequiredClaims = s.requiredClaims(q, d)
		st.Successor, refusal.Ticket = s.reissue(q, 0)
	case v == submitted && q.req.Rules.PollTickets:
		refusal.Interval = max(q.ticket.Interval, firstInterval)
		st.Successor, refusal.Ticket = s.reissue(q, refusal.Interval)
	}
	answer, err := s.commit(ctx, q, d, st)
	if err != nil {
		return answer, err
	}
	return answer, refusal
}

// answeredGranted is the word in records for a granted request. The word for a refusal is
// its Reason, which does not depend on the face.
const answeredGranted = "granted"

// word returns the word in records for a verdict.
func (q *question) word(v verdict) string {
	if v == grant {
		return answeredGranted
	}
	return string(q.reason(v))
}

// reason returns the Reason of a verdict that refuses.
func (q *question) reason(v verdict) uma.Reason {
	switch {
	case v == needInfo:
		return uma.NeedInfo
	case v == submitted:
		return uma.Submitted
	case q.ticket != nil:
		return uma.Denied
	}
	return uma.NotAuthorized
}

// ownerRequests returns the requests to owners that the policy wants stored.
func (s *Service) ownerRequests(q *question, d *decisions) []uma.Request {
	var out []uma.Request
	for _, one := range d.list {
		for _, scope := range one.submit {
			if scope == uma.Everything {
				scope = ""
			}
			out = append(out, uma.Request{
				ID: s.NewID(), Server: q.server.Key, Resource: one.resource.Key, ResourceID: one.resource.ID,
				ResourceName: one.resource.Name, Owner: one.resource.Owner, Requester: q.party.Subject,
				Scope: scope, State: uma.Pending, Created: q.now, Decided: q.now,
			})
		}
	}
	return out
}

// grantsOf returns the permissions of the RPT: the requested ones, then those that are only
// carried.
func grantsOf(q *question, d *decisions) []uma.Grant {
	var requested, carried []uma.Grant
	for _, one := range d.list {
		if !one.anyGranted() {
			continue
		}
		g := uma.Grant{
			Scopes: one.granted, Claims: q.grantClaims(one), Shares: one.shares,
			Inherited: sets.Within(one.granted, one.inherited), TTL: one.output.RPT.TTL,
		}
		if one.resource != nil {
			g.Resource, g.Version = one.resource.ID, one.resource.Version
			if one.resource.Owner == q.party.Subject {
				g.Owner = one.resource.Owner
			}
			if !q.req.WithoutNames {
				g.Name = one.resource.Name
			}
		}
		if one.requested {
			requested = append(requested, g)
		} else {
			carried = append(carried, g)
		}
	}
	return append(requested, carried...)
}

// grantClaims returns the claims of a permission of the RPT: the pushed claims, or the former
// RPT's for a permission that is only carried, and those that the policy adds. Without any it
// returns nil, because clients take an empty object for a condition.
func (q *question) grantClaims(d *decision) map[string][]string {
	claims := q.claims.pushed
	if d.former != nil {
		claims = d.former.Claims
	}
	if len(claims)+len(d.output.RPT.Claims) == 0 {
		return nil
	}
	out := map[string][]string{}
	maps.Copy(out, claims)
	maps.Copy(out, d.output.RPT.Claims)
	return out
}

// restsOn returns the rows that the grant rests on.
func restsOn(q *question, d *decisions) *uma.Rests {
	out := &uma.Rests{
		Epoch: q.epoch, Generation: q.realm.Realm.Generation,
		Resources: map[uma.Key]int64{}, Requests: map[uma.Key]int64{}, Policies: map[uma.Key]int64{},
	}
	if q.party.User != nil {
		out.User, out.UserVersion = q.party.Subject, q.party.User.Version
	}
	for _, one := range d.list {
		if !one.anyGranted() || one.resource == nil {
			continue
		}
		out.Resources[one.resource.Key] = one.resource.Version
		for _, share := range one.restsOn {
			if share.Kind == uma.ByPolicy {
				out.Policies[share.Key] = share.Version
			} else {
				out.Requests[share.Key] = share.Version
			}
		}
	}
	return out
}
