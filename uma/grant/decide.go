package grant

import (
	"context"
	"errors"
	"strings"
	"sync"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// atOnce is how many permissions of one request are evaluated at the same time, when
// there are more than that.
const atOnce = 8

// deadlines is how many evaluations' time a request has for all of its own.
const deadlines = 20

// decisions are those on all permissions of a question, by one revision of the policy.
type decisions struct {
	policy uma.Evaluator
	list   []*decision // in the order of the permissions
}

// A decision is the policy's on one permission.
type decision struct {
	*permission
	event uma.Event // on its way into the record

	granted []uma.Scope // of scopes; empty for a resource without scopes that was granted
	whole   bool        // a resource without scopes was granted
	needs   []uma.Need
	submit  []uma.Scope // what the owner may be asked for; {Everything} for a resource without scopes
	output  *uma.Output
	shares  []uma.GrantShare
	restsOn []*uma.Share

	// failed says that the policy gave no answer. Broken, that a built-in function failed,
	// which what a client pushes could provoke: then nothing is granted.
	failed error
	broken bool
}

// decide asks the policy for each permission, and checks each answer against the
// contract: a policy may narrow, never widen. All answers are recorded whatever becomes
// of the request.
func (s *Service) decide(ctx context.Context, q *question, policy uma.Evaluator) *decisions {
	ctx, cancel := context.WithTimeout(ctx, deadlines*q.realm.Realm.Policy.Timeout)
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
	if len(permissions) > atOnce {
		each(len(permissions), decideOne)
		return d
	}
	for i := range permissions {
		decideOne(i)
	}
	return d
}

// each calls f for 0 to n-1, some at the same time.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range atOnce {
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

// evaluate has the policy decide one permission, in a worker.
func (s *Service) evaluate(ctx context.Context, q *question, policy uma.Evaluator, p *permission, ev uma.Event) *decision {
	type evaluated struct {
		*uma.Evaluation
		err error
	}
	got, err := workers.Do(ctx, &s.evaluations, q.realm.Realm.Policy.Timeout, s.reportStuck(ctx, q, ev.ID), func() (evaluated, error) {
		evaluation, err := policy.Decide(ctx, ev.Input)
		return evaluated{evaluation, err}, nil
	})
	if err != nil {
		ev.Error = notEvaluated(err)
		return &decision{permission: p, event: ev, failed: err}
	}
	ev.Eval = got.Evaluation
	if got.err == nil && ev.Eval.Failed != "" {
		return &decision{permission: p, event: ev, broken: true}
	}
	if err = got.err; err == nil {
		ev.Output = &ev.Eval.Output
		d := &decision{permission: p, event: ev}
		if err = d.accept(ev.Output, q.shares); err == nil {
			d.submit = q.askable(d)
			return d
		}
	}
	ev.Error = err.Error()
	return &decision{permission: p, event: ev, failed: err}
}

// notEvaluated is the reason, for a record, why an evaluation has no result.
func notEvaluated(err error) string {
	switch _, panicked := errors.AsType[*workers.PanicError](err); {
	case panicked:
		return "panic in the policy engine"
	case errors.Is(err, workers.ErrStuck):
		return "the policy goes on after its deadline and cannot be stopped"
	}
	return "no time left to evaluate the policy"
}

// reportStuck reports an evaluation that runs after its deadline. Each of them occupies a
// processor until it ends.
func (s *Service) reportStuck(ctx context.Context, q *question, id string) func(int) {
	realm := q.realm.Realm.Name
	return func(delta int) {
		if delta > 0 {
			s.Log(ctx, "a policy evaluation does not end at its deadline: it keeps a processor, and another worker takes its place", "realm", realm, "decision_id", id)
		} else {
			s.Log(ctx, "a policy evaluation has ended after all", "realm", realm, "decision_id", id)
		}
		if s.Stuck != nil {
			s.Stuck(realm, delta)
		}
	}
}
