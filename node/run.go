package node

import (
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
	"example.com/umpire/uma/admin"
)

// Errors of a server that stops before everything is done.
var (
	errUnderWay   = errors.New("requests still run although their connections are closed")
	errLogBlocked = errors.New("the decision log is blocked: its missing records are in the database")
)

// A RealmFile is a realm file that was read.
type RealmFile struct {
	Path    string
	Spec    *uma.RealmSpec
	Notices []realm.Notice
}

// ReadRealms reads realm files for Load.
func ReadRealms(paths []string, getenv func(string) string) ([]RealmFile, error) {
	var files []RealmFile
	for _, path := range paths {
		spec, notices, err := realm.Read(path, getenv)
		if err != nil {
			return nil, err
		}
		files = append(files, RealmFile{path, spec, notices})
	}
	return files, nil
}

// Load applies realm files as a starting server does: an unchanged file is not applied
// again, and no row is removed that other rows refer to.
func (n *Node) Load(ctx context.Context, files []RealmFile) error {
	for _, f := range files {
		file, spec := f.Path, f.Spec
		for _, notice := range f.Notices {
			n.Log.WarnContext(ctx, "realm file", "file", file, "notice", notice.String())
		}
		same, err := n.Core.Realms.Unchanged(ctx, spec)
		if err != nil {
			return fmt.Errorf("compare realm file %s: %w", file, err)
		}
		if same {
			continue
		}
		report, err := n.Core.Realms.ApplyRealm(ctx, spec, admin.ApplyOptions{Lenient: true})
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

// Run serves on the two listeners until ctx ends, then waits for the requests in
// progress, then for the decision log: each has a deadline of its own, so that a slow
// client takes no time from the decision log. It takes over the listeners; admin may be
// nil.
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
	if err != nil {
		n.Log.ErrorContext(ctx, "stopping: a listener failed", "err", err)
	} else {
		n.Log.InfoContext(ctx, "stopping")
	}
	requests := n.drain(ctx, servers)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.Grace/2)
	defer cancel()
	err = errors.Join(err, requests, within(end, n.answered, errUnderWay))
	stop()
	return errors.Join(err, within(end, wg.Wait, errLogBlocked))
}

// drain waits for the requests in progress, for as long as Grace. Then it closes the
// connections of slow clients, which is no failure of the server.
func (n *Node) drain(ctx context.Context, servers []*http.Server) (err error) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.Grace)
	defer cancel()
	for _, s := range servers {
		stopped := s.Shutdown(end)
		if errors.Is(stopped, context.DeadlineExceeded) {
			n.Log.WarnContext(ctx, "stopping: connections with requests in progress were closed; the log has a line for each request",
				"listener", s.Addr, "requests", n.underWay.Load(), "after", n.Grace)
			stopped = s.Close()
		}
		err = errors.Join(err, stopped)
	}
	return err
}

// answered waits until no request is in progress. Requests are counted, not added to a
// WaitGroup: one that arrives as its connection ends would race with the wait.
func (n *Node) answered() {
	for n.underWay.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// within waits until wait returns, and returns late if ctx ends first.
func within(ctx context.Context, wait func(), late error) error {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return late
	}
}

// begin puts the policies in force, starts what goes on beside the requests, and
// returns what answers them.
func (n *Node) begin(ctx context.Context, wg *sync.WaitGroup) (http.Handler, error) {
	if err := n.Core.Realms.EnsureKeys(ctx); err != nil {
		return nil, err
	}
	// The generation is noted before the policies are read, so that Follow sees
	// what changes in between.
	if err := n.Core.Realms.Reload(ctx); err != nil {
		return nil, err
	}
	if err := n.policies.begin(ctx, wg); err != nil {
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
		n.Core.Realms.Follow(ctx, tick.C, n.policies.compare)
	})
	wg.Go(func() { n.sweep(ctx) })
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		n.watchStore(ctx, tick.C)
	})
	if n.KeepDecisions > 0 {
		wg.Go(func() { n.retain(ctx) })
	}
	if n.DecisionLog == nil {
		return nil
	}
	last, err := n.Store.LastDecision(ctx)
	if err != nil {
		return fmt.Errorf("read last decision: %w", err)
	}
	log := &recordLog{Node: n, w: n.DecisionLog, after: last}
	wg.Go(func() { log.follow(ctx) })
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
	s := server.Listener(n.counted(h), n.Log)
	s.Addr = l.Addr().String()
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}()
	return s
}

// counted is a handler that a server which stops waits for.
func (n *Node) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.underWay.Add(1)
		defer n.underWay.Add(-1)
		h.ServeHTTP(w, r)
	})
}
