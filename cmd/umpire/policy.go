package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/bundles"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

func policyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check, lint, test, evaluate, compare, activate and roll back policies", Args: cobra.NoArgs}
	var filter string
	var threshold float64
	test := &cobra.Command{
		Use:   "test FILE|FOLDER|BUNDLE",
		Short: "Run the tests of policies",
		Long: `Run the tests of policies, together with the shipped library. The argument is a realm
file, a policy folder, or a bundle file (.tar.gz) with its tests. The exit code is 3
if a test fails, or there is none.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.testPolicy(cmd.Context(), args[0], filter, threshold)
		},
	}
	test.Flags().StringVar(&filter, "run", "", "run only tests whose package.name matches this `regexp`")
	test.Flags().Float64Var(&threshold, "threshold", 0, "smallest `percentage` of the policies' lines that the tests must cover")
	e.outputFlag(test, "junit")
	cmd.AddCommand(gateCommands(e)...)
	cmd.AddCommand(test, evalCommand(e), impactCommand(e), accessCommand(e), downloadCommand(e), shadowCommand(e))
	cmd.AddCommand(revisionCommands(e)...)
	return cmd
}

// defaultSettings are the settings for a policy folder or bundle file without a realm file.
func defaultSettings(path string) uma.PolicySettings {
	return uma.PolicySettings{Bundle: path, Timeout: time.Second, MaxPermissions: 1, Entrypoint: "data.uma.authz.decision"}
}

// A testReport is the JSON output of policy test.
type testReport struct {
	gateReport
	Tests    []testRow     `json:"tests"`
	Failed   int           `json:"failed"`
	Coverage float64       `json:"coverage"`
	Files    []coverageRow `json:"files"`
}

// A testRow is a test's outcome.
type testRow struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Outcome string  `json:"outcome"` // pass, fail or skip
	Failure string  `json:"failure,omitempty"`
	Output  string  `json:"output,omitempty"`
	Seconds float64 `json:"seconds"`
}

// A coverageRow is the coverage of a file.
type coverageRow struct {
	File       string  `json:"file"`
	Coverage   float64 `json:"coverage"`
	NotCovered []int   `json:"not_covered"`
}

func (e *env) testPolicy(ctx context.Context, path, filter string, threshold float64) error {
	if _, err := regexp.Compile(filter); err != nil {
		return invalid("--run: %w", err)
	}
	c, err := e.candidateAt(path, "")
	if err != nil {
		return err
	}
	results, err := rollout.TestPolicy(ctx, e.examiner(), c.settings, filter)
	if err != nil {
		return e.notTested(path, err)
	}
	report := reportOf(results)
	findings := testFindings(rollout.FailedTests(results), len(results.Tests), report.Coverage, filter, threshold)
	report.add(path, findings)
	switch e.output {
	case "json":
		err = printJSON(e.stdout, report)
	case "junit":
		err = printJUnit(e.stdout, results)
	default:
		printTests(e.stdout, report)
	}
	if !report.OK && report.Failed == 0 {
		e.printFindings(findings) // that no test ran, or covers enough
	}
	if err == nil && !report.OK {
		return errNotPassed
	}
	return err
}

// notTested reports why the tests did not run.
func (e *env) notTested(path string, err error) error {
	findings := rollout.Findings(rollout.GateTests, err)
	e.printFindings(findings)
	if e.asJSON() {
		report := reportOf(new(bundles.Results))
		report.add(path, findings)
		if err := printJSON(e.stdout, report); err != nil {
			return err
		}
	}
	return errNotPassed
}

func reportOf(results *bundles.Results) testReport {
	report := testReport{gateReport: newGateReport(), Tests: []testRow{}, Failed: results.Failed(), Coverage: results.Coverage, Files: []coverageRow{}}
	for _, r := range results.Tests {
		row := testRow{
			Name: r.Package + "." + r.Name, File: r.File, Line: r.Line, Outcome: "pass",
			Failure: r.Failure, Output: r.Output, Seconds: r.Took.Seconds(),
		}
		switch {
		case r.Skipped:
			row.Outcome = "skip"
		case r.Failure != "":
			row.Outcome = "fail"
		}
		report.Tests = append(report.Tests, row)
	}
	for _, f := range results.Files {
		report.Files = append(report.Files, coverageRow{f.File, f.Coverage, append([]int{}, f.NotCovered...)})
	}
	return report
}

// printTests prints the tests that did not pass, the lines that are not covered, and a
// summary.
func printTests(w io.Writer, report testReport) {
	for _, t := range report.Tests {
		if t.Outcome == "pass" {
			continue
		}
		fmt.Fprintf(w, "%s  %s:%d  %s\n", t.Outcome, t.File, t.Line, t.Name)
		for _, text := range []string{t.Failure, t.Output} {
			for line := range strings.Lines(text) {
				fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, "\n"))
			}
		}
	}
	for _, f := range report.Files {
		if len(f.NotCovered) > 0 {
			fmt.Fprintf(w, "not covered  %s:%s\n", f.File, lineRanges(f.NotCovered))
		}
	}
	fmt.Fprintf(w, "%d tests, %d failed, %.1f %% of the policies' lines covered\n", len(report.Tests), report.Failed, report.Coverage)
}

// lineRanges formats ascending line numbers as 3-5,9.
func lineRanges(lines []int) string {
	var parts []string
	for first := 0; first < len(lines); {
		last := first
		for last+1 < len(lines) && lines[last+1] == lines[last]+1 {
			last++
		}
		part := strconv.Itoa(lines[first])
		if last > first {
			part += "-" + strconv.Itoa(lines[last])
		}
		parts = append(parts, part)
		first = last + 1
	}
	return strings.Join(parts, ",")
}
