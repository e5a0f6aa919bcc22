package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A finding is one of policy status -o json.
type finding struct {
	Gate, File, Severity, Message string
	Line, Column                  int
}

// A policyStatus is what policy status -o json says of a realm.
type policyStatus struct {
	Policy struct {
		Revision string
		Report   *gateReport
	}
	Proposal *struct {
		Problem  string
		Findings []finding
	}
}

type gateReport struct {
	Findings []finding
	Tests    *struct {
		Passed, Failed int
		Coverage       float64
	}
	Impact *struct {
		Replayed int
		Refused  int `json:"newly_refused"`
		Complete bool
		Changes  []any
	}
}

func (e *env) policyStatus(t testing.TB) policyStatus {
	t.Helper()
	out, errs, code := umpire(t, "policy", "status", "--data", e.Data, "-o", "json")
	var rows []policyStatus
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) != 1 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	return rows[0]
}

// refusedBy wants the content of the policy folder to be refused by a gate: the log, the
// metrics and policy status say by which and why, and the policy from before decides.
func (e *env) refusedBy(t testing.TB, gate, message, revision string) {
	t.Helper()
	within1s(t, "the log about gate "+gate, func() bool {
		return e.logged(t, "policy not activated", fmt.Sprintf(`"gates":[%q]`, gate), message, `"still_active":true`)
	})
	metric := regexp.MustCompile(`(?m)^umpire_policy_refused\{gate="(\w+)",realm="photoz"\} 1$`)
	found := metric.FindAllStringSubmatch(string(e.admin(t, "/metrics").raw), -1)
	if len(found) != 1 || found[0][1] != gate {
		t.Errorf("gate %s: the metrics have %v", gate, found)
	}
	status := e.policyStatus(t)
	if status.Policy.Revision != revision {
		t.Errorf("gate %s: revision %s is in force, want the one from before", gate, status.Policy.Revision)
	}
	p := status.Proposal
	if p == nil || !strings.Contains(p.Problem, "gate "+gate+" refuses") || !strings.Contains(p.Problem, message) {
		t.Fatalf("gate %s: got proposal %+v", gate, p)
	}
	for _, f := range p.Findings {
		if f.Gate == gate && f.Severity == "block" && strings.Contains(f.Message, message) && (f.File != "" || gate == "impact") {
			return
		}
	}
	t.Errorf("gate %s: got findings %+v", gate, p.Findings)
}

// TestGates: a change of the policy folder passes the gates before it is activated. The one
// that refuses it says why, the policy from before decides, and what was mended is activated
// with the report of the gates.
func TestGates(t *testing.T) {
	t.Parallel()
	e := start(t)
	folder := filepath.Join(filepath.Dir(e.File), "policies")
	gates := func(text string) {
		t.Helper()
		e.apply(t, strings.Replace(photozRealm(t), "bundle: ./policies", "bundle: "+folder+", gates: {"+text+"}", 1))
	}
	remove := func(name string) {
		t.Helper()
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		within1s(t, "the folder as before", func() bool { return e.policyStatus(t).Proposal == nil })
	}
	if got := e.board(t); got != 200 { // the decision that the gate impact replays
		t.Fatalf("at first: got %d, want 200", got)
	}
	first := e.policyStatus(t)
	if first.Proposal != nil || first.Policy.Report == nil || first.Policy.Report.Impact != nil {
		t.Errorf("at first: got %+v", first)
	}
	for _, tc := range []struct{ gate, file, text, message string }{
		{"readable", "bad.rego", "package uma.policies.board\n\ngrant contains", "rego_parse_error"},
		{"capabilities", "bad.rego", "package lib.x\n\ny := http.send({})", "http.send is not available"},
		{"check", "bad.rego", "package uma.policies.board\n\ndeny if true", "deny is a set"},
		{"lint", "bad.rego", "package uma.policies.board\n\ngrant contains \"veiw\"", "did you mean"},
		{"tests", "bad.rego", "package lib.bad", "data.bad_test.test_wrong failed"},
	} {
		if tc.gate == "tests" { // a test alone changes no policy
			e.writePolicy(t, "bad_test.rego", "package bad_test\n\ntest_wrong if 1 == 2\n")
		}
		e.writePolicy(t, tc.file, tc.text+"\n")
		e.refusedBy(t, tc.gate, tc.message, first.Policy.Revision)
		if got := e.board(t); got != 200 {
			t.Errorf("gate %s: got %d, want the policy from before", tc.gate, got)
		}
		remove(tc.file)
	}

	if err := os.Remove(filepath.Join(folder, "bad_test.rego")); err != nil {
		t.Fatal(err)
	}
	// What a realm sets counts, also for a content that was refused before.
	closed := "package uma.guardrails\n\ndeny contains \"closed\" if \"view\" in input.scopes\n"
	gates("coverage: block, impact: block")
	e.writePolicy(t, "closed.rego", closed)
	e.refusedBy(t, "coverage", "there are no tests", first.Policy.Revision)
	gates("impact: block")
	e.refusedBy(t, "impact", "scopes would be newly refused, more than policy.gates.max_refused, 0", first.Policy.Revision)
	if got := e.board(t); got != 200 {
		t.Errorf("gate impact: got %d, want the policy from before", got)
	}
	gates("impact: block, max_refused: 100")
	within1s(t, "the policy that the thresholds permit", func() bool { return e.board(t) == 403 })
	status := e.policyStatus(t)
	if r := status.Policy.Report; status.Policy.Revision == first.Policy.Revision || status.Proposal != nil || r == nil || r.Impact == nil ||
		r.Impact.Refused == 0 || !r.Impact.Complete || len(r.Impact.Changes) != 0 || r.Tests == nil {
		t.Errorf("activated: got %+v, %+v", status, r)
	}
	if !e.logged(t, `"gate":"coverage"`, "there are no tests") {
		t.Error("the log has no warning about the coverage")
	}
	within1s(t, "the metrics without a refusal", func() bool { // they follow the activation
		text := string(e.admin(t, "/metrics").raw)
		return !strings.Contains(text, `umpire_policy_refused{`) && strings.Contains(text, `umpire_policy_proposals_waiting{realm="photoz"} 0`)
	})
}
