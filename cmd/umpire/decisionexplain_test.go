package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/engine"
	"example.com/umpire/rollout"
)

// TestExplainDecision: a refusal is explained by the condition that did not hold, under the
// recorded policy and under the active one.
func TestExplainDecision(t *testing.T) {
	t.Parallel()
	realm := example(t, "name: Holiday album", "id: 5e0ff9ae-1a54-4c5e-b1a3-6a5c4e1d2f00, name: Holiday album")
	s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
	s.ask(t, "bob", "5e0ff9ae-1a54-4c5e-b1a3-6a5c4e1d2f00#view,comment")
	s.ask(t, "dave", "Public board#view,post")
	all := s.decisions(t)
	partial, granted := all[0], all[1]

	text := ok(t, "decisions", "explain", "--data", s.data, partial.ID)
	want := `dave, "view" of Public board: granted
  board.rego:11  photoz/board-view: held
    ✓ 12  input.resource_server == "photoz-api"  input.resource_server = "photoz-api"
    ✓ 13  input.subject.type == "user"           input.subject.type = "user"

dave, "post" of Public board: not granted
  board.rego:18  photoz/board-post: did not hold
    ✓ 19  input.resource_server == "photoz-api"
    ✗ 20  "user" in input.subject.roles                   input.subject.roles = ["uma_authorization"]
  /umpire/sharing.rego:10  owner: did not hold
    ✗ 10  is_owner
        /umpire/sharing.rego:48  is_owner: did not hold
          ✗ 49  input.resource.owner == input.subject.id  input.resource.owner = "`
	if !strings.HasPrefix(text, want) || !strings.HasSuffix(text, "decision "+partial.ID+", evaluated again under the policy that decided, revision "+partial.Revision+"\n") {
		t.Errorf("got\n%swant\n%s", text, want)
	}

	text = ok(t, "decisions", "explain", "--data", s.data, granted.ID)
	for _, want := range []string{
		`(?m)^bob, "view" of Holiday album: granted$`, `(?m)^bob, "comment" of Holiday album: not granted; the policy asks the owner, who was not asked: the request had no ticket$`,
		`(?m)^  /umpire/sharing.rego:\d+  ask-owner  \(asks the owner\): held$`, `(?m)^          ✗ \d+  input.resource.owner == input.subject.id +input.resource.owner = "`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("got\n%swant %s", text, want)
		}
	}
	got := decode[rollout.Explanation](t, ok(t, "decisions", "explain", "--data", s.data, "-o", "json", granted.ID))
	if got.ID != granted.ID || got.Revision != granted.Revision || !got.Exact || len(got.Scopes) != 2 || got.Scopes[0].Result != engine.Granted || got.Scopes[1].Result != engine.Submit {
		t.Errorf("got %+v, want bob's decision", got)
	}

	plain := decode[map[string]any](t, ok(t, "decisions", "explain", "--data", s.data, "-o", "json", granted.ID))
	scope := plain["scopes"].([]any)[0].(map[string]any)
	rule := scope["rules"].([]any)[0].(map[string]any)
	condition := rule["conditions"].([]any)[0].(map[string]any)
	for _, m := range []struct {
		object  map[string]any
		members string
	}{
		{plain, "decision_id exact revision scopes"}, {scope, "result rules scope"},
		{rule, "adds conditions effect file held label line name title"}, {condition, "because held line text undefined values"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(m.object)), " "); got != m.members {
			t.Errorf("got the members %s, want %s", got, m.members)
		}
	}

	board := filepath.Join(filepath.Dir(realm), "policies", "board.rego")
	content, err := os.ReadFile(board)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(filepath.Dir(board), "photoz_test.rego")) // its tests fail with the change
	write(t, board, strings.Replace(string(content), `"user" in input.subject.roles`, `"uma_authorization" in input.subject.roles`, 1))
	eventually(t, "the changed policy", func() bool {
		now := decode[rollout.Explanation](t, ok(t, "decisions", "explain", "--data", s.data, "--now", "-o", "json", partial.ID))
		return now.Revision != partial.Revision && now.Exact && now.Scopes[1].Result == engine.Granted
	})
	then := decode[rollout.Explanation](t, ok(t, "decisions", "explain", "--data", s.data, "-o", "json", partial.ID))
	if then.Revision != partial.Revision || !then.Exact || then.Scopes[1].Result != engine.Refused {
		t.Errorf("got %+v, want the recorded policy", then)
	}
	text = ok(t, "decisions", "explain", "--data", s.data, "--now", "--trace", partial.ID)
	if !strings.Contains(text, "evaluated again under the active policy") || !regexp.MustCompile(`board.rego:20 .*\| +(Enter|Eval|Fail|Exit) `).MatchString(text) {
		t.Errorf("got\n%swant a trace", text)
	}
}

// TestExplainExported: without the database, a decision of an export is explained by a policy
// folder; by that which decided, exactly.
func TestExplainExported(t *testing.T) {
	t.Parallel()
	realm := example(t, "grant: partial", "grant: partial, timeout: 20s") // of a busy machine
	s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
	s.ask(t, "bob", "Public board#view")
	s.ask(t, "dave", "Public board#post")
	file, policies, id := filepath.Join(t.TempDir(), "decisions.jsonl"), filepath.Join(filepath.Dir(realm), "policies"), s.decisions(t)[0].ID
	ok(t, "decisions", "export", "--data", s.data, "--file", file)

	recorded := ok(t, "decisions", "explain", "--data", s.data, id)
	for name, args := range map[string][]string{
		"by the folder": {"--data", t.TempDir(), "--candidate", policies}, "by the database": {"--data", s.data},
		"by its revision": {"--data", s.data, "--candidate", s.decisions(t)[0].Revision},
	} {
		if got := ok(t, append([]string{"decisions", "explain", id, "--file", file}, args...)...); got != recorded {
			t.Errorf("%s: got\n%swant\n%s", name, got, recorded)
		}
	}
	changed := t.TempDir()
	if err := os.CopyFS(changed, os.DirFS(policies)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(changed, "board.rego"), "package uma.policies.board\n\ngrant contains \"post\" if input.subject.username == \"dave\"\n")
	got := ok(t, "decisions", "explain", id, "--file", file, "--data", t.TempDir(), "--candidate", changed)
	if !strings.HasPrefix(got, "dave, \"post\" of Public board: granted\n  board.rego:3: held\n    ✓ 3  input.subject.username == \"dave\"") || !strings.Contains(got, "under the policy "+changed) {
		t.Errorf("got\n%s", got)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{id, "--file", file, "--data", noDatabase(t, t.TempDir())}, "`umpire realm apply FILE`"},
		{[]string{"unknown", "--file", file, "--candidate", changed}, "has no decision \"unknown\""},
		{[]string{id, "--file", file + "x", "--candidate", changed}, "--file: "},
		{[]string{id, "--now", "--candidate", changed}, "give one of them"},
		{[]string{id, "--data", s.data, "--candidate", strings.Repeat("0", 64)}, "is not in this database"},
		{[]string{id, "--data", s.data, "--candidate", changed + "x"}, "--candidate: there is no folder"},
	} {
		if stdout, stderr, code := umpire(t, append([]string{"decisions", "explain"}, c.args...)...); code == 0 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: got exit %d, %s%swant %s", c.args, code, stdout, stderr, c.want)
		}
	}
}

// TestExplainMasked: a mask of what the policy reads makes an explanation inexact; without the
// input there is none.
func TestExplainMasked(t *testing.T) {
	t.Parallel()
	for mask, want := range map[string]string{
		"/input/subject/roles":   "not exact: a mask changed /input/subject/roles, which the policy reads",
		"/input/context/ip":      "",
		"/input/subject":         "not exact: ",
		"/result":                "not exact: the record has no answer to compare with: the result is masked",
		"/input":                 "cannot be explained",
		"/input/scopes":          "cannot be explained: the requested scopes are masked",
		"/input/subject/unknown": "",
	} {
		t.Run(mask, func(t *testing.T) {
			t.Parallel()
			realm := example(t)
			write(t, filepath.Join(filepath.Dir(realm), "policies", "mask.rego"), "package system.log\n\nmask contains \""+mask+"\"\n")
			s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
			s.ask(t, "bob", "Public board#post")
			stdout, stderr, code := umpire(t, "decisions", "explain", "--data", s.data, s.decisions(t)[0].ID)
			out := stdout + stderr
			if (code != 0) != strings.HasPrefix(want, "cannot") || strings.Contains(out, "not exact") != strings.HasPrefix(want, "not exact") || !strings.Contains(out, want) {
				t.Errorf("got exit %d\n%swant %q", code, out, want)
			}
		})
	}
}

// TestExplainNothing: an unknown id is an error.
func TestExplainNothing(t *testing.T) {
	t.Parallel()
	s := decided(t)
	if stdout, stderr, code := umpire(t, "decisions", "explain", "--data", s.data, "unknown"); code != exitUsage || stdout != "" || !strings.Contains(stderr, `there is no decision record "unknown"`) {
		t.Errorf("got exit %d, %s%s", code, stdout, stderr)
	}
}
