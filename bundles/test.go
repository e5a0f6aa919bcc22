package bundles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A Suite is the input of Test: policies, and tests of them.
type Suite struct {
	Compiler *ast.Compiler          // a new one: it can be used once
	Modules  map[string]*ast.Module // policies and the library
	Tests    map[string]*ast.Module
	Data     map[string]any
	Cover    map[string]*ast.Module // those of Modules whose coverage is reported
	Filter   string                 // a regular expression for package.name; empty for all

	// Mistakes puts the compiler's errors into words; nil: OPA's words.
	Mistakes func(ast.Errors) []error
}

// Results are the results of a test run, sorted by file and line.
type Results struct {
	Tests    []Result
	Coverage float64 // of Suite.Cover: per cent of the lines that can be covered
	Files    []FileCoverage
}

// Failed is how many tests failed. Skipped ones (todo_test_…) do not count.
func (r *Results) Failed() (n int) {
	for i := range r.Tests {
		if r.Tests[i].Failure != "" {
			n++
		}
	}
	return n
}

// A Result is the result of one test, or of one case of a test that has several.
type Result struct {
	File    string
	Line    int
	Package string
	Name    string
	Skipped bool
	Failure string // empty: passed; else the expression that failed, with its values
	Output  string // what it printed
	Took    time.Duration
}

// FileCoverage says how much of a file the tests reach.
type FileCoverage struct {
	File       string
	Coverage   float64 // per cent
	NotCovered []int   // lines
}

// Test runs tests. An error means that they did not run, for instance because the modules do
// not compile.
func Test(ctx context.Context, s Suite) (*Results, error) {
	modules := make(map[string]*ast.Module, len(s.Modules)+len(s.Tests))
	maps.Copy(modules, s.Modules)
	maps.Copy(modules, s.Tests)
	data := make(map[string]any, len(s.Data))
	maps.Copy(data, s.Data)
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("run policy tests: %w", err)
	}
	defer store.Abort(ctx, txn)
	tracer := cover.New()
	results, err := tester.NewRunner().
		SetCompiler(s.Compiler.WithEnablePrintStatements(true)).
		SetStore(store).
		SetModules(modules).
		CapturePrintOutput(true).
		EnableTracing(true). // for Result.Failure
		SetCoverageQueryTracer(tracer).
		SetCoverageRuns(nil).
		Filter(s.Filter).
		RunTests(ctx, txn)
	if list, ok := errors.AsType[ast.Errors](err); ok && s.Mistakes != nil {
		return nil, errors.Join(s.Mistakes(list)...)
	}
	if err != nil {
		return nil, fmt.Errorf("run policy tests: %w", err)
	}
	r := new(Results)
	for result := range results {
		r.add(result)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("run policy tests: %w", err)
	}
	slices.SortFunc(r.Tests, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	covered := make(map[string]*ast.Module, len(s.Cover))
	for _, module := range s.Cover {
		covered[module.Package.Loc().File] = module // the name that the tracer uses
	}
	r.cover(tracer.Report(covered), covered)
	return r, nil
}

func (r *Results) add(result *tester.Result) {
	one := Result{
		File: result.Location.File, Line: result.Location.Row, Package: result.Package, Name: result.Name,
		Skipped: result.Skip, Output: string(result.Output), Took: result.Duration,
	}
	switch {
	case result.Error != nil:
		one.Failure = result.Error.Error()
	case result.Fail:
		one.Failure = whyFailed(result.Trace)
	}
	if len(result.SubResults) == 0 {
		r.Tests = append(r.Tests, one)
		return
	}
	for path, sub := range result.SubResults.Iter {
		if len(sub.SubResults) > 0 {
			continue // its cases follow
		}
		each := one
		each.Failure = ""
		for _, name := range path {
			each.Name += "/" + name
		}
		if sub.Fail {
			each.Failure = whyFailed(sub.Trace)
		}
		r.Tests = append(r.Tests, each)
	}
}

// whyFailed is the expression that failed, with its values as `opa test --var-values` shows
// them.
func whyFailed(trace []*topdown.Event) string {
	for _, e := range slices.Backward(trace) {
		if e.Op != topdown.FailOp || e.Location == nil || e.QueryID == 0 {
			continue
		}
		if expr, ok := e.Node.(*ast.Expr); ok && expr.IsEvery() {
			continue // an expression in its body failed
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s:%d:\n", e.Location.File, e.Location.Row)
		if err := topdown.PrettyEvent(&b, e, topdown.PrettyEventOpts{PrettyVars: true}); err == nil {
			return strings.TrimRight(b.String(), "\n")
		}
	}
	return "failed: it is undefined"
}

func (r *Results) cover(report cover.Report, of map[string]*ast.Module) {
	covered, all := 0, 0
	for _, file := range slices.Sorted(maps.Keys(of)) {
		lines := report.Files[file]
		if lines == nil {
			continue // nothing in it to cover
		}
		covered += lines.CoveredLines
		all += lines.CoveredLines + lines.NotCoveredLines
		f := FileCoverage{File: file, Coverage: lines.Coverage}
		for _, part := range lines.NotCovered {
			for line := part.Start.Row; line <= part.End.Row; line++ {
				f.NotCovered = append(f.NotCovered, line)
			}
		}
		f.NotCovered = slices.Compact(f.NotCovered)
		r.Files = append(r.Files, f)
	}
	if all > 0 {
		r.Coverage = 100 * float64(covered) / float64(all)
	}
}
