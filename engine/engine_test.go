package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

var settings = uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}

// source makes a Source of files by path, as package bundles would.
func source(t testing.TB, files map[string]string) engine.Source {
	t.Helper()
	src := engine.Source{Files: files, Modules: map[string]*ast.Module{}, Data: map[string]map[string]any{}}
	for path, content := range files {
		if filepath.Ext(path) == ".rego" {
			module, err := ast.ParseModuleWithOpts(path, content, engine.ParserOptions())
			if err != nil {
				t.Fatal(err)
			}
			src.Modules[path] = module
			continue
		}
		var doc map[string]any
		if err := util.UnmarshalJSON([]byte(content), &doc); err != nil {
			t.Fatal(err)
		}
		src.Data[path] = doc
	}
	return src
}

// photoz is the policy that the recorded answers were made with.
func photoz(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../tests/testdata/photoz/policies/*.rego")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no photoz policies: %v", err)
	}
	files := make(map[string]string)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(content)
	}
	return files
}

// newEngine returns an engine with files in force for the realm photoz, and that
// realm's evaluator.
func newEngine(t testing.TB, files map[string]string) (*engine.Engine, uma.Evaluator) {
	t.Helper()
	e := engine.New(engine.Config{Now: time.Now})
	if _, err := e.Activate(t.Context(), "photoz", settings, source(t, files)); err != nil {
		t.Fatal(err)
	}
	return e, prepare(t, e)
}

func prepare(t testing.TB, e *engine.Engine) uma.Evaluator {
	t.Helper()
	evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz"})
	if err != nil {
		t.Fatal(err)
	}
	return evaluator
}

// input is what bob asks of an album of alice's; change makes another of it.
func input(change func(*uma.Input)) *uma.Input {
	now := time.Date(2026, 11, 22, 12, 0, 5, 0, time.UTC)
	in := &uma.Input{
		Version: "1", Realm: "photoz", Kind: "rpt",
		Subject: uma.InputSubject{
			ID: "u-bob", Type: "user", Username: "bob", Roles: []string{"user"}, Groups: []string{"/friends"}, GroupsKnown: true,
			Scopes: []string{"email"}, Attributes: map[string]any{"email": "bob@example.com"},
		},
		Claims:         uma.InputClaims{Pushed: map[string][]string{"amount": {"50"}}},
		Client:         uma.InputClient{ID: "photoz-web", Public: true},
		ResourceServer: "photoz-api",
		Resource: &uma.InputResource{
			ID: "r-1", Name: "Holiday album", Type: "album", Owner: "u-alice", OwnerManaged: true,
			URIs: []string{"/album/1"}, Scopes: []uma.Scope{"view", "comment", "delete"},
			Attributes: map[string][]string{"visibility": {"private"}},
		},
		Scopes:  []uma.Scope{"view", "delete"},
		Ticket:  &uma.InputTicket{ID: "sha256:5feceb66", IssuedAt: "2026-11-22T12:00:00Z", Round: 1},
		Context: uma.InputContext{Time: now.Format(time.RFC3339), IP: "192.0.2.7", RequestID: "r-77"},
		Now:     now,
	}
	if change != nil {
		change(in)
	}
	return in
}

func of(resourceType string, scopes ...uma.Scope) func(*uma.Input) {
	return func(in *uma.Input) {
		in.Resource.Type, in.Resource.OwnerManaged, in.Scopes = resourceType, false, scopes
	}
}
