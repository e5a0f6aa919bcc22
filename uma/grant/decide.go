package grant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/workers"
)

// maxConcurrent is how many permissions of a request are evaluated at the same time. A
// request with no more than these has them evaluated one after another.
const maxConcurrent = 8

// requestTimeouts limits the evaluations of a request together: to that many times
// policy.timeout, which limits each.
const requestTimeouts = 20

// decisions are the decisions on all permissions of a question, by one revision of the policy.
type decisions struct {
	policy uma.Evaluator
	list   []*decision // in the order of the permissions
}

// A decision is the policy's decision on one permission.
type decision struct {
	*permission
	event uma.Event // of which the decision record is made

	granted []uma.Scope // of scopes; empty for a resource without scopes that was granted
	whole   bool        // a resource without scopes was granted
	needs   []uma.Need
	submit  []uma.Scope // what the owner may be asked for; {Everything} for a resource without scopes
	output  *uma.Output
	shares  []uma.GrantShare // the shares that the grant rests on, as the RPT's row keeps them
	restsOn []*uma.Share     // the same shares

	// failed is why the policy gave no answer, nil if it gave one. builtinFailed: a built-in
	// function failed, and nothing is granted. A client could cause that by pushed claims, so
	// it is not a failure of the server.
	failed        error
	builtinFailed bool
}

// decide asks the policy for each permission, and checks each answer against the
// contract: a policy may narrow, never widen. settle records all answers, also those of a
// request that is refused.
func (s *Service) decide(ctx context.Context, q *question, policy uma.Evaluator) *decisions {
	ctx, cancel := context.WithTimeout(ctx, requestTimeouts*q.realm.Realm.Policy.Timeout)
	defer cancel()
	permissions := q.requested.permissions
	d := &decisions{policy: policy, list: make([]*decision, len(permissions))}
	batch := s.NewSerial()
	path := strings.ReplaceAll(strings.TrimPrefix(q.realm.Realm.Policy.Entrypoint, "data."), ".", "/")
	common := commonInput(q)
	decideOne := func(i int) {
		p := permissions[i]
		d.list[i] = s.evaluate(ctx, q, policy, p, uma.Event{
			ID: s.NewSerial(), Batch: batch, Path: path, Input: inputOf(q, common, p), Labels: s.Labels, Timestamp: q.now,
		})
	}
	if len(permissions) > maxConcurrent {
		each(len(permissions), decideOne)
		return d
	}
	for i := range permissions {
		decideOne(i)
	}
	return d
}

// each calls f for 0 to n-1, at most maxConcurrent calls at the same time.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range maxConcurrent {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// evaluate has the policy decide one permission: in a worker, unless the answer is known.
func (s *Service) evaluate(ctx context.Context, q *question, policy uma.Evaluator, p *permission, ev uma.Event) *decision {
	type evaluated struct {
		*uma.Evaluation
		err error
	}
	if known := policy.Recall(ev.Input); known != nil {
		return q.decided(p, ev, known, nil)
	}
	got, err := workers.Do(ctx, &s.evaluations, q.realm.Realm.Policy.Timeout, s.reportStuck(ctx, q, ev.ID), func() (evaluated, error) {
		evaluation, err := policy.Decide(ctx, ev.Input)
		return evaluated{evaluation, err}, nil
	})
	if err != nil {
		ev.Error = notEvaluated(err)
		return &decision{permission: p, event: ev, failed: err}
	}
	return q.decided(p, ev, got.Evaluation, got.err)
}

// decided returns the decision that an evaluation made.
func (q *question) decided(p *permission, ev uma.Event, got *uma.Evaluation, err error) *decision {
	ev.Eval = got
	if err == nil && got.Failed != "" {
		return &decision{permission: p, event: ev, builtinFailed: true}
	}
	if err == nil {
		ev.Output = &got.Output
		d := &decision{permission: p, event: ev}
		if err = d.accept(ev.Output, q.shares); err == nil {
			d.submit = q.askable(d)
			return d
		}
	}
	ev.Error = err.Error()
	return &decision{permission: p, event: ev, failed: err}
}

// notEvaluated says in a record why an evaluation has no result.
func notEvaluated(err error) string {
	switch _, panicked := errors.AsType[*workers.PanicError](err); {
	case panicked:
		return uma.ErrorPanic
	case errors.Is(err, workers.ErrStuck):
		return uma.ErrorStuck
	}
	return uma.ErrorNoTime
}

// reportStuck returns a function that reports an evaluation that runs after its deadline (1)
// and its end (-1). Such an evaluation occupies a CPU until it ends.
func (s *Service) reportStuck(ctx context.Context, q *question, id string) func(int) {
	realm := q.realm.Realm.Name
	return func(delta int) {
		if delta > 0 {
			s.Log(ctx, "a policy evaluation does not end at its deadline: it occupies a CPU, and another worker takes its place", "realm", realm, "decision_id", id)
		} else {
			s.Log(ctx, "a policy evaluation has ended after all", "realm", realm, "decision_id", id)
		}
		if s.Stuck != nil {
			s.Stuck(realm, delta)
		}
	}
}

// commonInput returns the members that the inputs of all permissions of a question share.
func commonInput(q *question) *uma.Input {
	roles, clientRoles, groups := q.party.Roles()
	in := &uma.Input{
		Version: "1", Realm: q.realm.Realm.Name, Kind: "rpt",
		Subject: uma.InputSubject{
			ID: q.party.Subject, Type: "user", Username: q.party.Username(),
			Roles: roles, ClientRoles: clientRoles, Groups: groups, GroupsKnown: q.party.GroupsKnown(), Attributes: q.party.Attributes(),
			Scopes: strings.Fields(q.party.Claims.Scope), ACR: q.party.Claims.ACR, AuthTime: q.party.Claims.AuthTime,
		},
		Claims: uma.InputClaims{Verified: q.claims.verified, Pushed: q.claims.pushed, Tokens: q.claims.tokens},
		Client: uma.InputClient{
			ID: q.client.ID, Public: q.client.Public, Authenticated: q.authenticated, Scopes: q.client.Scopes,
		},
		ResourceServer: q.server.ID,
		Context: uma.InputContext{
			Time: q.now.UTC().Format(time.RFC3339Nano), IP: q.caller.IP, UserAgent: q.caller.UserAgent,
			RequestID: q.caller.RequestID, TraceID: q.caller.TraceID,
		},
		Now: q.now,
	}
	if !q.party.IsUser() {
		in.Subject.Type = "service"
	}
	if id := q.party.SubjectID(); id != nil {
		in.Subject.Issuer, in.Subject.ExternalID = id.Issuer, id.Subject
	}
	if q.ticket != nil {
		id := sha256.Sum256(uma.SumOf(q.ticket.Hash))
		in.Ticket = &uma.InputTicket{
			ID:       "sha256:" + hex.EncodeToString(id[:]),
			IssuedAt: q.ticket.Issued.UTC().Format(time.RFC3339), Round: q.ticket.Round,
		}
	}
	return in
}

// inputOf returns the input of the policy for one permission.
func inputOf(q *question, common *uma.Input, p *permission) *uma.Input {
	in := *common
	in.Scopes = p.scopes
	if p.resource == nil {
		return &in
	}
	r := p.resource
	in.Resource = &uma.InputResource{
		ID: r.ID, Name: r.Name, Type: r.Type, Owner: r.Owner, OwnerManaged: r.OwnerManaged,
		URIs: r.URIs, Scopes: r.Scopes, Attributes: r.Attributes,
	}
	for i := range q.shares {
		if s := &q.shares[i]; s.Resource == r.Key {
			in.Shares = append(in.Shares, uma.InputShare{
				ID: s.ID, Kind: s.Kind, Name: s.Name, Scopes: s.Scopes,
				Users: s.Users, Roles: s.Roles, Groups: s.Groups, Clients: s.Clients, Strategy: s.Strategy,
			})
		}
	}
	for i := range q.requests {
		request := &q.requests[i]
		if request.Resource != r.Key {
			continue
		}
		var scopes []uma.Scope
		if request.Scope != "" {
			scopes = []uma.Scope{request.Scope}
		}
		in.Requests = append(in.Requests, uma.InputRequest{
			ID: request.ID, State: request.State, Scopes: scopes, Created: request.Created.UTC().Format(time.RFC3339),
		})
	}
	return &in
}

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

// expand returns the scopes of an output in the order of the input. "*" stands for all scopes
// of the input, and for a resource without scopes: then whole is true.
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

// askable returns the scopes that the owner is asked for: those of d.submit that may be. Only
// a user can ask, not an application, and only another user who manages the resource. No owner
// is asked for what a search found, such as a search for a scope: every owner of such a resource
// would be asked.
func (q *question) askable(d *decision) []uma.Scope {
	r := d.resource
	if !d.requested || !d.named || r == nil || !q.party.IsUser() || !r.OwnerManaged ||
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
