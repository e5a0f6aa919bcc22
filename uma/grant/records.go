package grant

import (
	"context"
	"slices"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// The outcomes of decision records.
const (
	outcomeGranted   = "granted"
	outcomePartial   = "partial"
	outcomeNeedInfo  = "need_info"
	outcomeSubmitted = "submitted"
	outcomeDenied    = "denied"
	outcomeError     = "error"
)

// outcome is the decision on one permission, in a word. It is need_info only if the
// answer asks for claims, and submitted only if a request to the owner is stored:
// otherwise nobody was asked, and the permission is denied.
func (r *result) outcome(asksClaims, asksOwner bool) string {
	switch {
	case r.failed != nil, r.broken:
		return outcomeError
	case r.whole, len(r.scopes) > 0 && len(r.granted) == len(r.scopes):
		return outcomeGranted
	case len(r.granted) > 0:
		return outcomePartial
	case asksClaims && len(r.needs) > 0:
		return outcomeNeedInfo
	case asksOwner && len(r.submit) > 0:
		return outcomeSubmitted
	}
	return outcomeDenied
}

// records turns the decisions into their records. What cannot be masked becomes
// a stub: a decision is never without a record.
func (x *assessment) records(ctx context.Context, a told) []uma.Record {
	out := make([]uma.Record, len(x.events))
	one := func(i int) {
		out[i] = x.record(ctx, &x.events[i], x.results[i].outcome(a.asksClaims, a.asksOwner), a.word)
	}
	if !x.policy.Masks() {
		for i := range out {
			one(i)
		}
		return out
	}
	ctx, cancel := x.maskingTime(ctx)
	defer cancel()
	each(len(out), one)
	return out
}

// maskingTime is the deadline for masking all records of a request: as long as its
// evaluations had, and not later than the request's own. It does not end when the
// client disconnects, so that no record is lost.
func (x *assessment) maskingTime(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := deadlines * x.snap.Realm.Policy.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// encode turns a decision into its event. Masks are evaluated by workers; if none
// is free before the deadline, a stub is stored.
func (x *assessment) encode(ctx context.Context, ev uma.Event) ([]byte, error) {
	policy := x.policy
	if !policy.Masks() {
		return policy.Encode(ctx, &ev)
	}
	type encoded struct {
		Raw []byte
		Err error
	}
	ctx, cancel := x.maskingTime(ctx)
	defer cancel()
	done, err := workers.Do(ctx, &x.evaluations, x.snap.Realm.Policy.Timeout, x.stuck(ctx, ev.ID), func() (encoded, error) {
		raw, err := policy.Encode(ctx, &ev)
		return encoded{raw, err}, nil
	})
	if err == nil {
		return done.Raw, done.Err
	}
	cancel() // so that nothing is evaluated
	raw, _ := policy.Encode(ctx, &ev)
	return raw, err
}

func (x *assessment) record(ctx context.Context, ev *uma.Event, outcome, answered string) uma.Record {
	ev.Answered = answered
	raw, err := x.encode(ctx, *ev)
	if err != nil {
		x.Log(ctx, "decision record: a stub is stored in its place", "decision_id", ev.ID, "err", err)
	}
	rec := uma.Record{
		ID: ev.ID, Batch: ev.Batch, Realm: x.snap.Realm.Name, Time: x.now, Kind: ev.Input.Kind, Outcome: outcome, Answered: answered,
		Subject: ev.Input.Subject.ID, Client: ev.Input.Client.ID, Server: ev.Input.ResourceServer,
		Request: ev.Input.Context.RequestID, Revision: x.policy.Revision(), Event: raw,
	}
	if ev.Input.Resource != nil {
		rec.Resource = ev.Input.Resource.ID
	}
	if ev.Eval != nil {
		rec.Rules = rulesOf(ev.Eval)
	}
	return rec
}

// observe tells of the decisions whose records have been kept.
func (x *assessment) observe(records []uma.Record) {
	if x.Decided == nil {
		return
	}
	for i := range records {
		var took time.Duration
		if eval := x.events[i].Eval; eval != nil {
			took = eval.Took
		}
		x.Decided(records[i].Realm, records[i].Outcome, records[i].Answered, took)
	}
}

// rules are the names of the rules that decided if they are known, else of all rules
// that held.
func rulesOf(e *uma.Evaluation) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if e.Decided == nil {
		for _, labels := range e.RuleLabels {
			add(uma.RuleName(labels))
		}
	}
	for _, d := range e.Decided {
		for _, name := range d.Rules {
			add(name)
		}
	}
	return names
}
