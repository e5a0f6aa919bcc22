package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/lint"
	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// A Gate is a step of the examination of a policy.
type Gate string

// The gates, in their order. A policy that a gate up to GateCheck refuses is not examined
// further.
const (
	GateSignature    Gate = "signature"    // by the realm's keys
	GateReadable     Gate = "readable"     // files and their format
	GateCapabilities Gate = "capabilities" // built-in functions that policies may not call
	GateCheck        Gate = "check"        // the compiler, the schemas and the contract
	GateLint         Gate = "lint"         // what compiles and does nothing
	GateTests        Gate = "tests"
	GateCoverage     Gate = "coverage" // what the tests reach
	GateImpact       Gate = "impact"   // what would have been decided otherwise
)

// A Finding is what a gate says about a policy.
type Finding struct {
	place.Mistake
	Gate   Gate
	Blocks bool
}

// Lint examines a policy by all gates up to lint. Names may be nil: then the policy is not
// compared with those of a realm.
func Lint(ctx context.Context, realm string, settings uma.PolicySettings, names *lint.Names) []Finding {
	findings, content := compiled(ctx, realm, settings)
	if Blocked(findings) {
		return findings
	}
	gates := settings.Gates.OrDefault()
	if gates.Lint == uma.GateOff { // asked for lint alone, one wants to see what it finds
		gates.Lint = uma.GateWarns
	}
	return append(findings, linted(content.Source, settings.Entrypoint, names, gates)...)
}

// Examine examines a policy by all gates that need no server, as the realm has set them.
func Examine(ctx context.Context, examine Examiner, realm string, settings uma.PolicySettings, names *lint.Names) []Finding {
	if settings.FromService() {
		return []Finding{notExamined(settings)}
	}
	findings, content := compiled(ctx, realm, settings)
	if Blocked(findings) || settings.Bundle == "" {
		return findings
	}
	gates := settings.Gates.OrDefault()
	findings = append(findings, linted(content.Source, settings.Entrypoint, names, gates)...)
	_, tested, err := content.tested(ctx, examine, gates)
	if err != nil {
		return append(findings, Findings(GateTests, err)...)
	}
	return append(findings, tested...)
}

// Blocked reports whether a finding blocks.
func Blocked(findings []Finding) bool {
	for i := range findings {
		if findings[i].Blocks {
			return true
		}
	}
	return false
}

// compiled reads and compiles a policy.
func compiled(ctx context.Context, realm string, settings uma.PolicySettings) ([]Finding, *Content) {
	content, err := Read(settings.Bundle)
	if err != nil {
		return Findings(GateReadable, err), nil
	}
	findings := content.unread()
	if _, err = engine.New(engine.Config{}).Check(ctx, realm, settings, content.Source); err != nil {
		findings = append(findings, Findings(GateCheck, err)...)
	}
	return findings, content
}

// unread are warnings about files that look like data but are not read because of their
// names.
func (c *Content) unread() (findings []Finding) {
	for _, file := range c.Unread {
		findings = append(findings, Finding{Gate: GateReadable, Mistake: place.Mistake{File: file, Text: "is not read: name data files data.json or data.yaml"}})
	}
	return findings
}

func linted(src engine.Source, entrypoint string, names *lint.Names, gates uma.Gates) []Finding {
	if gates.Lint == uma.GateOff {
		return nil
	}
	found, err := lint.Check(src, entrypoint, names)
	if err != nil {
		return Findings(GateLint, err)
	}
	findings := make([]Finding, len(found))
	for i, f := range found {
		findings[i] = Finding{Gate: GateLint, Mistake: f.Mistake, Blocks: f.Blocks && gates.Lint == uma.GateBlocks}
	}
	return findings
}

// tested runs the tests of a policy. No tests are no failing test, but they cover nothing.
// The results are nil if the tests did not run. The error is none of the policy.
func (c *Content) tested(ctx context.Context, examine Examiner, gates uma.Gates) (*bundles.Results, []Finding, error) {
	if gates.Tests == uma.GateOff {
		return nil, nil, nil
	}
	results := new(bundles.Results)
	if len(c.Tests) > 0 { // else a process for them would be in vain
		var err error
		results, err = c.Test(ctx, examine, "")
		if found, ok := errors.AsType[*foundError](err); ok {
			return nil, acting(gates.Tests, found.findings), nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	findings := acting(gates.Tests, FailedTests(results))
	if gates.Coverage == uma.GateOff || len(c.Modules) == 0 || results.Coverage >= float64(gates.MinCoverage) {
		return results, findings, nil
	}
	text := fmt.Sprintf("the tests reach %.1f %% of the policies' lines, less than %d %%: umpire policy test lists the others", results.Coverage, gates.MinCoverage)
	if len(results.Tests) == 0 {
		text = "there are no tests: write rules named test_… into files named *_test.rego"
	}
	low := Finding{Gate: GateCoverage, Blocks: true, Mistake: place.Mistake{Text: text}}
	return results, append(findings, acting(gates.Coverage, []Finding{low})...), nil
}

// acting makes findings that block into warnings, unless the gate blocks.
func acting(action uma.GateAction, findings []Finding) []Finding {
	for i := range findings {
		findings[i].Blocks = findings[i].Blocks && action == uma.GateBlocks
	}
	return findings
}

// Findings are the mistakes in an error, which block.
func Findings(gate Gate, err error) (findings []Finding) {
	if found, ok := errors.AsType[*foundError](err); ok {
		return found.findings
	}
	if unsigned, ok := errors.AsType[*bundles.SignatureError](err); ok {
		for _, m := range unsigned.Mistakes {
			findings = append(findings, Finding{Gate: GateSignature, Blocks: true, Mistake: *m})
		}
		return findings
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // of errors.Join alone
		for _, each := range several.Unwrap() {
			findings = append(findings, Findings(gate, each)...)
		}
		return findings
	}
	f := Finding{Gate: gate, Blocks: true, Mistake: place.Mistake{Text: err.Error()}}
	if m, ok := errors.AsType[*place.Mistake](err); ok {
		f.Mistake = *m
	}
	if gate == GateCheck && engine.IsUnavailable(err) {
		f.Gate = GateCapabilities
	}
	return []Finding{f}
}

// FailedTests are the findings of a test run.
func FailedTests(results *bundles.Results) (findings []Finding) {
	for _, t := range results.Tests {
		if t.Failure == "" {
			continue
		}
		text := fmt.Sprintf("%s.%s failed", t.Package, t.Name)
		for line := range strings.Lines(t.Failure) {
			text += "\n\t" + strings.TrimRight(line, "\n")
		}
		findings = append(findings, Finding{Gate: GateTests, Blocks: true, Mistake: place.Mistake{File: t.File, Line: t.Line, Text: text}})
	}
	return findings
}
