package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/umpire/realm"
	"example.com/umpire/server"
	"example.com/umpire/uma"
)

// errLogBlocked is the end of a server whose decision log nobody reads.
var errLogBlocked = errors.New("the decision log is blocked: the records that it lacks are stored")

// Load applies realm files as a starting server does: a file that has not
// changed since is not applied again, and nothing that others hang on is removed.
func (n *Node) Load(ctx context.Context, files []string, getenv func(string) string) error {
	for _, file := range files {
		spec, notices, err := realm.Read(file, getenv)
		if err != nil {
			return err
		}
		for _, notice := range notices {
			n.Log.WarnContext(ctx, "realm file", "file", file, "notice", notice.String())
		}
		same, err := n.Authority.Unchanged(ctx, spec)
		if err != nil {
			return fmt.Errorf("compare realm file %s: %w", file, err)
		}
		if same {
			continue
		}
		report, err := n.Authority.ApplyRealm(ctx, spec, false, true, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		n.Log.InfoContext(ctx, "realm applied", "realm", spec.Realm.Name, "created", len(report.Created),
			"updated", len(report.Updated), "removed", len(report.Removed), "adopted", report.Adopted, "drift_reset", report.Drifted)
		if len(report.Kept)+len(report.Disabled) > 0 {
			n.Log.WarnContext(ctx, "realm file no longer names what others hang on: remove it with `umpire realm apply --prune`",
				"realm", spec.Realm.Name, "disabled", report.Disabled, "kept", report.Kept)
		}
	}
	return nil
}

// Run serves on the two listeners until ctx ends, and then lets what is under way
// finish. It takes over the listeners; admin may be nil.
func (n *Node) Run(ctx context.Context, public, admin net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	handler, err := n.begin(background, &wg)
	if err != nil {
		stop()
		wg.Wait()
		if admin != nil {
			err = errors.Join(err, admin.Close())
		}
		return errors.Join(err, public.Close())
	}
	failed := make(chan error, 2)
	servers := []*http.Server{n.listen(public, handler, failed)}
	if admin != nil {
		servers = append(servers, n.listen(admin, n.Admin(), failed))
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	n.Log.InfoContext(ctx, "stopping", "err", err)
	// What is under way finishes first, then what it left to be written.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(n.Grace, 10*time.Second))
	defer cancel()
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(end))
	}
	stop()
	written := make(chan struct{})
	go func() {
		wg.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-end.Done():
		err = errors.Join(err, errLogBlocked)
	}
	return err
}

// begin puts the policies in force, starts what goes on beside the requests, and
// returns what answers them.
func (n *Node) begin(ctx context.Context, wg *sync.WaitGroup) (http.Handler, error) {
	if err := n.Authority.EnsureKeys(ctx); err != nil {
		return nil, err
	}
	// The generation is noted before the policies are read, so that Follow sees
	// what changes in between.
	if err := n.Authority.Reload(ctx); err != nil {
		return nil, err
	}
	if err := n.policies.sync(ctx); err != nil {
		return nil, err
	}
	if err := n.start(ctx, wg); err != nil {
		return nil, err
	}
	return n.Public(ctx)
}

// start begins what goes on beside the requests.
func (n *Node) start(ctx context.Context, wg *sync.WaitGroup) error {
	wg.Go(func() {
		tick := time.NewTicker(time.Second / 2)
		defer tick.Stop()
		n.Authority.Follow(ctx, tick.C, func() {
			if err := n.policies.sync(ctx); err != nil {
				n.Log.ErrorContext(ctx, "follow realm settings", "err", err)
			}
		})
	})
	wg.Go(func() { n.sweep(ctx) })
	if n.DecisionLog == nil {
		return nil
	}
	last, err := n.Store.LastDecision(ctx)
	if err != nil {
		return fmt.Errorf("read last decision: %w", err)
	}
	wg.Go(func() { n.writeRecords(ctx, n.DecisionLog, last) })
	return nil
}

// sweep removes what has expired, a little at a time.
func (n *Node) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			removed, err := n.Store.Sweep(ctx, n.Now())
			if err != nil && !errors.Is(err, uma.ErrBusy) && ctx.Err() == nil {
				n.Log.ErrorContext(ctx, "sweep", "err", err)
			}
			if err != nil || removed == 0 {
				break
			}
		}
	}
}

func (n *Node) listen(l net.Listener, h http.Handler, failed chan<- error) *http.Server {
	s := server.Listener(h, n.Log)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}()
	return s
}
