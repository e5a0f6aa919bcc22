package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// policies keeps the policy of every realm in force: it reads the realm's
// folder, and again whenever the folder or the realm's settings change. A policy
// that does not compile leaves the old one in force.
type policies struct {
	node *Node

	mu     sync.Mutex
	realms map[string]*inForce
}

// inForce is what is known of one realm's policy.
type inForce struct {
	settings uma.PolicySettings
	stop     context.CancelFunc // of the watch
	files    map[string]string  // that were activated last
	err      error              // of the last activation
	active   bool               // some revision is in force
}

func newPolicies(n *Node) *policies { return &policies{node: n, realms: map[string]*inForce{}} }

// Source reads a policy folder; an empty one stands for the shipped library
// alone.
func Source(dir string) (engine.Source, error) {
	if dir == "" {
		return engine.Source{}, nil
	}
	b, err := bundles.ReadDir(dir, bundles.Options{Parser: engine.ParserOptions(), Folder: shown(dir)})
	if err != nil {
		return engine.Source{}, fmt.Errorf("read policy folder %s: %w", dir, err)
	}
	return engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}, nil
}

// shown is what a folder is called in messages: its path from where the command
// runs, so that an editor finds it, unless that is the longer one.
func shown(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if from, err := filepath.Rel(here, dir); err == nil && len(from) < len(dir) {
		return from
	}
	return dir
}

// sync activates the policies of all realms whose settings are not those in
// force, and watches their folders until ctx ends.
func (p *policies) sync(ctx context.Context) error {
	names, err := p.node.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, name := range names {
		s, err := p.node.Store.Snapshot(ctx, name, p.node.Now())
		if err != nil {
			return fmt.Errorf("load realm %s: %w", name, err)
		}
		have := p.realms[name]
		if have != nil && have.settings == s.Realm.Policy {
			continue
		}
		if have == nil {
			have = &inForce{}
			p.realms[name] = have
		} else {
			have.stop()
		}
		have.settings, have.files = s.Realm.Policy, nil
		have.stop = p.watch(ctx, name, s.Realm.Policy)
		if err := p.activate(ctx, name, have); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// watch activates a realm's policy anew whenever its folder changes.
func (p *policies) watch(ctx context.Context, realm string, settings uma.PolicySettings) context.CancelFunc {
	ctx, stop := context.WithCancel(ctx)
	if settings.Bundle != "" {
		go bundles.Watch(ctx, settings.Bundle, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if ctx.Err() == nil {
				p.activate(ctx, realm, p.realms[realm]) //nolint:errcheck // logged, and told by /readyz
			}
		})
	}
	return stop
}

// activate puts what the folder holds now in force, unless it is already. Its
// sources are kept first, so that every decision can be explained.
func (p *policies) activate(ctx context.Context, realm string, have *inForce) error {
	src, err := Source(have.settings.Bundle)
	if err == nil && have.active && have.err == nil && have.files != nil && maps.Equal(src.Files, have.files) {
		return nil // an editor touched a file
	}
	var rev *uma.Revision
	if err == nil {
		rev, err = p.node.engine.Activate(ctx, realm, have.settings, src)
	}
	if err != nil {
		if have.err == nil || have.err.Error() != err.Error() {
			p.node.Log.ErrorContext(ctx, "policy not activated", "realm", realm, "still_active", have.active, "err", err)
		}
		have.err = err
		return err
	}
	have.active, have.files, have.err = true, src.Files, nil
	p.node.Log.InfoContext(ctx, "policy activated", "realm", realm, "revision", rev.Hash)
	p.node.metrics.PolicyActivated(realm, rev.Hash)
	return nil
}

// missing reports the realms that have no policy in force.
func (p *policies) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.realms)) {
		if !p.realms[name].active {
			errs = append(errs, fmt.Errorf("realm %s has no policy: %w", name, p.realms[name].err))
		}
	}
	return errors.Join(errs...)
}

// CheckPolicy compiles a policy as a server would, and reports every mistake.
func CheckPolicy(ctx context.Context, realm string, settings uma.PolicySettings) error {
	src, err := Source(settings.Bundle)
	if err != nil {
		return err
	}
	if _, err := engine.New(engine.Config{}).Check(ctx, realm, settings, src); err != nil {
		return fmt.Errorf("policy of realm %s: %w", realm, err)
	}
	return nil
}

// TestPolicy runs the tests of a policy folder, the shipped library beside it.
func TestPolicy(ctx context.Context, settings uma.PolicySettings, filter string) (*bundles.Results, error) {
	b, err := bundles.ReadDir(settings.Bundle, bundles.Options{Parser: engine.ParserOptions(), Folder: shown(settings.Bundle), Located: true})
	if err != nil {
		return nil, fmt.Errorf("read policy folder %s: %w", settings.Bundle, err)
	}
	parts, err := engine.Assemble(engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data})
	if err != nil {
		return nil, err
	}
	return bundles.Test(ctx, bundles.Suite{
		Compiler: parts.Compiler, Modules: parts.Modules, Tests: b.Tests, Data: parts.Data, Cover: b.Modules, Filter: filter,
	})
}
