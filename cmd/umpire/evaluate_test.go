package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/engine"
)

// TestEvaluate: a request that is described is explained from the realm as stored, as the same
// request is when it is made, and nothing is recorded.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	realm := example(t, "grant: partial", "grant: partial, timeout: 20s") // of a busy machine
	s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
	s.ready(t)
	eval := func(args ...string) string {
		t.Helper()
		return ok(t, append([]string{"policy", "eval", "--data", s.data, "--realm", "photoz"}, args...)...)
	}
	got := eval("--user", "carol", "--resource", "Holiday album", "--scope", "view")
	for _, want := range []string{
		"carol, \"view\" of Holiday album: not granted; the policy asks the owner\n  album.rego:17  photoz/friends-view  Friends view the albums that are for friends: did not hold\n    ✓ 18  input.resource_server == \"photoz-api\"\n",
		"    ✗ 20  \"/friends\" in input.subject.groups  input.subject.groups = []\n",
		"evaluated under the active policy, revision ",
	} {
		if words := strings.Fields(want); !strings.Contains(strings.Join(strings.Fields(got), " "), strings.Join(words, " ")) {
			t.Errorf("got\n%swant %s", got, want)
		}
	}

	refused := eval("--user", "alice", "--client", "photoz-app", "--resource", "Holiday album", "--scope", "delete")
	if !strings.Contains(refused, "not granted; a claim is wanted") || !strings.Contains(refused, "security/confirm-delete  (wants a claim): held, delete_confirmed") {
		t.Errorf("got\n%s", refused)
	}
	got = eval("--user", "alice", "--client", "photoz-app", "--resource", "Holiday album", "--scope", "delete", "--claim", "delete_confirmed=yes")
	if !strings.HasPrefix(got, "alice, \"delete\" of Holiday album: granted\n") {
		t.Errorf("got\n%s", got)
	}
	if denied := eval("--user", "bob", "--resource", "Diary", "--scope", "delete"); !strings.Contains(denied, "not granted: denied\n  album.rego:27  photoz/owner-deletes  A share never lets anyone delete  (a denial): held, only its owner deletes an album") {
		t.Errorf("got\n%s", denied)
	}
	if all := decode[evaluationReport](t, eval("--user", "bob", "--resource", "Holiday album", "-o", "json")); len(all.Scopes) != 3 || all.Scopes[0].Result != engine.Granted {
		t.Errorf("got %+v, want every scope", all)
	}
	if got := eval("--user", "photoz-app", "--scope", "view", "--trace"); !strings.HasPrefix(got, "the service account of photoz-app, \"view\": not granted\n") || !strings.Contains(got, "| Eval ") {
		t.Errorf("got\n%s", got)
	}
	if rows := s.decisions(t); len(rows) != 0 {
		t.Errorf("got %d records", len(rows))
	}

	// The same request, made.
	s.ask(t, "dave", "Public board#view,post")
	record := s.decisions(t)[0]
	made := decode[struct{ Input map[string]any }](t, ok(t, "decisions", "show", "--data", s.data, "-o", "json", record.ID)).Input
	was := decode[evaluationReport](t, eval("--user", "dave", "--client", "photoz-web", "--resource", "Public board", "--scope", "view", "--scope", "post", "--ip", "127.0.0.1", "--at", record.Time.Format("2006-01-02T15:04:05.999999999Z07:00"), "-o", "json"))
	var posed map[string]any
	if err := json.Unmarshal(was.Input, &posed); err != nil {
		t.Fatal(err)
	}
	for _, in := range []map[string]any{made, posed} {
		delete(in, "context") // of the HTTP request
		delete(in["subject"].(map[string]any), "auth_time")
	}
	if a, b := jsonOf(t, posed), jsonOf(t, made); a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestEvaluateInput: the request may be the policy's input in a file, which is checked, and the
// policy a folder, without a database.
func TestEvaluateInput(t *testing.T) {
	t.Parallel()
	realm := example(t, "grant: partial", "grant: partial, timeout: 20s", // of a busy machine
		"resources:\n", "resources:\n  - {name: Twin, resource_server: photoz-api, owner: alice, type: album, scopes: [view]}\n"+
			"  - {name: Twin, resource_server: photoz-api, owner: bob, type: album, scopes: [view]}\n")
	s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
	s.ready(t)
	policies, file := filepath.Join(filepath.Dir(realm), "policies"), filepath.Join(t.TempDir(), "request.json")
	described := ok(t, "policy", "eval", "--data", s.data, "--user", "carol", "--resource", "Holiday album", "--at", "2026-11-28T22:00Z", "-o", "json")
	report := decode[evaluationReport](t, described)
	if !strings.Contains(string(report.Input), `"time": "2026-11-28T22:00:00Z"`) {
		t.Errorf("got %s", report.Input)
	}
	write(t, file, string(report.Input))
	if got := ok(t, "policy", "eval", "--data", s.data, "--input", file, "-o", "json"); got != described {
		t.Errorf("got\n%swant\n%s", got, described)
	}
	whole := filepath.Join(t.TempDir(), "output.json")
	write(t, whole, described)
	if got := ok(t, "policy", "eval", "--data", s.data, "--input", whole, "-o", "json"); got != described {
		t.Errorf("got\n%swant\n%s", got, described)
	}
	if got := ok(t, "policy", "eval", "--data", t.TempDir(), "--input", file, "--candidate", policies, "-o", "json"); got != described {
		t.Errorf("got\n%swant\n%s", got, described)
	}
	if got := ok(t, "policy", "eval", "--data", s.data, "--input", file, "--candidate", report.Revision[:8], "-o", "json"); got != described {
		t.Errorf("got\n%swant\n%s", got, described)
	}
	changed := t.TempDir()
	if err := os.CopyFS(changed, os.DirFS(policies)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(changed, "more.rego"), "package uma.policies.album\n\ngrant contains \"view\" if input.subject.username == \"carol\"\n")
	got := ok(t, "policy", "eval", "--data", t.TempDir(), "--input", file, "--candidate", changed)
	if !strings.HasPrefix(got, "carol, \"view\" of Holiday album: granted\n  more.rego:3: held\n") || !strings.Contains(got, "evaluated under the policy "+changed) {
		t.Errorf("got\n%s", got)
	}

	wrong := filepath.Join(t.TempDir(), "wrong.json")
	write(t, wrong, strings.NewReplacer(`"groups": []`, `"grops": [7]`, `"kind": "rpt"`, `"kind": "rtp"`).Replace(string(report.Input)))
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--input", wrong, "--candidate", policies}, []string{"is not an input of a policy", "'grops'", "'groups'", "/kind"}},
		{[]string{"--input", file, "--user", "bob"}, []string{"--user and --input both describe the request"}},
		{[]string{"--input", file, "--realm", "other", "--candidate", policies}, []string{`is of the realm "photoz", not "other"`}},
		{[]string{"--input", file + "x", "--candidate", policies}, []string{"--input: "}},
		{[]string{"--input", file, "--candidate", policies + "x"}, []string{"--candidate: there is no folder"}},
		{[]string{"--user", "bbo", "--resource", "Diary"}, []string{`no user "bbo" (did you mean "bob"?)`}},
		{[]string{"--user", "bob", "--resource", "Holliday album"}, []string{`no resource with the id or name "Holliday album" (did you mean "Holiday album"?)`}},
		{[]string{"--user", "bob", "--resource", "Twin"}, []string{`several resources have the name "Twin": name one by its id:`, "\n\t"}},
		{[]string{"--user", "bob", "--resource", "Diary", "--scope", "veiw"}, []string{`resource "Diary" has no scope "veiw" (did you mean "view"?): its scopes are `}},
		{[]string{"--user", "bob", "--resource", "Diary", "--client", "photoz-wbe"}, []string{`has no client "photoz-wbe" (did you mean "photoz-web"?)`}},
		{[]string{"--user", "bob", "--scope", "view", "--resource-server", "photoz-ap"}, []string{`has no resource server "photoz-ap" (did you mean "photoz-api"?)`}},
		{[]string{"--user", "bob", "--resource", "Diary", "--claim", "amount"}, []string{`--claim: want name=value, not "amount"`}},
		{[]string{"--user", "bob", "--resource", "Diary", "--at", "noon"}, []string{`--at: want a time`}},
		{[]string{"--user", "bob"}, []string{"--resource or --scope is missing"}},
		{[]string{"--resource", "Diary"}, []string{"--user or --input is missing"}},
		{[]string{"--user", "bob", "--resource", "Diary", "--realm", "photos"}, []string{`there is no realm "photos"`}},
	} {
		stdout, stderr, code := umpire(t, append([]string{"policy", "eval", "--data", s.data}, c.args...)...)
		for _, want := range c.want {
			if code == 0 || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%v: got exit %d, %s%swant %s", c.args, code, stdout, stderr, want)
			}
		}
	}
}

// TestEvaluateInputOfARealm: a file with the policy's input names its realm.
func TestEvaluateInputOfARealm(t *testing.T) {
	t.Parallel()
	data, realm := t.TempDir(), example(t, "grant: partial", "grant: partial, timeout: 20s") // of a busy machine
	ok(t, "realm", "apply", realm, "--data", data)
	ok(t, "realm", "apply", example(t, "realm: photoz\n", "realm: other\n"), "--data", data)
	ok(t, "policy", "activate", filepath.Join(filepath.Dir(realm), "policies"), "--realm", "photoz", "--data", data)
	described := ok(t, "policy", "eval", "--data", data, "--realm", "photoz", "--user", "carol", "--resource", "Holiday album", "-o", "json")
	file := filepath.Join(t.TempDir(), "request.json")
	write(t, file, described)
	if got := ok(t, "policy", "eval", "--data", data, "--input", file, "-o", "json"); got != described {
		t.Errorf("got\n%swant\n%s", got, described)
	}
	if _, stderr, code := umpire(t, "policy", "eval", "--data", data, "--input", file, "--realm", "other"); code != exitUsage || !strings.Contains(stderr, `is of the realm "photoz", not "other"`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	write(t, file, strings.ReplaceAll(described, `"realm": "photoz"`, `"realm": "none"`))
	if _, stderr, code := umpire(t, "policy", "eval", "--data", data, "--input", file); code != exitUsage || !strings.Contains(stderr, `there is no realm "none"`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
