package examples_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestPolicies runs the tests of each example's policies beside the library, as `umpire policy test` does, and wants them
// to reach every line of the policies.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, example := range []string{"photoz", "clinic"} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			testPolicies(t, filepath.Join(example, "policies"))
		})
	}
}

func testPolicies(t *testing.T, folder string) {
	noRego := func(_ string, info fs.FileInfo, _ int) bool {
		return !info.IsDir() && filepath.Ext(info.Name()) != ".rego"
	}
	modules, store, err := tester.Load([]string{"../policies", folder}, noRego)
	if err != nil {
		t.Fatal(err)
	}
	txn, err := store.NewTransaction(t.Context(), storage.TransactionParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	tracer := cover.New()
	results, err := tester.NewRunner().SetStore(store).SetModules(modules).RaiseBuiltinErrors(true).SetCoverageQueryTracer(tracer).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for result := range results {
		cases += max(1, len(result.SubResults))
		if !result.Pass() {
			t.Errorf("%s", result)
		}
	}
	if cases < 20 {
		t.Errorf("got %d cases, want at least 20", cases)
	}

	own := map[string]*ast.Module{}
	for file, module := range modules {
		if strings.HasPrefix(file, folder) {
			own[file] = module
		}
	}
	for file, report := range tracer.Report(own).Files {
		for _, lines := range report.NotCovered {
			t.Errorf("%s:%d: no test reaches this", file, lines.Start.Row)
		}
	}
	if len(own) < 5 {
		t.Errorf("got %d files of policies and tests, want at least 5", len(own))
	}
}
