package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// activate makes the policy that is to be in force the active one, and reports whether it
// changed the active policy.
func (p *policies) activate(ctx context.Context, r *realmPolicy) (changed bool, err error) {
	for range rollout.Activations {
		changed, err = p.tryActivate(ctx, r)
		if !errors.Is(err, uma.ErrMoved) {
			break
		}
	}
	return changed, err
}

// tryActivate rolls back a policy that was not confirmed in time, proposes the content of the
// folder, and else activates the period in force. If the first two fail, the period in force is
// activated all the same.
func (p *policies) tryActivate(ctx context.Context, r *realmPolicy) (changed bool, err error) {
	state, err := p.node.Store.PolicyState(ctx, r.realm)
	if err != nil {
		return false, err
	}
	state, late := p.rollBackUnconfirmed(ctx, state)
	if errors.Is(late, uma.ErrMoved) {
		return false, late
	}
	if !p.node.StoredPolicies {
		if changed, err = p.propose(ctx, r, state); changed || errors.Is(err, uma.ErrMoved) {
			return changed, err
		}
		if state.Active == nil && r.exam.pending() {
			return false, errExamining
		}
		if err != nil && state.Active == nil {
			return false, err
		}
	}
	starting := !r.active
	changed, failed := p.activatePeriod(ctx, r, state)
	if late != nil && starting && r.active { // it keeps no server from starting, and the loop tries again
		p.node.Log.ErrorContext(ctx, "policy not rolled back", "realm", r.realm, "err", late)
		late = nil
	}
	return changed, errors.Join(late, err, failed)
}

// rollBackUnconfirmed replaces a policy that was not confirmed in time, and returns the state
// then. Each server of the database tries; the first one begins the period, and the others find
// it, with ErrMoved.
func (p *policies) rollBackUnconfirmed(ctx context.Context, state *uma.PolicyState) (*uma.PolicyState, error) {
	late := state.Active
	if late == nil || !late.Overdue(p.node.Now()) {
		return state, nil
	}
	change, err := p.node.Rollout.RollBackUnconfirmed(ctx, state)
	if err != nil {
		return state, fmt.Errorf("roll back revision %s of realm %s, which was not confirmed in time: %w", late.Revision, late.Realm, err)
	}
	p.node.metrics.PolicyUnconfirmed(late.Realm)
	p.node.Log.WarnContext(ctx, "policy rolled back: it was not confirmed in time",
		"realm", late.Realm, "revision", late.Revision, "confirm_by", late.ConfirmBy, "now", change.Revision)
	return p.node.Store.PolicyState(ctx, late.Realm)
}

// propose activates the content of the source if it is new: this process has not proposed
// it, and it is not the last content that any process proposed. So neither a rollback is
// undone, nor do two servers with different folders replace each other's policy for ever.
func (p *policies) propose(ctx context.Context, r *realmPolicy, state *uma.PolicyState) (taken bool, err error) {
	wait := waits(r, state)
	if awaited := r.awaits(); awaited != nil {
		if state.Active == nil {
			return false, awaited
		}
		return false, p.note(ctx, r, state, uma.Proposal{Problem: r.problem()})
	}
	read, err := p.source(ctx, r)
	if known(err, state) {
		return false, p.note(ctx, r, state, uma.Proposal{Problem: r.problem()})
	}
	if err != nil {
		r.forget()
		refused := rollout.Unreadable(r.realm, rollout.Shown(r.desired.Source()), err)
		err = errors.Join(refused, p.note(ctx, r, state, uma.Proposal{Problem: refused.Error(), Report: refused.Report.Text()}))
		if wait != "" { // the folder does not decide
			return false, nil
		}
		return false, err
	}
	content := engine.ContentOf(read.Files)
	if content == state.Taken {
		r.proposed = content
	}
	waiting := wait != "" && content != r.proposed && content != state.Active.Content
	p.node.metrics.PolicyWaiting(r.realm, waiting)
	switch {
	case waiting:
		r.forget()
		return false, p.note(ctx, r, state, uma.Proposal{Content: content, Problem: wait})
	case content == r.proposed, wait != "":
		r.forget()
		return false, p.note(ctx, r, state, uma.Proposal{Problem: r.problem()})
	}
	taken, err = p.take(ctx, r, state, read)
	if err != nil && !errors.Is(err, uma.ErrMoved) {
		proposal := uma.Proposal{Content: content, Problem: err.Error()}
		if refused, ok := errors.AsType[*rollout.GateError](err); ok {
			proposal.Report = refused.Report.Text()
		}
		err = errors.Join(err, p.note(ctx, r, state, proposal))
	}
	return taken, err
}

// known reports whether content whose signature is refused is in force, or was taken before: it
// was verified then, and the signature may have expired since.
func known(err error, state *uma.PolicyState) bool {
	unsigned, ok := errors.AsType[*bundles.SignatureError](err)
	if !ok || state.Active == nil {
		return false
	}
	content := engine.ContentOf(unsigned.Files)
	return content == state.Active.Content || content == state.Taken
}

// take activates a proposal that passes the gates.
func (p *policies) take(ctx context.Context, r *realmPolicy, state *uma.PolicyState, read *rollout.Content) (changed bool, err error) {
	before, err := p.outlineBefore(ctx, r, state)
	if err != nil {
		return false, err
	}
	help := ""
	if !r.active {
		help = fromDatabase
	}
	if err := p.node.Rollout.CheckLost(ctx, r.realm, r.desired, before, read.Source, help); err != nil {
		return false, err
	}
	c, err := p.node.Rollout.Compile(ctx, r.realm, r.desired, read)
	if err != nil {
		return false, err
	}
	report, ok, err := p.examine(ctx, r, state, read)
	if !ok {
		return false, err
	}
	content := engine.ContentOf(read.Files)
	key, err := p.node.Rollout.Store.ActivatePolicy(ctx, &uma.Activation{
		Revision: c.Revision(p.node.Now()), Content: content, Over: periodOf(state).key,
		By: rollout.ByServer, Source: r.desired.Source(), Proposed: true, Report: report.Text(),
	})
	if err != nil {
		if !errors.Is(err, uma.ErrMoved) {
			r.again()
		}
		return false, fmt.Errorf("store the policy of realm %s: %w", r.realm, err)
	}
	r.proposed = content
	r.forget()
	p.logFindings(ctx, r.realm, report)
	p.use(r, c, read.Files, inForce{key: key})
	if r.problem() != "" { // the activation has cleared what was noted of the service
		r.due.Store(true)
		p.compare()
	}
	return true, nil
}

// waits returns why proposals of a realm wait, empty if they do not. The first policy of a
// realm never waits: without one, the realm could not decide anything.
func waits(r *realmPolicy, state *uma.PolicyState) string {
	switch {
	case state.Active == nil:
		return ""
	case state.Active.Pinned:
		return "waits for `umpire policy release`: the policy in force is pinned"
	case r.desired.Manual:
		return "waits for `umpire policy activate`: policy.mode is manual"
	}
	return ""
}

// note remembers a proposal that was not taken, for `umpire policy status`.
func (p *policies) note(ctx context.Context, r *realmPolicy, state *uma.PolicyState, proposal uma.Proposal) error {
	if proposal.Problem != "" {
		proposal.Source = r.desired.Source()
		proposal.Problem = cut(proposal.Problem, maxProblem)
	}
	noted := state.Waiting
	if proposal.Content == noted.Content && proposal.Source == noted.Source && proposal.Problem == noted.Problem {
		return nil
	}
	if proposal.Problem != "" {
		proposal.At = p.node.Now()
		p.node.Log.InfoContext(ctx, "policy proposal not taken", "realm", r.realm, "source", rollout.Shown(r.desired.Source()), "problem", proposal.Problem)
	}
	if err := p.node.Store.NoteProposal(ctx, r.realm, proposal); err != nil {
		return fmt.Errorf("note the proposal for realm %s: %w", r.realm, err)
	}
	return nil
}

// maxProblem is how long Proposal.Problem may be, in bytes.
const maxProblem = 16 << 10

// cut is the beginning of a text that is too long.
func cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "") + " …"
}

// activatePeriod makes the policy of the period in force the active one. If today's library
// or the realm's entry point makes another revision of the same files, it begins a period
// of that revision.
func (p *policies) activatePeriod(ctx context.Context, r *realmPolicy, state *uma.PolicyState) (changed bool, err error) {
	active, same := state.Active, r.active && reflect.DeepEqual(r.desired, r.settings)
	switch {
	case active == nil && r.active:
		return false, nil
	case active == nil:
		return false, fmt.Errorf("realm %s has no policy in the database: start without --policies-from-database", r.realm)
	case same && (r.content == active.Content || r.compiled.Hash() == active.Revision): // another process may have activated it again
		p.use(r, r.compiled, r.files, periodOf(state))
		return false, nil
	}
	files, beside, err := p.filesInForce(ctx, r, state)
	if err != nil {
		return false, err
	}
	src, err := rollout.Parse(files)
	if err != nil {
		return false, err
	}
	src.Beside = beside
	c, err := p.node.engine.Compile(ctx, r.realm, r.desired, src)
	if err != nil {
		return false, err
	}
	period := periodOf(state)
	if c.Hash() != active.Revision {
		period.key, err = p.node.Rollout.Store.ActivatePolicy(ctx, &uma.Activation{
			Revision: c.Revision(p.node.Now()), Content: engine.ContentOf(files), Over: active.Key, By: rollout.ByServer,
			Source: active.Source, Note: "the same files, with another library or entry point", Pinned: active.Pinned,
			ConfirmBy: active.ConfirmBy,
		})
		if err != nil {
			return false, fmt.Errorf("store the policy of realm %s: %w", r.realm, err)
		}
	}
	p.use(r, c, files, period)
	return true, nil
}

// use makes a policy the active one.
func (p *policies) use(r *realmPolicy, c *engine.Compiled, files map[string]string, period inForce) {
	p.node.engine.Use(c, period.key)
	r.active, r.settings, r.compiled, r.period = true, r.desired, c, period
	r.files, r.content, r.beside = files, engine.ContentOf(files), c.Beside()
	p.node.metrics.PolicyConfirmBy(r.realm, period.confirmBy)
}

// periodOf returns the period in force, with the key 0 if there is none.
func periodOf(state *uma.PolicyState) inForce {
	if state.Active == nil {
		return inForce{}
	}
	return inForce{state.Active.Key, state.Active.Pinned, state.Active.ConfirmBy}
}

// filesInForce returns the realm's own files of the policy in force, and those beside them;
// nil without one.
func (p *policies) filesInForce(ctx context.Context, r *realmPolicy, state *uma.PolicyState) (files, beside map[string]string, err error) {
	switch {
	case r.active && (state.Active == nil || r.content == state.Active.Content):
		return r.files, r.beside, nil
	case state.Active == nil:
		return nil, nil, nil
	}
	rev, err := p.node.Store.Revision(ctx, r.realm, state.Active.Revision)
	if err != nil {
		return nil, nil, err
	}
	return engine.RealmFiles(rev.Sources), rev.Beside, nil
}

// outlineBefore returns the outline of the policy in force, empty without one or if this
// version cannot read it.
func (p *policies) outlineBefore(ctx context.Context, r *realmPolicy, state *uma.PolicyState) (engine.Outline, error) {
	files, _, err := p.filesInForce(ctx, r, state)
	if err != nil {
		return engine.Outline{}, fmt.Errorf("read the previous policy: %w", err)
	}
	src, err := rollout.Parse(files)
	if err != nil {
		p.node.Log.WarnContext(ctx, "the policy source is not compared with the policy that was active before the start: this version cannot read that policy", "realm", r.realm, "err", err)
	}
	return engine.OutlineOf(src), nil
}

// source reads the policy folder, the bundle file or the bundle that was downloaded.
func (p *policies) source(ctx context.Context, r *realmPolicy) (*rollout.Content, error) {
	if r.download != nil {
		return p.downloaded(ctx, r)
	}
	read, err := p.node.Rollout.Read(ctx, r.realm, r.desired, r.desired.Bundle)
	if _, gone := os.Stat(r.desired.Bundle); err != nil && gone != nil && !r.active {
		err = fmt.Errorf("%w: the path was stored when the file of realm %s was applied: apply the file from its new place%s", err, r.realm, fromDatabase)
	}
	return read, err
}

// fromDatabase is the second remedy in errors at start about a missing or changed source.
const fromDatabase = "; or use the last active policy, which is in the database, with --policies-from-database"
