package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestReach: a change that grants what nobody ever asked for is in no recorded decision, but
// in the reach.
func TestReach(t *testing.T) {
	t.Parallel()
	file := example(t)
	s := serve(t, t.TempDir(), "--realm", file, "--decision-log", "")
	s.activated(t)
	candidate := t.TempDir()
	if err := os.CopyFS(candidate, os.DirFS(filepath.Join(filepath.Dir(file), "policies"))); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(candidate, "albums.rego"), "package uma.policies.albums\n", "package uma.policies.albums\n\ngrant contains \"create\" if true\n")
	edit(t, filepath.Join(candidate, "board.rego"), `input.subject.type == "user"`, `input.subject.username == "alice"`)
	base := []string{"policy", "impact", "--data", s.data, "--realm", "photoz", "--candidate", candidate, "--reach"}
	stdout, stderr, code := umpire(t, append(base, "-o", "json", "--max-granted", "0")...)
	got := decode[impactReport](t, stdout)
	if code != exitNotPassed || !strings.Contains(stderr, "--max-granted: 3 scopes would be newly granted in reach, more than 0") || got.Replayed != 0 || got.Granted != 0 {
		t.Errorf("exit %d, %s: got %+v", code, stderr, got)
	}
	r := got.Reach
	// dave is no member; photoz-api and photoz-app ask for themselves.
	if r == nil || r.Users != 6 || r.Resources != 4 || r.Asked != 6*9 || r.Granted != 3 || r.Refused != 3 || r.Different+r.Failed+r.Omitted != 0 || len(r.Changes) != 6 {
		t.Fatalf("got %+v", r)
	}
	first := r.Changes[0]
	if first.Username != "dave" || first.ResourceName != "Albums" || first.Scope != "create" || first.Was != "refused" || first.Now != "granted" ||
		len(first.RulesWas) != 0 || len(first.RulesNow) != 1 || first.RulesNow[0].File != "albums.rego" || first.RulesNow[0].Line == 0 || first.RulesNow[0].Rule != "" {
		t.Errorf("got %+v", first)
	}
	last := r.Changes[5]
	if last.ResourceName != "Public board" || last.Scope != "view" || last.Now != "refused" || last.RulesWas[0].Rule != "photoz/board-view" {
		t.Errorf("got %+v", last)
	}
	again := decode[impactReport](t, ok(t, append(base, "-o", "json")...))
	if !reflect.DeepEqual(again, got) {
		t.Errorf("got %+v\nwant %+v", again, got)
	}
	few := decode[impactReport](t, ok(t, append(base, "-o", "json", "--reach-users", "1", "--reach-resources", "2", "--limit", "1")...))
	if few.Reach.Users != 3 || few.Reach.Resources != 2 || len(few.Reach.Changes) != 1 || few.Reach.Omitted != few.Reach.Granted+few.Reach.Refused-1 {
		t.Errorf("got %+v", few.Reach)
	}
	table := ok(t, base...)
	for _, text := range []string{"dave", "refused  granted", "albums.rego:", "3 scopes newly within reach, 3 no longer, 0 different, 0 fail"} {
		if !strings.Contains(table, text) {
			t.Errorf("got\n%s\nwant %q", table, text)
		}
	}
	for _, flags := range [][]string{{"-o", "jsonl"}, {"--reach-users", "0"}, {"--reach-resources", "100000"}} {
		if _, stderr, code := umpire(t, append(base, flags...)...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", flags, code, stderr)
		}
	}
}
