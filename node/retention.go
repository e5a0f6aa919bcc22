package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

const (
	// pruneBatch is how many records are removed at a time, and prunePause the time for
	// other writes in between: another process polls for the lock, and would not get it
	// without a pause.
	pruneBatch = 256
	prunePause = 20 * time.Millisecond

	// LeastKept is the shortest KeepDecisions.
	LeastKept = time.Hour
)

// Pruned says how much Prune removed.
type Pruned struct {
	Decisions int `json:"decisions"`
	Revisions int `json:"revisions"`
}

// Prune removes decision records older than before, then the policy revisions that no
// record names any more, in small batches, and calls progress after each. It may be
// ended at any time: with an error, too, it returns how many have been removed.
func Prune(ctx context.Context, store *sqlite.Store, before time.Time, now func() time.Time, progress func(Pruned)) (done Pruned, err error) {
	for _, step := range []struct {
		remove func() (int, error)
		count  *int
	}{
		{func() (int, error) { return store.PruneDecisions(ctx, before, pruneBatch) }, &done.Decisions},
		{func() (int, error) { return store.PruneRevisions(ctx, now()) }, &done.Revisions},
	} {
		for {
			n, err := step.remove()
			if err != nil {
				return done, fmt.Errorf("prune decision records: %w", err)
			}
			if n == 0 {
				break
			}
			*step.count += n
			progress(done)
			select {
			case <-ctx.Done():
				return done, ctx.Err()
			case <-time.After(prunePause):
			}
		}
	}
	return done, nil
}

// retain removes the records that are older than KeepDecisions: at the start, then
// once a minute.
func (n *Node) retain(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		var counted Pruned
		done, err := Prune(ctx, n.Store, n.Now().Add(-n.KeepDecisions), n.Now, func(done Pruned) {
			n.metrics.Pruned(done.Decisions-counted.Decisions, done.Revisions-counted.Revisions)
			counted = done
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, uma.ErrBusy):
			n.Log.ErrorContext(ctx, "prune decision records", "err", err)
		case done != Pruned{}:
			n.Log.InfoContext(ctx, "decision records pruned", "decisions", done.Decisions, "revisions", done.Revisions, "kept", n.KeepDecisions)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
