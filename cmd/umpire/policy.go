package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/bundles"
	"example.com/umpire/node"
	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

func policyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check, test, compare, activate and roll back policies", Args: cobra.NoArgs}
	check := &cobra.Command{
		Use:   "check FILE|FOLDER|BUNDLE",
		Short: "Compile policies with the shipped library, and check them against the contract",
		Long: `Compile policies with the shipped library, and check them against the contract. The
argument is a realm file, a policy folder, or a bundle file (.tar.gz) as opa build
makes it. Every mistake is listed with its file and line; the exit code is 3 then.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return e.checkPolicy(cmd.Context(), args[0]) },
	}
	e.outputFlag(check)
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
	cmd.AddCommand(check, test, impactCommand(e))
	cmd.AddCommand(revisionCommands(e)...)
	return cmd
}

// settings returns the name and policy settings of a realm file, or defaults for a policy
// folder or bundle file.
func settings(path string) (string, uma.PolicySettings, error) {
	if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
		return "realm", defaultSettings(path), nil
	}
	spec, _, err := realm.Check(path)
	if err != nil {
		return "", uma.PolicySettings{}, err
	}
	return spec.Realm.Name, spec.Realm.Policy, nil
}

// defaultSettings are the settings for a policy folder or bundle file without a realm file.
func defaultSettings(path string) uma.PolicySettings {
	return uma.PolicySettings{Bundle: path, Timeout: time.Second, MaxPermissions: 1, Entrypoint: "data.uma.authz.decision"}
}

func (e *env) checkPolicy(ctx context.Context, path string) error {
	name, settings, err := settings(path)
	var notices []realm.Notice
	if err == nil {
		notices, err = checkPolicy(ctx, name, settings)
	}
	if !e.asJSON() {
		e.printNotices(notices)
	}
	switch {
	case e.asJSON():
		if err := printJSON(e.stdout, newCheckRow(path, notices, err)); err != nil {
			return err
		}
	case err != nil:
		fmt.Fprintln(e.stderr, err)
	default:
		fmt.Fprintf(e.stdout, "%s: fine\n", path)
	}
	if err != nil {
		return errNotPassed
	}
	return nil
}

// A testReport is the JSON output of policy test.
type testReport struct {
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
	_, settings, err := settings(path)
	if err != nil {
		return err
	}
	results, err := node.TestPolicy(ctx, settings, filter)
	if err != nil {
		fmt.Fprintln(e.stderr, err)
		return errNotPassed
	}
	report := reportOf(results)
	switch e.output {
	case "json":
		err = printJSON(e.stdout, report)
	case "junit":
		err = printJUnit(e.stdout, results)
	default:
		printTests(e.stdout, report)
	}
	return errors.Join(err, e.verdict(report, filter, threshold))
}

func reportOf(results *bundles.Results) testReport {
	report := testReport{Tests: []testRow{}, Failed: results.Failed(), Coverage: results.Coverage, Files: []coverageRow{}}
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

// verdict returns errNotPassed if a test failed, if coverage is below the threshold, or if
// no test ran.
func (e *env) verdict(report testReport, filter string, threshold float64) error {
	switch {
	case len(report.Tests) == 0 && filter != "":
		fmt.Fprintf(e.stderr, "--run: no test matches %q\n", filter)
	case len(report.Tests) == 0:
		fmt.Fprintln(e.stderr, "there are no tests: write rules named test_… into files named *_test.rego")
	case report.Failed > 0:
	case report.Coverage < threshold:
		fmt.Fprintf(e.stderr, "--threshold: the tests cover %.1f %% of the policies' lines, less than %.1f %%\n", report.Coverage, threshold)
	default:
		return nil
	}
	return errNotPassed
}
