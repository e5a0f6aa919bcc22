package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A busyStore cannot be read.
type busyStore struct{ Store }

func (busyStore) RevisionInForce(context.Context, string) (*uma.Revision, error) {
	return nil, uma.ErrBusy
}

// TestImpactOfABusyStore: a database that is busy for a moment must not refuse a policy until
// that changes. Where the gate blocks, it is an error, after which the gates run again; else a
// warning.
func TestImpactOfABusyStore(t *testing.T) {
	t.Parallel()
	service := &Service{Store: busyStore{}, Now: time.Now}
	for _, action := range []uma.GateAction{uma.GateBlocks, uma.GateWarns} {
		report, err := service.RunGates(t.Context(), &Examination{
			Realm: &uma.Realm{Name: "photoz"}, Content: &Content{}, Active: "a revision",
			settings: uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision", Gates: uma.Gates{Impact: action}},
		})
		if action == uma.GateWarns {
			if err != nil || len(report.Findings) != 1 || report.Findings[0].Severity != "warn" || !strings.Contains(report.Findings[0].Message, uma.ErrBusy.Error()) {
				t.Errorf("got %+v, %v, want a warning", report, err)
			}
			continue
		}
		if _, refused := errors.AsType[*GateError](err); refused || !errors.Is(err, uma.ErrBusy) {
			t.Errorf("got %v, want an error that is none of the policy", err)
		}
	}
}

// TestImpactGate: scopes beyond the thresholds and decisions without an answer are findings; a
// policy that another gate refuses is not replayed.
func TestImpactGate(t *testing.T) {
	t.Parallel()
	const records = 7
	store := newTrail(t, records)
	service := &Service{Store: store, Now: time.Now, Examine: InProcess}
	grants, fails := `grant contains "view"`, `grant contains "view" if to_number(input.subject.id) > 0`
	for name, c := range map[string]struct {
		rego  string
		gates uma.Gates
		want  string // the gates that refuse; empty: none
		text  string
	}{
		"as many as may be":   {grants, uma.Gates{Impact: uma.GateBlocks, MaxGranted: records}, "", ""},
		"too many":            {grants, uma.Gates{Impact: uma.GateBlocks, MaxGranted: records - 1}, "impact", "7 scopes would be newly granted, more than policy.gates.max_granted, 6"},
		"too many, a warning": {grants, uma.Gates{Impact: uma.GateWarns}, "", "7 scopes would be newly granted"},
		"off":                 {grants, uma.Gates{Impact: uma.GateOff}, "", ""},
		"no answer":           {fails, uma.Gates{Impact: uma.GateBlocks, MaxGranted: records}, "impact", "7 recorded decisions have no answer any more"},
		"a failing test":      {grants, uma.Gates{Impact: uma.GateBlocks, Tests: uma.GateBlocks}, "tests", "test_wrong failed"},
	} {
		content := &Content{Source: *source(t, c.rego), Tests: map[string]string{}}
		if c.want == "tests" {
			content.Tests["wrong_test.rego"] = "package wrong_test\n\ntest_wrong if 1 == 2\n"
		}
		if c.gates.Tests == "" {
			c.gates.Tests = uma.GateOff
		}
		c.gates.Lint, c.gates.Coverage = uma.GateOff, uma.GateOff
		report, err := service.RunGates(t.Context(), &Examination{
			Realm: &uma.Realm{Name: "photoz"}, Content: content, Active: store.active.Hash, names: &uma.PolicyNames{},
			settings: uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision", Gates: c.gates},
		})
		refused, _ := errors.AsType[*GateError](err)
		var got, text string
		if refused != nil {
			got = strings.Join(refused.Gates(), " ")
		}
		if report != nil && len(report.Findings) > 0 {
			text = report.Findings[0].Message
		}
		if got != c.want || !strings.Contains(text, c.text) || (c.text == "") != (text == "") || err != nil && refused == nil {
			t.Errorf("%s: got %q, %q, %v, want %q, %q", name, got, text, err, c.want, c.text)
			continue
		}
		if replayed := report.Impact != nil; replayed != (c.want != "tests" && c.gates.Impact != uma.GateOff) || replayed && (report.Impact.Replayed != records || !report.Impact.Complete || len(report.Impact.Changes) != 0) {
			t.Errorf("%s: got the impact %+v", name, report.Impact)
		}
	}
}

// TestExaminationWithoutNames: where the names of the realm file are not known, lint says that
// it does not compare them. An examination that ends early has no report.
func TestExaminationWithoutNames(t *testing.T) {
	t.Parallel()
	service := &Service{Now: time.Now, Examine: InProcess}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for action, warns := range map[uma.GateAction]bool{uma.GateBlocks: true, uma.GateOff: false} {
		x := &Examination{
			Realm: &uma.Realm{Name: "photoz"}, Content: &Content{Source: *source(t, `grant contains "view"`)}, names: &uma.PolicyNames{},
			settings: uma.PolicySettings{Entrypoint: "data.uma.authz.decision", Gates: uma.Gates{Lint: action, Tests: uma.GateOff}},
		}
		report, err := service.RunGates(t.Context(), x)
		if err != nil || (len(report.Findings) == 1) != warns || warns && (report.Findings[0].Severity != "warn" || !strings.Contains(report.Findings[0].Message, "Apply the realm file again")) {
			t.Errorf("%s: got %+v, %v", action, report, err)
		}
		if report, err := service.RunGates(ended, x); report != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %+v, %v", action, report, err)
		}
	}
}
