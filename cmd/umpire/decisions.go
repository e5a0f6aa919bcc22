package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/uma"
)

func decisionsCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "decisions", Short: "The record of decisions", Args: cobra.NoArgs}
	var f decisionFlags
	list := &cobra.Command{
		Use:   "list",
		Short: "List decisions, newest first, beside a running server too",
		Example: `  umpire decisions list --subject 1f0c… --outcome denied --since 24h
  umpire decisions list --resource 9b2e… -o json | jq .[].decision_id`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.listDecisions(cmd.Context(), f) },
	}
	fl := list.Flags()
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.subject, "subject", "", "`id` of the requesting party")
	fl.StringVar(&f.client, "client", "", "`client_id` that asked")
	fl.StringVar(&f.resource, "resource", "", "`id` of the resource")
	fl.StringVar(&f.outcome, "outcome", "", "granted, partial, need_info, submitted, denied or error")
	fl.StringVar(&f.since, "since", "", "`time` (RFC 3339) or how long ago (2h)")
	fl.StringVar(&f.until, "until", "", "`time` (RFC 3339) or how long ago (1h)")
	fl.IntVar(&f.limit, "limit", 50, "at most so many")
	e.outputFlag(list)
	var sources bool
	show := &cobra.Command{
		Use: "show ID", Short: "Show one decision: what was asked, what was decided and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.showDecision(cmd.Context(), args[0], sources)
		},
	}
	show.Flags().BoolVar(&sources, "sources", false, "with the policy that decided")
	e.outputFlag(show)
	cmd.AddCommand(list, show)
	return cmd
}

type decisionFlags struct {
	realm, subject, client, resource, outcome, since, until string
	limit                                                   int
}

// outcomes are those that a record can have.
var outcomes = []string{"granted", "partial", "need_info", "submitted", "denied", "error"}

func (e *env) filter(f decisionFlags) (uma.DecisionFilter, error) {
	out := uma.DecisionFilter{
		Realm: f.realm, Subject: f.subject, Client: f.client, Resource: uma.ResourceID(f.resource), Outcome: f.outcome,
	}
	var errs []error
	if f.outcome != "" && !strings.Contains(" "+strings.Join(outcomes, " ")+" ", " "+f.outcome+" ") {
		errs = append(errs, fmt.Errorf("--outcome: %q is none of %s", f.outcome, strings.Join(outcomes, ", ")))
	}
	if f.limit < 1 {
		errs = append(errs, fmt.Errorf("--limit: %d is not positive", f.limit))
	}
	for _, m := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", f.since, &out.Since}, {"--until", f.until, &out.Until}} {
		t, err := e.moment(m.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.flag, err))
		}
		*m.to = t
	}
	if err := errors.Join(errs...); err != nil {
		return out, mistaken("%w", err)
	}
	return out, nil
}

// moment reads a time, or how long ago it was.
func (e *env) moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return e.now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a time such as 2026-11-22T12:00:00Z nor a duration such as 2h", text)
	}
	return t, nil
}

// A decisionRow is a record as lists show it.
type decisionRow struct {
	Seq      int64          `json:"seq"`
	ID       string         `json:"decision_id"`
	Time     time.Time      `json:"time"`
	Realm    string         `json:"realm"`
	Outcome  string         `json:"outcome"`
	Subject  string         `json:"subject"`
	Client   string         `json:"client"`
	Server   string         `json:"resource_server"`
	Resource uma.ResourceID `json:"resource,omitempty"`
	Revision string         `json:"revision"`
	Rules    []string       `json:"rules"`
}

func (e *env) listDecisions(ctx context.Context, flags decisionFlags) (err error) {
	program, err := e.asJSON()
	if err != nil {
		return err
	}
	f, err := e.filter(flags)
	if err != nil {
		return err
	}
	db, err := e.openReadOnly(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	records, err := db.FindDecisions(ctx, f, flags.limit)
	if err != nil {
		return err
	}
	rows := []decisionRow{}
	var table [][]string
	for _, r := range records {
		rules := r.Rules
		if rules == nil {
			rules = []string{}
		}
		rows = append(rows, decisionRow{r.Seq, r.ID, r.Time.UTC(), r.Realm, r.Outcome, r.Subject, r.Client, r.Server, r.Resource, r.Revision, rules})
		table = append(table, []string{
			r.Time.UTC().Format(time.RFC3339), r.Outcome, r.Subject, r.Client, string(r.Resource), strings.Join(r.Rules, " "), r.ID,
		})
	}
	if program {
		return printJSON(e.stdout, rows)
	}
	return printTable(e.stdout, []string{"TIME", "OUTCOME", "SUBJECT", "CLIENT", "RESOURCE", "RULES", "ID"}, table)
}

func (e *env) showDecision(ctx context.Context, id string, sources bool) (err error) {
	if _, err := e.asJSON(); err != nil { // a record is JSON in either case
		return err
	}
	db, err := e.openReadOnly(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r, err := db.Decision(ctx, id)
	if errors.Is(err, uma.ErrNotFound) {
		return mistaken("there is no decision %q: `umpire decisions list` lists them", id)
	}
	if err != nil {
		return err
	}
	var event bytes.Buffer
	if err := json.Indent(&event, r.Event, "", "  "); err != nil {
		return fmt.Errorf("decision %s: %w", id, err)
	}
	fmt.Fprintln(e.stdout, event.String())
	if !sources {
		return nil
	}
	rev, err := db.Revision(ctx, r.Revision)
	if err != nil {
		return fmt.Errorf("policy revision %s: %w", r.Revision, err)
	}
	return printJSON(e.stdout, map[string]any{"revision": rev.Hash, "since": rev.Since.UTC(), "sources": rev.Sources})
}
