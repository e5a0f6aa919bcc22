package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/umpire/lint"
	"example.com/umpire/place"
	"example.com/umpire/realm"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// gateRealm is the gate of the realm file itself.
const gateRealm rollout.Gate = "realm"

// gateCommands are the commands that run gates over a policy.
func gateCommands(e *env) []*cobra.Command {
	var realmFile string
	check := &cobra.Command{
		Use:   "check FILE|FOLDER|BUNDLE",
		Short: "Examine policies: compile, lint and test them",
		Long: `Run every gate over policies that needs no server: they are read, compiled with the
shipped library, checked against the schemas and the contract, linted as policy lint
does, and tested. Without tests no test fails. The argument is a realm file, a policy
folder, or a bundle file (.tar.gz) as opa build makes it. The exit code is 3 if
something blocks. It also says which decisions a server may keep and not evaluate again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.runGates(cmd.Context(), args[0], realmFile, e.examine, cachedDecisions)
		},
	}
	linter := &cobra.Command{
		Use:   "lint FILE|FOLDER|BUNDLE",
		Short: "Find what compiles and does nothing",
		Long: `Find in policies what compiles and does nothing: rules that nothing reads, references
to what is not defined, and names of scopes, types, roles, groups and resource servers
that the realm file does not have. A near miss of a known name and a rule that nothing
reads block, with exit code 3; anything else is a warning.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.runGates(cmd.Context(), args[0], realmFile, lintCandidate, nil)
		},
	}
	for _, c := range []*cobra.Command{check, linter} {
		c.Flags().StringVar(&realmFile, "realm", "", "compare a policy folder with the names in this realm `file`")
		e.outputFlag(c)
	}
	return []*cobra.Command{check, linter}
}

// A gateReport is the JSON output of the commands that run gates.
type gateReport struct {
	OK       bool                 `json:"ok"`
	Findings []rollout.FindingRow `json:"findings"`
}

// add adds the findings about what is at a path.
func (r *gateReport) add(path string, findings []rollout.Finding) {
	for i := range findings {
		r.Findings = append(r.Findings, findings[i].Row(path))
	}
	r.OK = r.OK && !rollout.Blocked(findings)
}

// newGateReport returns a report without findings.
func newGateReport() gateReport { return gateReport{OK: true, Findings: []rollout.FindingRow{}} }

// printFindings prints a line for each finding, and below it the source if there is some.
func (e *env) printFindings(findings []rollout.Finding) {
	for i := range findings {
		f := &findings[i]
		switch {
		case f.Gate == gateRealm && f.Line > 0:
			fmt.Fprintf(e.stderr, "%s:%d:%d: %s\n", f.File, f.Line, f.Column, f.Text)
		case f.Gate != gateRealm && f.Gate != rollout.GateReadable && !f.Blocks:
			fmt.Fprintln(e.stderr, (&place.Mistake{File: f.File, Line: f.Line, Text: "warning: " + f.Text}).Error())
		default:
			fmt.Fprintln(e.stderr, f.Error())
		}
	}
}

// realmFindings are the notices and mistakes of a realm file.
func realmFindings(notices []realm.Notice, err error) (findings []rollout.Finding) {
	add := func(n realm.Notice, blocks bool) {
		text := n.Text
		if n.Path != "" {
			text = n.Path + ": " + text
		}
		findings = append(findings, rollout.Finding{
			Gate: gateRealm, Blocks: blocks, Mistake: place.Mistake{File: n.File, Line: n.Line, Column: n.Column, Text: text},
		})
	}
	for _, n := range notices {
		add(n, false)
	}
	list, ok := errors.AsType[realm.Mistakes](err)
	for _, n := range list {
		add(n, true)
	}
	if err != nil && !ok {
		findings = append(findings, rollout.Findings(gateRealm, err)...)
	}
	return findings
}

// A candidate is a policy to be examined: that of a realm file, or a policy folder with the
// names and settings of a realm file or of none.
type candidate struct {
	realm    string
	settings uma.PolicySettings
	names    *lint.Names // nil without a realm file

	signature []rollout.Finding
}

func isRealmFile(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".yaml" || ext == ".yml"
}

// candidateAt returns the policy at a path, with the names of a realm file; empty for that
// at the path, if it is one.
func (e *env) candidateAt(path, realmFile string) (candidate, error) {
	switch {
	case isRealmFile(path) && realmFile != "":
		return candidate{}, usageError("--realm is for a policy folder: %s is a realm file itself", path)
	case isRealmFile(path):
		realmFile = path
	case realmFile == "":
		return candidate{realm: "realm", settings: defaultSettings(path)}, nil
	}
	spec, _, err := realm.Check(realmFile)
	if err != nil {
		return candidate{}, err
	}
	c := candidate{realm: spec.Realm.Name, settings: spec.Realm.Policy, names: lint.NamesOf(realmFile, spec)}
	if realmFile == path {
		c.signature = e.signatureFindings(spec, c.settings.Bundle, true)
	} else {
		c.signature = e.signatureFindings(spec, path, false)
		c.settings.Bundle, c.settings.OPA = path, nil
	}
	return c, rollout.Elsewhere(c.realm, c.settings)
}

// A gateRun runs gates over a policy.
type gateRun func(ctx context.Context, c candidate) []rollout.Finding

// examine runs every gate that needs no server.
func (e *env) examine(ctx context.Context, c candidate) []rollout.Finding {
	if rollout.Blocked(c.signature) {
		return c.signature
	}
	return append(c.signature, rollout.Examine(ctx, e.examiner(), c.realm, c.settings, c.names)...)
}

func lintCandidate(ctx context.Context, c candidate) []rollout.Finding {
	return rollout.Lint(ctx, c.realm, c.settings, c.names)
}

// runGates runs gates over the policy at a path, and reports what they find, and which of its
// decisions are cached.
func (e *env) runGates(ctx context.Context, path, realmFile string, run gateRun, cached func(context.Context, candidate) ([]cachedRow, error)) error {
	c, err := e.candidateAt(path, realmFile)
	if _, usage := errors.AsType[*mistake](err); usage {
		return err
	}
	findings := realmFindings(nil, err)
	if err == nil {
		findings = run(ctx, c)
	}
	report := checkReport{newGateReport(), []cachedRow{}}
	report.add(path, findings)
	if report.OK && cached != nil {
		if report.Cached, err = cached(ctx, c); err != nil {
			return err
		}
	}
	switch {
	case e.asJSON() && cached == nil:
		err = printJSON(e.stdout, report.gateReport)
	case e.asJSON():
		err = printJSON(e.stdout, report)
	default:
		e.printFindings(findings)
		if err = nil; report.OK {
			fmt.Fprintf(e.stdout, "%s: fine%s\n", path, warnings(findings))
			printCached(e.stdout, report.Cached)
		}
	}
	if err != nil {
		return err
	}
	if !report.OK {
		return errNotPassed
	}
	return nil
}

// warnings is the end of a line about a policy that passed with warnings.
func warnings(findings []rollout.Finding) string {
	n := 0
	for i := range findings {
		if gate := findings[i].Gate; gate != gateRealm && gate != rollout.GateReadable {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return ", with a warning"
	}
	return fmt.Sprintf(", with %d warnings", n)
}

// examineRealm runs every gate that needs no server over a realm file and its policy.
func (e *env) examineRealm(ctx context.Context, file string, noSecrets bool) (*uma.RealmSpec, []rollout.Finding) {
	spec, notices, err := realm.Check(file)
	if !noSecrets {
		spec, notices, err = realm.Read(file, e.getenv)
	}
	findings := realmFindings(notices, err)
	if err != nil {
		return nil, findings
	}
	c := candidate{spec.Realm.Name, spec.Realm.Policy, lint.NamesOf(file, spec), e.signatureFindings(spec, spec.Realm.Policy.Bundle, true)}
	return spec, append(findings, e.examine(ctx, c)...)
}

func (e *env) checkRealms(ctx context.Context, files []string, noSecrets bool) error {
	report := newGateReport()
	for _, file := range files {
		spec, findings := e.examineRealm(ctx, file, noSecrets)
		report.add(file, findings)
		if e.asJSON() {
			continue
		}
		e.printFindings(findings)
		if !rollout.Blocked(findings) {
			fmt.Fprintf(e.stdout, "%s: realm %s, %d clients, %d users, %d resources: fine%s\n",
				file, spec.Realm.Name, len(spec.Clients), len(spec.Users), len(spec.Resources), warnings(findings))
		}
	}
	if e.asJSON() {
		if err := printJSON(e.stdout, report); err != nil {
			return err
		}
	}
	if !report.OK {
		return errNotPassed
	}
	return nil
}

// testFindings are the findings of a test run: the tests that failed, that no test ran, and
// a coverage below the threshold. Without a threshold the coverage is no finding.
func testFindings(failed []rollout.Finding, tests int, coverage float64, filter string, threshold float64) []rollout.Finding {
	finding := func(gate rollout.Gate, format string, args ...any) []rollout.Finding {
		return []rollout.Finding{{Gate: gate, Blocks: true, Mistake: place.Mistake{Text: fmt.Sprintf(format, args...)}}}
	}
	switch {
	case tests == 0 && filter != "":
		return finding(rollout.GateTests, "--run: no test matches %q", filter)
	case tests == 0:
		return finding(rollout.GateTests, "there are no tests: write rules named test_… into files named *_test.rego")
	case len(failed) > 0:
		return failed
	case coverage < threshold:
		return finding(rollout.GateCoverage, "--threshold: the tests cover %.1f %% of the policies' lines, less than %.1f %%", coverage, threshold)
	}
	return nil
}
