package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

func decisionsCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "decisions", Short: "The record of decisions", Args: cobra.NoArgs}
	cmd.AddCommand(listDecisionsCommand(e), showDecisionCommand(e), exportCommand(e), pruneCommand(e))
	return cmd
}

func listDecisionsCommand(e *env) *cobra.Command {
	var f decisionFlags
	var limit int
	var follow bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List decisions, newest first, beside a running server too",
		Long: `List decisions, newest first, beside a running server too. OUTCOME is the decision
on one permission, ANSWERED the answer to the client's whole request.`,
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
				return mistaken("--limit: %d is not positive", limit)
			case follow && f.until != "":
				return misused("--follow goes on for ever: it cannot be combined with --until")
			}
			return e.withDatabase(cmd.Context(), func(db *sqlite.Store) error {
				return e.listDecisions(cmd.Context(), db, &f, limit, follow)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; with --follow, of those there are")
	cmd.Flags().BoolVar(&follow, "follow", false, "print the newest in order, and then each as it is made (with -o json one object a line)")
	e.outputFlag(cmd)
	return cmd
}

// A decisionRow is a record as lists show it.
type decisionRow struct {
	Seq          int64          `json:"seq"`
	ID           string         `json:"decision_id"`
	Time         time.Time      `json:"time"`
	Realm        string         `json:"realm"`
	Outcome      string         `json:"outcome"`
	Answered     string         `json:"answered"`
	Subject      string         `json:"subject"`
	Username     string         `json:"username,omitempty"`
	Client       string         `json:"client"`
	Server       string         `json:"resource_server"`
	Resource     uma.ResourceID `json:"resource,omitempty"`
	ResourceName string         `json:"resource_name,omitempty"`
	Scopes       []string       `json:"scopes"`
	Request      string         `json:"request_id"`
	Revision     string         `json:"revision"`
	Rules        []string       `json:"rules"`
}

// newDecisionRow has the names that the policy saw, unless they are masked.
func newDecisionRow(r *uma.Record) (*decisionRow, error) {
	ev, err := readEvent(r)
	if err != nil {
		return nil, err
	}
	row := &decisionRow{
		Seq: r.Seq, ID: r.ID, Time: r.Time.UTC(), Realm: r.Realm, Outcome: r.Outcome, Answered: r.Answered, Subject: r.Subject,
		Username: ev.Input.Subject.Username, Client: r.Client, Server: r.Server, Resource: r.Resource,
		Scopes: append([]string{}, ev.Input.Scopes...), Request: r.Request, Revision: r.Revision, Rules: append([]string{}, r.Rules...),
	}
	if ev.Input.Resource != nil {
		row.ResourceName = ev.Input.Resource.Name
	}
	return row, nil
}

var decisionHeadings = []string{"TIME", "OUTCOME", "ANSWERED", "USER", "CLIENT", "RESOURCE", "SCOPES", "RULES", "ID"}

func (r *decisionRow) cells() []string {
	return []string{
		r.Time.Format(time.RFC3339), r.Outcome, orDash(r.Answered), firstOf(r.Username, r.Subject), r.Client,
		firstOf(r.ResourceName, string(r.Resource), "-"), orDash(strings.Join(r.Scopes, " ")), orDash(strings.Join(r.Rules, " ")), r.ID,
	}
}

func orDash(s string) string { return firstOf(s, "-") }

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// readPage is how many records a list reads at a time.
const readPage = 200

func (e *env) listDecisions(ctx context.Context, db *sqlite.Store, flags *decisionFlags, limit int, follow bool) error {
	f, err := e.filter(ctx, db, flags)
	if err != nil {
		return err
	}
	if follow {
		return e.followDecisions(ctx, db, f, limit)
	}
	print := &listing{w: e.stdout, program: e.asJSON(), headings: decisionHeadings}
	for limit > 0 {
		records, err := db.FindDecisions(ctx, f, min(limit, readPage))
		if err != nil {
			return err
		}
		for i := range records {
			row, err := newDecisionRow(&records[i])
			if err != nil {
				return err
			}
			if err := print.add(row, row.cells()); err != nil {
				return err
			}
			f.Before = row.Seq
		}
		if limit -= len(records); len(records) < readPage {
			break
		}
	}
	return print.end()
}

// followDecisions prints the newest records, oldest of them first, and then those that
// are made, until the command is ended.
func (e *env) followDecisions(ctx context.Context, db *sqlite.Store, f uma.DecisionFilter, limit int) error {
	newest, err := db.FindDecisions(ctx, f, limit)
	if err != nil {
		return err
	}
	last, err := db.LastDecision(ctx)
	if err != nil {
		return err
	}
	slices.Reverse(newest)
	print := &listing{w: e.stdout, headings: decisionHeadings}
	one := func(r *uma.Record) error {
		row, err := newDecisionRow(r)
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return json.NewEncoder(e.stdout).Encode(row)
		}
		return print.add(row, row.cells())
	}
	f.Since, f.After = time.Time{}, last
	for i := range newest {
		if err := one(&newest[i]); err != nil {
			return err
		}
		f.After = max(f.After, newest[i].Seq)
	}
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		if !e.asJSON() && (len(print.rows) > 0 || !print.began) {
			if err := print.flush(); err != nil {
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
			return one(r)
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// An event is what commands read of a decision log event. Masks may have taken out
// any of it.
type event struct {
	Input struct {
		Subject struct {
			ID, Type, Username string
		}
		Client struct {
			ID                    string
			Public, Authenticated bool
		}
		Server   string `json:"resource_server"`
		Resource *struct {
			ID, Name, Type, Owner string
		}
		Scopes []string
		Claims struct {
			Pushed map[string]any
		}
		Ticket *struct {
			Round int
		}
		Context struct {
			IP        string
			UserAgent string `json:"user_agent"`
		}
	}
	Result *struct {
		Granted  []string
		NeedInfo []struct {
			Name         string
			FriendlyName string `json:"friendly_name"`
		} `json:"need_info"`
		Submit, Reasons []string
		RestsOn         []string `json:"rests_on"`
		Obligations     []json.RawMessage
	}
	Error          string
	Erased, Masked []string
	Custom         struct {
		Decided []struct {
			Scope, Decision string
			Rules           []string
		}
	}
}

// readEvent reads the event of a record. What a mask has put in the place of something
// may be of any type; then it is as if it were taken out.
func readEvent(r *uma.Record) (*event, error) {
	ev := new(event)
	err := json.Unmarshal(r.Event, ev)
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("decision %s: its event is damaged: %w", r.ID, err)
	}
	return ev, nil
}
