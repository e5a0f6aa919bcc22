package rollout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/lint"
	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// How much the gate impact replays at most.
const (
	impactRecords = 20_000
	impactTime    = 10 * time.Second
)

// An Examination is the way of a policy through the gates before it is activated for the
// first time.
type Examination struct {
	Realm   *uma.Realm
	Content *Content
	Active  string // the revision in force; empty: none

	settings uma.PolicySettings
	names    *uma.PolicyNames
}

// NewExamination reads what a policy is compared with. Settings are those of the realm, for
// the policy at their Bundle.
func (s *Service) NewExamination(ctx context.Context, realm string, settings uma.PolicySettings, content *Content, active string) (*Examination, error) {
	snapshot, err := s.Store.Snapshot(ctx, realm, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load realm %s: %w", realm, err)
	}
	names, err := s.Store.PolicyNames(ctx, realm, engine.OutlineOf(content.Source).Teams())
	if err != nil {
		return nil, err
	}
	return &Examination{&snapshot.Realm, content, active, settings, names}, nil
}

// Key is the same for two examinations with the same result, but for new decisions.
func (x *Examination) Key() (string, error) {
	text, err := json.Marshal([]any{x.Realm.Issuers, x.Active, x.settings, x.names, x.Content.Files, x.Content.Tests})
	if err != nil {
		return "", fmt.Errorf("name an examination: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Compile runs the gates up to check over a policy that was read: it compiles it. The error
// is a GateError if they refuse it.
func (s *Service) Compile(ctx context.Context, realm string, settings uma.PolicySettings, content *Content) (*engine.Compiled, error) {
	c, err := s.Engine.Compile(ctx, realm, settings, content.Source)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	if inner := errors.Unwrap(err); inner != nil { // the list of mistakes
		err = inner
	}
	findings := Findings(GateCheck, err)
	return nil, &GateError{Realm: realm, Report: newReport(content.Folder, findings), findings: findings}
}

// RunGates runs the gates after check over a policy that compiles: lint, the tests, and the
// impact on recorded decisions. The error is a GateError if they refuse it.
func (s *Service) RunGates(ctx context.Context, x *Examination) (*Report, error) {
	gates := x.settings.Gates.OrDefault()
	findings := x.Content.unread()
	report := &Report{}
	if len(x.Content.Files) > 0 {
		names := lint.NamesIn(x.Realm, x.names)
		findings = append(findings, linted(x.Content.Source, x.settings.Entrypoint, names, gates)...)
		findings = append(findings, x.unknownNames(gates)...)
		results, tested, err := x.Content.tested(ctx, s.Examine, gates)
		if err != nil {
			return nil, err
		}
		findings = append(findings, tested...)
		if results != nil {
			report.Tests = testCounts(results)
		}
	}
	if !Blocked(findings) && gates.Impact != uma.GateOff && x.Active != "" {
		counts, found, err := s.impact(ctx, x, gates)
		if err != nil {
			return nil, err
		}
		report.Impact = counts
		findings = append(findings, found...)
	}
	if err := ctx.Err(); err != nil { // what was found is not all
		return nil, err
	}
	report.Findings = newReport(x.Content.Folder, findings).Findings
	if Blocked(findings) {
		return report, &GateError{Realm: x.Realm.Name, Report: report, Compiles: true, findings: findings}
	}
	return report, nil
}

// unknownNames warns if lint had no names of the realm file.
func (x *Examination) unknownNames(gates uma.Gates) []Finding {
	if x.names.File != nil || gates.Lint == uma.GateOff {
		return nil
	}
	text := "the names of the realm file are not known, or have more than 1 MiB: they are not compared with the policy. Apply the realm file again"
	return []Finding{{Gate: GateLint, Mistake: place.Mistake{Text: text}}}
}

// impact replays the newest decisions under the policy in force and under this one. That they
// cannot be replayed is an error if the gate blocks: the policy may pass at another try.
func (s *Service) impact(ctx context.Context, x *Examination, gates uma.Gates) (*ImpactCounts, []Finding, error) {
	settings := x.settings
	run := &Impact{
		Realm: x.Realm.Name, Settings: &settings, Candidate: &x.Content.Source, Newest: impactRecords, AtMost: impactTime,
		Workers: max(1, runtime.GOMAXPROCS(0)/2), // the others decide
	}
	var findings []Finding
	find := func(blocks bool, format string, args ...any) {
		findings = append(findings, Finding{Gate: GateImpact, Blocks: blocks, Mistake: place.Mistake{Text: fmt.Sprintf(format, args...)}})
	}
	report, counts, err := run.Run(ctx, s.Store, s.Now())
	switch {
	case err != nil && gates.Impact == uma.GateBlocks:
		return nil, nil, fmt.Errorf("gate impact: replay recorded decisions: %w", err)
	case err != nil:
		find(false, "recorded decisions cannot be replayed: %v", err)
		return nil, findings, nil
	}
	const list = "`umpire policy impact` lists them"
	if report.Failed > 0 {
		find(true, "%d recorded decisions have no answer any more: %s", report.Failed, list)
	}
	if report.Granted > gates.MaxGranted {
		find(true, "%d scopes would be newly granted, more than policy.gates.max_granted, %d: %s", report.Granted, gates.MaxGranted, list)
	}
	if report.Refused > gates.MaxRefused {
		find(true, "%d scopes would be newly refused, more than policy.gates.max_refused, %d: %s", report.Refused, gates.MaxRefused, list)
	}
	if counts.Cut {
		find(false, "only %d of the %d newest decisions were replayed in %s", report.Replayed+report.Skipped, impactRecords, impactTime)
	}
	return &ImpactCounts{*report, !counts.Cut}, acting(gates.Impact, findings), nil
}
