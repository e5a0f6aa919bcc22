package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A policy answers every decision in the same way.
type policy struct {
	revision string
	result   string
	decided  []uma.ScopeDecision
	failed   string
	err      error
	inexact  string
	calls    int
}

func (p *policy) Revision() string { return p.revision }

func (p *policy) Replay(context.Context, *uma.Recorded) (*uma.Replayed, error) {
	p.calls++
	return &uma.Replayed{Evaluation: &uma.Evaluation{Failed: p.failed, Decided: p.decided}, Result: []byte(p.result), Inexact: p.inexact}, p.err
}

// result is an answer with the members that differ from an empty one.
func result(members ...string) string {
	doc := `{"granted":[],"need_info":[],"submit":[],"reasons":[],"obligations":[],"rests_on":[],"rpt":{}}`
	for _, m := range members {
		name, value, _ := strings.Cut(m, ":")
		at := strings.Index(doc, `"`+name+`":`) + len(name) + 3
		doc = doc[:at] + value + doc[at+2:]
	}
	return doc
}

// recorded is the event of a decision on view and edit; more are further members.
func recorded(result string, more ...string) []byte {
	members := []string{
		`"decision_id":"d-1"`, `"batch_decision_id":"b-1"`, `"bundles":{"photoz":{"revision":"old"}}`, `"path":"uma/authz/decision"`,
		`"timestamp":"2026-11-22T12:00:05.5Z"`,
		`"input":{"subject":{"id":"u-bob","username":"bob"},"client":{"id":"web"},"resource":{"id":"r-1","name":"Album"},"scopes":["view","edit"],"shares":[{"id":"s-1"}]}`,
	}
	if result != "" {
		members = append(members, `"result":`+result)
	}
	return []byte(`{` + strings.Join(append(members, more...), ",") + `}`)
}

func read(t *testing.T, event []byte) *audit.Decision {
	t.Helper()
	d, err := audit.Read(event)
	if err != nil {
		t.Fatalf("%v\n%s", err, event)
	}
	return d
}

// TestCompare: what changes for each scope, by the answers alone.
func TestCompare(t *testing.T) {
	t.Parallel()
	claim := func(scopes string) string { return `need_info:[{"name":"age"` + scopes + `}]` }
	for name, c := range map[string]struct {
		was, now string
		want     string // scope was>now, for each change
	}{
		"nothing":                     {result(`granted:["view"]`), result(`granted:["view"]`), ""},
		"another text, equal values":  {result(`granted:["view"]`, `rpt:{"ttl":60}`), strings.ReplaceAll(result(`granted:["view"]`, `rpt:{"ttl":60}`), ",", " , "), ""},
		"newly granted":               {result(), result(`granted:["edit"]`), "edit refused>granted"},
		"newly refused":               {result(`granted:["view","edit"]`), result(`granted:["edit"]`), "view granted>refused"},
		"everything":                  {result(), result(`granted:["*"]`), "view refused>granted edit refused>granted"},
		"the same in other words":     {result(`granted:["view","edit"]`), result(`granted:["*"]`), ""},
		"reasons":                     {result(), result(`reasons:["no"]`), ""},
		"shares":                      {result(`granted:["view"]`), result(`granted:["view"]`, `rests_on:["s-1"]`), ""},
		"a claim for one scope":       {result(), result(claim(`,"scopes":["edit"]`)), "edit refused>need_info"},
		"a claim for all":             {result(), result(claim("")), "view refused>need_info edit refused>need_info"},
		"a claim instead of a grant":  {result(`granted:["view"]`), result(claim(`,"scopes":["view"]`)), "view granted>need_info"},
		"another claim":               {result(claim("")), result(`need_info:[{"name":"email"}]`), "view need_info>need_info edit need_info>need_info"},
		"another claim for one":       {result(claim(`,"scopes":["view"]`)), result(`need_info:[{"name":"email","scopes":["view"]}]`), "view need_info>need_info"},
		"the owner is asked":          {result(), result(`submit:["view"]`), "view refused>submit"},
		"the owner is no longer":      {result(`submit:["view"]`), result(), "view submit>refused"},
		"ttl":                         {result(`granted:["view"]`, `rpt:{"ttl":60}`), result(`granted:["view"]`, `rpt:{"ttl":61}`), "view granted>granted"},
		"ttl of nothing":              {result(`rpt:{"ttl":60}`), result(`rpt:{"ttl":61}`), ""},
		"obligations":                 {result(`granted:["view"]`), result(`granted:["view"]`, `obligations:[{"id":"log"}]`), "view granted>granted edit refused>refused"},
		"the contract":                {result(`granted:["view"]`), result(`granted:["view","delete"]`), "view granted>error edit refused>error"},
		"a share of somebody else":    {result(`granted:["view"]`), result(`granted:["view"]`, `rests_on:["s-2"]`), "view granted>error edit refused>error"},
		"no longer against it":        {result(`granted:["delete"]`), result(`granted:["view"]`), "view error>granted edit error>refused"},
		"the same mistake, twice":     {result(`granted:["delete"]`), result(`granted:["delete"]`), ""},
		"large numbers, equal":        {result(`obligations:[{"id":"n","properties":{"n":1e400}}]`), result(`obligations:[{"properties":{"n":1e400},"id":"n"}]`), ""},
		"large numbers, not the same": {result(`granted:["view","edit"]`, `obligations:[{"id":"n","properties":{"n":1e400}}]`), result(`granted:["view","edit"]`, `obligations:[{"id":"n","properties":{"n":1e401}}]`), "view granted>granted edit granted>granted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := read(t, recorded(c.was))
			for _, comparer := range []audit.Comparer{
				{Candidate: &policy{result: c.now}},
				{Candidate: &policy{result: c.now}, Baseline: &policy{revision: "other", result: c.was}},
			} {
				got, err := comparer.Compare(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				var changes []string
				for _, ch := range got.Changes {
					changes = append(changes, fmt.Sprintf("%s %s>%s", ch.Scope, ch.Was, ch.Now))
				}
				if have := strings.Join(changes, " "); have != c.want || got.Failed != strings.HasSuffix(c.want, ">error") || got.Skipped != "" {
					t.Errorf("got %q, failed %t, skipped %q, want %q", have, got.Failed, got.Skipped, c.want)
				}
			}
		})
	}
}

// TestCompareFails: a policy without an answer, and one whose function failed, change every
// scope that had another result.
func TestCompareFails(t *testing.T) {
	t.Parallel()
	granted := recorded(result(`granted:["view"]`))
	broken := recorded("", `"error":"a.rego:1: eval_builtin_error: div: divide by zero"`)
	for name, c := range map[string]struct {
		event  []byte
		now    policy
		failed bool
		states []audit.State
	}{
		"no answer":         {granted, policy{err: errors.New("the policy is undefined")}, true, []audit.State{audit.Failed, audit.Failed}},
		"a function":        {granted, policy{failed: "div"}, true, []audit.State{audit.Failed, audit.Failed}},
		"as before":         {broken, policy{failed: "div"}, false, nil},
		"no longer":         {broken, policy{result: result(`granted:["view"]`)}, false, []audit.State{audit.Granted, audit.Refused}},
		"its deadline":      {granted, policy{err: errors.New(uma.ErrorDeadline)}, true, []audit.State{audit.Failed, audit.Failed}},
		"a damaged record":  {granted, policy{err: fmt.Errorf("%w: input", uma.ErrUnreadable)}, false, nil},
		"an inexact result": {granted, policy{result: result(`granted:["view"]`), inexact: "a mask"}, false, nil},
	} {
		comparer := audit.Comparer{Candidate: &c.now}
		got, err := comparer.Compare(t.Context(), read(t, c.event))
		if err != nil {
			t.Fatal(err)
		}
		var states []audit.State
		for _, ch := range got.Changes {
			states = append(states, ch.Now)
		}
		if got.Failed != c.failed || !slices.Equal(states, c.states) || (got.Skipped != "") != errors.Is(c.now.err, uma.ErrUnreadable) || got.Inexact != c.now.inexact {
			t.Errorf("%s: got %+v, want failed %t, %v", name, got, c.failed, c.states)
		}
	}
}

// TestBaseline: a record of the baseline's own revision is not evaluated under it again,
// unless a mask changed it.
func TestBaseline(t *testing.T) {
	t.Parallel()
	granted := result(`granted:["view"]`)
	for name, c := range map[string]struct {
		revision string
		event    []byte
		calls    int
	}{
		"its own":       {"old", recorded(granted), 0},
		"another":       {"new", recorded(granted), 1},
		"own, masked":   {"old", recorded(granted, `"erased":["/result/granted"]`), 1},
		"own, replaced": {"old", recorded(granted, `"masked":["/input/subject/username"]`), 1},
	} {
		baseline := &policy{revision: c.revision, result: granted}
		comparer := audit.Comparer{Candidate: &policy{result: granted}, Baseline: baseline}
		got, err := comparer.Compare(t.Context(), read(t, c.event))
		if err != nil || len(got.Changes) > 0 || baseline.calls != c.calls {
			t.Errorf("%s: got %+v, %v, %d evaluations of the baseline, want %d", name, got, err, baseline.calls, c.calls)
		}
	}
	late := audit.Comparer{Candidate: &policy{result: granted}, Baseline: &policy{err: errors.New(uma.ErrorDeadline)}}
	if got, err := late.Compare(t.Context(), read(t, recorded(granted))); err != nil || got.Skipped == "" || len(got.Changes) > 0 {
		t.Errorf("got %+v, %v, want a decision that is skipped", got, err)
	}
	masked := audit.Comparer{Candidate: &policy{result: granted}}
	if got, err := masked.Compare(t.Context(), read(t, recorded(granted, `"erased":["/result/reasons"]`))); err != nil || got.Skipped != "" {
		t.Errorf("got %+v, %v, want a decision that is compared: nobody compares reasons", got, err)
	}
	if got, err := masked.Compare(t.Context(), read(t, recorded(result(), `"erased":["/result/granted"]`))); err != nil || got.Skipped == "" {
		t.Errorf("got %+v, %v, want a decision that is skipped", got, err)
	}
}

// TestSkipped: records that have no result of the policy, or nothing to evaluate again.
func TestSkipped(t *testing.T) {
	t.Parallel()
	for name, event := range map[string][]byte{
		"a lost race":    recorded("", `"error":"ticket_spent"`),
		"kept changing":  recorded("", `"error":"changed_meanwhile"`),
		"a deadline":     recorded("", `"error":"the policy took longer than its deadline"`),
		"no time":        recorded("", `"error":"no time left to evaluate the policy"`),
		"stuck":          recorded("", `"error":"the policy goes on after its deadline and cannot be stopped"`),
		"a panic":        recorded("", `"error":"eval_builtin_error: panic in the policy engine: runtime error"`),
		"a stub":         []byte(`{"decision_id":"d","error":"the record is too large","custom":{"input_sha256":"00"}}`),
		"no input":       []byte(`{"decision_id":"d","erased":["/input"]}`),
		"a masked input": []byte(`{"decision_id":"d","input":"**","masked":["/input"]}`),
		"masked scopes":  []byte(`{"decision_id":"d","input":{"scopes":"**"},"masked":["/input/scopes"]}`),
		"erased scopes":  []byte(`{"decision_id":"d","input":{},"erased":["/input/scopes"]}`),
	} {
		comparer := audit.Comparer{Candidate: &policy{}}
		got, err := comparer.Compare(t.Context(), read(t, event))
		if err != nil || got.Skipped == "" || got.Changes != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if d := read(t, recorded("", `"error":"a.rego:1: eval_builtin_error: div"`)); d.Skip != "" {
		t.Errorf("got %q, want a function that failed to be replayed", d.Skip)
	}
	for _, text := range []string{"", "{", "[]", `{"timestamp":"yesterday"}`} {
		if _, err := audit.Read([]byte(text)); err == nil {
			t.Errorf("%q is no event", text)
		}
	}
}

// TestRead: a mask may replace any value by one of another type.
func TestRead(t *testing.T) {
	t.Parallel()
	d := read(t, []byte(`{"decision_id":"d","input":{"subject":"**","client":{"id":7},"resource":{"name":"Album"},"scopes":[]},"masked":["/input/subject","/input/client/id"]}`))
	if d.Skip != "" || d.Name != "Album" || d.Subject != "" || d.Batch != "d" || !slices.Equal(d.Scopes, []uma.Scope{"*"}) {
		t.Errorf("got %+v", d)
	}
}
