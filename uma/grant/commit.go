package grant

import (
	"context"
	"errors"
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

// outcome returns the outcome of a decision for its record. It is need_info only if the
// answer asks for claims, and submitted only if a request to the owner is stored:
// otherwise nobody was asked, and the permission is denied.
func (d *decision) outcome(asksClaims, asksOwner bool) string {
	switch {
	case d.failed != nil, d.builtinFailed:
		return outcomeError
	case d.whole, len(d.scopes) > 0 && len(d.granted) == len(d.scopes):
		return outcomeGranted
	case len(d.granted) > 0:
		return outcomePartial
	case asksClaims && len(d.needs) > 0:
		return outcomeNeedInfo
	case asksOwner && len(d.submit) > 0:
		return outcomeSubmitted
	}
	return outcomeDenied
}

// commit commits a settlement, and with it spends the ticket. If another request has spent
// the ticket meanwhile, this one is refused and leaves one record.
func (s *Service) commit(ctx context.Context, q *question, d *decisions, st *uma.Settlement) (*Answer, error) {
	if len(st.Records) == 0 && st.Ticket == nil {
		return &Answer{Client: q.client}, nil // there was no permission to decide
	}
	answer, err := s.writeSettlement(ctx, q, d, st)
	if !errors.Is(err, uma.ErrSpent) {
		return answer, err
	}
	if len(d.list) > 0 { // the legacy API has tickets without permissions
		if answer, err = s.recordLost(ctx, q, d, uma.ErrorLostRace, uma.UnusableTicket); err != nil {
			return answer, err
		}
	}
	return answer, s.refuseReplay(ctx, q, uma.ErrSpent)
}

// recordLost stores one record, with an error, of decisions that have no effect.
func (s *Service) recordLost(ctx context.Context, q *question, d *decisions, why string, answered uma.Reason) (*Answer, error) {
	lost := *d.list[0]
	lost.event.Error, lost.event.Output, lost.event.Asked = why, nil, nil
	return s.writeSettlement(ctx, q, d, &uma.Settlement{
		Realm: q.realm.Realm.Key, Now: q.now,
		Records: []uma.Record{s.record(ctx, q, d.policy, &lost.event, outcomeError, string(answered))},
	})
}

// writeSettlement writes a settlement to the store, and reports its decisions to Decided.
func (s *Service) writeSettlement(ctx context.Context, q *question, d *decisions, st *uma.Settlement) (*Answer, error) {
	answer := &Answer{Client: q.client}
	if err := s.Store.Commit(ctx, st); err != nil {
		return answer, uma.Tell("settle", err)
	}
	for i := range st.Records {
		answer.Recorded.ID, answer.Recorded.Batch = st.Records[i].ID, st.Records[i].Batch
	}
	answer.Recorded.Count = len(st.Records)
	s.observe(d, st.Records)
	return answer, nil
}

// A recordedAnswer is the answer to the client, as records have it.
type recordedAnswer struct {
	word                  string // see Record.Answered
	asksClaims, asksOwner bool   // the client is asked for claims; requests to owners are stored
}

// records turns the decisions into their records. For an event that cannot be masked a
// stub is stored: no decision is without a record.
func (s *Service) records(ctx context.Context, q *question, d *decisions, a recordedAnswer) []uma.Record {
	out := make([]uma.Record, len(d.list))
	recordOne := func(i int) {
		one := d.list[i]
		if a.asksOwner {
			one.event.Asked = one.submit
		}
		out[i] = s.record(ctx, q, d.policy, &one.event, one.outcome(a.asksClaims, a.asksOwner), a.word)
	}
	if !d.policy.Masks() {
		for i := range out {
			recordOne(i)
		}
		return out
	}
	ctx, cancel := maskingTime(ctx, q.realm)
	defer cancel()
	each(len(out), recordOne)
	return out
}

// maskingTime returns a context for masking all records of a request. It ends after as much
// time as the evaluations had, but not later than the request. It does not end when the client
// disconnects, so that no record is lost.
func maskingTime(ctx context.Context, realm *uma.Snapshot) (context.Context, context.CancelFunc) {
	limit := requestTimeouts * realm.Realm.Policy.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// encode turns a decision into its event. Masks are evaluated by workers; if none is free
// before the deadline, a stub is stored.
func (s *Service) encode(ctx context.Context, q *question, policy uma.Evaluator, ev uma.Event) ([]byte, error) {
	if !policy.Masks() {
		return policy.Encode(ctx, &ev)
	}
	type encoded struct {
		raw []byte
		err error
	}
	ctx, cancel := maskingTime(ctx, q.realm)
	defer cancel()
	done, err := workers.Do(ctx, &s.evaluations, q.realm.Realm.Policy.Timeout, s.reportStuck(ctx, q, ev.ID), func() (encoded, error) {
		raw, err := policy.Encode(ctx, &ev)
		return encoded{raw, err}, nil
	})
	if err == nil {
		return done.raw, done.err
	}
	cancel() // so that nothing is evaluated
	raw, _ := policy.Encode(ctx, &ev)
	return raw, err
}

func (s *Service) record(ctx context.Context, q *question, policy uma.Evaluator, ev *uma.Event, outcome, answered string) uma.Record {
	ev.Answered = answered
	raw, err := s.encode(ctx, q, policy, *ev)
	if err != nil {
		s.Log(ctx, "decision record: a stub is stored in its place", "decision_id", ev.ID, "err", err)
	}
	rec := uma.Record{
		ID: ev.ID, Batch: ev.Batch, Realm: q.realm.Realm.Name, Time: q.now, Kind: ev.Input.Kind, Outcome: outcome, Answered: answered,
		Subject: ev.Input.Subject.ID, Client: ev.Input.Client.ID, Server: ev.Input.ResourceServer,
		Request: ev.Input.Context.RequestID, Revision: policy.Revision(), Event: raw,
	}
	if ev.Input.Resource != nil {
		rec.Resource = ev.Input.Resource.ID
	}
	if ev.Eval != nil {
		rec.Rules = rulesOf(ev.Eval)
	}
	return rec
}

// observe reports the decisions whose records are stored to Decided: all, or the first.
func (s *Service) observe(d *decisions, records []uma.Record) {
	if s.Decided == nil {
		return
	}
	for i := range records {
		var took time.Duration
		if evaluation := d.list[i].event.Eval; evaluation != nil {
			took = evaluation.Took
		}
		s.Decided(records[i].Realm, records[i].Outcome, records[i].Answered, took)
	}
}

// rulesOf returns the names of the rules that decided, or if these are unknown, of all rules
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
