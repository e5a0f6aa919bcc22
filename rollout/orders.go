package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// Store is what a rollout reads and writes.
type Store interface {
	uma.Revisions
	ImpactStore
	TypesInUse(ctx context.Context, realm string, types []string) ([]string, error)
	PolicyNames(ctx context.Context, realm string, types []string) (*uma.PolicyNames, error)
}

// A Service changes which policy is in force.
type Service struct {
	Store   Store
	Engine  *engine.Engine
	Examine Examiner
	Now     func() time.Time

	// Keys returns the keys that policies must be signed with, nil if there are none.
	Keys func(ctx context.Context, realm string, settings *uma.OPASettings) (*bundles.Keys, error)
}

// An Order says who activates a policy, and why.
type Order struct {
	Realm, By, Source, Note string

	Revoke  bool          // of a rollback: RPTs of the policy that it replaces become inactive
	Confirm time.Duration // of an activation: it is rolled back unless it is confirmed until then; 0: it stays
}

// A Change is what an order changed.
type Change struct {
	Revision string
	Previous string // that was in force; empty without one
	Asked    string // the stored revision whose files these are; empty for those of a folder

	ConfirmBy time.Time // zero: it needs no confirmation
	Report    *Report   // of the gates; nil if none ran
}

// Activations is how often an activation is tried while other processes activate, too.
const Activations = 4

// ErrNothingBefore refuses a rollback.
var ErrNothingBefore error = cannot("there is no period with another policy before the one in force: `umpire policy history` lists the periods")

// ActivateFolder runs the gates over the policies of a folder and puts them in force, pinned. Where the
// realm has keys, it must be signed.
func (s *Service) ActivateFolder(ctx context.Context, o Order, dir string) (*Change, error) {
	snapshot, err := s.Store.Snapshot(ctx, o.Realm, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load realm %s: %w", o.Realm, err)
	}
	content, err := s.Read(ctx, o.Realm, snapshot.Realm.Policy, dir)
	if err != nil {
		return nil, &RefusedError{err}
	}
	if len(content.Modules) == 0 {
		return nil, &RefusedError{fmt.Errorf("%s has no policy file (*.rego)", Shown(dir))}
	}
	settings := snapshot.Realm.Policy
	settings.Bundle = dir
	c, report, err := s.examineOrder(ctx, o.Realm, settings, content)
	if refused, ok := errors.AsType[*GateError](err); ok && refused.Compiles {
		return nil, &RefusedError{refused}
	} else if ok { // in the words for an upload, which was compiled before
		return nil, &RefusedError{&foundError{refused.findings}}
	}
	if err != nil {
		return nil, err
	}
	if o.Source != "" && o.Source != dir { // an upload: its file is gone soon
		report.rename(Shown(dir), o.Source)
	}
	return s.order(ctx, o, c, over{report: report})
}

// examineOrder compiles a policy, and runs the gates over it: it is compared with whichever is
// in force.
func (s *Service) examineOrder(ctx context.Context, realm string, settings uma.PolicySettings, content *Content) (*engine.Compiled, *Report, error) {
	c, err := s.Compile(ctx, realm, settings, content)
	if err != nil {
		return nil, nil, err
	}
	state, err := s.Store.PolicyState(ctx, realm)
	if err != nil {
		return nil, nil, err
	}
	active := ""
	if state.Active != nil {
		active = state.Active.Revision
	}
	x, err := s.NewExamination(ctx, realm, settings, content, active)
	if err != nil {
		return nil, nil, err
	}
	report, err := s.RunGates(ctx, x)
	return c, report, err
}

// ActivateRevision puts the realm's files of a stored revision in force again, with today's
// library, pinned.
func (s *Service) ActivateRevision(ctx context.Context, o Order, hash string) (*Change, error) {
	return s.reactivate(ctx, o, hash, over{})
}

// Rollback puts the policy of the period before the one in force again, pinned. It skips
// periods of the same files. If another policy is activated meanwhile, it fails.
func (s *Service) Rollback(ctx context.Context, o Order) (*Change, error) {
	state, err := s.Store.PolicyState(ctx, o.Realm)
	if err != nil {
		return nil, err
	}
	if state.Active == nil {
		return nil, ErrNothingBefore
	}
	before, replaced, err := s.periodBefore(ctx, state.Active)
	if err != nil {
		return nil, err
	}
	if !o.Revoke {
		replaced = nil
	}
	change, err := s.reactivate(ctx, o, before.Revision, over{state: state, withdrawn: replaced})
	if errors.Is(err, uma.ErrMoved) {
		err = cannot("realm %s: another policy was activated meanwhile: see `umpire policy history`, and try again", o.Realm)
	}
	return change, err
}

// periodBefore returns the last period of other files than those in force, and the revisions
// since.
func (s *Service) periodBefore(ctx context.Context, active *uma.Period) (before *uma.Period, since []string, err error) {
	const page = 100
	since = []string{active.Revision}
	for last := active.Key; ; {
		periods, err := s.Store.PolicyPeriods(ctx, active.Realm, last, page)
		if err != nil {
			return nil, nil, err
		}
		for i := range periods {
			p := &periods[i]
			if p.Content != active.Content && p.Revision != active.Revision {
				return p, since, nil
			}
			if !slices.Contains(since, p.Revision) {
				since = append(since, p.Revision)
			}
		}
		if len(periods) < page {
			return nil, nil, ErrNothingBefore
		}
		last = periods[page-1].Key
	}
}

// over is what an order replaces.
type over struct {
	state       *uma.PolicyState // nil: whichever policy is in force
	unconfirmed bool             // only if that was not confirmed in time
	withdrawn   []string         // revisions whose RPTs end
	report      *Report          // of the gates, if they ran
}

func (s *Service) reactivate(ctx context.Context, o Order, hash string, was over) (*Change, error) {
	rev, err := s.Store.Revision(ctx, o.Realm, hash)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, cannot("the sources of revision %s are no longer kept: no decision record names it, and it is not one of the last %d", hash, uma.KeepRevisions)
	case err != nil:
		return nil, err
	}
	src, err := Parse(engine.RealmFiles(rev.Sources))
	if err != nil {
		return nil, &RefusedError{err}
	}
	src.Beside = rev.Beside
	snapshot, err := s.Store.Snapshot(ctx, o.Realm, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load realm %s: %w", o.Realm, err)
	}
	c, err := s.Engine.Compile(ctx, o.Realm, snapshot.Realm.Policy, src)
	if err != nil {
		return nil, &RefusedError{err}
	}
	o.Source = "revision " + hash
	change, err := s.order(ctx, o, c, was)
	if change != nil {
		change.Asked = hash
	}
	return change, err
}

// order begins a pinned period of a policy.
func (s *Service) order(ctx context.Context, o Order, c *engine.Compiled, was over) (change *Change, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	for range Activations {
		state := was.state
		if state == nil {
			if state, err = s.Store.PolicyState(ctx, o.Realm); err != nil {
				return nil, err
			}
		}
		change = &Change{Revision: c.Hash(), Report: was.report}
		if state.Active != nil {
			change.Previous = state.Active.Revision
		} else if o.Confirm > 0 {
			return nil, ErrNothingBefore
		}
		now := s.Now()
		if o.Confirm > 0 {
			change.ConfirmBy = now.Add(o.Confirm)
		}
		rev := c.Revision(now)
		_, err = s.Store.ActivatePolicy(ctx, &uma.Activation{
			Revision: rev, Content: engine.ContentOf(engine.RealmFiles(rev.Sources)), Over: overOf(state),
			By: o.By, Source: o.Source, Note: o.Note, Pinned: true, ConfirmBy: change.ConfirmBy,
			Withdrawn: was.withdrawn, Unconfirmed: was.unconfirmed, Report: was.report.Text(),
		})
		if was.state != nil || !errors.Is(err, uma.ErrMoved) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store the policy of realm %s: %w", o.Realm, err)
	}
	return change, nil
}

// overOf returns the key of the period in force, 0 if there is none.
func overOf(state *uma.PolicyState) uma.Key {
	if state.Active == nil {
		return 0
	}
	return state.Active.Key
}

// A CannotError says why an order means nothing as things are, such as a rollback of the first
// policy.
type CannotError struct{ error }

func (e *CannotError) Unwrap() error { return e.error }

func cannot(format string, args ...any) *CannotError {
	return &CannotError{fmt.Errorf(format, args...)}
}

// A RefusedError says why a policy cannot be activated: its mistakes.
type RefusedError struct{ error }

func (e *RefusedError) Unwrap() error { return e.error }

// SplitRevision returns the realm's own files of a revision, and those of the library.
func SplitRevision(r *uma.Revision) (files, library map[string]string) {
	files = engine.RealmFiles(r.Sources)
	library = maps.Clone(r.Sources)
	maps.DeleteFunc(library, func(path, _ string) bool {
		_, own := files[path]
		return own
	})
	return files, library
}

// TeamFiles are the realm's own files of a revision, with the tests and the manifest beside them.
func TeamFiles(r *uma.Revision) map[string]string {
	files := engine.RealmFiles(r.Sources)
	maps.Copy(files, r.Beside)
	return files
}

// ExportFiles writes files into a folder, which it makes, unless there is something in it.
func ExportFiles(dir string, files map[string]string) (err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder", dir)
	}
	root, err := os.OpenRoot(dir) // no file leaves the folder, whatever its name
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if at := strings.LastIndex(name, "/"); at > 0 {
			if err := root.MkdirAll(name[:at], 0o777); err != nil {
				return err
			}
		}
		if err := root.WriteFile(name, []byte(files[name]), 0o666); err != nil {
			return err
		}
	}
	return nil
}
