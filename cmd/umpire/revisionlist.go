package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

func policyStatusCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the policy in force, and changes of the policy folder that are not",
		Long: `Show the policy in force of each realm, and the content of its policy folder if that
waits or was refused, and why.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.reading(cmd.Context(), func(ops operations) error { return e.policyStatus(cmd.Context(), ops, realm) })
		},
	}
	cmd.Flags().StringVar(&realm, "realm", "", "`name` of one realm (default: all)")
	e.serverFlags(cmd)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) policyStatus(ctx context.Context, ops operations, realm string) error {
	names, err := ops.Realms(ctx, realm)
	if err != nil {
		return err
	}
	rows := []statusRow{}
	for _, name := range names {
		row, err := ops.Status(ctx, name)
		if err != nil {
			return err
		}
		rows = append(rows, *row)
	}
	if e.asJSON() {
		return printJSON(e.stdout, rows)
	}
	var table [][]string
	for _, row := range rows {
		cells := []string{row.Realm, "none", "", "", row.Mode}
		if p := row.Policy; p != nil {
			state := row.Mode
			if p.Pinned {
				state = "pinned"
			}
			cells = []string{row.Realm, shortHash(p.Revision), p.Since.Format(time.RFC3339), p.By, state}
		}
		table = append(table, cells)
	}
	if err := printTable(e.stdout, []string{"REALM", "REVISION", "SINCE", "BY", "STATE"}, table); err != nil {
		return err
	}
	for _, row := range rows {
		if p := row.Policy; p != nil && p.ConfirmBy != nil {
			fmt.Fprintf(e.stdout, "realm %s: a running server rolls the policy back at %s, unless `umpire policy confirm --realm %[1]s` comes before\n",
				row.Realm, p.ConfirmBy.Format(time.RFC3339))
		}
		if p := row.Policy; p != nil && p.Report != nil && len(p.Report.Findings) > 0 {
			r := p.Report
			fmt.Fprintf(e.stdout, "realm %s: the gates have %d warnings about the policy in force: -o json lists them\n", row.Realm, len(r.Findings)+r.Omitted)
		}
		if p := row.Proposal; p != nil {
			fmt.Fprintf(e.stdout, "realm %s: %s, since %s: %s\n", row.Realm, visible(p.Source), p.Since.Format(time.RFC3339), p.Problem)
		}
	}
	return nil
}

func policyHistoryCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the policies that were in force, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.reading(cmd.Context(), func(ops operations) error { return e.policyHistory(cmd.Context(), ops, realm) })
		},
	}
	e.realmFlag(cmd, &realm)
	e.serverFlags(cmd)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) policyHistory(ctx context.Context, ops operations, name string) error {
	realm, err := ops.Realm(ctx, name)
	if err != nil {
		return err
	}
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: []string{"REVISION", "SINCE", "UNTIL", "BY", "PINNED", "SOURCE", "NOTE"}}
	for before, more := int64(0), true; more; {
		var page []adminapi.HistoryRow
		page, before, err = ops.History(ctx, realm, before, adminapi.MostRows)
		if err != nil {
			return err
		}
		for i := range page {
			if err := list.add(page[i].Period, periodCells(&page[i])); err != nil {
				return err
			}
		}
		more = before > 0
	}
	return list.end()
}

// periodCells are a period in a table.
func periodCells(row *adminapi.HistoryRow) []string {
	until, pinned := "in force", ""
	if row.Until != nil {
		until = row.Until.Format(time.RFC3339)
	}
	if row.Pinned {
		pinned = "yes"
	}
	note := row.Note
	if row.ConfirmBy != nil {
		if note != "" {
			note += "; "
		}
		note += "to be confirmed by " + row.ConfirmBy.Format(time.RFC3339)
	}
	return []string{shortHash(row.Revision), row.Since.Format(time.RFC3339), until, row.By, pinned, row.Source, note}
}

// readRevisions opens the database for a command that only reads.
func (e *env) readRevisions(ctx context.Context, name string, f func(db uma.Revisions, realm string) error) error {
	return e.withDatabase(ctx, func(db uma.Store) error {
		realm, err := oneRealm(ctx, db, name)
		if err != nil {
			return err
		}
		return f(db, realm)
	})
}

// A revisionRow is a stored revision in JSON.
type revisionRow struct {
	Revision string            `json:"revision"`
	Realm    string            `json:"realm"`
	Periods  []reportedRow     `json:"periods"` // newest first
	OPA      string            `json:"opa"`     // versions at the last activation; empty if an earlier version stored it
	Umpire   string            `json:"umpire"`
	Files    map[string]string `json:"files"` // of the realm, by path
	Beside   map[string]string `json:"beside"`
	Library  map[string]string `json:"library"`
}

// A reportedRow is a period with what the gates found before it.
type reportedRow struct {
	adminapi.Period
	Report *rollout.Report `json:"report"` // null: no gates ran
}

func policyShowCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "show REVISION",
		Short: "Show a revision: when it was in force, and its files",
		Long: `Show when a revision was in force, by which versions of Umpire and OPA last, and the realm's
own files in it. -o json also has the tests and the manifest beside them, and the files of
the library. The beginning of a hash names a revision, too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.readRevisions(cmd.Context(), realm, func(db uma.Revisions, realm string) error {
				return e.showRevision(cmd.Context(), db, realm, args[0])
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) showRevision(ctx context.Context, db uma.Revisions, realm, start string) error {
	rev, err := revision(ctx, db, realm, start)
	if err != nil {
		return err
	}
	row := revisionRow{Revision: rev.Hash, Realm: realm, OPA: rev.OPA, Umpire: rev.Umpire, Periods: []reportedRow{}, Beside: rev.Beside}
	row.Files, row.Library = rollout.SplitRevision(rev)
	var table [][]string
	err = adminapi.EachPeriod(ctx, db, realm, func(p uma.Period) error {
		if p.Revision == rev.Hash {
			period := adminapi.NewHistoryRow(p)
			report, err := rollout.ParseReport(p.Report)
			if err != nil {
				return err
			}
			row.Periods = append(row.Periods, reportedRow{period.Period, report})
			table = append(table, periodCells(&period)[1:])
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case e.asJSON():
		return printJSON(e.stdout, row)
	}
	fmt.Fprintf(e.stdout, "revision %s of realm %s, activated last by Umpire %s with OPA %s\n",
		row.Revision, realm, cmp.Or(row.Umpire, "unknown"), cmp.Or(row.OPA, "unknown"))
	if err := printTable(e.stdout, []string{"SINCE", "UNTIL", "BY", "PINNED", "SOURCE", "NOTE"}, table); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(row.Files)) {
		fmt.Fprintf(e.stdout, "\n# %s\n%s", visible(name), row.Files[name])
	}
	return nil
}

// revision returns the revision of a realm whose hash begins so.
func revision(ctx context.Context, db uma.Revisions, realm, start string) (*uma.Revision, error) {
	hash, err := adminapi.FindRevision(ctx, db, realm, start)
	if err != nil {
		return nil, err
	}
	rev, err := db.Revision(ctx, realm, hash)
	if errors.Is(err, uma.ErrNotFound) {
		return nil, fmt.Errorf("the sources of revision %s are no longer kept: no decision record names it, and it is not one of the last %d", hash, uma.KeepRevisions)
	}
	return rev, err
}

// A fileChange is a file that differs between two revisions.
type fileChange struct {
	File   string `json:"file"`
	Change string `json:"change"` // added, removed or changed
	Diff   string `json:"diff"`
}

func policyDiffCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "diff REVISION REVISION",
		Short: "Compare the files of two revisions",
		Long: `Compare the realm's own files of two revisions, and the tests and manifests beside them,
from the first to the second, in the unified format.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.readRevisions(cmd.Context(), realm, func(db uma.Revisions, realm string) error {
				return e.diffRevisions(cmd.Context(), db, realm, args[0], args[1])
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) diffRevisions(ctx context.Context, db uma.Revisions, realm, from, to string) error {
	before, err := revision(ctx, db, realm, from)
	if err != nil {
		return err
	}
	after, err := revision(ctx, db, realm, to)
	if err != nil {
		return err
	}
	changes := compareFiles(before, after)
	if e.asJSON() {
		return printJSON(e.stdout, changes)
	}
	for _, c := range changes {
		old, next := "a/"+c.File, "b/"+c.File
		switch c.Change {
		case "added":
			old = "/dev/null"
		case "removed":
			next = "/dev/null"
		}
		fmt.Fprintf(e.stdout, "--- %s\n+++ %s\n%s", visible(old), visible(next), c.Diff)
	}
	return nil
}

// compareFiles returns the realm's files that differ, by path, with those beside them.
func compareFiles(before, after *uma.Revision) []fileChange {
	old, next := rollout.TeamFiles(before), rollout.TeamFiles(after)
	all := maps.Clone(old)
	maps.Copy(all, next)
	changes := []fileChange{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, there := old[name]
		now, stays := next[name]
		change := "changed"
		switch {
		case !there:
			change = "added"
		case !stays:
			change = "removed"
		case was == now:
			continue
		}
		changes = append(changes, fileChange{name, change, unified(was, now)})
	}
	return changes
}

func policyExportCommand(e *env) *cobra.Command {
	var realm, dir string
	cmd := &cobra.Command{
		Use:   "export REVISION --output FOLDER",
		Short: "Write the realm's files of a revision into a new folder",
		Long: `Write the realm's own files of a revision into a new folder, with the tests and the manifest
that were beside them when it was activated last.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usageError("--output is missing")
			}
			return e.readRevisions(cmd.Context(), realm, func(db uma.Revisions, realm string) error {
				rev, err := revision(cmd.Context(), db, realm, args[0])
				if err != nil {
					return err
				}
				files := rollout.TeamFiles(rev)
				if err := rollout.ExportFiles(dir, files); err != nil {
					return fmt.Errorf("export revision %s: %w", rev.Hash, err)
				}
				_, err = fmt.Fprintf(e.stdout, "%d files of revision %s written to %s\n", len(files), shortHash(rev.Hash), filepath.Clean(dir))
				return err
			})
		},
	}
	e.realmFlag(cmd, &realm)
	cmd.Flags().StringVarP(&dir, "output", "o", "", "`folder` to write to, new or empty")
	return cmd
}
