// Package rego_test runs the tests of the shipped policies under go test, with
// the policies of the photoz realm beside them, and holds every Rego file of the
// repository to one format. It owns no code.
package rego_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// folders hold policies that are compiled as a realm's.
var folders = []string{"../tests/testdata/photoz/policies", "../examples/photoz/policies"}

// read returns what is in a folder, nil if there is none.
func read(t *testing.T, dir string) *bundles.Bundle {
	t.Helper()
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	b, err := bundles.ReadDir(dir, engine.ParserOptions())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	realm, tests := read(t, folders[0]), read(t, ".")
	library, err := engine.Library()
	if err != nil {
		t.Fatal(err)
	}
	results := run(t, realm, tests.Tests, library)
	for _, f := range results.Files {
		if len(f.NotCovered) > 0 {
			t.Errorf("%s: not covered: lines %v", f.File, f.NotCovered)
		}
	}
	if len(results.Files) == 0 || results.Coverage != 100 {
		t.Errorf("coverage of the library: got %v %%, want 100", results.Coverage)
	}
}

// The policies of the realms that come with the repository pass their own tests.
func TestRealms(t *testing.T) {
	t.Parallel()
	for _, dir := range folders {
		if b := read(t, dir); b != nil && len(b.Tests) > 0 {
			run(t, b, b.Tests, b.Modules)
		}
	}
}

func run(t *testing.T, realm *bundles.Bundle, tests, cover map[string]*ast.Module) *bundles.Results {
	t.Helper()
	parts, err := engine.Assemble(engine.Source{Modules: realm.Modules, Data: realm.Data})
	if err != nil {
		t.Fatal(err)
	}
	results, err := bundles.Test(t.Context(), bundles.Suite{
		Compiler: parts.Compiler, Modules: parts.Modules, Tests: tests, Data: parts.Data, Cover: cover,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Tests) == 0 {
		t.Fatal("found no tests")
	}
	for _, r := range results.Tests {
		if r.Failure != "" {
			t.Errorf("%s:%d: %s: %s\n%s", r.File, r.Line, r.Name, r.Failure, r.Output)
		}
	}
	return results
}

// All that is shipped compiles strictly, its annotations checked with the
// schemas, and holds to the contract.
func TestActivate(t *testing.T) {
	t.Parallel()
	settings := uma.PolicySettings{Timeout: time.Second, Entrypoint: "data.uma.authz.decision"}
	for _, dir := range folders {
		b := read(t, dir)
		if b == nil {
			continue
		}
		e := engine.New(engine.Config{Now: time.Now})
		if _, err := e.Activate(t.Context(), "realm", settings, engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, dir := range append([]string{".", "../policies"}, folders...) {
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
		if os.IsNotExist(err) {
			return fs.SkipDir
		}
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
