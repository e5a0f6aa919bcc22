package tests

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/umpire/child"
	"example.com/umpire/node"
	"example.com/umpire/rollout"
)

// nested is a policy of 48 KB that takes 23 GB when it is parsed: sets that are keys of objects.
func nested() string {
	const levels = 400
	var b strings.Builder
	b.WriteString("package uma.policies.nested\n\n")
	for i := range 20 {
		fmt.Fprintf(&b, "x%d := %s1%s\n", i, strings.Repeat("{{", levels), strings.Repeat(":1}}", levels))
	}
	return b.String()
}

// TestNestedBundleFromRegistry: a bundle that came over the network is parsed in a process
// with limits. The server refuses it, and has the memory that it had.
func TestNestedBundleFromRegistry(t *testing.T) {
	t.Parallel()
	archive := repacked(t, photozBundle(t, nil), "nested.rego", nested())
	g := newRegistry(t, archive)
	o := newOptions(t, []func(*options){photozFrom(t, g.URL)})
	p := spawn(t, o, o.write(t), "--policy-memory", "64")
	within1s(t, "the log about the bundle", func() bool {
		return p.logged(t, "policy not activated", "photoz.tar.gz: to read and compile it used more than 64 MiB of memory", "--policy-memory")
	})
	if res := p.admin(t, "/readyz"); res.status != 503 {
		t.Errorf("/readyz: got %d, want 503: the realm has no policy", res.status)
	}
	p.wantSmall(t)
}

// TestHungryTest: a test that takes all memory is ended, and the gate refuses the policy.
func TestHungryTest(t *testing.T) {
	t.Parallel()
	o := newOptions(t, []func(*options){photozWith(t, nil)})
	p := spawn(t, o, o.write(t), "--policy-memory", "64")
	text := "package hungry_test\n\ntest_hungry if {\n\tx0 := \"0123456789abcdef\"\n"
	for i := range 40 {
		text += fmt.Sprintf("\tx%d := concat(\"\", [x%d, x%d])\n", i+1, i, i)
	}
	p.writePolicy(t, "hungry_test.rego", text+"\tcount(x40) > 1\n}\n")
	p.writePolicy(t, "more.rego", "package lib.more\n") // a test alone is no other policy
	within1s(t, "the log about the test", func() bool {
		return p.logged(t, "policy not activated", `"gates":["tests"]`, "tests of the policy used more than 64 MiB of memory")
	})
	if got := p.board(t); got != 200 {
		t.Errorf("got %d, want the policy from before", got)
	}
	p.wantSmall(t)
}

// wantSmall wants that the process never had much memory.
func (p *process) wantSmall(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the memory of a process is not known here: %v", err)
	}
	var peak int
	if _, after, found := strings.Cut(string(status), "VmHWM:"); !found {
		t.Fatal("no VmHWM in the status of the process")
	} else if _, err := fmt.Sscan(after, &peak); err != nil {
		t.Fatal(err)
	}
	if peak > 300<<10 {
		t.Errorf("the server had %d MiB of memory", peak>>10)
	}
}

// TestNestedUpload: a bundle file that a client of the admin API sends is refused alike.
func TestNestedUpload(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil))
	file := t.TempDir() + "/b.tar.gz"
	if err := os.WriteFile(file, repacked(t, photozBundle(t, nil), "nested.rego", nested()), 0o600); err != nil {
		t.Fatal(err)
	}
	runner, err := child.New(child.Limits{Memory: 64 << 20, Time: time.Minute, Output: 1 << 20}, workCommand)
	if err != nil {
		t.Fatal(err)
	}
	e.beside(t, func(n *node.Node) error {
		n.Rollout.Examine = rollout.Apart(runner)
		_, err := n.Rollout.ActivateUpload(t.Context(), rollout.Order{Realm: e.Realm, By: "carol"}, file)
		if err == nil || !strings.Contains(err.Error(), "b.tar.gz: to read and compile it used more than 64 MiB of memory") {
			t.Errorf("got %v", err)
		}
		_, err = n.Rollout.UploadedSource(t.Context(), e.Realm, file)
		if err == nil || !strings.Contains(err.Error(), "used more than 64 MiB of memory") {
			t.Errorf("impact: got %v", err)
		}
		return nil
	})
	if got := e.board(t); got != 200 {
		t.Errorf("got %d, want the policy from before", got)
	}
}
