package main

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/uma"
)

func sinksCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sinks",
		Short: "Show where decision records are delivered to, and how far that has come (safe while the server runs)",
		Long: `Show the sinks of decision records: the decision log of the server and the OPA services
that realms name, with the records that each does not have yet. A running server stores
once a second how far they have come.`,
		Example: `  umpire decisions sinks
  umpire decisions sinks -o json | jq '.[] | select(.problem != "")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.listSinks(cmd.Context(), db) })
		},
	}
	e.outputFlag(cmd)
	return cmd
}

// A sinkRow is a sink in the output of sinks. Times are null if there was none.
type sinkRow struct {
	Name        string       `json:"name"`
	Kind        uma.SinkKind `json:"kind"`
	Realm       string       `json:"realm"` // empty: all
	Target      string       `json:"target"`
	Cursor      int64        `json:"cursor"`
	LagRecords  int          `json:"lag_records"`
	LagSeconds  float64      `json:"lag_seconds"`
	HoldSeconds float64      `json:"hold_seconds"`
	LastSuccess *time.Time   `json:"last_success"`
	LastFailure *time.Time   `json:"last_failure"`
	Problem     string       `json:"problem"` // empty: the last attempt succeeded
	Skipped     int64        `json:"skipped"`
	Cut         int64        `json:"cut"`
}

var sinkHeadings = []string{"NAME", "KIND", "REALM", "TARGET", "LAG", "SINCE", "LAST SUCCESS", "SKIPPED", "CUT", "PROBLEM"}

func (r *sinkRow) cells() []string {
	since := "-"
	if r.LagRecords > 0 {
		since = (time.Duration(r.LagSeconds) * time.Second).String()
	}
	success := "-"
	if r.LastSuccess != nil {
		success = r.LastSuccess.Format(time.RFC3339)
	}
	return []string{
		r.Name, string(r.Kind), cmp.Or(r.Realm, "all"), r.Target, strconv.Itoa(r.LagRecords), since, success,
		strconv.FormatInt(r.Skipped, 10), strconv.FormatInt(r.Cut, 10), cmp.Or(r.Problem, "-"),
	}
}

func (e *env) listSinks(ctx context.Context, db uma.Sinks) error {
	all, err := db.AllSinks(ctx)
	if err != nil {
		return err
	}
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: sinkHeadings}
	for _, s := range all {
		b, err := db.BacklogOf(ctx, s.Realm, s.Cursor)
		if err != nil {
			return err
		}
		row := &sinkRow{
			Name: s.Name, Kind: s.Kind, Realm: s.Realm, Target: s.Target, Cursor: s.Cursor, LagRecords: b.Records,
			HoldSeconds: s.Hold.Seconds(), LastSuccess: known(s.Delivered), LastFailure: known(s.Failed), Problem: s.Problem, Skipped: s.Skipped, Cut: s.Cut,
		}
		if b.Records > 0 {
			row.LagSeconds = max(0, e.now().Sub(b.Oldest).Round(time.Second).Seconds())
		}
		if err := list.add(row, row.cells()); err != nil {
			return err
		}
	}
	return list.end()
}

// known returns a time, nil for the zero time.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
