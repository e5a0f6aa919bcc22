package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"example.com/umpire/uma"
)

var (
	errUndefined = errors.New("the policy is undefined")
	errDeadline  = errors.New(uma.ErrorDeadline)
)

// Revision is the hash of the policy's sources.
func (p *policy) Revision() string { return p.hash }

// Masks reports whether the realm masks its records.
func (p *policy) Masks() bool { return p.mask != nil }

// Decide evaluates the entry point for one permission. uma.Evaluator says what an error
// means.
func (p *policy) Decide(ctx context.Context, in *uma.Input) (*uma.Evaluation, error) {
	value, err := inputValue(p.names, in)
	if err != nil {
		return new(uma.Evaluation), err
	}
	run := new(evaluation)
	ev, err := p.decide(ctx, value, in.Now, in.Scopes, run)
	if err == nil && ev.Failed == "" && len(run.nd) == 0 {
		p.remember(in, ev)
	}
	maps.DeleteFunc(run.nd, func(name string, _ ast.Object) bool { return strings.HasPrefix(name, secretBuiltins) })
	if len(run.nd) > 0 {
		// This fails only for a built-in that answers with a set of composite keys. Then
		// the record has no cache.
		ev.NDCache, _ = json.Marshal(run.nd)
	}
	return ev, err
}

// decide evaluates the entry point for an input. run may have what is recorded of an earlier
// evaluation.
func (p *policy) decide(ctx context.Context, input ast.Value, now time.Time, scopes []uma.Scope, run *evaluation) (*uma.Evaluation, error) {
	start := p.now()
	ev := new(uma.Evaluation)
	if p.labels {
		run.labels = new(topdown.EvaluatedRuleTracker)
	}
	decided, err := p.evaluate(ctx, p.decision, input, now, run)
	ev.Took = p.now().Sub(start)
	if run.labels != nil {
		ev.RuleLabels = run.labels.Labels
	}
	if err != nil {
		return ev, err
	}
	if len(run.builtinErrors) > 0 {
		ev.Failed = builtinErrors(run.builtinErrors)
		return ev, nil
	}
	out, err := decodeOutput(decided)
	if err != nil {
		return ev, fmt.Errorf("read policy decision: %w", err)
	}
	ev.Output = out
	if p.deciders != nil {
		ev.Decided = p.decidedScopes(scopes, &out, run.notes)
	}
	return ev, nil
}

// secretBuiltins begins the names of the functions whose calls are not recorded, although OPA
// does: their arguments are tokens, keys and shared secrets. They read nothing but their
// arguments and the time; only some signatures are random.
const secretBuiltins = "io.jwt."

// An evaluation has the results of one run of a query besides its answer.
type evaluation struct {
	labels        *topdown.EvaluatedRuleTracker // nil: not tracked
	nd            builtins.NDBCache             // when it begins: the calls that are answered from a record
	seed          io.Reader                     // nil: random
	builtinErrors []topdown.Error
	notes         []note
	cancelled     atomic.Bool
}

// Cancel and Cancelled implement topdown.Cancel.
func (run *evaluation) Cancel()         { run.cancelled.Store(true) }
func (run *evaluation) Cancelled() bool { return run.cancelled.Load() }

// evaluate returns the document that a query names.
func (p *policy) evaluate(ctx context.Context, q query, input ast.Value, now time.Time, run *evaluation) (document ast.Value, err error) {
	limit := p.timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	if ctx.Err() != nil || limit <= 0 {
		return nil, errDeadline
	}
	// Without a Cancel of ours, OPA starts a goroutine for each evaluation.
	timer := time.AfterFunc(limit, run.Cancel)
	defer timer.Stop()

	if run.nd == nil {
		run.nd = make(builtins.NDBCache)
	}
	eval := topdown.NewQuery(q.body).
		WithQueryCompiler(q.compiler).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(p.txn).
		WithInput(ast.NewTerm(input)).
		WithTime(now).
		WithSeed(run.seed).
		WithMetrics(metrics.NoOp()).
		WithCancel(run).
		WithVirtualCache(newVirtualCache()).
		WithBuiltins(noteBuiltins).
		WithNDBuiltinCache(run.nd).
		WithBuiltinErrorList(&run.builtinErrors).
		WithEvaluatedRuleTracker(run.labels)

	defer func() {
		// A client can make OPA panic, for instance with a number whose exponent is huge.
		if p := recover(); p != nil {
			run.builtinErrors = append(run.builtinErrors, topdown.Error{Code: topdown.BuiltinErr, Message: fmt.Sprintf("%s: %v", uma.ErrorPanic, p)})
			document, err = nil, nil
		}
	}()
	err = eval.Iter(ctx, func(r topdown.QueryResult) error {
		document = r[answer].Value
		return nil
	})
	switch {
	case topdown.IsCancel(err):
		return nil, errDeadline
	case err != nil:
		return nil, fmt.Errorf("evaluate policy: %w", err)
	case document == nil && len(run.builtinErrors) == 0:
		return nil, errUndefined
	}
	return document, nil
}

// builtinErrors names the built-in functions that failed, with their places. The messages
// have the arguments of the calls: they go to the record, never to a client.
func builtinErrors(list []topdown.Error) string {
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = list[i].Error()
	}
	return strings.Join(texts, "; ")
}
