package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShadow: decisions are evaluated again under policy.shadow, which changes none of them.
// A changed shadow starts anew, one that does not compile is told, and a restart goes on.
func TestShadow(t *testing.T) {
	t.Parallel()
	file := example(t, "policy: {bundle: ./policies,", "policy: {bundle: ./policies, shadow: ./next,")
	next := filepath.Join(filepath.Dir(file), "next")
	if err := os.CopyFS(next, os.DirFS(filepath.Join(filepath.Dir(file), "policies"))); err != nil {
		t.Fatal(err)
	}
	board := filepath.Join(next, "board.rego")
	edit(t, board, `"user" in input.subject.roles`, `input.subject.username == "dave"`)
	data := t.TempDir()
	s := serve(t, data, "--realm", file, "--decision-log", "")
	report := func() (r shadowReport) {
		t.Helper()
		stdout, _, code := umpire(t, "policy", "shadow", "--data", data, "--realm", "photoz", "-o", "json")
		if code == 0 {
			r = decode[shadowReport](t, stdout)
		}
		return r
	}
	eventually(t, "a shadow", func() bool { return report().Revision != "" })
	if s.ask(t, "bob", "Public board#view,post") != 200 || s.ask(t, "dave", "Public board#post") != 403 {
		t.Error("the shadow decides")
	}
	eventually(t, "two decisions", func() bool { return report().Replayed == 2 })
	first := report()
	if first.Granted != 1 || first.Refused != 1 || first.Requests != 2 || first.Unchanged+first.Failed+first.Skipped+first.Missed+first.Lag != 0 || first.Shadow != next || len(first.Changes) != 2 {
		t.Fatalf("got %+v", first)
	}
	if c := first.Changes[0]; c.Username != "dave" || c.Scope != "post" || c.Was != "refused" || c.Now != "granted" || c.Revision != first.Revision || c.RulesNow[0] != "photoz/board-post" {
		t.Errorf("got %+v", c)
	}
	if table := ok(t, "policy", "shadow", "--data", data, "--realm", "photoz"); !strings.Contains(table, "dave ") || !strings.Contains(table, "1 scopes newly granted, 1 newly refused, 0 different, in 2 requests") {
		t.Errorf("got\n%s", table)
	}
	if got, want := metrics(t, s.admin), `umpire_policy_shadow_changes_total{change="newly_granted",realm="photoz"} 1`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	s.stop()
	s = serve(t, data, "--decision-log", "")
	s.ask(t, "bob", "Public board#view")
	eventually(t, "a third decision", func() bool { return report().Replayed == 3 })
	if r := report(); r.Revision != first.Revision || r.Unchanged != 1 || len(r.Changes) != 2 {
		t.Errorf("got %+v, want the same shadow to go on", r)
	}
	edit(t, board, `input.subject.username == "dave"`, `input.subject.username == `)
	eventually(t, "a problem", func() bool { return strings.Contains(report().Problem, "board.rego") })
	s.ask(t, "bob", "Public board#view")
	edit(t, board, `input.subject.username == `, `input.subject.username == "carol"`)
	eventually(t, "another shadow", func() bool { r := report(); return r.Problem == "" && r.Revision != first.Revision })
	s.ask(t, "bob", "Public board#post")
	eventually(t, "a decision of the other shadow", func() bool { return report().Replayed == 1 })
	if r := report(); r.Refused != 1 || len(r.Changes) != 3 || r.Changes[0].Revision != r.Revision || r.Changes[1].Revision != first.Revision {
		t.Errorf("got %+v, want the changes of both", r)
	}
	for _, c := range []struct {
		flags []string
		text  string
	}{{nil, "--realm is missing"}, {[]string{"--realm", "none"}, "the realms are photoz"}, {[]string{"--realm", "photoz", "--limit", "-1"}, "--limit"}} {
		if _, stderr, code := umpire(t, append([]string{"policy", "shadow", "--data", data}, c.flags...)...); code != exitUsage || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: exit %d, %s", c.flags, code, stderr)
		}
	}
}

// TestNoShadow: a realm without policy.shadow has no list.
func TestNoShadow(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data, "--realm", example(t), "--decision-log", "").stop()
	_, stderr, code := umpire(t, "policy", "shadow", "--data", data, "--realm", "photoz")
	if code != exitUsage || !strings.Contains(stderr, "set policy.shadow in its realm file") {
		t.Error(fmt.Sprint("exit ", code, ": ", stderr))
	}
}
