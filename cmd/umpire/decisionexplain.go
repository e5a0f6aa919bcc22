package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/engine"
	"example.com/umpire/rollout"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

func explainDecisionCommand(e *env) *cobra.Command {
	var now, trace bool
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Explain one decision: which rules decided each scope, and the conditions that held or did not",
		Long: `Explain one decision: evaluate it again on the policy revision that decided, and print for
each requested scope the rules that decided it, or that could have granted it. Below each
rule are its conditions, with their lines, up to the first one that did not hold, and the
values that they saw. Rules of helpers are below the condition that refers to them.

A record whose input is masked cannot be explained. An explanation is not exact if a mask
changed a value that the policy reads; it says so.`,
		Example: `  umpire decisions explain ID
  umpire decisions explain ID --now
  umpire decisions explain ID -o json | jq '.scopes[] | select(.result != "granted")'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.withDatabase(cmd.Context(), func(db *sqlite.Store) error {
				x := &explanation{env: e, db: db, now: now}
				return x.print(cmd.Context(), args[0], trace)
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "evaluate the recorded request under the policy that is active now")
	cmd.Flags().BoolVar(&trace, "trace", false, "also print OPA's trace of the evaluation")
	e.outputFlag(cmd)
	return cmd
}

// An explanationReport is the JSON output of explain.
type explanationReport struct {
	ID       string                  `json:"decision_id"`
	Revision string                  `json:"revision"`
	Exact    bool                    `json:"exact"`
	Inexact  string                  `json:"inexact,omitempty"` // why it is not exact
	Error    string                  `json:"error,omitempty"`
	Scopes   []engine.ExplainedScope `json:"scopes"`
	Trace    []string                `json:"trace,omitempty"`
}

// An explanation explains one recorded decision.
type explanation struct {
	*env
	db  *sqlite.Store
	now bool // under the active policy

	record   *uma.Record
	decision *audit.Decision
}

// explainTimeout replaces policy.timeout: an evaluation that met its deadline at the time must
// not miss it on a slower machine.
const explainTimeout = time.Minute

func (x *explanation) print(ctx context.Context, id string, trace bool) error {
	var err error
	if x.record, err = x.findDecision(ctx, x.db, id); err != nil {
		return err
	}
	if x.decision, err = audit.Read(x.record.Event); err != nil {
		return err
	}
	report, err := x.explain(ctx, trace)
	if errors.Is(err, uma.ErrUnreadable) {
		return fmt.Errorf("decision %s cannot be explained: %s: `umpire decisions show` prints what is on record", id, cmp.Or(x.decision.Skip, err.Error()))
	}
	if err != nil {
		return err
	}
	if x.asJSON() {
		return printJSON(x.stdout, report)
	}
	return x.printText(report)
}

// explain evaluates the decision again.
func (x *explanation) explain(ctx context.Context, trace bool) (*explanationReport, error) {
	rev, settings, err := x.revision(ctx)
	if err != nil {
		return nil, err
	}
	recordedEntrypoint := "data." + strings.ReplaceAll(x.decision.Path, "/", ".")
	explainer, err := rollout.NewStoredExplainer(ctx, rev, settings, recordedEntrypoint)
	if err != nil {
		return nil, err
	}
	replayer, err := rollout.NewStoredReplayer(ctx, rev, settings, recordedEntrypoint)
	if err != nil {
		return nil, err
	}
	explained, err := explainer.Explain(ctx, &x.decision.Recorded)
	if err != nil {
		return nil, err
	}
	report := &explanationReport{ID: x.record.ID, Revision: rev.Hash, Error: explained.Error, Scopes: explained.Scopes}
	if report.Inexact, err = x.inexact(ctx, replayer); err != nil {
		return nil, err
	}
	report.Exact = report.Inexact == ""
	if trace {
		var text bytes.Buffer
		if err := explainer.Trace(ctx, &x.decision.Recorded, &text); err != nil {
			return nil, err
		}
		report.Trace = strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	}
	return report, nil
}

// revision returns the policy that the decision is explained by, and its realm's settings. The
// realm may be deleted.
func (x *explanation) revision(ctx context.Context) (*uma.Revision, uma.PolicySettings, error) {
	settings := uma.PolicySettings{}
	snap, err := x.db.Snapshot(ctx, x.record.Realm, x.env.now())
	switch {
	case err == nil:
		settings = snap.Realm.Policy
	case !errors.Is(err, uma.ErrNotFound):
		return nil, settings, err
	}
	settings.Timeout = explainTimeout
	if x.now {
		rev, err := x.db.RevisionInForce(ctx, x.record.Realm)
		if errors.Is(err, uma.ErrNotFound) {
			err = invalid("--now: realm %s has no active policy", x.record.Realm)
		}
		return rev, settings, err
	}
	rev, err := x.db.Revision(ctx, x.record.Revision)
	if err != nil {
		err = fmt.Errorf("policy revision %s: %w", x.record.Revision, err)
	}
	return rev, settings, err
}

// inexact returns why the explanation may not be that of the recorded decision; "": it is. Under
// the active policy, only a mask or a random function can make it inexact.
func (x *explanation) inexact(ctx context.Context, policy uma.Replayer) (string, error) {
	if x.now {
		replayed, err := policy.Replay(ctx, &x.decision.Recorded)
		if errors.Is(err, uma.ErrUnreadable) {
			return "", err
		}
		return replayed.Inexact, nil // an error of the policy is explained
	}
	comparer := audit.Comparer{Candidate: policy}
	c, err := comparer.Compare(ctx, x.decision)
	switch {
	case err != nil:
		return "", err
	case c.Skipped != "":
		return "the record has no answer to compare with: " + c.Skipped, nil
	case c.Inexact != "":
		return c.Inexact, nil
	case c.Failed || len(c.Changes) > 0:
		return "this version of Umpire decides differently", nil
	}
	return "", nil
}
