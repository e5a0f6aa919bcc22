package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// expectSeqs waits until a decision log file has these records, in order.
func expectSeqs(t testing.TB, file string, want ...float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("records %v in %s", want, file), func() bool {
		var got []float64
		for _, e := range events(t, file) {
			got = append(got, e["seq"].(float64))
		}
		return slices.Equal(got, want)
	})
}

// sinks returns the output of decisions sinks.
func (s *server) sinks(t testing.TB) []sinkRow {
	t.Helper()
	return decode[[]sinkRow](t, ok(t, "decisions", "sinks", "--data", s.data, "-o", "json"))
}

// TestDecisionLogGoesOn: the decision log goes on after a restart where it was, also in
// another file. Without a decision log there is no cursor, and a later one begins with new
// decisions.
func TestDecisionLogGoesOn(t *testing.T) {
	t.Parallel()
	data, dir := t.TempDir(), t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	realm := []string{"--realm", example(t)}
	round := func(log string, hook func(s *server)) {
		t.Helper()
		s := serve(t, data, append(realm, "--decision-log", log)...)
		s.ask(t, "bob", "Public board#view")
		hook(s)
		if code := s.stop(); code != 0 {
			t.Errorf("got exit %d: %s", code, s.stderr)
		}
	}
	round(first, func(*server) {})
	expectSeqs(t, first, 1)
	if err := syscall.Mkfifo(second, 0o600); err != nil { // nobody reads it
		t.Fatal(err)
	}
	round(second, func(s *server) {
		eventually(t, "the failure", func() bool {
			rows := s.sinks(t)
			return len(rows) == 1 && strings.Contains(rows[0].Problem, "no process reads this pipe") && rows[0].LagRecords == 1
		})
	})
	round(first, func(*server) {})
	expectSeqs(t, first, 1, 2, 3)

	round("", func(s *server) {
		if rows := s.sinks(t); len(rows) != 0 {
			t.Errorf("got %+v, want no sink", rows)
		}
	})
	round(first, func(*server) {})
	expectSeqs(t, first, 1, 2, 3, 5)
}

// TestSinksCommand: decisions sinks shows how far the decision log has come.
func TestSinksCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "decisions.log")
	s := serve(t, t.TempDir(), "--realm", example(t), "--decision-log", file, "--decision-log-hold", "36h")
	s.ask(t, "bob", "Public board#view")
	eventually(t, "the cursor", func() bool { return s.sinks(t)[0].Cursor == 1 })
	var rows []map[string]any
	if err := json.Unmarshal([]byte(ok(t, "decisions", "sinks", "--data", s.data, "-o", "json")), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("got %v, %v", rows, err)
	}
	if success, ok := rows[0]["last_success"].(string); !ok || success == "" {
		t.Errorf("got last_success %v", rows[0]["last_success"])
	}
	delete(rows[0], "last_success")
	want := fmt.Sprint(map[string]any{
		"name": "decision-log", "kind": "file", "realm": "", "target": file, "cursor": 1, "lag_records": 0, "lag_seconds": 0,
		"hold_seconds": 36 * 3600, "last_failure": nil, "problem": "", "skipped": 0, "cut": 0,
	})
	if got := fmt.Sprint(rows[0]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if out := ok(t, "decisions", "sinks", "--data", s.data); !strings.Contains(out, "decision-log") || !strings.Contains(out, file) {
		t.Errorf("got %s", out)
	}
	if out := ok(t, "decisions", "sinks", "--data", serve(t, t.TempDir(), "--realm", example(t), "--decision-log", "").data, "-o", "json"); out != "[]\n" {
		t.Errorf("without sinks: got %q", out)
	}
}

// TestDecisionLogFlags: settings that make no sense are refused.
func TestDecisionLogFlags(t *testing.T) {
	t.Parallel()
	for want, flags := range map[string][]string{
		"--decision-log-max-size: want a size such as 100MB": {"--decision-log", "x", "--decision-log-max-size", "much"},
		"--decision-log-max-size: want at least 1MiB":        {"--decision-log", "x", "--decision-log-max-size", "10kB"},
		"--decision-log-max-size needs a file":               {"--decision-log-max-size", "10MB"},
		"--decision-log-max-files: want a positive number":   {"--decision-log", "x", "--decision-log-max-files", "0"},
		"--decision-log-hold: want a duration":               {"--decision-log-hold", "long"},
	} {
		if _, stderr, code := umpire(t, append([]string{"serve", "--data", t.TempDir(), "--realm", example(t)}, flags...)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: got exit %d, %s; want %q", flags, code, stderr, want)
		}
	}
}

// TestPruneWaits: records that the decision log does not have stay, and prune says so. Once
// they have waited for longer than its hold, they are deleted and counted.
func TestPruneWaits(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil { // nobody reads it
		t.Fatal(err)
	}
	data := t.TempDir()
	s := serve(t, data, "--realm", example(t), "--decision-log", pipe)
	s.ask(t, "bob", "Public board#view")
	type report struct {
		Decisions int
		Cut       []struct {
			Sink    string
			Records int
		}
		Waiting []string
	}
	prune := func() report {
		t.Helper()
		return decode[report](t, ok(t, "decisions", "prune", "--data", data, "--before", "0h", "-o", "json"))
	}
	if got := fmt.Sprint(prune()); got != "{0 [] [decision-log]}" {
		t.Errorf("got %s, want that records wait for decision-log", got)
	}
	if out := ok(t, "decisions", "prune", "--data", data, "--before", "0h"); !strings.Contains(out, "kept until they are delivered to: decision-log") {
		t.Errorf("got %s", out)
	}
	s.stop()
	s = serve(t, data, "--realm", example(t), "--decision-log", pipe, "--decision-log-hold", "0s")
	eventually(t, "the setting", func() bool { return s.sinks(t)[0].HoldSeconds == 0 })
	if got := fmt.Sprint(prune()); got != "{1 [{decision-log 1}] []}" {
		t.Errorf("got %s, want one record deleted and counted", got)
	}
	if rows := s.sinks(t); rows[0].Cut != 1 || rows[0].LagRecords != 0 {
		t.Errorf("got %+v, want one record cut", rows)
	}
}
