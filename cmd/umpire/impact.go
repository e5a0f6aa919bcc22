package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/rollout"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma/audit"
)

// impactFlags are the flags of policy impact.
type impactFlags struct {
	candidate, realm, since, baseline, file string
	maxGranted, maxRefused, limit           int

	from time.Time // since; check parses it
}

func impactCommand(e *env) *cobra.Command {
	var f impactFlags
	cmd := &cobra.Command{
		Use:   "impact --candidate FOLDER|BUNDLE|REVISION --realm NAME",
		Short: "Say what a policy would have decided otherwise (safe while the server runs)",
		Long: `Evaluate recorded decisions again under another policy, each at its recorded time, and list
what would be newly granted, newly refused or different (the claims wanted, whether the
owner is asked, obligations, the life of the RPT). Compared is with the active policy, or
with what was decided at the time (--baseline recorded). Nothing is changed.

With --file the decisions are those that "umpire decisions export" wrote, and no database
is needed; then the baseline is what was recorded. Exit code 3: more than --max-granted
or --max-refused scopes change, or the policy fails where the baseline did not.`,
		Example: `  umpire policy impact --realm photoz --candidate ./policies --since 7d
  umpire policy impact --realm photoz --candidate ./policies --file decisions.jsonl --max-granted 0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(e, cmd); err != nil {
				return err
			}
			if f.file != "" && f.baseline == "recorded" && isPath(f.candidate) {
				return e.policyImpact(cmd.Context(), nil, &f)
			}
			return e.withDatabase(cmd.Context(), func(db *sqlite.Store) error { return e.policyImpact(cmd.Context(), db, &f) })
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.candidate, "candidate", "", "policy `folder`, bundle file, or hash of a policy revision in the database")
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.since, "since", "", "only decisions not before this `time` (RFC 3339), day or age (2h, 7d)")
	fl.StringVar(&f.baseline, "baseline", "", "active or recorded (default active, with --file recorded)")
	fl.StringVar(&f.file, "file", "", "`file` of decisions export, - for stdin, instead of the database")
	fl.IntVar(&f.maxGranted, "max-granted", -1, "largest `number` of scopes that may be newly granted (default any)")
	fl.IntVar(&f.maxRefused, "max-refused", -1, "largest `number` of scopes that may be newly refused (default any)")
	fl.IntVar(&f.limit, "limit", 1000, "largest `number` of changes to list, the newest; jsonl lists all, oldest first")
	for _, name := range []string{"max-granted", "max-refused"} {
		fl.Lookup(name).DefValue = "" // the usage says it
	}
	e.outputFlag(cmd, "jsonl")
	return cmd
}

func (f *impactFlags) check(e *env, cmd *cobra.Command) (err error) {
	switch {
	case f.candidate == "":
		return usageError("--candidate is missing")
	case f.realm == "":
		return usageError("--realm is missing")
	case !isPath(f.candidate) && !isRevision(f.candidate):
		return invalid("--candidate: there is no folder or file %s, and it is not the hash of a policy revision", f.candidate)
	case f.limit < 0:
		return invalid("--limit: want 0 or a positive number, not %d", f.limit)
	case f.baseline == "" && f.file != "":
		f.baseline = "recorded"
	case f.baseline == "":
		f.baseline = "active"
	}
	if f.baseline != "active" && f.baseline != "recorded" {
		return invalid("--baseline: want active or recorded, not %q", f.baseline)
	}
	for _, most := range []struct {
		flag string
		n    int
	}{{"max-granted", f.maxGranted}, {"max-refused", f.maxRefused}} {
		if most.n < 0 && cmd.Flags().Changed(most.flag) {
			return invalid("--%s: want 0 or a positive number, not %d", most.flag, most.n)
		}
	}
	if f.since != "" {
		if f.from, err = e.parseTime(f.since); err != nil {
			return invalid("--since: %w", err)
		}
	}
	return nil
}

func (e *env) policyImpact(ctx context.Context, db *sqlite.Store, f *impactFlags) (err error) {
	impact := &rollout.Impact{Realm: f.realm, Since: f.from, Recorded: f.baseline == rollout.Recorded, Limit: f.limit}
	if err := f.setCandidate(impact); err != nil {
		return err
	}
	if f.file != "" {
		in, path, err := f.open(impact)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, in.Close()) }()
		if db == nil {
			settings := defaultSettings(f.candidate)
			if path != "" {
				settings.Entrypoint = rollout.EntrypointOf(path)
			}
			impact.Settings = &settings
		}
	}
	lines := bufio.NewWriter(e.stdout)
	if e.output == "jsonl" {
		enc := json.NewEncoder(lines)
		enc.SetEscapeHTML(false)
		impact.Changed = func(c *audit.ChangeRow) error { return enc.Encode(c) }
	}
	tune(e.getenv)
	began := e.now()
	impact.Progress = e.replayProgress(began)
	report, counts, err := impact.Run(ctx, db, began)
	if err = errors.Join(err, lines.Flush()); err != nil {
		return f.described(ctx, db, err)
	}
	switch e.output {
	case "json":
		err = printJSON(e.stdout, report)
	case "jsonl":
		printImpact(e.stderr, report, counts, e.now().Sub(began))
	default:
		if err = printChanges(e.stdout, report); err == nil {
			printImpact(e.stdout, report, counts, e.now().Sub(began))
		}
	}
	return errors.Join(err, e.impactVerdict(report, f))
}

// replayProgress returns a function that prints, once a second, how many decisions were
// replayed.
func (e *env) replayProgress(told time.Time) func(*audit.Report) {
	return func(r *audit.Report) {
		if now := e.now(); now.Sub(told) >= time.Second {
			told = now
			fmt.Fprintf(e.stderr, "%d decisions replayed\n", r.Replayed)
		}
	}
}

// impactVerdict returns errNotPassed if the candidate fails or a threshold is exceeded.
func (e *env) impactVerdict(r *audit.ImpactReport, f *impactFlags) (err error) {
	if r.Failed > 0 {
		fmt.Fprintf(e.stderr, "the candidate gives no answer in %d decisions that have one\n", r.Failed)
		err = errNotPassed
	}
	for _, most := range []struct {
		flag   string
		n, max int
	}{{"granted", r.Granted, f.maxGranted}, {"refused", r.Refused, f.maxRefused}} {
		if most.max >= 0 && most.n > most.max {
			fmt.Fprintf(e.stderr, "--max-%s: %d scopes would be newly %[1]s, more than %[3]d\n", most.flag, most.n, most.max)
			err = errNotPassed
		}
	}
	return err
}

// isRevision reports whether a text has the form of a revision's hash.
func isRevision(text string) bool {
	hash, err := hex.DecodeString(text)
	return err == nil && len(hash) == sha256.Size
}

// isPath reports whether there is a file or folder of this name.
func isPath(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
