package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testedFolder returns a folder with a policy and a test file.
func testedFolder(t testing.TB, tests string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"album.rego":      "package uma.policies.album\n\ngrant contains \"view\" if input.subject.id == \"alice\"\n",
		"album_test.rego": "package album_test\n\n" + tests,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hungryTest doubles a text forty times.
func hungryTest() string {
	var b strings.Builder
	b.WriteString("test_hungry if {\n\tx0 := \"0123456789abcdef\"\n")
	for i := range 40 {
		fmt.Fprintf(&b, "\tx%d := concat(\"\", [x%d, x%d])\n", i+1, i, i)
	}
	return b.String() + "\tcount(x40) > 1\n}\n"
}

// endlessTest needs no memory, and is not over before OPA's limit of five seconds.
const endlessTest = "test_endless if {\n\tsome a in numbers.range(1, 10000)\n\tsome b in numbers.range(1, 10000)\n\ta * b == -1\n}\n"

// TestPolicyTestBeyondLimits: tests that take all memory or time are stopped, and a finding
// says so.
func TestPolicyTestBeyondLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ test, flag, want string }{
		"memory": {hungryTest(), "--policy-memory=128", "tests of the policy used more than 128 MiB of memory: find the test with umpire policy test --run, or raise --policy-memory"},
		"time":   {endlessTest, "--policy-time=1s", "tests of the policy took longer than 1s: find the test with umpire policy test --run, or raise --policy-time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := testedFolder(t, c.test)
			if _, stderr, code := umpire(t, "policy", "test", dir, c.flag); code != 3 || !strings.Contains(stderr, c.want) {
				t.Errorf("policy test: exit %d, want 3\n%s", code, stderr)
			}
			stdout, _, code := umpire(t, "policy", "check", dir, c.flag, "-o", "json")
			if code != 3 {
				t.Errorf("policy check: exit %d, want 3", code)
			}
			for _, want := range []string{`"ok": false`, `"gate": "tests"`, `"severity": "block"`, c.want} {
				if !strings.Contains(stdout, want) {
					t.Errorf("got %s, want one with %s", stdout, want)
				}
			}
		})
	}
}

// TestPolicyLimitsRefused: limits that cannot be kept are mistakes of the command line.
func TestPolicyLimitsRefused(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--policy-memory=1", "--policy-memory=-5", "--policy-memory=2000000", "--policy-time=0s", "--policy-time=-1s"} {
		if _, stderr, code := umpire(t, "policy", "test", t.TempDir(), flag); code != 2 || !strings.Contains(stderr, "want") {
			t.Errorf("%s: exit %d, want 2\n%s", flag, code, stderr)
		}
	}
}

// TestExamineCommand: the hidden command is of no use to users.
func TestExamineCommand(t *testing.T) {
	t.Parallel()
	if _, stderr, code := umpire(t, examineName); code != 1 || !strings.Contains(stderr, "for umpire itself") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if help := ok(t, "help"); strings.Contains(help, examineName) {
		t.Error("help lists the command")
	}
}
