package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"

	"example.com/umpire/engine"
	"example.com/umpire/node"
	"example.com/umpire/uma"
)

// policyFolder is the policy folder of an example, copied and changed.
func policyFolder(t *testing.T, file string, change func(dir string)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(filepath.Dir(file), "policies"))); err != nil {
		t.Fatal(err)
	}
	change(dir)
	return dir
}

// closed adds a denial of all that is asked over HTTP, and of nothing that the example's tests ask.
func closed(t *testing.T) func(string) {
	return func(dir string) {
		write(t, filepath.Join(dir, "closed.rego"), "package uma.guardrails\n\ndeny contains \"closed\" if input.context.ip\n")
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// decides waits until the server answers with a status whether bob may view the board.
func (s *server) decides(t *testing.T, what string, want int) {
	t.Helper()
	eventually(t, what, func() bool { return s.ask(t, "bob", "Public board#view") == want })
}

// TestRollout: beside a running server, a policy is activated, and decisions change; it is
// rolled back, and they change back; the folder waits meanwhile.
func TestRollout(t *testing.T) {
	t.Parallel()
	file := example(t)
	s := serve(t, t.TempDir(), "--realm", file)
	folder := filepath.Join(filepath.Dir(file), "policies")
	candidate := policyFolder(t, file, closed(t))
	decides := func(what string, want int) { t.Helper(); s.decides(t, what, want) }
	policy := func(args ...string) string { return ok(t, append([]string{"policy", "--data", s.data}, args...)...) }
	history := func() []periodRow { return decode[[]periodRow](t, policy("history", "-o", "json")) }
	inForce := func() statusRow { return decode[[]statusRow](t, policy("status", "-o", "json"))[0] }

	decides("the folder's policy", 200)
	first := history()
	if len(first) != 1 || !first[0].Active || first[0].Until != nil || first[0].By != "server" || first[0].Source != folder || first[0].Pinned {
		t.Fatalf("got %+v", first)
	}

	change := decode[activatedRow](t, policy("activate", candidate, "--note", "reviewed by carol", "-o", "json"))
	if change.Previous != first[0].Revision || len(change.Revision) != 64 || change.Revision == change.Previous {
		t.Errorf("got %+v", change)
	}
	if got := s.ask(t, "bob", "Public board#view"); got == 200 {
		t.Error("a grant of the policy before, after the activation")
	}
	decides("the activated policy", 403)
	if rows := history(); len(rows) != 2 || rows[0].Revision != change.Revision || rows[0].Note != "reviewed by carol" || rows[0].By == "server" ||
		rows[0].Source != candidate || !rows[0].Pinned || !rows[0].Active || rows[1].Active || rows[1].Until == nil {
		t.Errorf("got %+v", rows)
	}

	back := decode[activatedRow](t, policy("rollback", "-o", "json"))
	if back != (activatedRow{first[0].Revision, change.Revision}) {
		t.Errorf("rollback: got %+v", back)
	}
	decides("the policy from before", 200)
	if forth := decode[activatedRow](t, policy("rollback", "-o", "json")); forth != change {
		t.Errorf("a second rollback: got %+v, want %+v", forth, change)
	}
	decides("the activated policy again", 403)

	policy("rollback")
	decides("the policy from before again", 200)

	closed(t)(folder)
	eventually(t, "a proposal that waits", func() bool { return inForce().Proposal != nil })
	if row := inForce(); !row.Policy.Pinned || row.Policy.Revision != first[0].Revision || row.Proposal.Source != folder || !strings.Contains(row.Proposal.Problem, "umpire policy release") {
		t.Errorf("got %+v", row)
	}
	const waiting = `umpire_policy_proposals_waiting{realm="photoz"} `
	eventually(t, "the metric of what waits", func() bool { return strings.Contains(metrics(t, s.admin), waiting+"1") })
	policy("release")
	decides("the folder's new policy", 403)
	eventually(t, "the metric of what no longer waits", func() bool { return strings.Contains(metrics(t, s.admin), waiting+"0") })
	if rows := history(); len(rows) != 6 || rows[0].By != "server" || rows[0].Pinned || inForce().Proposal != nil {
		t.Errorf("got %+v and %+v", rows, inForce())
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// A rollback stands after a release and after a restart: the folder has proposed its
// content already.
func TestRollbackStays(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	s := serve(t, data, "--realm", file)
	s.decides(t, "the folder's policy", 200)
	closed(t)(filepath.Join(filepath.Dir(file), "policies"))
	s.decides(t, "the changed folder", 403)
	ok(t, "policy", "rollback", "--data", data)
	s.decides(t, "the rollback", 200)
	s.stop()
	s = serve(t, data, "--realm", file)
	s.decides(t, "the rollback after a restart", 200)
	ok(t, "policy", "release", "--data", data)
	s.stop()
	s = serve(t, data, "--realm", file)
	s.decides(t, "the rollback after a release and a restart", 200)
}

// With policy.mode manual the folder waits, also after a restart.
func TestManualMode(t *testing.T) {
	t.Parallel()
	file, data := example(t, "grant: partial", "grant: partial, mode: manual"), t.TempDir()
	s := serve(t, data, "--realm", file)
	s.decides(t, "the folder's policy", 200)
	folder := filepath.Join(filepath.Dir(file), "policies")
	closed(t)(folder)
	eventually(t, "a proposal that waits", func() bool {
		row := decode[[]statusRow](t, ok(t, "policy", "status", "--data", data, "-o", "json"))[0]
		return row.Mode == "manual" && row.Proposal != nil && strings.Contains(row.Proposal.Problem, "policy.mode is manual")
	})
	s.stop()
	s = serve(t, data, "--realm", file)
	s.decides(t, "the policy that was in force", 200)
	ok(t, "policy", "activate", folder, "--data", data)
	s.decides(t, "the activated folder", 403)
	eventually(t, "no proposal", func() bool {
		return decode[[]statusRow](t, ok(t, "policy", "status", "--data", data, "-o", "json"))[0].Proposal == nil
	})
}

// TestRevisionFiles: the files of a revision are shown, compared and written.
func TestRevisionFiles(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	ok(t, "realm", "apply", file, "--data", data)
	folder := filepath.Join(filepath.Dir(file), "policies")
	ok(t, "policy", "activate", folder, "--data", data)
	change := decode[activatedRow](t, ok(t, "policy", "activate", policyFolder(t, file, closed(t)), "--data", data, "-o", "json"))

	shown := decode[revisionRow](t, ok(t, "policy", "show", change.Revision[:8], "--data", data, "-o", "json"))
	if shown.Revision != change.Revision || len(shown.Periods) != 1 || shown.Files["closed.rego"] == "" || len(shown.Library) == 0 {
		t.Errorf("got %+v", shown)
	}
	if text := ok(t, "policy", "show", change.Revision, "--data", data); !strings.Contains(text, "# closed.rego\npackage uma.guardrails\n") {
		t.Errorf("got %s", text)
	}
	diff := decode[[]fileChange](t, ok(t, "policy", "diff", change.Previous, change.Revision, "--data", data, "-o", "json"))
	if len(diff) != 1 || diff[0].File != "closed.rego" || diff[0].Change != "added" {
		t.Errorf("got %+v", diff)
	}
	want := "--- a/closed.rego\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-package uma.guardrails\n-\n-deny contains \"closed\" if input.context.ip\n"
	if text := ok(t, "policy", "diff", change.Revision, change.Previous, "--data", data); text != want {
		t.Errorf("got %s", text)
	}
	out := filepath.Join(t.TempDir(), "out")
	ok(t, "policy", "export", change.Revision, "-o", out, "--data", data)
	again := decode[activatedRow](t, ok(t, "policy", "activate", out, "--data", data, "-o", "json"))
	if again.Revision != change.Revision || again.Previous != change.Revision {
		t.Errorf("what was exported is another revision: %+v", again)
	}
	// A rollback skips the period of the same files.
	if back := decode[activatedRow](t, ok(t, "policy", "rollback", "--data", data, "-o", "json")); back.Revision != change.Previous {
		t.Errorf("got %+v", back)
	}
	if _, errs, code := umpire(t, "policy", "export", change.Revision, "-o", out, "--data", data); code != exitFailed || !strings.Contains(errs, "is not empty") {
		t.Errorf("into a folder with files: exit %d, %s", code, errs)
	}
}

// TestRevisionKeepsTests: tests and the manifest are kept with a revision and do not change it;
// those of the last activation are exported. A bundle file is activated as a folder is.
func TestRevisionKeepsTests(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	ok(t, "realm", "apply", file, "--data", data)
	folder := filepath.Join(filepath.Dir(file), "policies")
	activate := func(path string) activatedRow {
		t.Helper()
		return decode[activatedRow](t, ok(t, "policy", "activate", path, "--data", data, "-o", "json"))
	}
	first := activate(folder)
	write(t, filepath.Join(folder, "more_test.rego"), "package more_test\n\ntest_one if true\n")
	write(t, filepath.Join(folder, ".manifest"), `{"revision": "v1.2"}`)
	if again := activate(folder); again.Revision != first.Revision {
		t.Errorf("a test makes revision %s of %s", again.Revision, first.Revision)
	}
	shown := decode[revisionRow](t, ok(t, "policy", "show", first.Revision, "--data", data, "-o", "json"))
	if shown.Umpire != version || !strings.HasPrefix(shown.OPA, "1.") || len(shown.Periods) != 2 || shown.Beside["more_test.rego"] == "" ||
		shown.Beside["photoz_test.rego"] == "" || shown.Beside[".manifest"] == "" || shown.Files["photoz_test.rego"] != "" || shown.Library["/umpire/schemas/input-v1.json"] == "" {
		t.Errorf("got %+v", shown)
	}
	if text := ok(t, "policy", "show", first.Revision, "--data", data); !strings.Contains(text, "activated last by Umpire "+version+" with OPA 1.") {
		t.Errorf("got %s", text)
	}
	out := filepath.Join(t.TempDir(), "out")
	ok(t, "policy", "export", first.Revision, "-o", out, "--data", data)
	if got, want := digest(t, out), digest(t, folder); got != want {
		t.Errorf("got %s, want the files of the folder: %s", got, want)
	}
	ok(t, "policy", "test", out)

	bundle := filepath.Join(t.TempDir(), "policies.tar.gz")
	buildBundle(t, policyFolder(t, file, closed(t)), bundle)
	change := activate(bundle)
	history := decode[[]periodRow](t, ok(t, "policy", "history", "--data", data, "-o", "json"))
	if change.Revision == first.Revision || change.Previous != first.Revision || history[0].Source != bundle || !history[0].Pinned {
		t.Errorf("got %+v and %+v", change, history[0])
	}
	back := decode[activatedRow](t, ok(t, "policy", "rollback", "--data", data, "-o", "json"))
	if rev := decode[revisionRow](t, ok(t, "policy", "show", back.Revision, "--data", data, "-o", "json")); len(rev.Beside) != 3 {
		t.Errorf("after a rollback: got %v", rev.Beside)
	}
	write(t, bundle, "no archive")
	if _, errs, code := umpire(t, "policy", "activate", bundle, "--data", data); code != exitNotPassed || !strings.Contains(errs, "policies.tar.gz") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// digest is of the names and contents of the files in a folder.
func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(h, "%q %q\n", name, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// buildBundle writes a bundle file of a folder, as `opa build` does.
func buildBundle(t *testing.T, folder, file string) {
	t.Helper()
	var out bytes.Buffer
	if err := compile.New().WithPaths(folder).WithAsBundle(true).WithOutput(&out).WithRegoVersion(ast.RegoV1).Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, file, out.String())
}

func TestActivationMistakes(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	ok(t, "realm", "apply", file, "--data", data)
	broken := policyFolder(t, file, func(dir string) { write(t, filepath.Join(dir, "bad.rego"), "package lib.bad\n\nx if y\n") })
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"activate", broken}, exitNotPassed, "bad.rego:3"},
		{[]string{"activate", t.TempDir()}, exitNotPassed, "has no policy file"},
		{[]string{"activate", "abcdef"}, exitUsage, `no revision "abcdef"`},
		{[]string{"show", "abcdef"}, exitUsage, `no revision "abcdef"`},
		{[]string{"show", ""}, exitUsage, "a revision is missing"},
		{[]string{"activate", broken, "--realm", "nowhere"}, exitUsage, "the realms are photoz"},
		{[]string{"rollback"}, exitFailed, "no period with another policy"},
		{[]string{"release"}, exitFailed, "no policy in force yet"},
		{[]string{"export", "abcdef"}, exitUsage, "--output is missing"},
	} {
		_, errs, code := umpire(t, append(append([]string{"policy"}, c.args...), "--data", data)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.want, errs)
		}
	}
	if rows := decode[[]statusRow](t, ok(t, "policy", "status", "--data", data, "-o", "json")); len(rows) != 1 || rows[0].Policy != nil || rows[0].Mode != "automatic" {
		t.Errorf("got %+v", rows)
	}
	if text := ok(t, "policy", "history", "--data", data, "-o", "json"); strings.TrimSpace(text) != "[]" {
		t.Errorf("got %s", text)
	}
}

// TestRollbackToAnotherLibrary: a rollback takes the team's files of a revision that an earlier
// version of Umpire activated, with the library of this one, and says so.
func TestRollbackToAnotherLibrary(t *testing.T) {
	t.Parallel()
	file, data := example(t), t.TempDir()
	ok(t, "realm", "apply", file, "--data", data)
	ok(t, "policy", "activate", filepath.Join(filepath.Dir(file), "policies"), "--data", data)
	n, err := node.Open(t.Context(), nodeConfig(t, data))
	if err != nil {
		t.Fatal(err)
	}
	state, err := n.Store.PolicyState(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	earlier, err := n.Store.RevisionInForce(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	earlier.Since = time.Now()
	earlier.Sources["/umpire/earlier.rego"] = "package uma.earlier\n"
	earlier.Sources["earlier.rego"] = "package lib.earlier\n"
	earlier.Hash = engine.ContentOf(earlier.Sources)
	_, err = n.Store.ActivatePolicy(t.Context(), &uma.Activation{
		Revision: earlier, Content: engine.ContentOf(engine.RealmFiles(earlier.Sources)), Over: state.Active.Key, By: "carol", Pinned: true,
	})
	if err := errors.Join(err, n.Close()); err != nil {
		t.Fatal(err)
	}
	ok(t, "policy", "activate", policyFolder(t, file, closed(t)), "--data", data)

	stdout, stderr, code := umpire(t, "policy", "rollback", "--data", data, "-o", "json")
	back := decode[activatedRow](t, stdout)
	if code != 0 || back.Revision == earlier.Hash || stderr != "the files of revision "+earlier.Hash+", with the library of this umpire, are revision "+back.Revision+"\n" {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	shown := decode[revisionRow](t, ok(t, "policy", "show", back.Revision, "--data", data, "-o", "json"))
	if shown.Files["earlier.rego"] == "" || shown.Library["/umpire/earlier.rego"] != "" || shown.Library["/umpire/sharing.rego"] == "" {
		t.Errorf("got the files %v and the library %v", slices.Sorted(maps.Keys(shown.Files)), slices.Sorted(maps.Keys(shown.Library)))
	}
}
