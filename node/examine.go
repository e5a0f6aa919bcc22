package node

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// errExamining is why a realm has no policy yet whose first one is being examined.
var errExamining = errors.New("its policy is being examined")

// An examination is the run of the gates over a proposal. It is kept until another one
// begins: a proposal that was refused is not examined again and again.
type examination struct {
	key    string // see rollout.Examination.Key
	stop   context.CancelFunc
	done   chan struct{} // closed when the next two are set
	report *rollout.Report
	err    error
}

// pending reports whether the examination goes on.
func (e *examination) pending() bool {
	if e == nil {
		return false
	}
	select {
	case <-e.done:
		return false
	default:
		return true
	}
}

// examine runs the gates after check over a proposal, once. They may take seconds, in which
// the loop must follow other changes. So they run beside it, and ok is false until they have
// ended. At a start there is nothing to follow yet, and examine waits.
func (p *policies) examine(ctx context.Context, r *realmPolicy, state *uma.PolicyState, content *rollout.Content) (report *rollout.Report, ok bool, err error) {
	active := ""
	if state.Active != nil {
		active = state.Active.Revision
	}
	x, err := p.node.Rollout.NewExamination(ctx, r.realm, r.desired, content, active)
	if err != nil {
		return nil, false, err
	}
	key, err := x.Key()
	if err != nil {
		return nil, false, err
	}
	if r.exam == nil || r.exam.key != key {
		r.forget()
		r.exam = p.begun(ctx, r, x, key)
	}
	if p.starting {
		<-r.exam.done // it ends with ctx
	}
	if r.exam.pending() {
		return nil, false, nil
	}
	report, err = r.exam.report, r.exam.err
	if _, refused := errors.AsType[*rollout.GateError](err); err != nil && !refused {
		r.exam = nil // another try may succeed
	}
	return report, err == nil, err
}

// begun begins an examination, and wakes the loop when it has ended.
func (p *policies) begun(ctx context.Context, r *realmPolicy, x *rollout.Examination, key string) *examination {
	ctx, stop := context.WithCancel(ctx)
	e := &examination{key: key, stop: stop, done: make(chan struct{})}
	p.watches.Go(func() {
		defer stop()
		e.report, e.err = p.runGates(ctx, r.realm, x)
		close(e.done)
		r.due.Store(true)
		p.compare()
	})
	return e
}

// runGates runs the gates. A panic is an error like others: policies of all kinds are examined,
// and one of them must not end the server at each start.
func (p *policies) runGates(ctx context.Context, realm string, x *rollout.Examination) (report *rollout.Report, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.node.Log.ErrorContext(ctx, "panic in the gates", "realm", realm, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("examine the policy of realm %s: panic: %v", realm, v)
		}
	}()
	return p.node.Rollout.RunGates(ctx, x)
}

// forget ends the examination of a proposal that there is no more.
func (r *realmPolicy) forget() {
	if r.exam != nil {
		r.exam.stop()
		r.exam = nil
	}
}

// logFindings logs the warnings about a policy that is activated.
func (p *policies) logFindings(ctx context.Context, realm string, report *rollout.Report) {
	const most = 20
	for i, f := range report.Findings {
		if i == most {
			p.node.Log.WarnContext(ctx, "gates found more: umpire policy status has it", "realm", realm, "findings", len(report.Findings)-most)
			break
		}
		p.node.Log.WarnContext(ctx, "gate", "realm", realm, "gate", f.Gate, "file", f.File, "line", f.Line, "finding", f.Message)
	}
}
