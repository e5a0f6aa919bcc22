package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRealmInit: the new files pass all checks, can be served, and are not overwritten.
func TestRealmInit(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "mine")
	file := filepath.Join(folder, "realm.yaml")
	out := ok(t, "realm", "init", folder)
	if !strings.Contains(out, "umpire serve --realm "+file) {
		t.Errorf("got %q, want what to do next", out)
	}
	if stdout, stderr, code := umpire(t, "realm", "check", file); code != 0 || stderr != "" || !strings.Contains(stdout, "fine") {
		t.Errorf("check: exit %d, %q, %q; want nothing to say", code, stdout, stderr)
	}
	ok(t, "policy", "test", "--threshold", "100", file)
	text := read(t, file)
	if !strings.HasPrefix(text, "# yaml-language-server: $schema=./realm.schema.json\n") || !strings.Contains(text, "grant: all_or_nothing") {
		t.Errorf("got %s", text)
	}
	if read(t, filepath.Join(folder, "realm.schema.json")) != ok(t, "realm", "schema") {
		t.Error("the schema is not the one that is printed")
	}
	for _, name := range []string{"secrets/api", "secrets"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: got %v, %v; want it for its owner alone", name, info, err)
		}
	}

	s := serve(t, t.TempDir(), "--realm", file)
	if code := s.stop(); code != 0 {
		t.Errorf("serve: exit %d\n%s", code, s.stderr)
	}

	if err := os.Remove(filepath.Join(folder, "realm.schema.json")); err != nil {
		t.Fatal(err)
	}
	secret := read(t, filepath.Join(folder, "secrets/api"))
	_, stderr, code := umpire(t, "realm", "init", folder)
	if code != exitFailed || !strings.Contains(stderr, "exists already, nothing was written") {
		t.Errorf("a second time: exit %d, %q", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "realm.schema.json")); err == nil || read(t, filepath.Join(folder, "secrets/api")) != secret {
		t.Error("something was written the second time")
	}
	if other := t.TempDir(); ok(t, "realm", "init", other) == "" || read(t, filepath.Join(other, "secrets/api")) == secret {
		t.Error("two realms have one secret")
	}
}

// TestRealmInitSigningAlg: a new realm signs with ES256, unless told otherwise.
func TestRealmInitSigningAlg(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{{nil, "ES256"}, {[]string{"--signing-alg", "EdDSA"}, "EdDSA"}, {[]string{"--signing-alg", "RS256"}, "RS256"}} {
		folder := t.TempDir()
		ok(t, append([]string{"realm", "init", folder}, tc.args...)...)
		file := filepath.Join(folder, "realm.yaml")
		if text := read(t, file); strings.Count(text, "signing_alg: ") != 1 || !strings.Contains(text, "\n  signing_alg: "+tc.want+"\n") {
			t.Errorf("%v: want %s in\n%s", tc.args, tc.want, text)
		}
		ok(t, "realm", "check", file)
	}
	folder := t.TempDir()
	_, stderr, code := umpire(t, "realm", "init", folder, "--signing-alg", "HS256")
	if code != exitUsage || !strings.Contains(stderr, `--signing-alg: want ES256, EdDSA or RS256, not "HS256"`) {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("it wrote %v, error %v", left, err)
	}
}

// TestRealmCheckWithoutSecrets: a realm file can be checked without its secrets.
func TestRealmCheckWithoutSecrets(t *testing.T) {
	t.Parallel()
	file := example(t, "secret: photoz-api-secret", "secret: env:UMPIRE_TEST_NOT_SET", "password: alice\n", "password: file:nowhere\n",
		"secret: photoz-app-secret", "secret_hash: file:nowhere")
	if _, stderr, code := umpire(t, "realm", "check", file); code != exitNotPassed || !strings.Contains(stderr, "UMPIRE_TEST_NOT_SET") || !strings.Contains(stderr, "nowhere") {
		t.Errorf("with secrets: exit %d, %q; want them missed", code, stderr)
	}
	if stdout, stderr, code := umpire(t, "realm", "check", "--no-secrets", file); code != 0 || strings.Contains(stderr, "nowhere") {
		t.Errorf("without: exit %d, %q, %q; want it checked", code, stdout, stderr)
	}
	ok(t, "policy", "check", file) // which needs none
	ok(t, "policy", "test", file)
	bad := example(t, "secret: photoz-api-secret", "secret: 'env:not a name'")
	if _, stderr, code := umpire(t, "realm", "check", "--no-secrets", bad); code != exitNotPassed || !strings.Contains(stderr, "want the name of an environment variable") {
		t.Errorf("a mistake: exit %d, %q", code, stderr)
	}
}

// TestRealmApplyDryRun: changes are listed, and not made.
func TestRealmApplyDryRun(t *testing.T) {
	t.Parallel()
	data := noDatabase(t, filepath.Join(t.TempDir(), "data"))
	if out := ok(t, "realm", "apply", "--dry-run", "--data", data, example(t)); !strings.Contains(out, "created   realm photoz\n") {
		t.Errorf("a new folder: got %q", out)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data folder was made")
	}
	file := example(t)
	ok(t, "realm", "apply", "--data", data, file)
	changed := filepath.Join(filepath.Dir(file), "changed.yaml")
	write(t, changed, strings.NewReplacer("username: bob", "username: robert", "name: Public board", "name: Town board").Replace(read(t, file)))
	want := []string{"created   resource Town board", "created   user robert", "removed   resource Public board", "removed   user bob"}
	for range 2 { // twice: the first has changed nothing
		out := strings.Split(strings.TrimSpace(ok(t, "realm", "apply", "--dry-run", "--data", data, changed)), "\n")
		slices.Sort(out)
		if !slices.Equal(out, want) {
			t.Errorf("got %q, want %q", out, want)
		}
	}
	type report struct{ Created, Updated, Adopted, Removed, Disabled, Kept, Reset []string }
	got := decode[map[string]report](t, ok(t, "realm", "apply", "--dry-run", "-o", "json", "--data", data, file))["photoz"]
	if got.Created == nil || got.Updated == nil || got.Adopted == nil || got.Removed == nil || got.Disabled == nil || got.Kept == nil || got.Reset == nil ||
		len(got.Created)+len(got.Removed) != 0 {
		t.Errorf("got %+v, want empty lists", got)
	}
	if out := ok(t, "realm", "apply", "--data", data, file); !strings.Contains(out, "no changes") {
		t.Errorf("applied after dry runs: got %q", out)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
