package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
)

const (
	// pruneBatch is how many records are deleted per transaction. prunePause follows each,
	// because another process polls for the write lock and would not get it otherwise.
	pruneBatch = 256
	prunePause = 20 * time.Millisecond

	// LeastKept is the shortest KeepDecisions.
	LeastKept = time.Hour
)

// Pruned counts the rows that Prune deleted.
type Pruned struct {
	Decisions int `json:"decisions"`
	Revisions int `json:"revisions"`
}

// A pruner deletes decision records and the policy revisions that none refers to.
type pruner interface {
	PruneDecisions(ctx context.Context, before time.Time, limit int) (int, error)
	PruneRevisions(ctx context.Context, now time.Time) (int, error)
}

// Prune deletes decision records older than before, then the policy revisions that no record
// refers to, in small batches, and calls progress after each. It can be interrupted at any
// time: together with an error it returns what it has deleted.
func Prune(ctx context.Context, records pruner, before time.Time, now func() time.Time, progress func(Pruned)) (done Pruned, err error) {
	for _, step := range []struct {
		delete func() (int, error)
		count  *int
	}{
		{func() (int, error) { return records.PruneDecisions(ctx, before, pruneBatch) }, &done.Decisions},
		{func() (int, error) { return records.PruneRevisions(ctx, now()) }, &done.Revisions},
	} {
		for {
			n, err := step.delete()
			if err != nil {
				return done, fmt.Errorf("delete old decision records: %w", err)
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

// A SinkCut is a number of records that were deleted before a sink had them.
type SinkCut struct {
	Sink    string `json:"sink"`
	Records int64  `json:"records"`
}

// CutBetween returns what was cut from each sink between two readings of them.
func CutBetween(before, after []uma.Sink) []SinkCut {
	cut := []SinkCut{}
	for _, now := range after {
		for _, then := range before {
			if now.Name == then.Name && now.Cut > then.Cut {
				cut = append(cut, SinkCut{now.Name, now.Cut - then.Cut})
			}
		}
	}
	return cut
}

// WaitingFor returns the sinks for which records older than before were not deleted.
func WaitingFor(ctx context.Context, store uma.Sinks, sinks []uma.Sink, before time.Time) ([]string, error) {
	names := []string{}
	for _, s := range sinks {
		b, err := store.BacklogOf(ctx, s.Realm, s.Cursor)
		if err != nil {
			return nil, err
		}
		if b.Records > 0 && b.Oldest.Before(before) {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

// retain deletes the records that are older than KeepDecisions, at start and then once a
// minute.
func (n *Node) retain(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		var counted Pruned
		sinks, readErr := n.Store.AllSinks(ctx)
		done, err := Prune(ctx, n.Store, n.Now().Add(-n.KeepDecisions), n.Now, func(done Pruned) {
			n.metrics.Pruned(done.Decisions-counted.Decisions, done.Revisions-counted.Revisions)
			counted = done
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, uma.ErrBusy):
			n.Log.ErrorContext(ctx, "decision records not pruned", "err", err)
		case done != Pruned{}:
			n.Log.InfoContext(ctx, "decision records pruned", "decisions", done.Decisions, "revisions", done.Revisions, "kept", n.KeepDecisions)
		}
		if done.Decisions > 0 && readErr == nil {
			n.logCut(ctx, sinks)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// logCut logs what was cut from sinks since they were read.
func (n *Node) logCut(ctx context.Context, before []uma.Sink) {
	after, err := n.Store.AllSinks(ctx)
	if err != nil {
		return // the metrics count it
	}
	for _, cut := range CutBetween(before, after) {
		n.Log.ErrorContext(ctx, "decision log: records were deleted before the sink had them: it did not take any for too long",
			"sink", cut.Sink, "records", cut.Records)
	}
}
