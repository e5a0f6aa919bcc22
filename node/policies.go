package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// policies keeps the policy of every realm in force. One loop compares the realm's
// settings and the contents of its folder with the policy in force and activates the
// difference: at each change of either, and after a failure with retries until it
// succeeds. If a policy cannot be activated, the old one stays in force.
type policies struct {
	node    *Node
	watches *sync.WaitGroup
	wake    chan struct{} // the loop has something to compare
	realms  map[string]*realmPolicy
	again   retry // of reading the settings

	mu      sync.Mutex // never held while a policy is read or compiled: /readyz waits for it
	without map[string]error
}

// realmPolicy is what the loop knows of one realm.
type realmPolicy struct {
	realm   string
	wanted  uma.PolicySettings
	changed atomic.Bool // settings or folder, perhaps
	due     atomic.Bool // another try
	again   retry
	unwatch context.CancelFunc

	active   bool // a policy of this process is in force
	settings uma.PolicySettings
	files    map[string]string
	err      error // why what is wanted is not in force
}

// Activation is tried again after firstRetry, then twice as long each time.
const (
	firstRetry = 250 * time.Millisecond
	maxRetry   = time.Minute
)

// A retry is the time until something is tried again.
type retry struct {
	timer *time.Timer
	wait  time.Duration
}

// after calls again later, and waits longer each time.
func (r *retry) after(again func()) {
	r.cancel()
	r.wait = min(max(2*r.wait, firstRetry), maxRetry)
	r.timer = time.AfterFunc(r.wait, again)
}

// reset makes the next wait a short one.
func (r *retry) reset() {
	r.cancel()
	r.wait = 0
}

func (r *retry) cancel() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

func newPolicies(n *Node) *policies {
	return &policies{
		node: n, wake: make(chan struct{}, 1), realms: map[string]*realmPolicy{}, without: map[string]error{},
	}
}

// begin activates the policies of all realms, or returns why it cannot, and follows
// their changes until ctx ends, in goroutines of group.
func (p *policies) begin(ctx context.Context, group *sync.WaitGroup) error {
	p.watches = group
	if err := p.sync(ctx); err != nil {
		p.stop()
		return err
	}
	group.Go(func() { p.follow(ctx) })
	return nil
}

// compare wakes the loop.
func (p *policies) compare() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// follow compares until ctx ends.
func (p *policies) follow(ctx context.Context) {
	defer p.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		_ = p.sync(ctx) // each failure was logged, and is tried again
	}
}

func (p *policies) stop() {
	p.again.cancel()
	for _, r := range p.realms {
		r.again.cancel()
	}
}

// sync is one comparison of all realms. It returns what failed.
func (p *policies) sync(ctx context.Context) error {
	if err := p.readSettings(ctx); err != nil {
		p.again.after(p.compare)
		if ctx.Err() == nil {
			p.node.Log.ErrorContext(ctx, "read policy settings", "err", err)
		}
		return err
	}
	p.again.reset()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.realms)) {
		r := p.realms[name]
		due := r.due.Swap(false)
		if r.changed.Swap(false) {
			r.again.reset()
			due = true
		}
		if due {
			errs = append(errs, p.settle(ctx, r))
		}
	}
	return errors.Join(errs...)
}

// readSettings reads what is wanted of each realm, and watches the folders.
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
		r := p.realms[name]
		if r != nil && reflect.DeepEqual(r.wanted, s.Realm.Policy) {
			continue
		}
		if r == nil {
			r = &realmPolicy{realm: name, unwatch: func() {}}
			p.realms[name] = r
		}
		r.unwatch()
		r.wanted = s.Realm.Policy
		r.changed.Store(true)
		r.unwatch = p.watch(ctx, r)
	}
	return nil
}

// watch has a realm compared whenever its folder changes.
func (p *policies) watch(ctx context.Context, r *realmPolicy) context.CancelFunc {
	ctx, stop := context.WithCancel(ctx)
	if dir := r.wanted.Bundle; dir != "" && !p.node.StoredPolicies {
		p.watches.Go(func() {
			bundles.Watch(ctx, dir, func() {
				r.changed.Store(true)
				p.compare()
			})
		})
	}
	return stop
}

// settle puts what is wanted of a realm in force, unless it is.
func (p *policies) settle(ctx context.Context, r *realmPolicy) error {
	rev, err := p.activate(ctx, r)
	switch {
	case err != nil && ctx.Err() != nil:
		return err // the server stops
	case err != nil:
		r.again.after(func() {
			r.due.Store(true)
			p.compare()
		})
		p.node.metrics.PolicyFailed(r.realm)
		if r.err == nil || r.err.Error() != err.Error() {
			p.node.Log.ErrorContext(ctx, "policy not activated", "realm", r.realm, "still_active", r.active, "err", err)
		}
	case rev != nil:
		p.node.Log.InfoContext(ctx, "policy activated", "realm", r.realm, "revision", rev.Hash)
		p.node.metrics.PolicyActivated(r.realm, rev.Hash, p.node.Now())
	case r.err != nil:
		p.node.Log.InfoContext(ctx, "policy folder has the policy in force again", "realm", r.realm)
	}
	r.err = err
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.without, r.realm)
	if !r.active {
		p.without[r.realm] = err
	}
	return err
}

// activate activates what is wanted; nil, nil if it is in force already. The
// sources are kept first, so that every decision can be explained.
func (p *policies) activate(ctx context.Context, r *realmPolicy) (*uma.Revision, error) {
	src, err := p.source(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.active && maps.Equal(src.Files, r.files) && reflect.DeepEqual(r.wanted, r.settings) {
		return nil, nil // an editor touched a file, or took a change back
	}
	if err := p.checkLost(ctx, r, src); err != nil {
		return nil, err
	}
	rev, err := p.node.engine.Activate(ctx, r.realm, r.wanted, src)
	if err != nil {
		return nil, err
	}
	r.active, r.settings, r.files = true, r.wanted, src.Files
	return rev, nil
}

func (p *policies) source(ctx context.Context, r *realmPolicy) (engine.Source, error) {
	if p.node.StoredPolicies {
		files, err := p.stored(ctx, r.realm)
		if errors.Is(err, uma.ErrNotFound) {
			err = fmt.Errorf("realm %s has no policy in the database: start without --policies-from-database", r.realm)
		}
		if err != nil {
			return engine.Source{}, err
		}
		return parse(files)
	}
	src, err := Source(r.wanted.Bundle)
	if _, gone := os.Stat(r.wanted.Bundle); err != nil && gone != nil && !r.active {
		err = fmt.Errorf("%w: this path is from when the file of realm %s was applied: apply the file from its new place%s", err, r.realm, fromDatabase)
	}
	return src, err
}

// fromDatabase is the second remedy in errors of a start about a missing or changed
// folder.
const fromDatabase = "; or serve the last policy in force, which is in the database, with --policies-from-database"

// stored are the files of the policy that was in force last, as the database has
// them.
func (p *policies) stored(ctx context.Context, realm string) (map[string]string, error) {
	rev, err := p.node.Store.RevisionInForce(ctx, realm)
	if err != nil {
		return nil, err
	}
	return engine.RealmFiles(rev.Sources), nil
}

// checkLost refuses a source that lost restrictions of the policy in force before it,
// also when the server was restarted in between: files that are moved away for a
// moment, or a volume that is not mounted, must not permit what their policies denied.
// A realm file without a folder says that there is no policy.
func (p *policies) checkLost(ctx context.Context, r *realmPolicy, src engine.Source) error {
	if r.wanted.Bundle == "" || p.node.StoredPolicies {
		return nil
	}
	help := ""
	if !r.active {
		help = fromDatabase
	}
	before, err := p.outlineBefore(ctx, r)
	if err != nil {
		return err
	}
	lost := before.Lost(engine.OutlineOf(src))
	if lost.Everything {
		return fmt.Errorf("policy folder %s has no policy file any more: put the files back, or take policy.bundle out of the file of realm %s%s", shown(r.wanted.Bundle), r.realm, help)
	}
	var missed []string
	for _, gone := range lost.Parts {
		text, err := p.missed(ctx, r, gone)
		if err != nil {
			return err
		}
		if text != "" {
			missed = append(missed, text)
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("policy folder %s no longer has %s: put the files back, or list the names in policy.removed in the file of realm %s%s", shown(r.wanted.Bundle), strings.Join(missed, ", "), r.realm, help)
	}
	return nil
}

// outlineBefore is the outline of the policy in force, or before the first activation
// of that from before the start; empty if this version no longer reads it.
func (p *policies) outlineBefore(ctx context.Context, r *realmPolicy) (engine.Outline, error) {
	files := r.files
	if !r.active {
		var err error
		files, err = p.stored(ctx, r.realm)
		if errors.Is(err, uma.ErrNotFound) {
			return engine.Outline{}, nil
		}
		if err != nil {
			return engine.Outline{}, fmt.Errorf("read the previous policy: %w", err)
		}
	}
	src, err := parse(files)
	if err != nil {
		p.node.Log.WarnContext(ctx, "the policy folder is not compared with the policy from before the start, which this version does not read", "realm", r.realm, "err", err)
	}
	return engine.OutlineOf(src), nil
}

// missed is why a part must not be removed, "" if it may be.
func (p *policies) missed(ctx context.Context, r *realmPolicy, gone engine.Part) (string, error) {
	if slices.Contains(r.wanted.Removed, gone.Name) || slices.Contains(r.wanted.Removed, gone.Package) {
		return "", nil
	}
	note := gone.Note
	if gone.Types != nil {
		used, err := p.node.Store.TypesInUse(ctx, r.realm, gone.Types)
		if err != nil || len(used) == 0 {
			return "", err
		}
		note = "there are resources of type " + used[0]
	}
	if note == "" {
		return gone.Name, nil
	}
	return fmt.Sprintf("%s (%s)", gone.Name, note), nil
}

// missing reports the realms that have no policy in force.
func (p *policies) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.without)) {
		errs = append(errs, fmt.Errorf("realm %s has no policy: %w", name, p.without[name]))
	}
	return errors.Join(errs...)
}
