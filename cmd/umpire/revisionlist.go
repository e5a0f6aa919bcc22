package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/rollout"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// A periodRow is a policy period in JSON.
type periodRow struct {
	Revision string     `json:"revision"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until"` // null: in force
	By       string     `json:"by"`
	Source   string     `json:"source"`
	Note     string     `json:"note"`
	Pinned   bool       `json:"pinned"`
	Active   bool       `json:"active"`

	confirmBy time.Time // not in the JSON of a history, which is fixed
}

func newPeriodRow(p uma.Period) periodRow {
	row := periodRow{
		Revision: p.Revision, Since: p.Since.UTC(), By: p.By, Source: p.Source, Note: p.Note, Pinned: p.Pinned, Active: p.Until.IsZero(),
		confirmBy: p.ConfirmBy.UTC(),
	}
	if !row.Active {
		until := p.Until.UTC()
		row.Until = &until
	}
	return row
}

// A statusRow is the policy of a realm in JSON.
type statusRow struct {
	Realm    string       `json:"realm"`
	Mode     string       `json:"mode"`     // automatic or manual
	Policy   *activeRow   `json:"policy"`   // null: none in force yet
	Proposal *proposalRow `json:"proposal"` // null: none waits, and none was refused
}

// An activeRow is the period in force.
type activeRow struct {
	periodRow
	ConfirmBy *time.Time `json:"confirm_by"` // null: it stays
}

// A proposalRow is the content of a policy folder that is not in force.
type proposalRow struct {
	Source  string    `json:"source"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem"`
}

func policyStatusCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the policy in force, and changes of the policy folder that are not",
		Long: `Show the policy in force of each realm, and the content of its policy folder if that
waits or was refused, and why.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDatabase(cmd.Context(), func(db *sqlite.Store) error { return e.policyStatus(cmd.Context(), db, realm) })
		},
	}
	cmd.Flags().StringVar(&realm, "realm", "", "`name` of one realm (default: all)")
	e.outputFlag(cmd)
	return cmd
}

func (e *env) policyStatus(ctx context.Context, db *sqlite.Store, realm string) error {
	names := []string{realm}
	if realm == "" {
		var err error
		if names, err = db.RealmNames(ctx); err != nil {
			return err
		}
	}
	rows := []statusRow{}
	for _, name := range names {
		row, err := e.realmStatus(ctx, db, name)
		if err != nil {
			return err
		}
		rows = append(rows, row)
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
		if p := row.Proposal; p != nil {
			fmt.Fprintf(e.stdout, "realm %s: %s is not in force since %s: %s\n", row.Realm, visible(p.Source), p.Since.Format(time.RFC3339), p.Problem)
		}
	}
	return nil
}

func (e *env) realmStatus(ctx context.Context, db *sqlite.Store, name string) (statusRow, error) {
	row := statusRow{Realm: name, Mode: "automatic"}
	s, err := db.Snapshot(ctx, name, e.now())
	if err != nil {
		return row, realmError(ctx, db, name, err)
	}
	if s.Realm.Policy.Manual {
		row.Mode = "manual"
	}
	state, err := db.PolicyState(ctx, name)
	if err != nil {
		return row, err
	}
	if state.Active != nil {
		row.Policy = &activeRow{periodRow: newPeriodRow(*state.Active)}
		if at := row.Policy.confirmBy; !at.IsZero() {
			row.Policy.ConfirmBy = &at
		}
	}
	if w := state.Waiting; w.Problem != "" {
		row.Proposal = &proposalRow{Source: w.Source, Since: w.At.UTC(), Problem: w.Problem}
	}
	return row, nil
}

func policyHistoryCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the policies that were in force, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.readRevisions(cmd.Context(), realm, func(db *sqlite.Store, realm string) error {
				list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: []string{"REVISION", "SINCE", "UNTIL", "BY", "PINNED", "SOURCE", "NOTE"}}
				err := eachPeriod(cmd.Context(), db, realm, func(p uma.Period) error {
					row := newPeriodRow(p)
					return list.add(row, row.cells())
				})
				return errors.Join(err, list.end())
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

// cells are the row in a table.
func (row periodRow) cells() []string {
	until, pinned := "in force", ""
	if row.Until != nil {
		until = row.Until.Format(time.RFC3339)
	}
	if row.Pinned {
		pinned = "yes"
	}
	note := row.Note
	if !row.confirmBy.IsZero() {
		if note != "" {
			note += "; "
		}
		note += "to be confirmed by " + row.confirmBy.Format(time.RFC3339)
	}
	return []string{shortHash(row.Revision), row.Since.Format(time.RFC3339), until, row.By, pinned, row.Source, note}
}

// readRevisions opens the database for a command that only reads.
func (e *env) readRevisions(ctx context.Context, name string, f func(db *sqlite.Store, realm string) error) error {
	return e.withDatabase(ctx, func(db *sqlite.Store) error {
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
	Periods  []periodRow       `json:"periods"` // newest first
	Files    map[string]string `json:"files"`   // of the realm, by path
	Library  map[string]string `json:"library"`
}

func policyShowCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "show REVISION",
		Short: "Show a revision: when it was in force, and its files",
		Long: `Show when a revision was in force, and the realm's own files in it. -o json also has the
files of the library. The beginning of a hash names a revision, too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.readRevisions(cmd.Context(), realm, func(db *sqlite.Store, realm string) error {
				return e.showRevision(cmd.Context(), db, realm, args[0])
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) showRevision(ctx context.Context, db *sqlite.Store, realm, start string) error {
	rev, err := revision(ctx, db, realm, start)
	if err != nil {
		return err
	}
	row := revisionRow{Revision: rev.Hash, Realm: realm, Periods: []periodRow{}}
	row.Files, row.Library = rollout.SplitRevision(rev)
	err = eachPeriod(ctx, db, realm, func(p uma.Period) error {
		if p.Revision == rev.Hash {
			row.Periods = append(row.Periods, newPeriodRow(p))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case e.asJSON():
		return printJSON(e.stdout, row)
	}
	fmt.Fprintf(e.stdout, "revision %s of realm %s\n", row.Revision, realm)
	var table [][]string
	for _, p := range row.Periods {
		table = append(table, p.cells()[1:])
	}
	if err := printTable(e.stdout, []string{"SINCE", "UNTIL", "BY", "PINNED", "SOURCE", "NOTE"}, table); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(row.Files)) {
		fmt.Fprintf(e.stdout, "\n# %s\n%s", visible(name), row.Files[name])
	}
	return nil
}

// revision returns the revision of a realm whose hash begins so.
func revision(ctx context.Context, db *sqlite.Store, realm, start string) (*uma.Revision, error) {
	hash, err := findRevision(ctx, db, realm, start)
	if err != nil {
		return nil, err
	}
	rev, err := db.Revision(ctx, hash)
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
		Long: `Compare the realm's own files of two revisions, from the first to the second, in the
unified format.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.readRevisions(cmd.Context(), realm, func(db *sqlite.Store, realm string) error {
				return e.diffRevisions(cmd.Context(), db, realm, args[0], args[1])
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) diffRevisions(ctx context.Context, db *sqlite.Store, realm, from, to string) error {
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

// compareFiles returns the realm's files that differ, by path.
func compareFiles(before, after *uma.Revision) []fileChange {
	old, _ := rollout.SplitRevision(before)
	next, _ := rollout.SplitRevision(after)
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
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usageError("--output is missing")
			}
			return e.readRevisions(cmd.Context(), realm, func(db *sqlite.Store, realm string) error {
				rev, err := revision(cmd.Context(), db, realm, args[0])
				if err != nil {
					return err
				}
				files, _ := rollout.SplitRevision(rev)
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
