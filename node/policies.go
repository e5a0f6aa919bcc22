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

// policies activates the policies of all realms. One loop compares the settings and the
// policy source of a realm with its active policy, and activates a policy that differs: at each
// change of either, and after a failure with retries until it succeeds. If a policy cannot
// be activated, the old one stays active.
type policies struct {
	node    *Node
	watches *sync.WaitGroup
	wake    chan struct{} // the loop has something to compare
	realms  map[string]*realmPolicy
	retry   backoff // of reading the settings

	mu      sync.Mutex       // never held while a policy is read or compiled: /readyz waits for it
	without map[string]error // realms without an active policy, and why
}

// realmPolicy is the state of one realm.
type realmPolicy struct {
	realm   string
	desired uma.PolicySettings
	changed atomic.Bool // the settings or the source may have changed
	due     atomic.Bool // a retry is due
	retry   backoff
	unwatch context.CancelFunc

	active   bool               // this process has activated a policy
	settings uma.PolicySettings // of the active policy
	files    map[string]string  // of the active policy
	err      error              // why the desired policy is not active
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
	if err := p.sync(ctx); err != nil {
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
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		_ = p.sync(ctx) // it logs failures and schedules retries
	}
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
		if due {
			errs = append(errs, p.update(ctx, r))
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
		r := p.realms[name]
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
	rev, err := p.activate(ctx, r)
	switch {
	case err != nil && ctx.Err() != nil:
		return err // the server stops
	case err != nil:
		r.retry.schedule(func() {
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
		p.node.Log.InfoContext(ctx, "policy source has the active policy again", "realm", r.realm)
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

// activate activates the desired policy; it returns nil, nil if that is active already. The
// engine stores the sources first, so that every decision can be explained.
func (p *policies) activate(ctx context.Context, r *realmPolicy) (*uma.Revision, error) {
	src, err := p.source(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.active && maps.Equal(src.Files, r.files) && reflect.DeepEqual(r.desired, r.settings) {
		return nil, nil // a file was written with the same content, or a change was undone
	}
	if err := p.checkLost(ctx, r, src); err != nil {
		return nil, err
	}
	rev, err := p.node.engine.Activate(ctx, r.realm, r.desired, src)
	if err != nil {
		return nil, err
	}
	r.active, r.settings, r.files = true, r.desired, src.Files
	return rev, nil
}

// source reads the desired policy.
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
	src, err := Source(r.desired.Bundle)
	if _, gone := os.Stat(r.desired.Bundle); err != nil && gone != nil && !r.active {
		err = fmt.Errorf("%w: the path was stored when the file of realm %s was applied: apply the file from its new place%s", err, r.realm, fromDatabase)
	}
	return src, err
}

// fromDatabase is the second remedy in errors at start about a missing or changed source.
const fromDatabase = "; or use the last active policy, which is in the database, with --policies-from-database"

// stored returns the files of the last active policy from the database.
func (p *policies) stored(ctx context.Context, realm string) (map[string]string, error) {
	rev, err := p.node.Store.RevisionInForce(ctx, realm)
	if err != nil {
		return nil, err
	}
	return engine.RealmFiles(rev.Sources), nil
}

// checkLost refuses a source that lost restrictions of the policy that was active before,
// also if the server was restarted in between: if files are moved away for a moment, or a
// volume is not mounted, requests that their policies denied must not be granted. It permits
// a realm file without a policy source.
func (p *policies) checkLost(ctx context.Context, r *realmPolicy, src engine.Source) error {
	if r.desired.Bundle == "" || p.node.StoredPolicies {
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
		return fmt.Errorf("policy source %s no longer has any policy file: put the files back, or remove policy.bundle from the file of realm %s%s", shown(r.desired.Bundle), r.realm, help)
	}
	var needed []string
	for _, part := range lost.Parts {
		text, err := p.describeNeeded(ctx, r, part)
		if err != nil {
			return err
		}
		if text != "" {
			needed = append(needed, text)
		}
	}
	if len(needed) > 0 {
		return fmt.Errorf("policy source %s no longer has %s: put the files back, or list the names in policy.removed in the file of realm %s%s", shown(r.desired.Bundle), strings.Join(needed, ", "), r.realm, help)
	}
	return nil
}

// outlineBefore returns the outline of the active policy, or before the first activation that
// of the last active policy in the database; empty if this version cannot read it.
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
		p.node.Log.WarnContext(ctx, "the policy source is not compared with the policy that was active before the start: this version cannot read that policy", "realm", r.realm, "err", err)
	}
	return engine.OutlineOf(src), nil
}

// describeNeeded describes a lost part that must not be missing, and returns "" if it may.
func (p *policies) describeNeeded(ctx context.Context, r *realmPolicy, part engine.Part) (string, error) {
	if slices.Contains(r.desired.Removed, part.Name) || slices.Contains(r.desired.Removed, part.Package) {
		return "", nil
	}
	note := part.Note
	if part.Types != nil {
		used, err := p.node.Store.TypesInUse(ctx, r.realm, part.Types)
		if err != nil || len(used) == 0 {
			return "", err
		}
		note = "there are resources of type " + used[0]
	}
	if note == "" {
		return part.Name, nil
	}
	return fmt.Sprintf("%s (%s)", part.Name, note), nil
}

// missing returns an error for each realm without an active policy.
func (p *policies) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.without)) {
		errs = append(errs, fmt.Errorf("realm %s has no active policy: %w", name, p.without[name]))
	}
	return errors.Join(errs...)
}
