package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/opaservice"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// Downloads say how bundles are downloaded from OPA services. Zero values are the defaults.
type Downloads struct {
	opaservice.Limits

	// AtStart is how long a start waits for the first answers of all services; 0: five seconds.
	AtStart time.Duration

	// Wait waits between two polls, or until ctx ends; nil: by the clock.
	Wait func(ctx context.Context, d time.Duration)
}

const waitAtStart = 5 * time.Second

// A download is the bundle that a service has for a realm. It stays in memory, so that an
// activation that failed can be tried again while the service is down.
type download struct {
	settings uma.PolicySettings
	poller   *opaservice.Poller // nil: the settings cannot be used
	settled  chan struct{}      // closed after the first poll

	mu      sync.Mutex
	content []byte // nil before the first
	refused error  // why the content cannot be used
	err     error  // of the last poll
}

// errAwaited: the policy service of a realm has not answered since the start.
var errAwaited = errors.New("waits for the answer of the policy service")

// OPA opens the OPA configuration of a realm, which must not be nil.
func (n *Node) OPA(ctx context.Context, realm string, settings *uma.OPASettings) (*opaservice.Config, error) {
	document, err := n.vault.Unwrap(ctx, settings.Sealed, uma.OPAContext(realm))
	if err != nil {
		return nil, err
	}
	return opaservice.Parse(document)
}

// newDownload returns the download of a realm, which poll begins.
func (p *policies) newDownload(ctx context.Context, r *realmPolicy) *download {
	d := &download{settings: r.desired, settled: make(chan struct{})}
	config, err := p.node.OPA(ctx, r.realm, r.desired.OPA)
	if err == nil {
		d.poller, err = config.Poller(p.node.Downloads.Limits)
	}
	if err != nil {
		p.polled(ctx, r.realm, d, nil, nil, err) // no poll will say so
		close(d.settled)
	}
	return d
}

// poll polls the service of a realm until ctx ends.
func (p *policies) poll(ctx context.Context, r *realmPolicy, d *download) {
	if d.poller == nil {
		return
	}
	for first := true; ; first = false {
		content, refused, err := p.fetch(ctx, r.realm, d)
		if ctx.Err() != nil {
			return
		}
		if p.polled(ctx, r.realm, d, content, refused, err) {
			r.changed.Store(true)
			p.compare()
		}
		if first {
			close(d.settled)
		}
		if p.wait(ctx, d.poller.Next()); ctx.Err() != nil {
			return
		}
	}
}

// fetch polls once, and has a bundle examined apart: it may take all memory when it is read.
func (p *policies) fetch(ctx context.Context, realm string, d *download) (content []byte, refused, err error) {
	content, err = d.poller.Poll(ctx)
	if content == nil || err != nil {
		return nil, nil, err
	}
	err = p.node.Rollout.ExamineArchive(ctx, realm, d.settings, d.settings.Source(), content)
	if err != nil && !rollout.Refused(err) {
		d.poller.Forget()
		return nil, nil, err
	}
	return content, err, nil
}

// polled remembers the result of a poll, and reports whether there is something to compare.
func (p *policies) polled(ctx context.Context, realm string, d *download, content []byte, refused, err error) (changed bool) {
	d.mu.Lock()
	before := d.err
	d.err = err
	if content != nil {
		d.content, d.refused = content, refused
	}
	d.mu.Unlock()
	switch {
	case err != nil:
		p.node.metrics.DownloadFailed(realm)
		if before == nil || before.Error() != err.Error() {
			p.node.Log.ErrorContext(ctx, "policies not downloaded", "realm", realm, "err", err)
			return true
		}
		return false
	case before != nil:
		p.node.Log.InfoContext(ctx, "the policy service answers again", "realm", realm)
	}
	p.node.metrics.Downloaded(realm, p.node.Now())
	return content != nil || before != nil
}

func (p *policies) wait(ctx context.Context, d time.Duration) {
	if p.node.Downloads.Wait != nil {
		p.node.Downloads.Wait(ctx, d)
		return
	}
	wait(ctx, d)
}

// awaitServices waits for the first answer of each service, so that a server starts with their
// policies if they are up.
func (p *policies) awaitServices(ctx context.Context) {
	end := time.NewTimer(cmp.Or(p.node.Downloads.AtStart, waitAtStart))
	defer end.Stop()
	for _, r := range p.realms {
		if r.download == nil {
			continue
		}
		select {
		case <-r.download.settled:
		case <-end.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// last returns the last bundle that was downloaded, nil before the first, and the error of the
// last poll.
func (d *download) last() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.content, d.err
}

// problem is what to say about the service if it has nothing new.
func (r *realmPolicy) problem() string {
	if r.download == nil {
		return ""
	}
	_, err := r.download.last()
	if err == nil {
		return ""
	}
	return "the policy in force stays, and the service is asked again: " + err.Error()
}

// awaits returns why the content of a realm's source is not known yet; nil if it is.
func (r *realmPolicy) awaits() error {
	if r.download == nil {
		return nil
	}
	content, err := r.download.last()
	switch {
	case content != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errAwaited, err)
	}
	return fmt.Errorf("%w: %s", errAwaited, r.desired.Source())
}

// again has the bundle fetched again: its activation failed for a reason that may be gone soon.
func (r *realmPolicy) again() {
	if r.download != nil && r.download.poller != nil {
		r.download.poller.Forget()
	}
}

// downloaded reads the bundle that was downloaded last.
func (p *policies) downloaded(ctx context.Context, r *realmPolicy) (*rollout.Content, error) {
	r.download.mu.Lock()
	content, refused := r.download.content, r.download.refused
	r.download.mu.Unlock()
	if refused != nil {
		return nil, refused
	}
	return p.node.Rollout.ReadArchive(ctx, r.realm, r.desired, r.desired.Source(), content)
}

// keys returns the keys that policies of a realm must be signed with.
func (n *Node) keys(ctx context.Context, realm string, settings *uma.OPASettings) (*bundles.Keys, error) {
	config, err := n.OPA(ctx, realm, settings)
	if err != nil {
		return nil, err
	}
	return config.Verification(), nil
}
