package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/store/sqlite"
)

func pruneCommand(e *env) *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:   "prune --before TIME",
		Short: "Delete old decision records (safe while the server runs)",
		Long: `Delete decision records that are older than a time, then the policy revisions that no
record refers to and that are not active (safe while the server runs). This cannot be
undone: export the records first. SQLite reuses the space, but the file does not shrink.`,
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
	db, err := sqlite.Open(ctx, sqlite.Config{Path: e.database(), Now: e.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
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
	if e.asJSON() {
		return printJSON(e.stdout, struct {
			Before time.Time `json:"before"`
			node.Pruned
		}{at.UTC(), done})
	}
	_, err = fmt.Fprintf(e.stdout, "deleted %d decision records from before %s, and %d policy revisions\n", done.Decisions, at.UTC().Format(time.RFC3339), done.Revisions)
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
