package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// Recorded is the baseline of an Impact that is compared with what was decided at the time.
const Recorded = "recorded"

// An Impact says what a candidate would have decided otherwise. It changes nothing.
type Impact struct {
	Realm string

	// Settings are those of the realm, for their entry point and time limit. Nil: they are
	// read from the store.
	Settings *uma.PolicySettings

	// The candidate: a policy that was read, or else the hash of a stored revision.
	Candidate *engine.Source
	Revision  string

	// Recorded: compare with what was decided at the time, not with the active policy.
	Recorded bool

	Since  time.Time
	Newest int          // only this many of the newest records, newest first; 0: all, oldest first
	Events audit.Events // instead of the records in the store; Newest does not apply

	Workers int           // 0: one for each CPU
	AtMost  time.Duration // then the run ends with what was replayed so far; 0: no limit
	Limit   int           // of the changes in the report

	// Changed is called for each change, Progress now and then; both may be nil.
	Changed  func(*audit.ChangeRow) error
	Progress func(*audit.Report)
}

// An ImpactStore is what an Impact reads. It is not read if the candidate, the settings, the
// events and a recorded baseline are given.
type ImpactStore interface {
	Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error)
	Revision(ctx context.Context, realm, hash string) (*uma.Revision, error)
	RevisionInForce(ctx context.Context, realm string) (*uma.Revision, error)
	FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) ([]uma.Record, error)
	EachDecision(ctx context.Context, f uma.DecisionFilter, each func(*uma.Record) error) error
}

// The errors of an Impact whose policies are missing. RefusedError: the candidate does not
// compile.
var (
	ErrNoRevision = errors.New("there is no policy revision with this hash")
	ErrNoActive   = errors.New("the realm has never had an active policy")
)

// Run replays the records under the candidate and the baseline. The Report has the reasons
// for which records were skipped, and whether AtMost ended the run.
func (i *Impact) Run(ctx context.Context, store ImpactStore, now time.Time) (*audit.ImpactReport, *audit.Report, error) {
	settings := i.Settings
	if settings == nil {
		snap, err := store.Snapshot(ctx, i.Realm, now)
		if err != nil {
			return nil, nil, fmt.Errorf("load realm %s: %w", i.Realm, err)
		}
		settings = &snap.Realm.Policy
	}
	run := &audit.Impact{Realm: i.Realm, Since: i.Since, Workers: i.Workers, AtMost: i.AtMost, Progress: i.Progress}
	var err error
	if run.Candidate, err = i.candidate(ctx, store, *settings); err != nil {
		return nil, nil, err
	}
	baseline := Recorded
	if !i.Recorded {
		if run.Baseline, err = i.active(ctx, store, *settings); err != nil {
			return nil, nil, err
		}
		baseline = run.Baseline.Revision()
	}
	changes := audit.NewNewestChanges(i.Limit, i.Events == nil && i.Newest > 0)
	run.Changed = func(c *audit.Change) error {
		row := audit.NewChangeRow(c)
		changes.Add(row)
		if i.Changed == nil {
			return nil
		}
		return i.Changed(&row)
	}
	report, err := run.Run(ctx, i.events(store))
	if err != nil {
		return nil, nil, err
	}
	return audit.NewImpactReport(baseline, report, changes), report, nil
}

// candidate compiles the candidate.
func (i *Impact) candidate(ctx context.Context, store ImpactStore, settings uma.PolicySettings) (uma.Replayer, error) {
	if i.Candidate == nil {
		return storedCandidate(ctx, store, i.Realm, i.Revision, settings, NewStoredReplayer)
	}
	candidate, err := engine.NewReplayer(ctx, i.Realm, settings, *i.Candidate)
	if err != nil {
		return nil, &RefusedError{err}
	}
	return candidate.WithoutLabels(), nil
}

// active compiles the active policy.
func (i *Impact) active(ctx context.Context, store ImpactStore, settings uma.PolicySettings) (uma.Replayer, error) {
	return activePolicy(ctx, store, i.Realm, settings, NewStoredReplayer)
}

// A compileStored compiles a stored revision for one of some entry points.
type compileStored[P any] func(ctx context.Context, rev *uma.Revision, settings uma.PolicySettings, entrypoints ...string) (P, error)

func storedCandidate[P any](ctx context.Context, store ImpactStore, realm, hash string, settings uma.PolicySettings, compile compileStored[P]) (p P, err error) {
	rev, err := store.Revision(ctx, realm, hash)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return p, fmt.Errorf("%s: %w", hash, ErrNoRevision)
	case err != nil:
		return p, err
	}
	return withEntrypoint(ctx, store, rev, settings, compile)
}

func activePolicy[P any](ctx context.Context, store ImpactStore, realm string, settings uma.PolicySettings, compile compileStored[P]) (p P, err error) {
	rev, err := store.RevisionInForce(ctx, realm)
	if errors.Is(err, uma.ErrNotFound) {
		return p, fmt.Errorf("realm %s: %w", realm, ErrNoActive)
	}
	if err == nil {
		p, err = withEntrypoint(ctx, store, rev, settings, compile)
	}
	if err != nil {
		return p, fmt.Errorf("compile the active policy: %w", err)
	}
	return p, nil
}

// withEntrypoint compiles a stored revision for the entry point of the realm or of one of the
// revision's records.
func withEntrypoint[P any](ctx context.Context, store ImpactStore, rev *uma.Revision, settings uma.PolicySettings, compile compileStored[P]) (p P, err error) {
	records, err := store.FindDecisions(ctx, uma.DecisionFilter{Revision: rev.Hash}, 1)
	if err != nil {
		return p, err
	}
	var others []string
	for i := range records {
		d, err := audit.Read(records[i].Event)
		if err != nil {
			return p, err
		}
		others = append(others, EntrypointOf(d.Path))
	}
	return compile(ctx, rev, settings, others...)
}

// EntrypointOf is the entry point with a path such as uma/authz/decision.
func EntrypointOf(path string) string { return "data." + strings.ReplaceAll(path, "/", ".") }

// events are the decisions to replay.
func (i *Impact) events(store ImpactStore) audit.Events {
	filter := uma.DecisionFilter{Realm: i.Realm, Since: i.Since}
	switch {
	case i.Events != nil:
		return i.Events
	case i.Newest == 0:
		return func(ctx context.Context, each func([]byte) error) error {
			return store.EachDecision(ctx, filter, func(r *uma.Record) error { return each(r.Event) })
		}
	}
	return func(ctx context.Context, each func([]byte) error) error {
		const page = 100
		for left := i.Newest; left > 0; left -= page {
			records, err := store.FindDecisions(ctx, filter, min(left, page))
			if err != nil {
				return err
			}
			for k := range records {
				if err := each(records[k].Event); err != nil {
					return err
				}
				filter.Before = records[k].Seq
			}
			if len(records) < page {
				return nil
			}
		}
		return nil
	}
}
