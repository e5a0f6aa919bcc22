package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/rollout"
)

// TestGates breaks the policies of a realm in several ways. Each time the gate that finds it
// names the file and the line, and every command that runs the gate ends with exit code 3.
func TestGates(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	extra := filepath.Join(folder, "extra.rego")
	for name, tc := range map[string]struct {
		text, gate, message string
		line                int
		lint                bool // whether policy lint finds it
		folder              bool // whether it is found without the realm file
	}{
		"unreadable":         {"package uma.policies.board\n\ngrant contains", "readable", "rego_parse_error", 3, true, true},
		"a forbidden call":   {"package lib.x\n\ny := http.send({})", "capabilities", "http.send is not available", 3, true, true},
		"a type error":       {"# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage lib.x\n\ny if input.subjekt", "check", "undefined ref: input.subjekt", 6, true, true},
		"against the rules":  {"package uma.policies.board\n\ndeny if true", "check", "deny is a set", 3, true, true},
		"misspelt rule":      {"package uma.guardrails\n\ndney contains \"x\"", "lint", "did you mean `deny`?", 3, true, true},
		"misspelt scope":     {"package uma.policies.board\n\ngrant contains \"veiw\"", "lint", `did you mean "view"?`, 3, true, false},
		"misspelt type":      {"package uma.policies.baord\n\ngrant contains \"view\"", "lint", `did you mean "board"`, 1, true, false},
		"misspelt role":      {"package uma.policies.board\n\ngrant contains \"view\" if \"uesr\" in input.subject.roles", "lint", `did you mean "user"?`, 3, true, false},
		"misspelt reference": {"package uma.policies.board\n\nimport data.uma.sharing\n\ngrant contains \"view\" if sharing.is_ownre", "lint", "did you mean `is_owner`?", 5, true, true},
		"a failing test":     {"package uma.guardrails\n\ndeny contains \"closed\"", "tests", "data.photoz_test.test_", 0, false, true},
	} {
		if err := os.WriteFile(extra, []byte(tc.text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"policy", "check", file}, {"realm", "check", file}, {"policy", "check", folder, "--realm", file}, {"policy", "check", folder},
			{"policy", "lint", file}, {"policy", "lint", folder, "--realm", file}, {"policy", "lint", folder},
		} {
			found := (args[1] != "lint" || tc.lint) && (len(args) > 3 || args[2] == file || tc.folder)
			checkGate(t, name, args, found, rollout.FindingRow{Gate: tc.gate, File: extra, Line: tc.line, Severity: "block", Message: tc.message})
		}
	}
	if err := os.Remove(extra); err != nil {
		t.Fatal(err)
	}
	if got := ok(t, "realm", "check", file); !strings.HasSuffix(got, "4 resources: fine\n") {
		t.Errorf("mended: got %q", got)
	}
}

// checkGate runs a command, and wants one finding, or none of its gate.
func checkGate(t *testing.T, name string, args []string, found bool, want rollout.FindingRow) {
	t.Helper()
	stdout, _, code := umpire(t, append(args[:len(args):len(args)], "-o", "json")...)
	r := decode[gateReport](t, stdout)
	if !found {
		if code != 0 || !r.OK {
			t.Errorf("%s, %q: exit %d, %s; want no finding that blocks", name, args, code, stdout)
		}
		return
	}
	if code != exitNotPassed || r.OK || len(r.Findings) == 0 {
		t.Errorf("%s, %q: exit %d, %s", name, args, code, stdout)
		return
	}
	got := r.Findings[0]
	if want.Gate != "tests" && (filepath.Base(got.File) != filepath.Base(want.File) || got.Line < want.Line) {
		t.Errorf("%s, %q: at %s:%d, want line %d", name, args, got.File, got.Line, want.Line)
	}
	if got.Gate != want.Gate || got.Severity != want.Severity || !strings.Contains(got.Message, want.Message) {
		t.Errorf("%s, %q: got %+v", name, args, got)
	}
	if args[1] != "check" || len(args) > 3 { // the text is printed in one way for all
		return
	}
	_, stderr, code := umpire(t, args...)
	if code != exitNotPassed || !strings.Contains(stderr, want.Message) || !strings.Contains(stderr, filepath.Base(got.File)+":") {
		t.Errorf("%s, %q: printed %s", name, args, stderr)
	}
}

// TestWarnings: what only warns is printed, and the check passes.
func TestWarnings(t *testing.T) {
	t.Parallel()
	file := example(t)
	extra := filepath.Join(filepath.Dir(file), "policies", "extra.rego")
	write(t, extra, "package uma.policies.board\n\ngrant contains \"view\" if \"moderator\" in input.subject.roles\n")
	for _, args := range [][]string{{"policy", "check", file}, {"policy", "lint", file}, {"realm", "check", file}} {
		stdout, stderr, code := umpire(t, args...)
		if code != 0 || !strings.Contains(stdout, "fine, with a warning\n") || !strings.Contains(stderr, "extra.rego:3: warning: no user or client in ") {
			t.Errorf("%q: exit %d, %q, %q", args, code, stdout, stderr)
		}
		r := decode[gateReport](t, ok(t, append(args, "-o", "json")...))
		if !r.OK || len(r.Findings) != 1 || r.Findings[0].Severity != "warn" || r.Findings[0].Line != 3 {
			t.Errorf("%q: got %+v", args, r)
		}
	}
	if _, stderr, code := umpire(t, "policy", "lint", file, "--realm", file); code != exitUsage || !strings.Contains(stderr, "--realm is for a policy folder") {
		t.Errorf("two realm files: exit %d, %s", code, stderr)
	}
	// Without a policy folder there is nothing to lint or test.
	if got := ok(t, "realm", "check", example(t, "policy: {bundle: ./policies, grant: partial}", "policy: {grant: partial}")); !strings.Contains(got, "fine") {
		t.Errorf("the library alone: got %q", got)
	}
}

// TestTestFindings: the report of a test run has the findings of its gate beside the tests.
func TestTestFindings(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(filepath.Dir(example(t)), "policies")
	if r := decode[testReport](t, ok(t, "policy", "test", folder, "-o", "json")); !r.OK || r.Findings == nil || len(r.Findings) != 0 || len(r.Tests) == 0 || r.Coverage <= 0 {
		t.Errorf("got %+v", r)
	}
	write(t, filepath.Join(folder, "wrong_test.rego"), "package wrong_test\n\ntest_wrong if 1 == 2\n")
	for gate, tc := range map[string]struct {
		args    []string
		message string
	}{
		"tests":    {nil, "data.wrong_test.test_wrong failed"},
		"coverage": {[]string{"--run", "test_decision", "--threshold", "100.5"}, "less than 100.5 %"},
	} {
		stdout, _, code := umpire(t, append([]string{"policy", "test", folder, "-o", "json"}, tc.args...)...)
		r := decode[testReport](t, stdout)
		if code != exitNotPassed || r.OK || len(r.Findings) != 1 || r.Findings[0].Gate != gate || r.Findings[0].Severity != "block" || !strings.Contains(r.Findings[0].Message, tc.message) {
			t.Errorf("%s: exit %d, got %+v", gate, code, r.gateReport)
		}
	}
	write(t, filepath.Join(folder, "wrong_test.rego"), "package wrong_test\n\ntest_wrong if nothing\n")
	stdout, stderr, code := umpire(t, "policy", "test", folder, "-o", "json")
	if r := decode[testReport](t, stdout); code != exitNotPassed || r.OK || len(r.Findings) != 1 || r.Findings[0].Line != 3 || !strings.Contains(stderr, "wrong_test.rego:3: ") {
		t.Errorf("a test that does not compile: exit %d, %s, %s", code, stdout, stderr)
	}
}

// TestGateSettings: policy.gates says whether lint, tests and coverage block, warn or are off.
func TestGateSettings(t *testing.T) {
	t.Parallel()
	misspelt := "package uma.policies.board\n\ngrant contains \"veiw\"\n"
	failing := "package wrong_test\n\ntest_wrong if 1 == 2\n"
	for name, tc := range map[string]struct {
		gates, file, text string
		want              []string // gate and severity of each finding
	}{
		"the default":          {"", "extra.rego", misspelt, []string{"lint block"}},
		"lint warns":           {"lint: warn", "extra.rego", misspelt, []string{"lint warn"}},
		"lint is off":          {"lint: off", "extra.rego", misspelt, nil},
		"tests warn":           {"tests: warn", "wrong_test.rego", failing, []string{"tests warn"}},
		"tests are off":        {"tests: off", "wrong_test.rego", failing, nil},
		"coverage warns":       {"min_coverage: 100", "extra.rego", "package lib.more\n\nx if input.y\n", []string{"coverage warn"}},
		"coverage blocks":      {"coverage: block, min_coverage: 100", "extra.rego", "package lib.more\n\nx if input.y\n", []string{"coverage block"}},
		"coverage is off":      {"coverage: off, min_coverage: 100", "extra.rego", "package lib.more\n\nx if input.y\n", nil},
		"tests of a low bound": {"coverage: block, min_coverage: 10", "extra.rego", "package lib.more\n\nx if input.y\n", nil},
	} {
		file := example(t, "policy: {bundle: ./policies,", "policy: {gates: {"+tc.gates+"}, bundle: ./policies,")
		write(t, filepath.Join(filepath.Dir(file), "policies", tc.file), tc.text)
		stdout, _, code := umpire(t, "policy", "check", file, "-o", "json")
		r := decode[gateReport](t, stdout)
		var got []string
		blocked := false
		for _, f := range r.Findings {
			got = append(got, f.Gate+" "+f.Severity)
			blocked = blocked || f.Severity == "block"
		}
		if !slices.Equal(got, tc.want) || r.OK == blocked || (code == exitNotPassed) != blocked {
			t.Errorf("%s: exit %d, got %v, want %v", name, code, got, tc.want)
		}
	}
	// Asked for lint alone, one sees what it finds.
	file := example(t, "policy: {bundle: ./policies,", "policy: {gates: {lint: off}, bundle: ./policies,")
	write(t, filepath.Join(filepath.Dir(file), "policies", "extra.rego"), misspelt)
	if r := decode[gateReport](t, ok(t, "policy", "lint", file, "-o", "json")); len(r.Findings) != 1 || r.Findings[0].Severity != "warn" {
		t.Errorf("policy lint: got %+v", r)
	}
	// No tests are no failing test, but they cover nothing.
	bare := t.TempDir()
	write(t, filepath.Join(bare, "board.rego"), "package uma.policies.board\n\ngrant contains \"view\"\n")
	if r := decode[gateReport](t, ok(t, "policy", "check", bare, "-o", "json")); len(r.Findings) != 1 || r.Findings[0].Gate != "coverage" || !strings.Contains(r.Findings[0].Message, "there are no tests") {
		t.Errorf("without tests: got %+v", r)
	}
}

// TestGatesOfActivate: policy activate runs the gates over a folder, and keeps their report. A
// stored revision is compiled only.
func TestGatesOfActivate(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	ok(t, "realm", "apply", file, "--data", data)
	folder := filepath.Join(filepath.Dir(file), "policies")
	first := decode[activatedRow](t, ok(t, "policy", "activate", folder, "--data", data, "-o", "json"))
	for gate, change := range map[string][2]string{
		"lint":  {"extra.rego", "package uma.policies.board\n\ngrant contains \"veiw\"\n"},
		"tests": {"extra_test.rego", "package extra_test\n\ntest_wrong if 1 == 2\n"},
	} {
		bad := policyFolder(t, file, func(dir string) { write(t, filepath.Join(dir, change[0]), change[1]) })
		stdout, stderr, code := umpire(t, "policy", "activate", bad, "--data", data, "-o", "json")
		if code != exitNotPassed || stdout != "" || !strings.Contains(stderr, "gate "+gate+" refuses the policy of realm photoz:") || !strings.Contains(stderr, change[0]+":3: ") {
			t.Errorf("%s: exit %d, %s%s", gate, code, stdout, stderr)
		}
	}
	moderated := policyFolder(t, file, func(dir string) {
		write(t, filepath.Join(dir, "extra.rego"), "package uma.policies.board\n\ngrant contains \"view\" if \"moderator\" in input.subject.roles\n")
	})
	stdout, stderr, code := umpire(t, "policy", "activate", moderated, "--data", data, "-o", "json")
	if code != 0 || !strings.Contains(stderr, "extra.rego:3: warning: no user or client in realm photoz has the role") {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	second := decode[activatedRow](t, stdout)
	shown := decode[revisionRow](t, ok(t, "policy", "show", second.Revision, "--data", data, "-o", "json"))
	r := shown.Periods[0].Report
	if r == nil || len(r.Findings) != 1 || r.Findings[0].Severity != "warn" || r.Tests == nil || r.Tests.Passed == 0 || r.Tests.Coverage < 80 || r.Impact == nil || !r.Impact.Complete {
		t.Errorf("got %+v", r)
	}
	// A stored revision has passed them.
	ok(t, "policy", "activate", first.Revision, "--data", data)
	if back := decode[activatedRow](t, ok(t, "policy", "activate", second.Revision, "--data", data, "-o", "json")); back.Revision != second.Revision {
		t.Errorf("got %+v", back)
	}
	if shown = decode[revisionRow](t, ok(t, "policy", "show", second.Revision, "--data", data, "-o", "json")); len(shown.Periods) != 2 || shown.Periods[0].Report != nil {
		t.Errorf("a stored revision: got %+v", shown.Periods)
	}
}
