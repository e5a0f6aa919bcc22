package engine

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// An Engine holds the policy in force of each realm. It is safe for concurrent use, also
// while a policy is replaced.
type Engine struct {
	cfg    Config
	mu     sync.Mutex // held while a policy is replaced
	active atomic.Pointer[map[string]*policy]
}

// Config is what an Engine needs.
type Config struct {
	Now func() time.Time // nil: time.Now

	// Keep stores each revision before it comes into force. If that fails, the old one
	// stays in force. It may be nil.
	Keep func(context.Context, *uma.Revision) error
}

var _ uma.Policy = (*Engine)(nil)

// New returns an engine without policies. It decides nothing for a realm until a policy of
// that realm is activated.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg}
	e.active.Store(&map[string]*policy{})
	return e
}

// Activate compiles a realm's policy together with the shipped library and puts it in
// force: all later decisions of the realm are made by it. If the new policy does not
// compile or breaks the contract, the old one stays in force; the error lists every
// mistake, each as file:line.
//
// The Revision returned has the sources, with those of the library, under the hash that
// names the policy in every record.
func (e *Engine) Activate(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("activate policy of realm %s:\n%w", realm, err)
	}
	rev := p.revision(e.cfg.Now())
	if e.cfg.Keep != nil {
		if err := e.cfg.Keep(ctx, rev); err != nil {
			return nil, fmt.Errorf("store the sources of the policy of realm %s: %w", realm, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.active.Load())
	next[realm] = p
	e.active.Store(&next)
	return rev, nil
}

// Check compiles a policy as Activate does, without activating it.
func (e *Engine) Check(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, err
	}
	return p.revision(e.cfg.Now()), nil
}

// Prepare returns the policy in force of a realm, with the deadline that the realm has now. A
// change of the realm's policy files or entry point needs Activate.
func (e *Engine) Prepare(ctx context.Context, realm *uma.Realm) (uma.Evaluator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, ok := (*e.active.Load())[realm.Name]
	if !ok {
		return nil, fmt.Errorf("realm %s has no policy in force", realm.Name)
	}
	if timeout := realm.Policy.Timeout; timeout > 0 && timeout != p.timeout {
		changed := *p
		changed.timeout = timeout
		return &changed, nil
	}
	return p, nil
}
