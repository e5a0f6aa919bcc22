package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// upkeep is the work that one of the servers of a database does, until ctx ends: it removes what has
// expired and old decision records, delivers to sinks, and evaluates shadow policies. Each of these
// does no harm if for a moment two servers do it.
func (n *Node) upkeep(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { n.sweep(ctx) })
	if n.KeepDecisions > 0 {
		work.Go(func() { n.retain(ctx) })
	}
	work.Go(func() { n.deliver(ctx) })
	work.Go(func() { n.shadow.Run(ctx) })
	work.Wait()
}

// sweep deletes expired rows once a minute, in small batches.
func (n *Node) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		n.prepareMonths(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			removed, err := n.Store.Sweep(ctx, n.Now())
			if err != nil && !errors.Is(err, uma.ErrBusy) && ctx.Err() == nil {
				n.Log.ErrorContext(ctx, "expired rows not deleted", "err", err)
			}
			if err != nil || removed == 0 {
				break
			}
		}
		n.pruneAdminUses(ctx)
	}
}

// pruneAdminUses removes old records of what admin tokens were used for.
func (n *Node) pruneAdminUses(ctx context.Context) {
	const batch = 200
	for {
		removed, err := n.Store.PruneAdminUses(ctx, n.Now().Add(-uma.KeepAdminUses), batch)
		if err != nil && !errors.Is(err, uma.ErrBusy) && ctx.Err() == nil {
			n.Log.ErrorContext(ctx, "old uses of admin tokens not deleted", "err", err)
		}
		if err != nil || removed < batch {
			return
		}
	}
}

// A monthly is a store with tables by month, which it can make ahead of time.
type monthly interface {
	PrepareMonths(ctx context.Context, now time.Time) error
}

// prepareMonths makes the tables of this month and the next. Without them, the first write of a month
// would have to.
func (n *Node) prepareMonths(ctx context.Context) {
	store, ok := n.Store.(monthly)
	if !ok {
		return
	}
	if err := store.PrepareMonths(ctx, n.Now()); err != nil && !errors.Is(err, uma.ErrBusy) && ctx.Err() == nil {
		n.Log.ErrorContext(ctx, "tables of the next month not made", "err", err)
	}
}
