// Package rego_test runs the tests of the shipped library under go test, with
// the policies of the photoz realm beside it, and holds every Rego file of the
// repository to one format. It owns no code.
package rego_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"example.com/umpire/bundles"
	"example.com/umpire/policies"
)

// folders hold the policies of realms.
var folders = []string{"../tests/testdata/photoz/policies", "../tests/testdata/uma2/policies", "../examples/photoz/policies"}

var opts = ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1}

// read returns what is in a folder.
func read(t *testing.T, dir string) *bundles.Bundle {
	t.Helper()
	b, err := bundles.ReadDir(dir, bundles.Options{Parser: opts})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// library is the one that is embedded, under names that no realm's file has.
func library(t *testing.T) map[string]*ast.Module {
	t.Helper()
	names, err := fs.Glob(policies.FS, "*.rego")
	if err != nil {
		t.Fatal(err)
	}
	modules := make(map[string]*ast.Module)
	for _, name := range names {
		content, err := policies.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if modules["policies/"+name], err = ast.ParseModuleWithOpts("policies/"+name, string(content), opts); err != nil {
			t.Fatal(err)
		}
	}
	return modules
}

// compiler is strict and checks annotations by the schemas of the contract.
func compiler(t *testing.T) *ast.Compiler {
	t.Helper()
	schemas := ast.NewSchemaSet()
	for _, name := range []string{"input-v1", "output-v1"} {
		content, err := policies.FS.ReadFile("schemas/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var schema any
		if err := json.Unmarshal(content, &schema); err != nil {
			t.Fatal(err)
		}
		schemas.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
	}
	return ast.NewCompiler().WithSchemas(schemas).WithUseTypeCheckAnnotations(true).WithStrict(true)
}

// The library passes its tests, which reach every line of it.
func TestLibrary(t *testing.T) {
	t.Parallel()
	modules := library(t)
	results := run(t, modules, read(t, folders[0]).Modules, read(t, ".").Tests, modules)
	if len(results.Tests) < 80 {
		t.Errorf("ran %d cases", len(results.Tests))
	}
}

// The policies of the realms that come with the repository pass their own.
func TestRealms(t *testing.T) {
	t.Parallel()
	for _, dir := range folders {
		if b := read(t, dir); len(b.Tests) > 0 {
			run(t, library(t), b.Modules, b.Tests, b.Modules)
		}
	}
}

// run compiles strictly and runs tests; all lines of covered must be reached.
func run(t *testing.T, library, realm, tests, covered map[string]*ast.Module) *bundles.Results {
	t.Helper()
	modules := maps.Clone(library)
	maps.Copy(modules, realm)
	results, err := bundles.Test(t.Context(), bundles.Suite{Compiler: compiler(t), Modules: modules, Tests: tests, Cover: covered})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results.Tests {
		if r.Failure != "" {
			t.Errorf("%s:%d: %s: %s\n%s", r.File, r.Line, r.Name, r.Failure, r.Output)
		}
	}
	for _, f := range results.Files {
		if len(f.NotCovered) > 0 {
			t.Errorf("%s: no test reaches lines %v", f.File, f.NotCovered)
		}
	}
	if results.Coverage != 100 {
		t.Errorf("coverage: got %v %%, want 100", results.Coverage)
	}
	return results
}

// A policy that misspells a member of the input does not compile.
func TestSchemasAreChecked(t *testing.T) {
	t.Parallel()
	module, err := ast.ParseModuleWithOpts("typo.rego", `# METADATA
# schemas:
#   - input: schema["input-v1"]
package uma.policies.typo

grant contains "view" if input.resource.ownr == input.subject.id
`, opts)
	if err != nil {
		t.Fatal(err)
	}
	c := compiler(t)
	c.Compile(map[string]*ast.Module{"typo.rego": module})
	if !c.Failed() || !strings.Contains(c.Errors.Error(), "input.resource.ownr") {
		t.Errorf("got %v", c.Errors)
	}
}

func TestFormat(t *testing.T) { // not parallel: OPA's formatter writes to terms that its compiler shares
	files := map[string]string{}
	for _, dir := range append([]string{".", "../policies", "../cmd/umpire/starter/policies", "../examples/clinic/policies"}, folders...) {
		maps.Copy(files, regoFiles(t, dir))
	}
	if len(files) < 10 {
		t.Fatalf("found %d files", len(files))
	}
	for name, content := range files {
		formatted, err := format.SourceWithOpts(name, []byte(content), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Error(err)
			continue
		}
		if string(formatted) != content {
			t.Errorf("%s is not formatted: run `go tool opa fmt -w %s`", name, name)
		}
	}
}

func regoFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".rego") {
			return err
		}
		content, err := os.ReadFile(name)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
