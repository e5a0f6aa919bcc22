package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
	"example.com/umpire/uma/grant"
)

// impactFlags are the flags of policy impact.
type impactFlags struct {
	candidate, realm, since, baseline, file string
	maxGranted, maxRefused, limit           int
	reach                                   bool
	users, resources                        int // of the sample
	seed                                    uint64

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
or --max-refused scopes change, or the policy fails where the baseline did not.

Recorded requests show only what was asked. --reach also compares what users could do,
whether or not they ever asked: a sample of the realm's users and resources as they are
stored, each user with each resource, all scopes. Every type of resource and every
combination of roles and groups is in the sample, as far as it has room.`,
		Example: `  umpire policy impact --realm photoz --candidate ./policies --since 7d
  umpire policy impact --realm photoz --candidate ./policies --reach --max-granted 0
  umpire policy impact --realm photoz --candidate ./policies --file decisions.jsonl --max-granted 0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(e, cmd); err != nil {
				return err
			}
			switch {
			case e.server != "" && (f.file != "" || f.reach):
				return usageError("--file and --reach read a file or a database: they cannot be combined with --server")
			case e.server != "":
				return e.impactOverServer(cmd.Context(), &f)
			}
			if f.file != "" && f.baseline == "recorded" && isPath(f.candidate) && !f.reach {
				return e.policyImpact(cmd.Context(), nil, &f)
			}
			return e.withLists(cmd.Context(), func(db uma.Store) error { return e.policyImpact(cmd.Context(), db, &f) })
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.candidate, "candidate", "", "policy `folder`, bundle file, or hash of a policy revision in the database, or its beginning")
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.since, "since", "", "only decisions not before this `time` (RFC 3339), day or age (2h, 7d)")
	fl.StringVar(&f.baseline, "baseline", "", "active or recorded (default active, with --file recorded)")
	fl.StringVar(&f.file, "file", "", "`file` of decisions export, - for stdin, instead of the database")
	fl.IntVar(&f.maxGranted, "max-granted", -1, "largest `number` of scopes that may be newly granted (default any)")
	fl.IntVar(&f.maxRefused, "max-refused", -1, "largest `number` of scopes that may be newly refused (default any)")
	fl.IntVar(&f.limit, "limit", 1000, "largest `number` of changes to list, the newest; jsonl lists all, oldest first")
	fl.BoolVar(&f.reach, "reach", false, "also compare what users could do, whether or not anybody asked")
	fl.IntVar(&f.users, "reach-users", 200, "with --reach: largest `number` of users")
	fl.IntVar(&f.resources, "reach-resources", 200, "with --reach: largest `number` of resources")
	fl.Uint64Var(&f.seed, "reach-seed", 1, "with --reach: another `number` chooses other users and resources")
	for _, name := range []string{"max-granted", "max-refused"} {
		fl.Lookup(name).DefValue = "" // the usage says it
	}
	e.serverFlags(cmd)
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
	case f.reach && e.output == "jsonl":
		return invalid("--reach: use -o json, which has its changes apart")
	case f.users < 1 || f.users > maxAccess || f.resources < 1 || f.resources > maxAccess:
		return invalid("--reach-users, --reach-resources: want a number from 1 to %d", maxAccess)
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

func (e *env) policyImpact(ctx context.Context, db uma.Store, f *impactFlags) (err error) {
	impact := &rollout.Impact{Realm: f.realm, Since: f.from, Recorded: f.baseline == rollout.Recorded, Limit: f.limit}
	if err := f.setCandidate(ctx, db, impact); err != nil {
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
	impact.Changed = e.changeLines(lines)
	tune(e.getenv)
	began := e.now()
	impact.Progress = e.replayProgress(began)
	report, counts, err := impact.Run(ctx, db, began)
	if err = errors.Join(err, lines.Flush()); err != nil {
		return f.described(ctx, db, err)
	}
	out := impactReport{ImpactReport: *report}
	if f.reach {
		if out.Reach, err = e.impactReach(ctx, db, f, impact); err != nil {
			return f.described(ctx, db, err)
		}
	}
	return e.printImpactReport(&out, counts, f, e.now().Sub(began))
}

// impactOverServer has a server compare.
func (e *env) impactOverServer(ctx context.Context, f *impactFlags) error {
	q := &adminapi.ImpactQuery{Realm: f.realm, Recorded: f.baseline == rollout.Recorded, Since: f.from, Limit: f.limit}
	if isPath(f.candidate) {
		q.Path = f.candidate
	} else {
		q.Revision = f.candidate
	}
	lines := bufio.NewWriter(e.stdout)
	q.Changed = e.changeLines(lines)
	began := e.now()
	q.Progress = e.replayProgress(began)
	return e.withServer(func(c *adminapi.Client) error {
		report, counts, err := c.Impact(ctx, q)
		if err = errors.Join(err, lines.Flush()); err != nil {
			return err
		}
		return e.printImpactReport(&impactReport{ImpactReport: *report}, counts, f, e.now().Sub(began))
	})
}

// changeLines returns what writes the changes of -o jsonl; nil with another output.
func (e *env) changeLines(w io.Writer) func(*audit.ChangeRow) error {
	if e.output != "jsonl" {
		return nil
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(c *audit.ChangeRow) error { return enc.Encode(c) }
}

// printImpactReport prints a report and compares it with the thresholds.
func (e *env) printImpactReport(out *impactReport, counts *audit.Report, f *impactFlags, took time.Duration) (err error) {
	report := &out.ImpactReport
	switch e.output {
	case "json":
		err = printJSON(e.stdout, *out)
	case "jsonl":
		printImpact(e.stderr, report, counts, took)
	default:
		if err = printChanges(e.stdout, report); err == nil {
			printImpact(e.stdout, report, counts, took)
		}
		if out.Reach != nil && err == nil {
			err = printReach(e.stdout, out.Reach)
		}
	}
	return errors.Join(err, e.impactVerdict(out, f))
}

// An impactReport is the JSON output of policy impact.
type impactReport struct {
	audit.ImpactReport
	Reach *audit.ReachReport `json:"reach,omitempty"` // with --reach
}

// impactReach compares what a sample of users may do with a sample of resources.
func (e *env) impactReach(ctx context.Context, db uma.Store, f *impactFlags, impact *rollout.Impact) (*audit.ReachReport, error) {
	realm, err := e.storedRealm(ctx, db, f.realm)
	if err != nil {
		return nil, err
	}
	client, err := realm.client("")
	if err != nil {
		return nil, err
	}
	told := e.now()
	return impact.Reach(ctx, db, &audit.Reach{
		Access: audit.Access{Store: db, Realm: realm.snap, Describe: grant.Described{At: realm.at}, Workers: runtime.GOMAXPROCS(0)},
		Client: client, Users: f.users, Resources: f.resources, Seed: f.seed, Limit: f.limit,
		Progress: func(done, total int) {
			if now := e.now(); now.Sub(told) >= time.Second {
				told = now
				fmt.Fprintf(e.stderr, "reach of %d of %d users compared\n", done, total)
			}
		},
	})
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

// impactVerdict returns errNotPassed if the candidate fails or a threshold is exceeded, by
// what was recorded or by the reach.
func (e *env) impactVerdict(r *impactReport, f *impactFlags) (err error) {
	if r.Failed > 0 {
		fmt.Fprintf(e.stderr, "the candidate gives no answer in %d decisions that have one\n", r.Failed)
		err = errNotPassed
	}
	if r.Reach != nil && r.Reach.Failed > 0 {
		fmt.Fprintf(e.stderr, "the candidate gives no answer for %d scopes of --reach\n", r.Reach.Failed)
		err = errNotPassed
	}
	exceeded := func(flag string, n, max int, where string) {
		if max >= 0 && n > max {
			fmt.Fprintf(e.stderr, "--max-%s: %d scopes would be newly %s%s, more than %d\n", flag, n, flag, where, max)
			err = errNotPassed
		}
	}
	exceeded("granted", r.Granted, f.maxGranted, "")
	exceeded("refused", r.Refused, f.maxRefused, "")
	if r.Reach != nil {
		exceeded("granted", r.Reach.Granted, f.maxGranted, " in reach")
		exceeded("refused", r.Reach.Refused, f.maxRefused, " in reach")
	}
	return err
}

// isRevision reports whether a text may be a revision's hash or its beginning.
func isRevision(text string) bool {
	rest := strings.Trim(text, "0123456789abcdef")
	return rest == "" && text != "" && len(text) <= wholeHash
}

// wholeHash is how long the hash of a revision is.
const wholeHash = 2 * sha256.Size

// isPath reports whether there is a file or folder of this name.
func isPath(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
