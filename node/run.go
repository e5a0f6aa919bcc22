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

// Errors of a server that stops before its work is complete.
var (
	errInProgress  = errors.New("stopped while requests were in progress: their connections are closed")
	errWorkBlocked = errors.New("stopped before its work had ended: the decision log is blocked, or the database does not answer, so that " +
		"the lease " + upkeepLease + " is not given back; records that the decision log lacks are in the database")
)

// A RealmFile is the content of a realm file.
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

// Load applies realm files at the start of a server: a file that has not changed since is
// skipped, and objects on which others depend are disabled or kept, not deleted.
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
			n.Log.WarnContext(ctx, "objects missing from the realm file are still in use: delete them with `umpire realm apply --prune`",
				"realm", spec.Realm.Name, "disabled", report.Disabled, "kept", report.Kept)
		}
	}
	return nil
}

// Run serves on the two listeners until ctx ends, and for Drain longer. It then waits for the requests in
// progress, and after that for the decision log, with separate deadlines, so that a slow
// client takes no time from the decision log. It closes the listeners; admin may be nil.
func (n *Node) Run(ctx context.Context, public, admin net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	undo := context.AfterFunc(ctx, stop) // a start may take as long as the gates
	err := n.begin(background, &wg)
	if !undo() {
		n.Log.InfoContext(ctx, "stopping before the start is complete")
		err = nil
	}
	if err != nil || ctx.Err() != nil {
		stop()
		wg.Wait()
		if admin != nil {
			err = errors.Join(err, admin.Close())
		}
		return errors.Join(err, public.Close())
	}
	failed := make(chan error, 2)
	servers, adminAddr := []*http.Server{n.listen(public, n.Public(), failed)}, "none"
	if admin != nil {
		servers, adminAddr = append(servers, n.listen(admin, n.Admin(), failed)), admin.Addr().String()
	}
	n.Log.InfoContext(ctx, "serving", "url", n.PublicURL, "listen", public.Addr().String(), "admin", adminAddr, "version", n.Version)
	if err = n.serve(ctx, failed); err != nil {
		n.Log.ErrorContext(ctx, "stopping: a listener failed", "err", err)
	} else {
		n.Log.InfoContext(ctx, "stopping")
	}
	requests := n.drain(ctx, servers)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.Grace/2)
	defer cancel()
	err = errors.Join(err, requests, within(end, n.waitForRequests, errInProgress))
	stop()
	return errors.Join(err, within(end, wg.Wait, errWorkBlocked))
}

// serve waits until ctx ends, and then as long as Drain, or until a listener fails.
func (n *Node) serve(ctx context.Context, failed <-chan error) error {
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	n.stopping.Store(true)
	if n.Drain <= 0 {
		return nil
	}
	n.Log.InfoContext(ctx, "stopping soon: not ready, but requests are answered", "for", n.Drain)
	end := time.NewTimer(n.Drain)
	defer end.Stop()
	select {
	case err := <-failed:
		return err
	case <-end.C:
		return nil
	}
}

// drain waits up to Grace for the requests in progress, then closes the connections of slow
// clients, which is not an error.
func (n *Node) drain(ctx context.Context, servers []*http.Server) (err error) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.Grace)
	defer cancel()
	for _, s := range servers {
		stopped := s.Shutdown(end)
		if errors.Is(stopped, context.DeadlineExceeded) {
			n.Log.WarnContext(ctx, "stopping: connections with requests in progress were closed; the log has a line for each request",
				"listener", s.Addr, "requests", n.inProgress.Load(), "after", n.Grace)
			stopped = s.Close()
		}
		err = errors.Join(err, stopped)
	}
	return err
}

// waitForRequests waits until no request is in progress. A WaitGroup would not do: Add for a
// request that arrives while its connection is closed would race with Wait.
func (n *Node) waitForRequests() {
	for n.inProgress.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// within waits until wait returns, or returns the error late if ctx ends first.
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

// begin activates the policies, and starts the background work.
func (n *Node) begin(ctx context.Context, wg *sync.WaitGroup) error {
	if err := n.Core.Realms.EnsureKeys(ctx); err != nil {
		return err
	}
	// The generation is loaded before the policies are read, so that Follow sees changes made
	// in between.
	if err := n.Core.Realms.Reload(ctx); err != nil {
		return err
	}
	if err := n.policies.begin(ctx, wg); err != nil {
		return err
	}
	return n.start(ctx, wg)
}

// start starts the background work.
func (n *Node) start(ctx context.Context, wg *sync.WaitGroup) error {
	wg.Go(func() {
		tick := time.NewTicker(time.Second / 2)
		defer tick.Stop()
		n.Core.Realms.Follow(ctx, tick.C, func() {
			n.policies.compare()
			n.sinksChanged()
		})
	})
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		n.watchStore(ctx, tick.C)
	})
	// Also a server that does not deliver makes the sinks those that are wanted, before it decides
	// anything: a sink begins after the last record that there was.
	if err := n.keepSinks(ctx); err != nil {
		return err
	}
	n.metrics.LeaseHeld(upkeepLease, false)
	wg.Go(func() { n.upkeepLeased().run(ctx) })
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		n.trust.Run(ctx, tick.C)
	})
	return nil
}

// listen serves a listener and sends an error to failed if that fails.
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

// counted counts the requests in progress of a handler. While the server is stopping, each answer ends its
// connection: a client that keeps connections must have none that it may send on when the idle ones are closed.
func (n *Node) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.inProgress.Add(1)
		defer n.inProgress.Add(-1)
		if n.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
