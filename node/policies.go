package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// policies activates the policies of all realms. One loop compares the settings, the
// policy source and the policy period of a realm with its active policy, and activates a policy that
// differs: at each change of one of them, and after a failure with retries until it
// succeeds. If a policy cannot be activated, the old one stays active.
//
// The source proposes, the period in the database decides (proposals.go).
type policies struct {
	node    *Node
	watches *sync.WaitGroup
	wake    chan struct{} // the loop has something to compare
	realms  map[string]*realmPolicy
	retry   backoff // of reading the settings

	// starting: the server waits for examinations, see examine.
	starting bool

	// without are the realms without an active policy, and why, of those that there were when the server
	// started. A realm that is new since does not make the server, and all others of the database, unready.
	without map[string]error
	mu      sync.Mutex // never held while a policy is read or compiled: /readyz waits for it
}

// realmPolicy is the state of one realm.
type realmPolicy struct {
	realm   string
	desired uma.PolicySettings
	changed atomic.Bool // the settings or the source may have changed
	due     atomic.Bool // a retry is due
	retry   backoff
	unwatch context.CancelFunc

	download *download // of a realm whose policies come from a service, unless the stored ones are used

	active   bool               // this process has activated a policy
	settings uma.PolicySettings // of the active policy, as the next five
	compiled *engine.Compiled
	files    map[string]string
	content  string // hash of files
	beside   map[string]string
	period   inForce

	overdue  uma.Key // the period that was to be rolled back last because nobody confirmed it
	proposed string  // content of the folder that this process proposed last, or found proposed
	err      error   // why the desired policy is not active
	exam     *examination
}

// inForce is what the loop compares of a policy period.
type inForce struct {
	key       uma.Key
	pinned    bool
	confirmBy time.Time
}

// The first retry follows firstRetry after a failure; the wait doubles up to maxRetry.
const (
	firstRetry = 250 * time.Millisecond
	maxRetry   = time.Minute
)

// A backoff schedules retries.
type backoff struct {
	timer *time.Timer
	wait  time.Duration
}

// schedule calls try after a wait that doubles each time.
func (b *backoff) schedule(try func()) {
	b.cancel()
	b.wait = min(max(2*b.wait, firstRetry), maxRetry)
	b.timer = time.AfterFunc(b.wait, try)
}

// reset makes the next wait the shortest.
func (b *backoff) reset() {
	b.cancel()
	b.wait = 0
}

func (b *backoff) cancel() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

func newPolicies(n *Node) *policies {
	return &policies{
		node: n, wake: make(chan struct{}, 1), realms: map[string]*realmPolicy{}, without: map[string]error{},
	}
}

// begin activates the policies of all realms, or returns an error. Goroutines of group then
// activate their changes until ctx ends.
func (p *policies) begin(ctx context.Context, group *sync.WaitGroup) error {
	p.watches = group
	err := p.readSettings(ctx)
	if err == nil {
		p.awaitServices(ctx)
		p.starting = true
		err = p.sync(ctx)
		p.starting = false
	}
	if err != nil {
		p.stop()
		return err
	}
	group.Go(func() { p.follow(ctx) })
	return nil
}

// compare wakes the loop, which compares all realms that may have changed.
func (p *policies) compare() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// follow is the loop; it returns when ctx ends.
func (p *policies) follow(ctx context.Context) {
	defer p.stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !p.anyOverdue() {
				continue
			}
		case <-p.wake:
		}
		_ = p.sync(ctx) // it logs failures and schedules retries
	}
}

// anyOverdue reports whether a policy in force was not confirmed in time, once for each
// period: if it cannot be rolled back, retries follow as after any failure. No timer waits for
// that moment, because the clock may jump.
func (p *policies) anyOverdue() (any bool) {
	now := p.node.Now()
	for _, r := range p.realms {
		if at := r.period.confirmBy; !at.IsZero() && !now.Before(at) && r.overdue != r.period.key {
			r.overdue = r.period.key
			r.due.Store(true)
			any = true
		}
	}
	return any
}

func (p *policies) stop() {
	p.retry.cancel()
	for _, r := range p.realms {
		r.retry.cancel()
	}
}

// sync compares all realms once.
func (p *policies) sync(ctx context.Context) error {
	if err := p.readSettings(ctx); err != nil {
		p.retry.schedule(p.compare)
		if ctx.Err() == nil {
			p.node.Log.ErrorContext(ctx, "read policy settings", "err", err)
		}
		return err
	}
	p.retry.reset()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.realms)) {
		r := p.realms[name]
		due := r.due.Swap(false)
		if r.changed.Swap(false) {
			r.retry.reset()
			due = true
		}
		if !due {
			continue
		}
		if err := p.update(ctx, r); err != nil && !r.desired.FromService() { // a service keeps no server from starting
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readSettings reads the desired settings of each realm, and watches the sources.
func (p *policies) readSettings(ctx context.Context) error {
	names, err := p.node.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	for _, name := range names {
		s, err := p.node.Store.Snapshot(ctx, name, p.node.Now())
		if err != nil {
			return fmt.Errorf("load realm %s: %w", name, err)
		}
		state, err := p.node.Store.PolicyState(ctx, name)
		if err != nil {
			return err
		}
		r := p.realms[name]
		if r != nil && r.period != periodOf(state) {
			r.changed.Store(true)
		}
		if r != nil && reflect.DeepEqual(r.desired, s.Realm.Policy) {
			continue
		}
		if r == nil {
			r = &realmPolicy{realm: name, unwatch: func() {}}
			p.realms[name] = r
		}
		r.unwatch()
		r.desired = s.Realm.Policy
		r.changed.Store(true)
		r.unwatch = p.watch(ctx, r)
	}
	return nil
}

// watch starts to compare a realm whenever its source changes, until the returned function
// is called.
func (p *policies) watch(ctx context.Context, r *realmPolicy) context.CancelFunc {
	ctx, stop := context.WithCancel(ctx)
	if r.download != nil {
		p.node.metrics.DownloadsEnded(r.realm)
	}
	r.download = nil
	if r.desired.FromService() && !p.node.StoredPolicies {
		d := p.newDownload(ctx, r)
		r.download = d
		p.watches.Go(func() { p.poll(ctx, r, d) })
	}
	if dir := r.desired.Bundle; dir != "" && !p.node.StoredPolicies {
		p.watches.Go(func() {
			bundles.Watch(ctx, dir, func() {
				r.changed.Store(true)
				p.compare()
			})
		})
	}
	return stop
}

// update activates the desired policy of a realm unless it is active, logs the result, and
// schedules a retry after a failure.
func (p *policies) update(ctx context.Context, r *realmPolicy) error {
	started := !r.active
	activated, err := p.activate(ctx, r)
	switch {
	case err != nil && ctx.Err() != nil:
		return err // the server stops
	case errors.Is(err, errExamining):
	case errors.Is(err, errAwaited): // the poll has logged why, and the next one wakes the loop
	case err != nil:
		r.retry.schedule(func() {
			r.due.Store(true)
			p.compare()
		})
		p.failed(ctx, r, err)
	case activated:
		if awaited := r.awaits(); started && awaited != nil {
			p.node.Log.WarnContext(ctx, "started with the last policy that was in force", "realm", r.realm, "revision", r.compiled.Hash(), "err", awaited)
		}
		p.node.Log.InfoContext(ctx, "policy activated", "realm", r.realm, "revision", r.compiled.Hash())
		p.node.metrics.PolicyActivated(r.realm, r.compiled.Hash(), p.node.Now())
	case r.err != nil && !r.exam.pending():
		p.node.Log.InfoContext(ctx, "policy source has the active policy again", "realm", r.realm)
	}
	if !r.exam.pending() {
		r.err = err
		if err == nil {
			p.node.metrics.PolicyRefused(r.realm, nil)
		}
	}
	p.node.metrics.PolicyMissing(r.realm, !r.active)
	p.await(r, err)
	if refused, ok := errors.AsType[*rollout.GateError](err); ok && refused.Compiles && r.active {
		return nil // a server starts with the policy in force
	}
	return err
}

// await remembers that the server waits for the first policy of a realm, or no longer does.
func (p *policies) await(r *realmPolicy, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, awaited := p.without[r.realm]; awaited || p.starting {
		p.without[r.realm] = err
	}
	if r.active {
		delete(p.without, r.realm)
	}
}

// failed counts and logs that the desired policy is not active.
func (p *policies) failed(ctx context.Context, r *realmPolicy, err error) {
	p.node.metrics.PolicyFailed(r.realm)
	var gates []string
	if refused, ok := errors.AsType[*rollout.GateError](err); ok {
		gates = refused.Gates()
	}
	p.node.metrics.PolicyRefused(r.realm, gates)
	if r.err == nil || r.err.Error() != err.Error() {
		p.node.Log.ErrorContext(ctx, "policy not activated", "realm", r.realm, "still_active", r.active, "gates", gates, "err", err)
	}
}

// missing returns an error for each realm whose first policy the server waits for since its start.
func (p *policies) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.without)) {
		errs = append(errs, fmt.Errorf("realm %s has no active policy: %w", name, p.without[name]))
	}
	return errors.Join(errs...)
}
