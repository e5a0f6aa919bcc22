package main

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/uma"
)

func decisionsCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "decisions", Short: "List, show, explain, export and delete decision records", Args: cobra.NoArgs}
	cmd.AddCommand(listDecisionsCommand(e), showDecisionCommand(e), explainDecisionCommand(e), exportCommand(e), sinksCommand(e), pruneCommand(e))
	return cmd
}

func listDecisionsCommand(e *env) *cobra.Command {
	var f decisionFlags
	var limit int
	var follow bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List decisions, newest first (safe while the server runs)",
		Long: `List decisions, newest first (safe while the server runs). OUTCOME is the decision on
one permission, ANSWERED the answer to the client's whole request.`,
		Example: `  umpire decisions list --user bob --outcome denied --since 24h
  umpire decisions list --resource "Holiday album" -o json | jq -r .[].decision_id
  umpire decisions list --follow`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(e, cmd); err != nil {
				return err
			}
			switch {
			case limit < 1:
				return invalid("--limit: want a positive number, not %d", limit)
			case follow && f.until != "":
				return usageError("--follow cannot be combined with --until: it does not end")
			}
			switch {
			case follow && e.server != "":
				return usageError("--follow reads a database: it cannot be combined with --server")
			case follow:
				return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.followDecisions(cmd.Context(), db, f.query(), limit) })
			}
			return e.listing(cmd.Context(), func(ops operations) error { return e.listDecisions(cmd.Context(), ops, f.query(), limit) })
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "largest `number` of decisions; with --follow, of those made before")
	cmd.Flags().BoolVar(&follow, "follow", false, "print the newest decisions, then each new one as it is made (with -o json one object per line)")
	e.serverFlags(cmd)
	e.outputFlag(cmd)
	return cmd
}

var decisionHeadings = []string{"TIME", "OUTCOME", "ANSWERED", "USER", "CLIENT", "RESOURCE", "SCOPES", "RULES", "ID"}

func decisionCells(r *decisionRow) []string {
	return []string{
		r.Time.Format(time.RFC3339), r.Outcome, cmp.Or(r.Answered, "-"), cmp.Or(r.Username, r.Subject), r.Client,
		cmp.Or(r.ResourceName, string(r.Resource), "-"), cmp.Or(strings.Join(r.Scopes, " "), "-"), cmp.Or(strings.Join(r.Rules, " "), "-"), r.ID,
	}
}

func (e *env) listDecisions(ctx context.Context, ops operations, q *adminapi.DecisionQuery, limit int) error {
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: decisionHeadings}
	for before, more := int64(0), true; more && limit > 0; {
		page, next, err := ops.Decisions(ctx, q, before, min(limit, adminapi.MostRows))
		if err != nil {
			return err
		}
		for i := range page {
			if err := list.add(page[i], decisionCells(&page[i])); err != nil {
				return err
			}
		}
		limit -= len(page)
		before, more = next, next > 0
	}
	return list.end()
}

// followDecisions prints the newest records in ascending order, then each new record until
// ctx ends.
func (e *env) followDecisions(ctx context.Context, db adminapi.Store, q *adminapi.DecisionQuery, limit int) error {
	f, err := e.local(db).Filter(ctx, q)
	if err != nil {
		return err
	}
	last, err := db.LastDecision(ctx) // first: a record that is made meanwhile is among the newest, or follows
	if err != nil {
		return err
	}
	newest, err := db.FindDecisions(ctx, f, limit)
	if err != nil {
		return err
	}
	slices.Reverse(newest)
	list := &listing{w: e.stdout, headings: decisionHeadings}
	printRecord := func(r *uma.Record) error {
		row, err := adminapi.NewDecisionRow(r)
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return json.NewEncoder(e.stdout).Encode(row)
		}
		return list.add(row, decisionCells(row))
	}
	f.Since, f.After = time.Time{}, last
	for i := range newest {
		if err := printRecord(&newest[i]); err != nil {
			return err
		}
		f.After = max(f.After, newest[i].Seq)
	}
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		if !e.asJSON() && (len(list.rows) > 0 || !list.began) {
			if err := list.flush(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := db.EachDecision(ctx, f, func(r *uma.Record) error {
			f.After = r.Seq
			return printRecord(r)
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}
