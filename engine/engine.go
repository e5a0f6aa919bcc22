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

// An Engine keeps one policy in force for each realm. It is safe for concurrent
// use, also while a policy is replaced.
type Engine struct {
	cfg   Config
	mu    sync.Mutex // held to replace realms
	realm atomic.Pointer[map[string]*policy]
}

// Config is what an Engine needs.
type Config struct {
	Now func() time.Time // nil: time.Now

	// Keep is given each revision before it is put in force; an error leaves the
	// old one in force. It may be nil.
	Keep func(context.Context, *uma.Revision) error
}

var _ uma.Policy = (*Engine)(nil)

// New returns an engine without a policy: until one is activated for a realm,
// nothing is decided there.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg}
	e.realm.Store(&map[string]*policy{})
	return e
}

// Activate compiles a realm's policy with the shipped library beside it and
// makes it the one that all later decisions of the realm are made by. If it does
// not compile or breaks the contract the realm keeps the one it had; the error
// lists every mistake, each as file:line.
//
// The Revision returned holds the sources, the library's among them, under the
// hash that names the policy in every record.
func (e *Engine) Activate(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("activate policy of realm %s:\n%w", realm, err)
	}
	rev := p.revision(e.cfg.Now())
	if e.cfg.Keep != nil {
		if err := e.cfg.Keep(ctx, rev); err != nil {
			return nil, fmt.Errorf("keep the sources of the policy of realm %s: %w", realm, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.realm.Load())
	next[realm] = p
	e.realm.Store(&next)
	return rev, nil
}

// Check compiles a policy as Activate does, and leaves it at that.
func (e *Engine) Check(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, err
	}
	return p.revision(e.cfg.Now()), nil
}

// Prepare returns the policy in force for a realm. Its deadline is that of the
// realm as it is now; a change of its files or entry point takes an Activate.
func (e *Engine) Prepare(ctx context.Context, realm *uma.Realm) (uma.Evaluator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, ok := (*e.realm.Load())[realm.Name]
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
