package main

import (
	"cmp"
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
			return e.withDatabase(cmd.Context(), func(db *sqlite.Store) error {
				return e.listDecisions(cmd.Context(), db, &f, limit, follow)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "largest `number` of decisions; with --follow, of those made before")
	cmd.Flags().BoolVar(&follow, "follow", false, "print the newest decisions, then each new one as it is made (with -o json one object per line)")
	e.outputFlag(cmd)
	return cmd
}

// A decisionRow is a record in the output of list.
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

// newDecisionRow takes the names from the policy's input, where a mask may have removed them.
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
		r.Time.Format(time.RFC3339), r.Outcome, cmp.Or(r.Answered, "-"), cmp.Or(r.Username, r.Subject), r.Client,
		cmp.Or(r.ResourceName, string(r.Resource), "-"), cmp.Or(strings.Join(r.Scopes, " "), "-"), cmp.Or(strings.Join(r.Rules, " "), "-"), r.ID,
	}
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
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: decisionHeadings}
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
			if err := list.add(row, row.cells()); err != nil {
				return err
			}
			f.Before = row.Seq
		}
		if limit -= len(records); len(records) < readPage {
			break
		}
	}
	return list.end()
}

// followDecisions prints the newest records in ascending order, then each new record until
// ctx ends.
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
	list := &listing{w: e.stdout, headings: decisionHeadings}
	printRecord := func(r *uma.Record) error {
		row, err := newDecisionRow(r)
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return json.NewEncoder(e.stdout).Encode(row)
		}
		return list.add(row, row.cells())
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

// An event has the members of a decision log event that commands read. Masks may have
// removed any of them.
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

// readEvent reads the event of a record. A value that a mask replaced by one of another type
// is left out.
func readEvent(r *uma.Record) (*event, error) {
	ev := new(event)
	err := json.Unmarshal(r.Event, ev)
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("decision %s: the stored event is damaged: %w", r.ID, err)
	}
	return ev, nil
}
