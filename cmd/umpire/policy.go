package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

func policyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "A realm's policies", Args: cobra.NoArgs}
	check := &cobra.Command{
		Use:   "check FILE|FOLDER",
		Short: "Compile a realm's policies with the shipped library, and hold them to the contract",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return e.checkPolicy(cmd.Context(), args[0]) },
	}
	var filter string
	var threshold float64
	test := &cobra.Command{
		Use:   "test FILE|FOLDER",
		Short: "Run the tests of a realm's policies, the shipped library beside them",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.testPolicy(cmd.Context(), args[0], filter, threshold)
		},
	}
	test.Flags().StringVar(&filter, "run", "", "only tests whose package.name matches this `regexp`")
	test.Flags().Float64Var(&threshold, "threshold", 0, "least `percentage` of the policies' lines that the tests must reach")
	e.outputFlag(test)
	cmd.AddCommand(check, test)
	return cmd
}

// settings are those of the realm file, or the defaults for a folder.
func (e *env) settings(path string) (string, uma.PolicySettings, error) {
	if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
		return "realm", folderSettings(path), nil
	}
	spec, _, err := realm.Read(path, e.getenv)
	if err != nil {
		return "", uma.PolicySettings{}, err
	}
	return spec.Realm.Name, spec.Realm.Policy, nil
}

// folderSettings are those of a folder that no realm file names yet.
func folderSettings(dir string) uma.PolicySettings {
	return uma.PolicySettings{Bundle: dir, Timeout: time.Second, MaxPermissions: 1, Entrypoint: "data.uma.authz.decision"}
}

func (e *env) checkPolicy(ctx context.Context, path string) error {
	name, settings, err := e.settings(path)
	if err == nil {
		err = node.CheckPolicy(ctx, name, settings)
	}
	if err != nil {
		fmt.Fprintln(e.stderr, err)
		return errRefused
	}
	fmt.Fprintf(e.stdout, "%s: fine\n", path)
	return nil
}

// A testRow is a test's outcome for programs.
type testRow struct {
	Name    string `json:"name"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Outcome string `json:"outcome"` // pass, fail or skip
	Failure string `json:"failure,omitempty"`
	Took    string `json:"took"`
}

func (e *env) testPolicy(ctx context.Context, path, filter string, threshold float64) error {
	program, err := e.asJSON()
	if err != nil {
		return err
	}
	_, settings, err := e.settings(path)
	if err != nil {
		return err
	}
	results, err := node.TestPolicy(ctx, settings, filter)
	if err != nil {
		fmt.Fprintln(e.stderr, err)
		return errRefused
	}
	rows := []testRow{}
	for _, r := range results.Tests {
		row := testRow{Name: r.Package + "." + r.Name, File: r.File, Line: r.Line, Outcome: "pass", Failure: r.Failure, Took: r.Took.Round(time.Microsecond).String()}
		switch {
		case r.Skipped:
			row.Outcome = "skip"
		case r.Failure != "":
			row.Outcome = "fail"
		}
		rows = append(rows, row)
		if !program && row.Outcome != "pass" {
			fmt.Fprintf(e.stdout, "%s  %s:%d  %s\n%s%s\n", row.Outcome, row.File, row.Line, row.Name, r.Failure, r.Output)
		}
	}
	if program {
		err = printJSON(e.stdout, map[string]any{"tests": rows, "failed": results.Failed(), "coverage": results.Coverage, "files": results.Files})
	} else {
		fmt.Fprintf(e.stdout, "%d tests, %d failed, %.1f %% of the policies' lines reached\n", len(rows), results.Failed(), results.Coverage)
	}
	return errors.Join(err, verdict(len(rows), results.Failed(), results.Coverage, threshold, e))
}

// verdict refuses failures, too little coverage, and a folder without tests: a
// check that checked nothing did not pass.
func verdict(tests, failed int, coverage, threshold float64, e *env) error {
	switch {
	case tests == 0:
		fmt.Fprintln(e.stderr, "there are no tests")
	case failed > 0:
	case coverage < threshold:
		fmt.Fprintf(e.stderr, "the tests reach %.1f %% of the policies, less than %.1f %%\n", coverage, threshold)
	default:
		return nil
	}
	return errRefused
}
