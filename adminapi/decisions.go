package adminapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
	"example.com/umpire/uma/audit"
)

// A DecisionRow is a decision record in a list.
type DecisionRow struct {
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

// NewDecisionRow takes the names from the policy's input, where a mask may have removed them.
func NewDecisionRow(r *uma.Record) (*DecisionRow, error) {
	ev, err := ReadEvent(r)
	if err != nil {
		return nil, err
	}
	row := &DecisionRow{
		Seq: r.Seq, ID: r.ID, Time: r.Time.UTC(), Realm: r.Realm, Outcome: r.Outcome, Answered: r.Answered, Subject: r.Subject,
		Username: ev.Input.Subject.Username, Client: r.Client, Server: r.Server, Resource: r.Resource,
		Scopes: append([]string{}, ev.Input.Scopes...), Request: r.Request, Revision: r.Revision, Rules: append([]string{}, r.Rules...),
	}
	if ev.Input.Resource != nil {
		row.ResourceName = ev.Input.Resource.Name
	}
	return row, nil
}

// An Event has the members of a decision log event that commands read. Masks may have
// removed any of them.
type Event struct {
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

// ReadEvent reads the event of a record. A value that a mask replaced by one of another type
// is left out.
func ReadEvent(r *uma.Record) (*Event, error) {
	ev := new(Event)
	err := json.Unmarshal(r.Event, ev)
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("decision %s: the stored event is damaged: %w", r.ID, err)
	}
	return ev, nil
}

// Outcomes are the outcomes that a record can have.
var Outcomes = []string{"granted", "partial", "need_info", "submitted", "denied", "error"}

// A DecisionQuery selects decision records; empty members do not narrow it. Users and
// resources are named, or given by their ids.
type DecisionQuery struct {
	Realm, User, Subject, Client, Resource, Outcome, Rule, Request, Revision string

	Since, Until time.Time
}

// Decisions returns at most limit records, newest first, and where the next page begins; see
// History.
func (l *Local) Decisions(ctx context.Context, q *DecisionQuery, before int64, limit int) (rows []DecisionRow, next int64, err error) {
	f, err := l.Filter(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	f.Before = before
	records, err := l.lists().FindDecisions(ctx, f, limit)
	if err != nil {
		return nil, 0, err
	}
	rows = make([]DecisionRow, len(records))
	for i := range records {
		row, err := NewDecisionRow(&records[i])
		if err != nil {
			return nil, 0, err
		}
		rows[i] = *row
	}
	if len(records) == limit {
		next = records[limit-1].Seq
	}
	return rows, next, nil
}

// A DecisionDetails is a decision record with its event and, if that is asked for, the policy
// that decided.
type DecisionDetails struct {
	DecisionRow
	Event  json.RawMessage `json:"event"`
	Policy *PolicySources  `json:"policy,omitempty"`
}

// Record returns the record that the details are of, as far as they have it.
func (d *DecisionDetails) Record() *uma.Record {
	return &uma.Record{
		Seq: d.Seq, ID: d.ID, Time: d.Time, Realm: d.Realm, Outcome: d.Outcome, Answered: d.Answered, Subject: d.Subject, Client: d.Client,
		Server: d.Server, Resource: d.Resource, Request: d.Request, Revision: d.Revision, Rules: d.Rules, Event: d.Event,
	}
}

// PolicySources are the files of a revision, with those of the library.
type PolicySources struct {
	Revision string            `json:"revision"`
	Since    time.Time         `json:"since"`
	Sources  map[string]string `json:"sources"`
}

// Decision returns a decision of a realm, or of any with an empty name.
func (l *Local) Decision(ctx context.Context, realm, id string, sources bool) (*DecisionDetails, error) {
	r, err := l.Store.Decision(ctx, id)
	if errors.Is(err, uma.ErrNotFound) || err == nil && realm != "" && r.Realm != realm {
		return nil, admin.Errorf(admin.NotFound, "there is no decision record %q: `umpire decisions list` shows the ids", id)
	}
	if err != nil {
		return nil, err
	}
	row, err := NewDecisionRow(r)
	if err != nil {
		return nil, err
	}
	d := &DecisionDetails{DecisionRow: *row, Event: r.Event}
	if !sources {
		return d, nil
	}
	rev, err := l.Store.Revision(ctx, r.Realm, r.Revision)
	if err != nil {
		return nil, fmt.Errorf("policy revision %s: %w", r.Revision, err)
	}
	d.Policy = &PolicySources{rev.Hash, rev.Since.UTC(), rev.Sources}
	return d, nil
}

// Explain explains a decision of a realm, or of any with an empty name, by the policy that
// decided or, with now, by the one in force.
func (l *Local) Explain(ctx context.Context, realm, id string, now, trace bool) (*rollout.Explanation, error) {
	details, err := l.Decision(ctx, realm, id, false)
	if err != nil {
		return nil, err
	}
	d, err := audit.Read(details.Event)
	if err != nil {
		return nil, err
	}
	revision := d.Revision
	if now {
		revision = ""
	}
	explainer, err := rollout.NewStoredExplainer(ctx, l.Store, details.Realm, revision, d.Path, l.Now())
	switch {
	case errors.Is(err, rollout.ErrNoActive):
		return nil, admin.Errorf(admin.InvalidRequest, "realm %s has no active policy", details.Realm)
	case errors.Is(err, rollout.ErrNoRevision):
		return nil, admin.Errorf(admin.Conflict, "policy revision %s is not in this database: name the policy with --candidate", revision)
	case err != nil:
		return nil, err
	}
	why, err := explainer.Explain(ctx, d, trace)
	return why, CannotExplain(d, err)
}

// CannotExplain describes the error of an explanation of a record that cannot be evaluated.
func CannotExplain(d *audit.Decision, err error) error {
	if errors.Is(err, uma.ErrUnreadable) {
		return admin.Errorf(admin.Conflict, "decision %s cannot be explained: %s: `umpire decisions show` prints what is on record", d.ID, cmp.Or(d.Skip, err.Error()))
	}
	return err
}
