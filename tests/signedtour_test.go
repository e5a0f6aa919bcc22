package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDocumentedSigning runs the commands about signatures in docs/policies.md, with OPA in the
// version of go.mod. Then changes of what was signed are found.
func TestDocumentedSigning(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the documents' commands want openssl: %v", err)
	}
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range photozPolicies(t) {
		put(filepath.Join("policies", name), text)
	}
	realm := strings.Replace(photozRealm(t), "bundle: ./policies", "bundle: ./policies, opa: {keys: {team: {algorithm: ES256, key: file:team.pub}}}", 1)
	put("realm.yaml", realm)
	section := part(t, "../docs/policies.md", "## Signatures\n", "\n## ")
	var script string
	for _, block := range strings.Split(section, "```bash\n")[1:] {
		script += block[:strings.Index(block, "```")]
	}
	if strings.Count(script, "opa ") < 2 || strings.Count(script, "umpire ") < 2 {
		t.Fatalf("the commands are not found: %s", script)
	}
	if out, err := shell(t, dir, script); err != nil || strings.Contains(out, "sign the ") || strings.Count(out, "fine") != 2 {
		t.Fatalf("%v\n%s", err, out)
	}

	guard := "package uma.guardrails\n\ndeny contains \"closed\" if \"none\" in input.scopes\n"
	put("policies/guard.rego", guard)
	for command, want := range map[string]string{
		"umpire realm check realm.yaml":                          "policies/guard.rego: is not in the signature: sign the folder, by `cd policies && opa sign",
		"umpire policy check realm.yaml -o json":                 `"gate": "signature"`,
		"umpire policy check policies --realm realm.yaml":        "warning: is not in the signature",
		"umpire policy check policies.tar.gz --realm realm.yaml": "policies.tar.gz: fine",
		"umpire policy lint policies --realm realm.yaml":         "policies: fine",
	} {
		out, err := shell(t, dir, command)
		if refused := !strings.Contains(command, "--realm"); (err != nil) != refused || !strings.Contains(out, want) {
			t.Errorf("%s: got %v, want %s\n%s", command, err, want, out)
		}
	}

	// A key that is a secret is read by `realm check` only.
	put("realm.yaml", strings.Replace(realm, "{algorithm: ES256, key: file:team.pub}", "{algorithm: HS256, key: env:TEAM_KEY}", 1))
	if out, err := shell(t, dir, "umpire policy check realm.yaml"); err != nil || !strings.Contains(out, "the signature is not verified") {
		t.Errorf("got %v\n%s", err, out)
	}
	out, err := shell(t, dir, "TEAM_KEY=a-secret umpire realm check realm.yaml")
	if err == nil || !strings.Contains(out, `is signed by "ES256", but the key "team" is for HS256`) || strings.Contains(out, "a-secret") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// part is what stands in a file between two texts.
func part(t testing.TB, file, from, to string) string {
	t.Helper()
	_, after, found := strings.Cut(string(readFile(t, file)), from)
	between, _, ends := strings.Cut(after, to)
	if !found || !ends {
		t.Fatalf("%s has no %q, or no %q behind it", file, from, to)
	}
	return between
}

// shell runs a script in a folder, with umpire and opa.
func shell(t testing.TB, dir, script string) (output string, err error) {
	t.Helper()
	umpire, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	opa, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "opa").Output()
	if err != nil {
		t.Fatalf("build OPA: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-ec", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + filepath.Dir(umpire) + ":" + filepath.Dir(strings.TrimSpace(string(opa))) + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
