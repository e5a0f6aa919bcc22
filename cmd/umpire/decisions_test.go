package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// decided starts a server that has made three decisions: two granted to bob and one denied
// to dave.
func decided(t testing.TB, flags ...string) *server {
	t.Helper()
	s := serve(t, t.TempDir(), append([]string{"--realm", example(t), "--decision-log", ""}, flags...)...)
	for _, ask := range [][2]string{{"bob", "Public board#view"}, {"bob", "Public board#view,post"}, {"dave", "Public board#post"}} {
		s.ask(t, ask[0], ask[1])
	}
	return s
}

func (s *server) decisions(t testing.TB, flags ...string) []decisionRow {
	t.Helper()
	return decode[[]decisionRow](t, ok(t, append([]string{"decisions", "list", "--data", s.data, "-o", "json"}, flags...)...))
}

// TestDecisions: records are searched, also by names, while the server runs.
func TestDecisions(t *testing.T) {
	t.Parallel()
	s := decided(t)
	all := s.decisions(t)
	if len(all) != 3 || !slices.IsSortedFunc(all, func(a, b decisionRow) int { return int(b.Seq - a.Seq) }) {
		t.Fatalf("got %+v, want 3 decisions, newest first", all)
	}
	denied, granted := all[0], all[1]
	if denied.Outcome != "denied" || denied.Answered != "not_authorized" || denied.Username != "dave" || denied.ResourceName != "Public board" || !slices.Equal(denied.Scopes, []string{"post"}) {
		t.Errorf("got %+v, want dave's, with names", denied)
	}
	hourAgo, inAnHour := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, tc := range []struct {
		flags []string
		want  int
	}{
		{[]string{"--outcome", "granted"}, 2},
		{[]string{"--outcome", "denied"}, 1},
		{[]string{"--outcome", "need_info"}, 0},
		{[]string{"--subject", denied.Subject}, 1},
		{[]string{"--user", "dave"}, 1},
		{[]string{"--user", "BOB"}, 2},
		{[]string{"--user", granted.Subject}, 2},
		{[]string{"--user", "carol"}, 0},
		{[]string{"--client", "photoz-web"}, 3},
		{[]string{"--client", "photoz-app"}, 0},
		{[]string{"--resource", string(granted.Resource)}, 3},
		{[]string{"--resource", "Public board"}, 3},
		{[]string{"--resource", "Diary"}, 0},
		{[]string{"--realm", "photoz"}, 3},
		{[]string{"--rule", "photoz/board-view"}, 2},
		{[]string{"--rule", "photoz/board-view", "--user", "dave"}, 0},
		{[]string{"--request-id", denied.Request}, 1},
		{[]string{"--revision", denied.Revision}, 3},
		{[]string{"--since", "1h"}, 3},
		{[]string{"--since", "1d"}, 3},
		{[]string{"--since", hourAgo}, 3},
		{[]string{"--since", inAnHour}, 0},
		{[]string{"--until", "1h"}, 0},
		{[]string{"--until", inAnHour}, 3},
		{[]string{"--until", "2026-01-31"}, 0},
		{[]string{"--since", "1h", "--until", inAnHour, "--outcome", "granted", "--client", "photoz-web", "--user", "bob"}, 2},
		{[]string{"--limit", "2"}, 2},
	} {
		if got := s.decisions(t, tc.flags...); len(got) != tc.want {
			t.Errorf("%v: got %d decisions, want %d", tc.flags, len(got), tc.want)
		}
	}
	table := ok(t, "decisions", "list", "--data", s.data)
	if !strings.HasPrefix(table, "TIME") || strings.Count(table, "\n") != 4 ||
		!regexp.MustCompile(`(?m)^\S+ +denied +not_authorized +dave +photoz-web +Public board +post +\S.* `+denied.ID+`$`).MatchString(table) {
		t.Errorf("got table\n%s", table)
	}
	if !slices.Contains(granted.Rules, "photoz/board-view") || slices.Contains(denied.Rules, "photoz/board-view") {
		t.Errorf("got rules %v and %v", granted.Rules, denied.Rules)
	}
}

// TestDecisionsOfNobody: an unknown name is an error, not an empty list.
func TestDecisionsOfNobody(t *testing.T) {
	t.Parallel()
	s := decided(t)
	for _, command := range []string{"list", "export"} {
		for _, tc := range []struct{ flag, value, text string }{
			{"--user", "ben", `there is no user "ben"`},
			{"--subject", "bob", "use --user for a name"},
			{"--client", "photoz", `has the client_id "photoz"`},
			{"--resource", "Holiday", `there is no resource "Holiday"`},
			{"--realm", "other", `"other"`},
			{"--rule", "board-view", `the rule "board-view"`},
			{"--request-id", "unknown", `the request "unknown"`},
			{"--revision", "abc", `the policy revision "abc"`},
			{"--user", "", "--user is empty"},
			{"--resource", "", "--resource is empty"},
		} {
			stdout, stderr, code := umpire(t, "decisions", command, "--data", s.data, tc.flag, tc.value)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.text) || !strings.Contains(stderr, tc.flag) && tc.flag != "--realm" {
				t.Errorf("%s %s %q: got exit %d, %s%s, want %q", command, tc.flag, tc.value, code, stdout, stderr, tc.text)
			}
		}
	}
}

// TestDecisionsOfSeveral: a name of several resources or users is an error that lists their
// ids or realms.
func TestDecisionsOfSeveral(t *testing.T) {
	t.Parallel()
	other := example(t, "realm: photoz", "realm: other")
	s := serve(t, t.TempDir(), "--realm", example(t), "--realm", other, "--decision-log", "")
	s.ask(t, "bob", "Public board#view")
	for _, tc := range [][]string{{"--user", "bob"}, {"--resource", "Public board"}} {
		_, stderr, code := umpire(t, append([]string{"decisions", "list", "--data", s.data}, tc...)...)
		if code != exitUsage || !strings.Contains(stderr, "other") || !strings.Contains(stderr, "photoz") {
			t.Errorf("%v: got exit %d, %s, want both named", tc, code, stderr)
		}
		if got := s.decisions(t, append(tc, "--realm", "photoz")...); len(got) != 1 {
			t.Errorf("%v in the realm: got %d decisions, want 1", tc, len(got))
		}
	}
}

// TestShowDecision: the text has the request, the answer and the reasons; the JSON is the
// event.
func TestShowDecision(t *testing.T) {
	t.Parallel()
	s := decided(t)
	all := s.decisions(t)
	denied, granted := all[0], all[1]
	out := ok(t, "decisions", "show", "--data", s.data, granted.ID)
	expectInOrder(t, out,
		"decision", granted.ID, "realm", "photoz", "user", "bob ("+granted.Subject+")", "client", "photoz-web", "from", "127.0.0.1",
		"request", granted.Request, "resource", "Public board", "type board", "scopes", "view post", "outcome", "granted", "answered", "granted",
		"policy", granted.Revision, "SCOPE", "DECISION", "RULES", "view", "granted", "photoz/board-view",
	)
	expectInOrder(t, ok(t, "decisions", "show", "--data", s.data, denied.ID), "dave", "outcome", "denied", "answered", "not_authorized", "post", "denied")
	if out := ok(t, "decisions", "show", "--data", s.data, "--sources", granted.ID); !strings.Contains(out, "# board.rego\n") || !strings.Contains(out, "package uma.policies.board") {
		t.Errorf("got %s, want the sources", out)
	}

	event := decode[map[string]any](t, ok(t, "decisions", "show", "--data", s.data, granted.ID, "-o", "json"))
	if event["decision_id"] != granted.ID || event["input"] == nil || event["result"] == nil {
		t.Errorf("got %v", event)
	}
	both := json.NewDecoder(strings.NewReader(ok(t, "decisions", "show", "--data", s.data, "--sources", granted.ID, "-o", "json")))
	var policy struct {
		Revision string
		Sources  map[string]string
	}
	if err := both.Decode(&event); err != nil {
		t.Fatal(err)
	}
	if err := both.Decode(&policy); err != nil || policy.Revision != granted.Revision || !strings.Contains(policy.Sources["board.rego"], "package uma.policies.board") {
		t.Errorf("got revision %q with %d sources, %v", policy.Revision, len(policy.Sources), err)
	}
}

// TestFollowDecisions: the existing records are printed first, then each new one.
func TestFollowDecisions(t *testing.T) {
	t.Parallel()
	s := decided(t)
	for _, output := range []string{"table", "json"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		args := []string{"decisions", "list", "--data", s.data, "--follow", "--limit", "1", "--user", "bob", "-o", output}
		environ := environment(t, args)
		var stdout, stderr buffer
		done := make(chan int, 1)
		go func() {
			done <- run(ctx, args, environ, &stdout, &stderr)
		}()
		lines := func() int { return strings.Count(stdout.String(), "Public board") }
		eventually(t, "the newest", func() bool { return lines() == 1 })
		s.ask(t, "dave", "Public board#view")
		s.ask(t, "bob", "Public board#view")
		eventually(t, "the next", func() bool { return lines() == 2 })
		cancel()
		if code := <-done; code != 0 || strings.Contains(stdout.String(), "dave") {
			t.Errorf("%s: got exit %d, %s%s", output, code, &stdout, &stderr)
		}
		if output == "json" {
			for line := range strings.Lines(stdout.String()) {
				decode[decisionRow](t, line)
			}
		}
	}
}

// TestExport: the events of the records are exported, oldest first, one per line.
func TestExport(t *testing.T) {
	t.Parallel()
	s := decided(t)
	all := s.decisions(t)
	var ids []any
	for line := range strings.Lines(ok(t, "decisions", "export", "--data", s.data)) {
		ids = append(ids, decode[map[string]any](t, line)["decision_id"])
	}
	if want := []any{all[2].ID, all[1].ID, all[0].ID}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	for want, flags := range map[int][]string{
		3: {"--realm", "photoz", "--since", "1h", "--until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
		0: {"--realm", "photoz", "--until", "1h"},
	} {
		if got := strings.Count(ok(t, append([]string{"decisions", "export", "--data", s.data}, flags...)...), "\n"); got != want {
			t.Errorf("%v: got %d events, want %d", flags, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "old.jsonl")
	ok(t, "decisions", "export", "--data", s.data, "--user", "dave", "--since", "1h", "--file", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if event := decode[map[string]any](t, string(text)); event["decision_id"] != all[0].ID {
		t.Errorf("got %s, want dave's", text)
	}
	if _, stderr, code := umpire(t, "decisions", "export", "--data", s.data, "--file", file); code != exitUsage || !strings.Contains(stderr, "exists already") {
		t.Errorf("twice: got exit %d, %s", code, stderr)
	}
}

// TestPrune: records before a time are deleted, then revisions that no record refers to; the
// active revision stays.
func TestPrune(t *testing.T) {
	t.Parallel()
	s := decided(t)
	for _, args := range [][]string{{}, {"--before", ""}, {"--before", "soon"}, {"--before", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}} {
		if _, stderr, code := umpire(t, append([]string{"decisions", "prune", "--data", s.data}, args...)...); code != exitUsage || !strings.Contains(stderr, "--before") {
			t.Errorf("%v: got exit %d, %s", args, code, stderr)
		}
	}
	if _, stderr, code := umpire(t, "decisions", "prune", "--data", noDatabase(t, t.TempDir()), "--before", "0h"); code == 0 || !strings.Contains(stderr, "`umpire realm apply FILE`") {
		t.Errorf("no database: got exit %d, %s", code, stderr)
	}
	if out := ok(t, "decisions", "prune", "--data", s.data, "--before", "1h"); !strings.Contains(out, "deleted 0 decision records") {
		t.Errorf("got %s, want none deleted", out)
	}
	type report struct{ Decisions, Revisions int }
	if got := decode[report](t, ok(t, "decisions", "prune", "--data", s.data, "--before", "0h", "-o", "json")); got != (report{3, 0}) {
		t.Errorf("got %+v, want 3 records and no revision", got)
	}
	if left := s.decisions(t); len(left) != 0 {
		t.Errorf("got %v, want none", left)
	}
	if s.ask(t, "bob", "Public board#view") != 200 || len(s.decisions(t)) != 1 {
		t.Error("the next decision is not on record")
	}
	ok(t, "decisions", "show", "--data", s.data, s.decisions(t)[0].ID, "--sources")
}

// TestParseAge: an age may have days; other texts are refused.
func TestParseAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "0h": 0, "10m": 10 * time.Minute,
	} {
		if got, err := parseAge(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1d-1h", "1.5d", "90", "90 d", "99999999d", "-2h", "1h2d"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
