package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// explainFlags are the flags of decisions explain.
type explainFlags struct {
	candidate, file string
	now, trace      bool
}

func explainDecisionCommand(e *env) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Explain one decision: which rules decided each scope, and the conditions that held or did not",
		Long: `Explain one decision: evaluate it again on the policy revision that decided, and print for
each requested scope the rules that decided it, or that could have granted it. Below each
rule are its conditions, with their lines, up to the first one that did not hold, and the
values that they saw. Rules of helpers are below the condition that refers to them.

With --file the decision is read from a file that "umpire decisions export" wrote; with
--candidate too, no database is needed.

A record whose input is masked cannot be explained. An explanation is not exact if a mask
changed a value that the policy reads; it says so.`,
		Example: `  umpire decisions explain ID
  umpire decisions explain ID --now
  umpire decisions explain ID --file decisions.jsonl --candidate ./policies
  umpire decisions explain ID -o json | jq '.scopes[] | select(.result != "granted")'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.now && f.candidate != "":
				return usageError("--now and --candidate name different policies: give one of them")
			case f.candidate != "" && !isPath(f.candidate) && !isRevision(f.candidate):
				return invalid("--candidate: there is no folder or file %s, and it is not the hash of a policy revision", f.candidate)
			case e.server != "" && (f.candidate != "" || f.file != ""):
				return usageError("--candidate and --file cannot be combined with --server, which explains by the policies that it has")
			case f.file != "" && isPath(f.candidate):
				return e.explainDecision(cmd.Context(), nil, args[0], &f)
			case f.candidate == "" && f.file == "":
				return e.reading(cmd.Context(), func(ops operations) error { return e.explainRecorded(cmd.Context(), ops, args[0], &f) })
			}
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.explainDecision(cmd.Context(), db, args[0], &f) })
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.now, "now", false, "evaluate the recorded request under the policy that is active now")
	fl.StringVar(&f.candidate, "candidate", "", "evaluate it under this policy `folder`, bundle file, or hash of a policy revision in the database, or its beginning")
	fl.StringVar(&f.file, "file", "", "read the decision from this `file` of decisions export, - for stdin")
	fl.BoolVar(&f.trace, "trace", false, "also print OPA's trace of the evaluation")
	e.serverFlags(cmd)
	e.outputFlag(cmd)
	return cmd
}

// explainDecision explains a recorded decision. Without a database, it is in a file and the
// policy is a candidate's.
func (e *env) explainDecision(ctx context.Context, db uma.Store, id string, f *explainFlags) error {
	d, err := e.recordedDecision(ctx, db, id, f.file)
	if err != nil {
		return err
	}
	explainer, err := e.explainerOf(ctx, db, d, f)
	if err != nil {
		return err
	}
	why, err := explainer.Explain(ctx, d, f.trace)
	if err != nil {
		return adminapi.CannotExplain(d, err)
	}
	return e.printWhy(d, why, f)
}

// explainRecorded explains a recorded decision by the policy that decided, or by the one in
// force.
func (e *env) explainRecorded(ctx context.Context, ops operations, id string, f *explainFlags) error {
	why, err := ops.Explain(ctx, "", id, f.now, f.trace)
	if err != nil {
		return err
	}
	if e.asJSON() {
		return e.printWhy(nil, why, f)
	}
	details, err := ops.Decision(ctx, "", id, false)
	if err != nil {
		return err
	}
	d, err := audit.Read(details.Event)
	if err != nil {
		return err
	}
	return e.printWhy(d, why, f)
}

// printWhy prints an explanation; as JSON, it needs no decision.
func (e *env) printWhy(d *audit.Decision, why *rollout.Explanation, f *explainFlags) error {
	if e.asJSON() {
		return printJSON(e.stdout, why)
	}
	under := "the policy that decided"
	switch {
	case f.now:
		under = "the active policy"
	case f.candidate != "" && why.Revision != d.Revision:
		under = "the policy " + f.candidate
	}
	t := explainedText{w: e.stdout, decision: d, recorded: !f.now && f.candidate == ""}
	t.print(&why.Explanation)
	fmt.Fprintf(e.stdout, "decision %s, evaluated again under %s, revision %s\n", why.ID, visible(under), why.Revision)
	if !why.Exact {
		fmt.Fprintln(e.stdout, "not exact: "+visible(why.Inexact))
	}
	t.printTrace(why.Trace)
	return nil
}

// recordedDecision reads a decision from the database, or from a file of decisions export.
func (e *env) recordedDecision(ctx context.Context, db adminapi.Store, id, file string) (d *audit.Decision, err error) {
	if file == "" {
		details, err := e.local(db).Decision(ctx, "", id, false)
		if err != nil {
			return nil, err
		}
		return audit.Read(details.Event)
	}
	in := os.Stdin
	if file != "-" {
		if in, err = os.Open(file); err != nil {
			return nil, invalid("--file: %w", err)
		}
	}
	d, err = audit.NewLines(file, in).Find(ctx, id)
	if errors.Is(err, io.EOF) {
		err = invalid("--file: %s has no decision %q", file, id)
	}
	return d, errors.Join(err, in.Close())
}

// explainerOf compiles the policy that a decision is explained by.
func (e *env) explainerOf(ctx context.Context, db uma.Store, d *audit.Decision, f *explainFlags) (*rollout.Explainer, error) {
	revision := d.Revision
	switch {
	case f.now:
		revision = ""
	case isPath(f.candidate):
		return e.candidateExplainer(ctx, db, d.Realm, f.candidate, d.Path)
	case f.candidate != "":
		revision = f.candidate
		if len(revision) < wholeHash {
			var err error
			if revision, err = adminapi.FindRevision(ctx, db, d.Realm, revision); err != nil {
				return nil, err
			}
		}
	}
	explainer, err := rollout.NewStoredExplainer(ctx, db, d.Realm, revision, d.Path, e.now())
	switch {
	case errors.Is(err, rollout.ErrNoActive):
		return nil, invalid("realm %s has no active policy", d.Realm)
	case errors.Is(err, rollout.ErrNoRevision):
		return nil, fmt.Errorf("policy revision %s is not in this database: name the policy with --candidate", revision)
	}
	return explainer, err
}

// candidateExplainer compiles a policy folder or bundle file, for the entry point of the realm
// or, without a database, of a record's path.
func (e *env) candidateExplainer(ctx context.Context, db uma.Realms, realm, path, entrypoint string) (*rollout.Explainer, error) {
	settings := defaultSettings(path)
	switch {
	case db != nil:
		snapshot, err := db.Snapshot(ctx, realm, e.now())
		if err != nil {
			return nil, realmError(ctx, db, realm, err)
		}
		settings.Entrypoint = snapshot.Realm.Policy.Entrypoint
	case entrypoint != "":
		settings.Entrypoint = rollout.EntrypointOf(entrypoint)
	}
	src, err := rollout.Source(path)
	if err != nil {
		return nil, fmt.Errorf("--candidate: %w", err)
	}
	explainer, err := rollout.NewExplainer(ctx, realm, settings, src)
	if err != nil {
		return nil, fmt.Errorf("--candidate: %w", err)
	}
	return explainer, nil
}
