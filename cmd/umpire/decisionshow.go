package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/uma"
)

func showDecisionCommand(e *env) *cobra.Command {
	var sources bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one decision: the request, the answer, and the rules that decided",
		Long: `Show one decision: who asked for what, the answer to the client, the rules that decided
each scope, and their reasons. -o json prints the event, with the policy's input and
result.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.reading(cmd.Context(), func(ops operations) error { return e.showDecision(cmd.Context(), ops, args[0], sources) })
		},
	}
	cmd.Flags().BoolVar(&sources, "sources", false, "also print the policy that decided")
	e.serverFlags(cmd)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) showDecision(ctx context.Context, ops operations, id string, sources bool) error {
	d, err := ops.Decision(ctx, "", id, sources)
	if err != nil {
		return err
	}
	if e.asJSON() {
		err = e.printEvent(d.Record())
	} else {
		err = e.printDecision(d.Record())
	}
	switch {
	case err != nil || !sources:
		return err
	case e.asJSON():
		return printJSON(e.stdout, d.Policy)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Policy.Sources)) {
		fmt.Fprintf(e.stdout, "\n# %s\n%s", name, d.Policy.Sources[name])
	}
	return nil
}

func (e *env) printEvent(r *uma.Record) error {
	var event bytes.Buffer
	if err := json.Indent(&event, r.Event, "", "  "); err != nil {
		return fmt.Errorf("decision %s: %w", r.ID, err)
	}
	_, err := fmt.Fprintln(e.stdout, event.String())
	return err
}

// printDecision prints a record as text: its facts, then the decision on each scope.
func (e *env) printDecision(r *uma.Record) error {
	ev, err := adminapi.ReadEvent(r)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, fact := range slices.Concat(requestFacts(r, ev), policyFacts(ev)) {
		if fact[1] != "" {
			rows = append(rows, fact)
		}
	}
	if err := printRows(e.stdout, rows); err != nil || len(ev.Custom.Decided) == 0 {
		return err
	}
	rows = nil
	for _, d := range ev.Custom.Decided {
		scope := d.Scope
		if scope == "*" {
			scope = "(all of it)"
		}
		rows = append(rows, []string{scope, d.Decision, cmp.Or(strings.Join(d.Rules, " "), "-")})
	}
	fmt.Fprintln(e.stdout)
	return printTable(e.stdout, []string{"SCOPE", "DECISION", "RULES"}, rows)
}

// requestFacts are the request and its answer, as names and values.
func requestFacts(r *uma.Record, ev *adminapi.Event) [][]string {
	in := &ev.Input
	who := r.Subject
	switch {
	case in.Subject.Type == "service":
		who = "the service account of " + r.Client
	case in.Subject.Username != "":
		who = fmt.Sprintf("%s (%s)", in.Subject.Username, r.Subject)
	}
	client := r.Client
	if in.Client.Authenticated {
		client += ", authenticated"
	}
	resource := string(r.Resource)
	if in.Resource != nil && in.Resource.Name != "" {
		resource = fmt.Sprintf("%s (%s)", in.Resource.Name, r.Resource)
		if in.Resource.Type != "" {
			resource += ", type " + in.Resource.Type
		}
	}
	ticket := ""
	if in.Ticket != nil {
		ticket = fmt.Sprintf("yes, round %d", in.Ticket.Round)
	}
	return [][]string{
		{"decision", r.ID},
		{"time", r.Time.UTC().Format(time.RFC3339Nano)},
		{"realm", r.Realm},
		{"user", who},
		{"client", client},
		{"from", in.Context.IP + "  " + in.Context.UserAgent},
		{"request", r.Request},
		{"server", r.Server},
		{"resource", resource},
		{"scopes", strings.Join(in.Scopes, " ")},
		{"ticket", ticket},
		{"pushed claims", strings.Join(slices.Sorted(maps.Keys(in.Claims.Pushed)), " ")},
		{"outcome", r.Outcome},
		{"answered", r.Answered},
		{"policy", r.Revision},
	}
}

// policyFacts are reasons and other results of the policy, as names and values.
func policyFacts(ev *adminapi.Event) (facts [][]string) {
	if ev.Result != nil {
		for _, reason := range ev.Result.Reasons {
			facts = append(facts, []string{"reason", reason})
		}
		for _, need := range ev.Result.NeedInfo {
			facts = append(facts, []string{"wants claim", strings.TrimSpace(need.Name + "  " + need.FriendlyName)})
		}
		facts = append(facts, []string{"asks owner", strings.Join(ev.Result.Submit, " ")}, []string{"rests on", strings.Join(ev.Result.RestsOn, " ")})
	}
	return append(facts,
		[]string{"error", ev.Error},
		[]string{"taken out", strings.Join(ev.Erased, " ")},
		[]string{"masked", strings.Join(ev.Masked, " ")},
	)
}
