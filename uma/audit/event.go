package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// A Decision is a recorded decision as its event has it.
type Decision struct {
	uma.Recorded
	Batch    string // the same for all decisions of a request
	Realm    string
	Subject  string
	Username string
	Client   string
	Resource string
	Name     string      // of the resource
	Scopes   []uma.Scope // requested; {Everything} for a resource without scopes

	Service  bool        // the subject is a service account
	Ticket   bool        // the request had a permission ticket
	Answered string      // the answer to the whole request, see uma.Record
	Asked    []uma.Scope // what the owner was asked for

	// Skip is the reason why the decision cannot be evaluated again; empty: it can.
	Skip string

	shares   []string // ids of the candidate shares
	recorded side
}

// The reasons to skip a decision.
const (
	skipStub     = "a stub, or the input is masked"
	skipScopes   = "the requested scopes are masked"
	skipResult   = "the result is masked"
	skipLostRace = "another request spent the ticket"
	skipChanged  = "what the grant rests on kept changing"
	skipDeadline = "the deadline passed"
	skipPanic    = "a panic in the policy engine"
	skipUnread   = "the record cannot be read"
	skipBaseline = "the baseline missed its deadline"
)

// An event has the members of a decision log event that are needed here. Masks may have
// removed any of the input.
type event struct {
	ID      string `json:"decision_id"`
	Batch   string `json:"batch_decision_id"`
	Bundles map[string]struct {
		Revision string `json:"revision"`
	} `json:"bundles"`
	Path      string          `json:"path"`
	Input     json.RawMessage `json:"input"`
	Result    json.RawMessage `json:"result"`
	NDCache   json.RawMessage `json:"nd_builtin_cache"`
	Erased    []string        `json:"erased"`
	Masked    []string        `json:"masked"`
	Error     string          `json:"error"`
	Timestamp time.Time       `json:"timestamp"`
	Custom    struct {
		Answered string              `json:"answered"`
		Decided  []uma.ScopeDecision `json:"decided"`
		Asked    []uma.Scope         `json:"asked"`
	} `json:"custom"`
}

// An eventInput has the members of an event's input that are needed here.
type eventInput struct {
	Subject struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Username string `json:"username"`
	} `json:"subject"`
	Client struct {
		ID string `json:"id"`
	} `json:"client"`
	Resource struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"resource"`
	Scopes []uma.Scope `json:"scopes"`
	Ticket *struct{}   `json:"ticket"`
	Shares []struct {
		ID string `json:"id"`
	} `json:"shares"`
}

// Read reads a decision log event, as the database and `umpire decisions export` have it.
func Read(raw []byte) (*Decision, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("read a decision log event: %w", err)
	}
	d := &Decision{
		Recorded: uma.Recorded{
			ID: e.ID, Time: e.Timestamp, Path: e.Path, Input: e.Input, NDCache: e.NDCache, Masked: append(e.Erased, e.Masked...),
		},
		Batch:    e.Batch,
		Answered: e.Custom.Answered, Asked: e.Custom.Asked,
		recorded: side{result: e.Result, decided: e.Custom.Decided, failed: e.Error != ""},
	}
	if d.Batch == "" {
		d.Batch = d.ID
	}
	for realm, bundle := range e.Bundles { // there is one
		d.Realm, d.Revision = realm, bundle.Revision
	}
	if d.Skip = skipped(&e); d.Skip == skipStub || len(e.Input) == 0 {
		return d, nil
	}
	return d, d.readInput()
}

// Describe makes a Decision of a policy's input that no record has, to have it explained.
func Describe(input []byte, at time.Time) (*Decision, error) {
	d := &Decision{Recorded: uma.Recorded{Time: at, Input: input}}
	return d, d.readInput()
}

// readInput reads what the input has, as far as no mask removed it.
func (d *Decision) readInput() error {
	var in eventInput
	err := json.Unmarshal(d.Input, &in)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if strings.HasPrefix(wrong.Field, "scopes") && d.Skip == "" {
			d.Skip = skipScopes
		}
		err = nil // a mask replaced a value by one of another type
	}
	if err != nil {
		return fmt.Errorf("read the input of decision %s: %w", d.ID, err)
	}
	if d.masks("/input/scopes") && d.Skip == "" {
		d.Skip = skipScopes
	}
	d.Subject, d.Username, d.Client = in.Subject.ID, in.Subject.Username, in.Client.ID
	d.Resource, d.Name, d.Scopes = in.Resource.ID, in.Resource.Name, in.Scopes
	d.Service, d.Ticket = in.Subject.Type == "service", in.Ticket != nil
	if len(d.Scopes) == 0 {
		d.Scopes = []uma.Scope{uma.Everything}
	}
	for _, share := range in.Shares {
		d.shares = append(d.shares, share.ID)
	}
	return nil
}

// skipped returns why an event cannot be evaluated again: it has no input, or no result of
// the policy.
func skipped(e *event) string {
	switch {
	case e.Error == uma.ErrorLostRace:
		return skipLostRace
	case e.Error == uma.ErrorChanged:
		return skipChanged
	case e.Error == uma.ErrorDeadline, e.Error == uma.ErrorNoTime, e.Error == uma.ErrorStuck:
		return skipDeadline
	case strings.Contains(e.Error, uma.ErrorPanic):
		return skipPanic
	case len(e.Input) == 0 || e.Input[0] != '{':
		return skipStub
	}
	return ""
}

// resultMasked reports whether a mask changed a part of the result that is compared.
func (d *Decision) resultMasked() bool {
	return slices.ContainsFunc([]string{"granted", "need_info", "submit", "obligations", "rpt"}, func(name string) bool {
		return d.masks("/result/" + name)
	})
}

// masks reports whether a mask changed the value at a path, or one above or below it.
func (d *Decision) masks(path string) bool {
	return slices.ContainsFunc(d.Masked, func(m string) bool {
		return m == path || strings.HasPrefix(m, path+"/") || strings.HasPrefix(path, m+"/")
	})
}
