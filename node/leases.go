package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/uma"
)

// A lease is held for leaseLength from each renewal on, by the clock of the database. A server that
// cannot renew it ends its work leaseWork after the last renewal that succeeded, by its own clock:
// the rest is for the work to end, and for clocks that do not go equally fast. So another server does
// the work at most leaseLength and leaseEvery after its holder died.
const (
	leaseLength = 15 * time.Second
	leaseWork   = 10 * time.Second
	leaseEvery  = 5 * time.Second // a renewal, or an attempt to get the lease of another server
	leaseRetry  = time.Second     // after a failure, while the work goes on
)

// upkeepLease is the lease of the server that does the upkeep: see Node.upkeep.
const upkeepLease = "upkeep"

// A leased does work while this server holds a lease.
type leased struct {
	leases uma.Leases
	name   string
	holder string // an id of this server

	// work is called when the lease was taken, and returns soon after ctx ends. It is not called
	// again before.
	work func(ctx context.Context)

	held func(held bool) // is told of each change
	log  *slog.Logger
}

// upkeepLeased returns what does the upkeep while this server has the lease. Only one server at a time
// uses a folder that it has locked: the next one need not wait until the lease of one that was killed
// has ended.
func (n *Node) upkeepLeased() *leased {
	holder := uuid.NewString()
	if n.lock != nil {
		holder = "the server of the folder"
	}
	return &leased{
		leases: n.Store, name: upkeepLease, holder: holder, work: n.upkeep, log: n.Log,
		held: func(held bool) { n.metrics.LeaseHeld(upkeepLease, held) },
	}
}

// run takes the lease whenever it is free, and works, until ctx ends.
func (l *leased) run(ctx context.Context) {
	failing := false
	for {
		asked := time.Now()
		held, err := l.take(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			l.log.WarnContext(ctx, "lease: not known who holds it; asked again in some seconds", "lease", l.name, "err", err)
		}
		failing = err != nil
		if held {
			l.hold(ctx, asked)
		}
		if wait(ctx, leaseEvery); ctx.Err() != nil {
			return
		}
	}
}

// hold works until the lease, which was asked for at that time, is lost or may end, or ctx ends.
func (l *leased) hold(ctx context.Context, asked time.Time) {
	l.log.InfoContext(ctx, "lease: this server holds it", "lease", l.name)
	l.held(true)
	defer l.held(false)
	working, stop := context.WithCancel(ctx)
	defer stop()
	// A timer, because a renewal may hang for longer than the lease lasts.
	end := time.AfterFunc(leaseWork-time.Since(asked), stop)
	defer end.Stop()
	var work sync.WaitGroup
	work.Go(func() { l.work(working) })
	lost := l.renew(working, end)
	stop()
	work.Wait()
	if ctx.Err() == nil {
		l.log.WarnContext(ctx, "lease: this server no longer holds it", "lease", l.name, "taken_by_another", lost)
	}
	if !lost {
		l.release(ctx)
	}
}

// renew renews the lease, and sets the timer that ends the work, until ctx ends. lost: another server
// has taken the lease.
func (l *leased) renew(ctx context.Context, end *time.Timer) (lost bool) {
	pause := leaseEvery
	for {
		if wait(ctx, pause); ctx.Err() != nil {
			return false
		}
		asked := time.Now()
		held, err := l.take(ctx)
		switch {
		case err == nil && !held:
			return true
		case err == nil && ctx.Err() == nil:
			end.Reset(leaseWork - time.Since(asked))
			pause = leaseEvery
		default:
			pause = leaseRetry
		}
	}
}

// take takes or prolongs the lease.
func (l *leased) take(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseEvery)
	defer cancel()
	return l.leases.TakeLease(ctx, l.name, l.holder, leaseLength)
}

// release lets another server take the lease, at its next attempt.
func (l *leased) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRetry)
	defer cancel()
	if err := l.leases.ReleaseLease(ctx, l.name, l.holder); err != nil {
		l.log.WarnContext(ctx, "lease: not released; another server waits until it ends", "lease", l.name, "err", err)
	}
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
