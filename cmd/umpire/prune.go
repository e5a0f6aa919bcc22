package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/store"
)

func pruneCommand(e *env) *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:   "prune --before TIME",
		Short: "Delete old decision records (safe while the server runs)",
		Long: `Delete decision records that are older than a time, then the policy revisions that no
record refers to and that are not active (safe while the server runs). This cannot be
undone: export the records first. SQLite reuses the space, but the file does not shrink.
A record that a sink does not have yet stays until it is older than that time by the
sink's hold, 7 days unless it is set otherwise.`,
		Example: `  umpire decisions export --until 90d --file old.jsonl && umpire decisions prune --before 90d`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.pruneDecisions(cmd.Context(), before) },
	}
	cmd.Flags().StringVar(&before, "before", "", "delete records older than this `time` (RFC 3339), day (2026-08-31, UTC) or age (90d)")
	e.outputFlag(cmd)
	return cmd
}

func (e *env) pruneDecisions(ctx context.Context, before string) (err error) {
	if before == "" {
		return usageError("--before is missing: give the time before which records are deleted")
	}
	at, err := e.parseTime(before)
	if err != nil {
		return invalid("--before: %w", err)
	}
	if at.After(e.now()) {
		return invalid("--before: %s is in the future", at.Format(time.RFC3339))
	}
	if err := e.needDatabase(); err != nil { // Open would create one
		return err
	}
	db, err := store.Open(ctx, e.storeConfig(false))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	sinks, err := db.AllSinks(ctx)
	if err != nil {
		return err
	}
	told := e.now()
	done, err := node.Prune(ctx, db, at, e.now, func(done node.Pruned) {
		if now := e.now(); now.Sub(told) >= time.Second {
			told = now
			fmt.Fprintf(e.stderr, "%d decision records deleted\n", done.Decisions)
		}
	})
	if err != nil {
		return fmt.Errorf("%d decision records deleted, then: %w", done.Decisions, err)
	}
	report := pruneReport{Before: at.UTC(), Pruned: done}
	after, err := db.AllSinks(ctx)
	if err != nil {
		return err
	}
	report.Cut = node.CutBetween(sinks, after)
	if report.Waiting, err = node.WaitingFor(ctx, db, after, at); err != nil {
		return err
	}
	return e.printPruned(&report)
}

// A pruneReport is the output of prune.
type pruneReport struct {
	Before time.Time `json:"before"`
	node.Pruned
	Cut     []node.SinkCut `json:"cut"`     // by sink
	Waiting []string       `json:"waiting"` // sinks
}

func (e *env) printPruned(r *pruneReport) error {
	if e.asJSON() {
		return printJSON(e.stdout, r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "deleted %d decision records from before %s, and %d policy revisions\n", r.Decisions, r.Before.Format(time.RFC3339), r.Revisions)
	for _, cut := range r.Cut {
		fmt.Fprintf(&text, "%d of the records were not delivered to %s\n", cut.Records, cut.Sink)
	}
	if len(r.Waiting) > 0 {
		fmt.Fprintf(&text, "older records are kept until they are delivered to: %s (see `umpire decisions sinks`)\n", strings.Join(r.Waiting, ", "))
	}
	_, err := io.WriteString(e.stdout, text.String())
	return err
}

// parseAge parses a duration that may have days, such as 90d, 36h or 1d12h.
func parseAge(text string) (time.Duration, error) {
	var days time.Duration
	rest := text
	if count, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(count, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("want a duration such as 90d or 36h, not %q", text)
		}
		if days, rest = time.Duration(n)*24*time.Hour, after; rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 90d or 36h, not %q", text)
	}
	return days + d, nil
}
