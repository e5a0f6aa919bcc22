package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/uma/audit"
)

// TestImpactLists: --limit, jsonl and thresholds.
func TestImpactLists(t *testing.T) {
	t.Parallel()
	r := recordDecisions(t, 400)
	base := []string{"policy", "impact", "--realm", "photoz", "--file", r.file, "--candidate", r.changed(t)}
	all := decode[audit.ImpactReport](t, ok(t, append(base, "-o", "json")...))
	few := decode[audit.ImpactReport](t, ok(t, append(base, "-o", "json", "--limit", "3")...))
	if !reflect.DeepEqual(few.Changes, all.Changes[:3]) || few.Omitted != len(all.Changes)-3 || few.Granted != all.Granted {
		t.Errorf("got %+v, want the newest 3", few)
	}
	if help := ok(t, "policy", "impact", "--help"); !regexp.MustCompile(`--limit .*\(default 1000\)`).MatchString(help) {
		t.Errorf("got\n%s\nwant a --limit of 1000", help)
	}
	bundle := filepath.Join(t.TempDir(), "candidate.tar.gz")
	buildBundle(t, r.changed(t), bundle)
	if got := decode[audit.ImpactReport](t, ok(t, "policy", "impact", "--realm", "photoz", "--file", r.file, "--candidate", bundle, "-o", "json")); !reflect.DeepEqual(got, all) {
		t.Errorf("got %+v of a bundle file, want that of the folder", got)
	}
	var lines []audit.ChangeRow
	for line := range strings.Lines(ok(t, append(base, "-o", "jsonl", "--limit", "3")...)) {
		lines = append(lines, decode[audit.ChangeRow](t, line))
	}
	if slices.Reverse(lines); !reflect.DeepEqual(lines, all.Changes) {
		t.Errorf("got %d lines, want all %d changes", len(lines), len(all.Changes))
	}
	for _, c := range []struct {
		flags []string
		code  int
	}{
		{[]string{"--max-granted", fmt.Sprint(all.Granted), "--max-refused", fmt.Sprint(all.Refused)}, 0},
		{[]string{"--max-granted", fmt.Sprint(all.Granted - 1)}, exitNotPassed},
		{[]string{"--max-refused", "0"}, exitNotPassed},
	} {
		stdout, stderr, code := umpire(t, append(base, c.flags...)...)
		if code != c.code || !strings.Contains(stdout, fmt.Sprintf("%d scopes newly granted, %d newly refused", all.Granted, all.Refused)) || (code != 0) != strings.Contains(stderr, "--max-") {
			t.Errorf("%v: got exit %d, %s", c.flags, code, stderr)
		}
	}
}

// TestImpactOfADatabase: the decisions of a running server, against its active policy, a stored
// revision and what was recorded.
func TestImpactOfADatabase(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	s := serve(t, t.TempDir(), "--realm", file, "--decision-log", "")
	for _, ask := range [][2]string{{"bob", "Public board#view"}, {"bob", "Public board#view,post"}, {"dave", "Public board#post"}} {
		s.ask(t, ask[0], ask[1])
	}
	records := s.decisions(t)
	revision := records[0].Revision
	candidate := t.TempDir()
	if err := os.CopyFS(candidate, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(candidate, "board.rego"), `"user" in input.subject.roles`, `input.subject.username == "dave"`)
	impact := func(flags ...string) audit.ImpactReport {
		return decode[audit.ImpactReport](t, ok(t, append([]string{"policy", "impact", "--data", s.data, "--realm", "photoz", "-o", "json"}, flags...)...))
	}
	unchanged := audit.ImpactReport{Baseline: revision, Replayed: 3, Unchanged: 3, Changes: []audit.ChangeRow{}}
	recorded := unchanged
	recorded.Baseline = "recorded"
	for _, c := range []struct {
		flags []string
		want  audit.ImpactReport
	}{
		{[]string{"--candidate", folder}, unchanged},
		{[]string{"--candidate", revision}, unchanged},
		{[]string{"--candidate", revision[:8]}, unchanged},
		{[]string{"--candidate", revision, "--baseline", "recorded"}, recorded},
		{[]string{"--candidate", candidate, "--since", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, audit.ImpactReport{Baseline: revision, Changes: []audit.ChangeRow{}}},
	} {
		if got := impact(c.flags...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %+v, want %+v", c.flags, got, c.want)
		}
	}
	want := audit.ImpactReport{Baseline: revision, Replayed: 3, Unchanged: 1, Requests: 2, Granted: 1, Refused: 1, Changes: []audit.ChangeRow{
		{Was: "refused", Now: "granted", RulesWas: []string{}, RulesNow: []string{"photoz/board-post"}},
		{Was: "granted", Now: "refused", RulesWas: []string{"photoz/board-post"}, RulesNow: []string{}},
	}}
	for i := range want.Changes {
		c, r := &want.Changes[i], &records[i]
		c.ID, c.Subject, c.Username, c.Client, c.Resource, c.ResourceName, c.Scope = r.ID, r.Subject, r.Username, r.Client, string(r.Resource), r.ResourceName, "post"
	}
	for _, since := range []string{"1h", "7d"} {
		if got := impact("--candidate", candidate, "--since", since); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	exported := filepath.Join(t.TempDir(), "decisions.jsonl")
	ok(t, "decisions", "export", "--data", s.data, "--file", exported)
	want.Baseline = "recorded"
	got := decode[audit.ImpactReport](t, ok(t, "policy", "impact", "--data", t.TempDir(), "--realm", "photoz", "--candidate", candidate, "--file", exported, "-o", "json"))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	table := ok(t, "policy", "impact", "--data", s.data, "--realm", "photoz", "--candidate", candidate)
	for _, text := range []string{"USER ", "dave ", "refused  granted", "1 scopes newly granted, 1 newly refused, 0 different, in 2 requests", "baseline " + revision} {
		if !strings.Contains(table, text) {
			t.Errorf("got\n%s\nwant %q", table, text)
		}
	}
	edit(t, filepath.Join(candidate, "board.rego"), `input.subject.username == "dave"`, `x := to_number(input.subject.username)
	x > 0`)
	stdout, stderr, code := umpire(t, "policy", "impact", "--data", s.data, "--realm", "photoz", "--candidate", candidate, "-o", "json")
	failed := decode[audit.ImpactReport](t, stdout)
	if code != exitNotPassed || failed.Failed != 3 || len(failed.Changes) != 4 || failed.Changes[0].Now != "error" || failed.Granted+failed.Refused != 0 || !strings.Contains(stderr, "gives no answer in 3 decisions") {
		t.Errorf("exit %d: got %+v, %s, want 3 decisions that fail", code, failed, stderr)
	}
}

// TestImpactRefuses: what cannot be compared is an error, never a report without changes.
func TestImpactRefuses(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(filepath.Dir(example(t)), "policies")
	dir := noDatabase(t, t.TempDir())
	broken, other, empty := filepath.Join(dir, "broken.jsonl"), filepath.Join(dir, "other.jsonl"), filepath.Join(dir, "empty.jsonl")
	write(t, broken, `{"bundles":{"photoz":{}}}`+"\n{")
	write(t, other, `{"bundles":{"other":{}}}`)
	write(t, empty, "")
	for _, c := range []struct {
		flags []string
		code  int
		text  string
	}{
		{[]string{"--realm", "photoz"}, exitUsage, "--candidate is missing"},
		{[]string{"--candidate", folder}, exitUsage, "--realm is missing"},
		{[]string{"--realm", "photoz", "--candidate", dir + "/none"}, exitUsage, "there is no folder or file"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--baseline", "old"}, exitUsage, "--baseline: want active or recorded"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--limit", "-1"}, exitUsage, "--limit"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--max-granted", "-1"}, exitUsage, "--max-granted"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--since", "lately"}, exitUsage, "--since"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--file", dir + "/none"}, exitUsage, "--file"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--file", empty}, exitUsage, "no decision of realm photoz"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--file", other}, exitUsage, "no decision of realm photoz"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--file", broken}, exitFailed, "read a decision log event"},
		{[]string{"--realm", "photoz", "--candidate", folder, "--file", broken, "--baseline", "active"}, exitFailed, "`umpire realm apply FILE`"},
		{[]string{"--realm", "photoz", "--candidate", folder}, exitFailed, "`umpire realm apply FILE`"},
		{[]string{"--realm", "photoz", "--candidate", broken, "--file", broken}, exitFailed, "--candidate"},
	} {
		stdout, stderr, code := umpire(t, append([]string{"policy", "impact", "--data", dir}, c.flags...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: got exit %d, %s%s, want %d, %q", c.flags, code, stdout, stderr, c.code, c.text)
		}
	}
}

const benchSize = 20_000

// BenchmarkImpact measures decisions a second, from a file: the elapsed time, and the
// processor time on one core, which other processes of the machine change less.
func BenchmarkImpact(b *testing.B) {
	r := recordDecisions(b, benchSize)
	candidate := r.changed(b)
	for b.Loop() {
		began, used := time.Now(), processorTime(b)
		ok(b, "policy", "impact", "--realm", "photoz", "--file", r.file, "--candidate", candidate, "-o", "json")
		b.ReportMetric(benchSize/time.Since(began).Seconds(), "decisions/s")
		b.ReportMetric(benchSize/(processorTime(b)-used).Seconds(), "decisions/core-s")
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
