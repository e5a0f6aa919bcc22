package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// An Engine holds the policy in force of each realm. It is safe for concurrent use, also
// while a policy is replaced.
type Engine struct {
	cfg    Config
	memo   *memo
	mu     sync.Mutex // held while a policy is replaced
	active atomic.Pointer[map[string]inForce]
}

// inForce is the policy of a realm, and the period since which it is.
type inForce struct {
	policy  *policy
	period  uma.Key
	changed chan struct{} // closed by the next replacement
}

// Config is what an Engine needs.
type Config struct {
	Now     func() time.Time // nil: time.Now
	Version string           // of Umpire, for revisions
	Memo    int              // bytes of answers that may be kept, see Recall; 0: none
}

var _ uma.Policy = (*Engine)(nil)

// New returns an engine without policies. It decides nothing for a realm until a policy of
// that realm is activated.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, memo: newMemo(cfg.Memo)}
	e.active.Store(&map[string]inForce{})
	return e
}

// A Compiled is a policy that compiles and keeps the contract.
type Compiled struct {
	policy *policy
	umpire string // version
}

// Revision returns the sources of the policy, with those of the library, under the hash
// that names it in every record.
func (c *Compiled) Revision(since time.Time) *uma.Revision {
	r := c.policy.revision(since)
	r.Umpire = c.umpire
	return r
}

// Beside are the files of the source that do not decide.
func (c *Compiled) Beside() map[string]string { return c.policy.beside }

// Functions says which decisions are functions of what the policy reads of the input, and why
// others are not. Equal parts of the input have the same answer then, which can be kept.
func (c *Compiled) Functions() []Function {
	if c.policy.functions != nil {
		return c.policy.functions.list()
	}
	f, err := functionsOf(context.Background(), c.policy)
	if err != nil {
		return []Function{{Because: err.Error()}}
	}
	return f.list()
}

// Hash names the revision.
func (c *Compiled) Hash() string { return c.policy.hash }

// Compile compiles a realm's policy together with the shipped library. If it does not
// compile or breaks the contract, the error lists every mistake, each as file:line.
func (e *Engine) Compile(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*Compiled, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("activate policy of realm %s:\n%w", realm, err)
	}
	if e.memo != nil {
		if p.functions, err = functionsOf(ctx, p); err != nil {
			return nil, fmt.Errorf("activate policy of realm %s: %w", realm, err)
		}
	}
	return &Compiled{p, e.cfg.Version}, nil
}

// Use puts a policy in force for a period of its realm: all later decisions of the realm
// are made by it.
func (e *Engine) Use(c *Compiled, period uma.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.active.Load())
	before, ok := next[c.policy.realm]
	next[c.policy.realm] = inForce{e.memo.remembering(c.policy), period, make(chan struct{})}
	e.active.Store(&next)
	e.memo.clear()
	if ok {
		close(before.changed)
	}
}

// Activate compiles a policy and puts it in force, for a realm without periods. It returns
// the revision.
func (e *Engine) Activate(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	c, err := e.Compile(ctx, realm, settings, src)
	if err != nil {
		return nil, err
	}
	e.Use(c, 0)
	return c.Revision(e.cfg.Now()), nil
}

// Check compiles a policy as Activate does, without activating it.
func (e *Engine) Check(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*uma.Revision, error) {
	p, err := compile(ctx, realm, settings, src, e.cfg.Now)
	if err != nil {
		return nil, err
	}
	return p.revision(e.cfg.Now()), nil
}

// patience is how long Prepare waits for the policy of a period that has begun in the store.
const patience = 3 * time.Second

// Prepare returns the policy in force of a realm, with the deadline that the realm has now. A
// change of the realm's policy files or entry point needs Use. If a later period has begun
// than that of the policy, Prepare waits for its policy: grants of the old one would not be
// committed any more.
func (e *Engine) Prepare(ctx context.Context, realm *uma.Realm) (uma.Evaluator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, ok := (*e.active.Load())[realm.Name]
	if ok && f.period < realm.Period {
		if err := e.await(ctx, realm); err != nil {
			return nil, err
		}
		f = (*e.active.Load())[realm.Name]
	}
	if !ok {
		return nil, fmt.Errorf("realm %s has no policy in force", realm.Name)
	}
	timeout := cmp.Or(realm.Policy.Timeout, f.policy.timeout)
	decideAnew := realm.Policy.DecideAnew && f.policy.memo != nil
	if timeout == f.policy.timeout && !decideAnew {
		return f.policy, nil
	}
	changed := *f.policy
	changed.timeout = timeout
	if decideAnew {
		changed.memo = nil
	}
	return &changed, nil
}

// MemoStats returns what is kept of answers, and how often one was found.
func (e *Engine) MemoStats() recent.Stats {
	if e.memo == nil {
		return recent.Stats{}
	}
	return e.memo.answers.Stats()
}

// await waits until the policy of a realm's period is in force.
func (e *Engine) await(ctx context.Context, realm *uma.Realm) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		f := (*e.active.Load())[realm.Name]
		if f.period >= realm.Period {
			return nil
		}
		select {
		case <-f.changed:
		case <-late.C:
			return fmt.Errorf("realm %s: the policy that was activated last is not in force here yet", realm.Name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
