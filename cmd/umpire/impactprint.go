package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma/audit"
)

var changeHeadings = []string{"USER", "CLIENT", "RESOURCE", "SCOPE", "WAS", "NOW", "RULES WERE", "RULES ARE", "ID"}

// printChanges prints the changes as a table, newest first.
func printChanges(w io.Writer, r *audit.ImpactReport) error {
	if len(r.Changes) == 0 {
		return nil
	}
	rows := make([][]string, len(r.Changes))
	for i := range r.Changes {
		c := &r.Changes[i]
		rows[i] = []string{
			cmp.Or(c.Username, c.Subject), c.Client, cmp.Or(c.ResourceName, c.Resource, "-"), string(c.Scope), string(c.Was), string(c.Now),
			cmp.Or(strings.Join(c.RulesWas, " "), "-"), cmp.Or(strings.Join(c.RulesNow, " "), "-"), c.ID,
		}
	}
	if err := printTable(w, changeHeadings, rows); err != nil {
		return err
	}
	if r.Omitted > 0 {
		fmt.Fprintf(w, "and %d older changes: see --limit, or -o jsonl\n", r.Omitted)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// printImpact prints the counts.
func printImpact(w io.Writer, r *audit.ImpactReport, counts *audit.Report, took time.Duration) {
	fmt.Fprintf(w, "baseline %s\n", r.Baseline)
	fmt.Fprintf(w, "%d decisions replayed in %s: %d unchanged, %d failed, %d inexact; %d skipped\n",
		r.Replayed, took.Round(time.Millisecond), r.Unchanged, r.Failed, r.Inexact, r.Skipped)
	for _, reason := range slices.Sorted(maps.Keys(counts.Reasons)) {
		fmt.Fprintf(w, "  skipped: %d, %s\n", counts.Reasons[reason], reason)
	}
	fmt.Fprintf(w, "%d scopes newly granted, %d newly refused, %d different, in %d requests\n", r.Granted, r.Refused, r.Different, r.Requests)
}

// printReach prints how the reach of users changes: those newly granted first.
func printReach(w io.Writer, r *audit.ReachReport) error {
	fmt.Fprintf(w, "\nreach, as the realm is now: %d users, %d resources, %d scopes\n", r.Users, r.Resources, r.Asked)
	if len(r.Changes) > 0 {
		rows := make([][]string, len(r.Changes))
		for i := range r.Changes {
			c := &r.Changes[i]
			rows[i] = []string{c.Username, cmp.Or(c.ResourceName, c.Resource), string(c.Scope), string(c.Was), string(c.Now), placesText(c.RulesWas), placesText(c.RulesNow)}
		}
		if err := printTable(w, []string{"USER", "RESOURCE", "SCOPE", "WAS", "NOW", "RULES WERE", "RULES ARE"}, rows); err != nil {
			return err
		}
	}
	if r.Omitted > 0 {
		fmt.Fprintf(w, "and %d more changes: see --limit\n", r.Omitted)
	}
	_, err := fmt.Fprintf(w, "%d scopes newly within reach, %d no longer, %d different, %d fail\n", r.Granted, r.Refused, r.Different, r.Failed)
	return err
}
