package engine

import (
	"context"
	"time"

	"example.com/umpire/uma"
)

// A Prober is a compiled policy that is asked what it would decide, and by which rules. It is
// safe for concurrent use.
type Prober struct{ policy *policy }

// probeTimeout replaces policy.timeout: what a policy would decide must not depend on how busy
// the machine is that asks.
const probeTimeout = 5 * time.Second

// NewProber compiles a policy as Activate does, without activating it. Its evaluations end
// after five seconds, whatever policy.timeout is.
func NewProber(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*Prober, error) {
	settings.Timeout = probeTimeout
	p, err := compilePlain(ctx, realm, settings, src, time.Now)
	if err != nil {
		return nil, err
	}
	mergeLabels(p.compiler)
	p.note(settings, func(string, string) bool { return true })
	p.places = true
	return &Prober{p}, nil
}

// Revision is the hash of the policy's sources.
func (p *Prober) Revision() string { return p.policy.hash }

// Decide evaluates the entry point for one permission, as uma.Evaluator does. Its decisions
// have the places of all rules that made them.
func (p *Prober) Decide(ctx context.Context, in *uma.Input) (*uma.Evaluation, error) {
	value, err := inputValue(p.policy.names, in)
	if err != nil {
		return new(uma.Evaluation), err
	}
	return p.policy.decide(ctx, value, in.Now, in.Scopes, new(evaluation))
}
