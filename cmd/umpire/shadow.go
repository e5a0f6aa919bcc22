package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

func shadowCommand(e *env) *cobra.Command {
	var realm string
	var limit int
	cmd := &cobra.Command{
		Use:   "shadow --realm NAME",
		Short: "List what the shadow policy would have decided otherwise (safe while the server runs)",
		Long: `List what the policy that policy.shadow of the realm file names would have decided otherwise
since it was set or changed. A server evaluates each decision again under it, after it was
made, with a small part of a processor. The last 1000 changes are kept.`,
		Example: `  umpire policy shadow --realm photoz`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case realm == "":
				return usageError("--realm is missing")
			case limit < 0:
				return invalid("--limit: want 0 or a positive number, not %d", limit)
			}
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.policyShadow(cmd.Context(), db, realm, limit) })
		},
	}
	cmd.Flags().StringVar(&realm, "realm", "", "`name` of the realm")
	cmd.Flags().IntVar(&limit, "limit", 1000, "largest `number` of changes to list, the newest")
	e.outputFlag(cmd)
	return cmd
}

// A shadowReport is the JSON output of policy shadow.
type shadowReport struct {
	Shadow   string     `json:"shadow"`   // path; empty if the realm has none any more
	Revision string     `json:"revision"` // of the shadow that counts are of
	Since    *time.Time `json:"since"`
	Lag      int        `json:"lag"` // decisions that are not evaluated yet
	Problem  string     `json:"problem"`
	uma.ShadowCounts
	Changes []shadowRow `json:"changes"` // newest first, those of earlier revisions too
}

// A shadowRow is a change, as policy impact has it, and the revision that made it.
type shadowRow struct {
	audit.ChangeRow
	Revision string `json:"shadow_revision"`
}

func (e *env) policyShadow(ctx context.Context, db uma.Store, name string, limit int) error {
	realm, err := e.storedRealm(ctx, db, name)
	if err != nil {
		return err
	}
	state, err := db.Shadow(ctx, name)
	switch {
	case errors.Is(err, uma.ErrNotFound) && realm.snap.Realm.Policy.Shadow == "":
		return invalid("realm %s has no shadow policy: set policy.shadow in its realm file", name)
	case errors.Is(err, uma.ErrNotFound):
		return fmt.Errorf("the shadow policy of realm %s has not begun: a server evaluates it", name)
	case err != nil:
		return err
	}
	backlog, err := db.BacklogOf(ctx, name, state.Cursor)
	if err != nil {
		return err
	}
	changes, err := db.ShadowChanges(ctx, name, limit)
	if err != nil {
		return err
	}
	report := &shadowReport{
		Shadow: realm.snap.Realm.Policy.Shadow, Revision: state.Revision, Lag: backlog.Records, Problem: state.Problem,
		ShadowCounts: state.ShadowCounts, Changes: []shadowRow{},
	}
	if !state.Since.IsZero() {
		report.Since = &state.Since
	}
	for _, c := range changes {
		row := shadowRow{Revision: c.Revision}
		if err := json.Unmarshal(c.Change, &row.ChangeRow); err != nil {
			return fmt.Errorf("read a change of the shadow policy: %w", err)
		}
		report.Changes = append(report.Changes, row)
	}
	if e.asJSON() {
		return printJSON(e.stdout, report)
	}
	return e.printShadow(report)
}

func (e *env) printShadow(r *shadowReport) error {
	rows := audit.ImpactReport{Changes: []audit.ChangeRow{}}
	earlier := 0
	for _, c := range r.Changes {
		if c.Revision == r.Revision {
			rows.Changes = append(rows.Changes, c.ChangeRow)
		} else {
			earlier++
		}
	}
	if err := printChanges(e.stdout, &rows); err != nil {
		return err
	}
	if r.Shadow == "" {
		fmt.Fprintln(e.stdout, "the realm has no shadow policy any more: what it decided is of the past")
	}
	if r.Problem != "" {
		fmt.Fprintf(e.stdout, "the shadow policy %s does not compile, and evaluates nothing:\n%s\n", rollout.Shown(r.Shadow), r.Problem)
	}
	if r.Since == nil {
		return nil
	}
	fmt.Fprintf(e.stdout, "revision %s, since %s\n", r.Revision, r.Since.Format(time.RFC3339))
	fmt.Fprintf(e.stdout, "%d decisions evaluated: %d unchanged, %d failed, %d inexact; %d skipped, %d missed, %d to come\n",
		r.Replayed, r.Unchanged, r.Failed, r.Inexact, r.Skipped, r.Missed, r.Lag)
	fmt.Fprintf(e.stdout, "%d scopes newly granted, %d newly refused, %d different, in %d requests\n", r.Granted, r.Refused, r.Different, r.Requests)
	if earlier > 0 {
		fmt.Fprintf(e.stdout, "%d changes of earlier revisions: see -o json\n", earlier)
	}
	return nil
}
