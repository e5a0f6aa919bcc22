package tests

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A shownPeriod is a period as `umpire policy history` prints it.
type shownPeriod struct {
	Revision, By, Source, Note string
	Since                      time.Time
	Until                      *time.Time
	Pinned, Active             bool
}

// history lists the policy periods of the realm, newest first.
func (e *env) history(t *testing.T) (rows []shownPeriod) {
	t.Helper()
	out, stderr, code := umpire(t, "policy", "history", "--data", e.Data, "--realm", e.Realm, "-o", "json")
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, stderr)
	}
	var members []map[string]any
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		t.Fatal(err)
	}
	want := []string{"active", "by", "note", "pinned", "revision", "since", "source", "until"}
	for _, row := range members {
		if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, want) {
			t.Errorf("got members %q, want %q", got, want)
		}
	}
	return rows
}

// TestConfirm: a policy that was activated with --confirm is rolled back by the server, unless
// it is confirmed in time.
func TestConfirm(t *testing.T) {
	t.Parallel()
	e := start(t)
	closed := e.candidate(t, "closed.rego", "package uma.guardrails\n\ndeny contains \"closed\"\n")
	metric := func(line string) bool {
		return strings.Contains(string(e.do(t, request{method: "GET", url: e.Admin + "/metrics"}).raw), line)
	}
	if got := e.board(t); got != 200 {
		t.Fatalf("at first: got %d", got)
	}

	change := e.policy(t, "activate", closed, "--confirm", "10m", "--note", "reviewed by carol")
	within1s(t, "the activated policy", func() bool { return e.board(t) == 403 })
	within1s(t, "the metric of the deadline", func() bool { return metric(`umpire_policy_confirm_by_timestamp_seconds{realm="photoz"} 1`) })
	status, _, _ := umpire(t, "policy", "status", "--data", e.Data, "-o", "json")
	if !strings.Contains(status, `"confirm_by": "20`) {
		t.Errorf("got %s", status)
	}
	if text, _, _ := umpire(t, "policy", "status", "--data", e.Data); !strings.Contains(text, "umpire policy confirm") {
		t.Errorf("got %s", text)
	}
	e.Clock.Advance(9 * time.Minute)
	if got := e.board(t); got != 403 {
		t.Errorf("before the deadline: got %d", got)
	}
	e.Clock.Advance(2 * time.Minute)
	within1s(t, "the policy from before", func() bool { return e.board(t) == 200 })
	rows := e.history(t)
	if len(rows) != 3 {
		t.Fatalf("got %+v", rows)
	}
	if now := rows[0]; now.Revision != change.Previous || now.By != "server" || !now.Pinned || !now.Active || now.Source != "revision "+change.Previous ||
		!strings.Contains(now.Note, change.Revision[:12]+" was not confirmed") {
		t.Errorf("got %+v", now)
	}
	if was := rows[1]; was.Revision != change.Revision || was.Until == nil || was.Active || was.Note != "reviewed by carol" || was.Source != closed {
		t.Errorf("got %+v", was)
	}
	if !e.logged(t, "policy rolled back", change.Revision, change.Previous) || !metric(`umpire_policy_unconfirmed_total{realm="photoz"} 1`) {
		t.Error("the rollback is not in the log and the metrics")
	}
	within1s(t, "the metrics after the rollback", func() bool { return !metric("umpire_policy_confirm_by_timestamp_seconds{") })

	change = e.policy(t, "activate", closed, "--confirm", "20m", "--note", "again") // the server's clock is 11 minutes ahead
	within1s(t, "the activated policy again", func() bool { return e.board(t) == 403 })
	e.policy(t, "confirm")
	e.Clock.Advance(24 * time.Hour)
	within1s(t, "the metrics without a deadline", func() bool { return !metric("umpire_policy_confirm_by_timestamp_seconds{") })
	if got, rows := e.board(t), e.history(t); got != 403 || len(rows) != 4 || rows[0].Revision != change.Revision || !strings.HasPrefix(rows[0].Note, "again; confirmed by ") {
		t.Errorf("after the confirmation: got %d and %+v", got, rows[0])
	}

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"confirm"}, 1, "needs no confirmation"},
		{[]string{"activate", closed, "--confirm", "9s"}, 2, "between 10s and 7d"},
		{[]string{"activate", closed, "--confirm", "8d"}, 2, "between 10s and 7d"},
		{[]string{"activate", closed, "--confirm", "soon"}, 2, "want a duration"},
		{[]string{"activate", closed, "--note", strings.Repeat("x", 1001)}, 2, "more than 1000 bytes"},
	} {
		_, stderr, code := umpire(t, append([]string{"policy", "--data", e.Data}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%.60q: exit %d, want %d with %q: %s", c.args, code, c.code, c.want, stderr)
		}
	}
}
