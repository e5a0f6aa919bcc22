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
	// pruneBatch is how many records are removed at a time, and prunePause how long
	// others may write in between: another process waits for the lock by asking again
	// and again, and would not get it if it were never free for long.
	pruneBatch = 256
	prunePause = 20 * time.Millisecond

	// LeastKept is how long a server keeps records at least.
	LeastKept = time.Hour
)

// Pruned says how much Prune removed.
type Pruned struct {
	Decisions int `json:"decisions"`
	Revisions int `json:"revisions"`
}

// Prune removes decision records that are older than before, and the policy revisions
// that no record names then, in small batches. It tells progress of each, and may be
// ended at any time: what it returns has been removed, also with an error.
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
