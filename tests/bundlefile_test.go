package tests

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
)

// buildBundle does what `opa build -b FOLDER` does with a folder of these files.
func buildBundle(t testing.TB, files map[string]string, options ...func(*compile.Compiler)) []byte {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	c := compile.New().WithPaths(folder).WithAsBundle(true).WithOutput(&out).WithRegoVersion(ast.RegoV1)
	for _, option := range options {
		option(c)
	}
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// photozBundle is a bundle of photoz's policies and these.
func photozBundle(t testing.TB, more map[string]string) []byte {
	t.Helper()
	files := photozPolicies(t)
	maps.Copy(files, more)
	return buildBundle(t, files)
}

// TestBundleFile: a bundle file is a policy source as a folder is. It takes the place of
// the folder, is watched, keeps its restrictions, and one that is no good leaves the one
// before it in force.
func TestBundleFile(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil))
	file := filepath.Join(filepath.Dir(e.File), "policies.tar.gz")
	when := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(content []byte) {
		t.Helper()
		next := file + ".new"
		if err := errors.Join(os.WriteFile(next, content, 0o600), os.Chtimes(next, when, when), os.Rename(next, file)); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, status int, words ...string) {
		t.Helper()
		within1s(t, "the log about "+what, func() bool {
			return e.logged(t, append(words, "policy not activated", `"still_active":true`)...)
		})
		if got := e.board(t); got != status {
			t.Errorf("after %s: got %d, want the policy from before", what, got)
		}
	}
	if got := e.board(t); got != 200 {
		t.Fatalf("with the folder: got %d, want 200", got)
	}
	const closed = "package uma.guardrails\ndeny contains \"closed\" if \"view\" in input.scopes\n"
	put(photozBundle(t, map[string]string{"guard.rego": closed}))
	e.apply(t, strings.Replace(photozRealm(t), "bundle: ./policies", "bundle: "+file, 1))
	within1s(t, "the bundle in place of the folder", func() bool { return e.board(t) == 403 })

	whole := photozBundle(t, nil)
	put(whole)
	refused("guardrails that are gone", 403, "no longer has uma.guardrails")
	put(whole[:len(whole)-4])
	refused("a bundle that is cut off", 403, "damaged or incomplete")
	put(photozBundle(t, map[string]string{"guard.rego": closed, "own.rego": "package uma.authz\ndecision := {}\n"}))
	refused("a reserved package", 403, "package uma.authz: a realm's files may define")
	put(photozBundle(t, map[string]string{"guard.rego": closed, "data.json": `{"system": {"authz": 1}}`}))
	refused("reserved data", 403, "data.system.authz: a realm's data may be below")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	refused("a bundle that is gone", 403, "no such file")

	put(photozBundle(t, map[string]string{"guard.rego": "package uma.guardrails\ndeny contains \"closed\" if \"none\" in input.scopes\n"}))
	within1s(t, "the next bundle", func() bool { return e.board(t) == 200 })
}
