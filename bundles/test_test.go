package bundles_test

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/bundles"
)

func TestTest(t *testing.T) {
	t.Parallel()
	b, err := bundles.Read(folder(map[string]string{
		"album.rego": `package album

allow if input.user == data.lib.owner

allow if input.user == "nobody tests this"
`,
		"album_test.rego": `package album_test

import data.album

test_owner if album.allow with input as {"user": "alice"}

test_wrong if {
	print("bob says", "hello")
	album.allow with input as {"user": "bob"}
}

test_cases[note] if {
	some note, user in {"alice": "alice", "eve": "eve"}
	album.allow with input as {"user": user}
}

todo_test_later if false

test_fails_inside if album.allow with input as {"user": to_number("x")}
`,
		"lib/data.json": `{"owner": "alice"}`,
	}), opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bundles.Test(t.Context(), bundles.Suite{
		Compiler: ast.NewCompiler(), Modules: b.Modules, Tests: b.Tests, Data: b.Data["lib/data.json"], Cover: b.Modules,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name    string
		line    int
		failure string
		skipped bool
	}{
		{"test_owner", 5, "", false},
		{"test_wrong", 7, "album_test.rego:9:\n\talbum.allow with input as {\"user\": \"bob\"}", false},
		{"test_cases/alice", 12, "", false},
		{"test_cases/eve", 12, "user: \"eve\"", false},
		{"todo_test_later", 17, "", true},
		{"test_fails_inside", 19, "album_test.rego:19:", false},
	} {
		if i >= len(got.Tests) {
			t.Fatalf("got %d tests", len(got.Tests))
		}
		r := got.Tests[i]
		if r.Name != want.name || r.Line != want.line || r.Skipped != want.skipped ||
			(r.Failure == "") != (want.failure == "") || !strings.Contains(r.Failure, want.failure) {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
	if got, want := got.Tests[1].Output, "bob says hello\n"; got != want {
		t.Errorf("output: got %q, want %q", got, want)
	}
	if got, want := got.Failed(), 3; got != want {
		t.Errorf("failed: got %d, want %d", got, want)
	}
	if got.Coverage <= 0 || got.Coverage >= 100 || len(got.Files) != 1 || got.Files[0].File != "album.rego" || len(got.Files[0].NotCovered) == 0 || got.Files[0].NotCovered[0] != 5 {
		t.Errorf("coverage: got %v %+v", got.Coverage, got.Files)
	}
}

func TestTestThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	b, err := bundles.Read(folder(map[string]string{"a_test.rego": "package a\n\ntest_x if nothing\n\ntest_y if nowhere\n"}), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bundles.Test(t.Context(), bundles.Suite{Compiler: ast.NewCompiler(), Tests: b.Tests})
	if err == nil || !strings.Contains(err.Error(), "a_test.rego:3") || !strings.Contains(err.Error(), "a_test.rego:5") {
		t.Errorf("got %v", err)
	}
}
