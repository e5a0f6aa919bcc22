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

// The gates that need no server, in their order. A policy that a gate up to GateCheck refuses
// is not examined further.
const (
	GateReadable     Gate = "readable"     // files and their format
	GateCapabilities Gate = "capabilities" // built-in functions that policies may not call
	GateCheck        Gate = "check"        // the compiler, the schemas and the contract
	GateLint         Gate = "lint"         // what compiles and does nothing
	GateTests        Gate = "tests"
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
	findings, src := compiled(ctx, realm, settings)
	if Blocked(findings) {
		return findings
	}
	return append(findings, linted(src, settings, names)...)
}

// Examine examines a policy by all gates that need no server. No tests are no failing test.
func Examine(ctx context.Context, realm string, settings uma.PolicySettings, names *lint.Names) []Finding {
	findings, src := compiled(ctx, realm, settings)
	if Blocked(findings) || settings.Bundle == "" {
		return findings
	}
	findings = append(findings, linted(src, settings, names)...)
	results, err := TestPolicy(ctx, settings, "")
	if err != nil {
		return append(findings, Findings(GateTests, err)...)
	}
	return append(findings, FailedTests(results)...)
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

func compiled(ctx context.Context, realm string, settings uma.PolicySettings) ([]Finding, engine.Source) {
	var findings []Finding
	src, unread, err := read(settings.Bundle)
	for _, file := range unread {
		findings = append(findings, Finding{Gate: GateReadable, Mistake: place.Mistake{File: file, Text: "is not read: name data files data.json or data.yaml"}})
	}
	if err != nil {
		return append(findings, Findings(GateReadable, err)...), src
	}
	if _, err = engine.New(engine.Config{}).Check(ctx, realm, settings, src); err != nil {
		findings = append(findings, Findings(GateCheck, err)...)
	}
	return findings, src
}

func linted(src engine.Source, settings uma.PolicySettings, names *lint.Names) []Finding {
	found, err := lint.Check(src, settings.Entrypoint, names)
	if err != nil {
		return Findings(GateLint, err)
	}
	findings := make([]Finding, len(found))
	for i, f := range found {
		findings[i] = Finding{Gate: GateLint, Mistake: f.Mistake, Blocks: f.Blocks}
	}
	return findings
}

// Findings are the mistakes in an error, which block.
func Findings(gate Gate, err error) (findings []Finding) {
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
	if gate == GateCheck && engine.IsUnavailable(f.Text) {
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
