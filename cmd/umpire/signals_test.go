package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process is `umpire serve` in a separate process.
type process struct {
	server
	cmd *exec.Cmd
}

// spawn starts a process and waits until it logs its addresses. unread closes the pipe from
// which its log is read.
func spawn(t testing.TB, stdout *os.File, flags ...string) (p *process, unread func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p = &process{server: server{data: t.TempDir(), stderr: &buffer{}}}
	p.cmd = programOf(ctx, t, append([]string{
		"serve", "--data", p.data, "--realm", example(t), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
	}, flags...)...)
	log, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = w
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go io.Copy(p.stderr, log) // ends with the process, or with the pipe
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		log.Close()
	})
	eventually(t, "a process that listens", func() bool {
		line, found := serving(p.stderr.String())
		p.url, p.admin = line.URL, "http://"+line.Admin
		return found
	})
	return p, func() { log.Close() }
}

// signal sends the process a signal.
func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// expectEnd stops the process, which must exit with code 0.
func (p *process) expectEnd(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v, want exit 0\n%s", err, p.stderr)
	}
}

// expectGrant makes a request that must be granted.
func (p *process) expectGrant(t testing.TB) {
	t.Helper()
	if status := p.ask(t, "bob", "Public board#view"); status != 200 {
		t.Fatalf("got %d, want 200", status)
	}
}

// logged reports whether the log has a line with all of the words.
func (p *process) logged(parts ...string) bool {
	for line := range strings.Lines(p.stderr.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			return true
		}
	}
	return false
}

// TestReaderOfStdoutEnds: the server keeps running when the reader of the decision log, such
// as a log shipper, ends. By default Go's runtime would end the server, too.
func TestReaderOfStdoutEnds(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := spawn(t, w)
	w.Close()
	r.Close()
	p.expectGrant(t)
	eventually(t, "an error in the log", func() bool { return p.logged("ERROR", "decision log", "broken pipe") })
	p.expectGrant(t)
	if rows := decode[[]decisionRow](t, ok(t, "decisions", "list", "--data", p.data, "-o", "json")); len(rows) != 2 {
		t.Errorf("got %d records, want both decisions stored", len(rows))
	}
	const failures = `umpire_sink_failures_total{kind="stdout",realm="",sink="decision-log"} `
	if got := metrics(t, p.admin); !strings.Contains(got, failures) || strings.Contains(got, failures+"0") {
		t.Errorf("metrics do not count the failure: %s", got)
	}
	p.expectEnd(t)
}

// TestReaderOfStderrEnds: the server keeps running when the reader of its log ends.
func TestReaderOfStderrEnds(t *testing.T) {
	t.Parallel()
	p, unread := spawn(t, nil)
	unread()
	p.expectGrant(t)
	p.expectGrant(t)
	p.expectEnd(t)
}

// events reads the events of a decision log file, which must have one per line.
func events(t testing.TB, file string) (found []map[string]any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: line %q: %v", file, line, err)
		}
		found = append(found, event)
	}
	return found
}

// TestKilledWithUnreadStdout: a record that nobody read from stdout when the server was
// killed is written by the next server.
func TestKilledWithUnreadStdout(t *testing.T) {
	t.Parallel()
	gone, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := spawn(t, w)
	p.expectGrant(t)
	readSeq(t, gone, 1)
	gone.Close()
	w.Close()
	p.expectGrant(t)
	eventually(t, "the cursor", func() bool {
		rows := p.sinks(t)
		return rows[0].Cursor == 1 && strings.Contains(rows[0].Problem, "broken pipe")
	})
	p.signal(t, os.Kill)
	p.cmd.Wait() //nolint:errcheck // it was killed

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next, _ := spawn(t, w, "--data", p.data)
	w.Close()
	readSeq(t, r, 2)
	next.expectEnd(t)
}

// readSeq reads a record, which must have this number.
func readSeq(t testing.TB, r io.Reader, want int) {
	t.Helper()
	var event struct{ Seq int }
	if err := json.NewDecoder(r).Decode(&event); err != nil || event.Seq != want {
		t.Errorf("got record %d, %v; want %d", event.Seq, err, want)
	}
}

// TestHangup: after the decision log is moved away, SIGHUP makes the server write to a new
// file.
func TestHangup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "decisions.log")
	p, _ := spawn(t, nil, "--decision-log", file)
	p.expectGrant(t)
	eventually(t, "the first record", func() bool { return len(events(t, file)) == 1 })
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	eventually(t, "a new file", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	p.expectGrant(t)
	eventually(t, "the second record", func() bool { return len(events(t, file)) == 1 })
	if first := events(t, file+".1"); len(first) != 1 || first[0]["seq"] != 1.0 || events(t, file)[0]["seq"] != 2.0 {
		t.Errorf("got %d records in the old file, want one in each", len(first))
	}
	// If the file cannot be opened, the one before stays open.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	eventually(t, "a line of log", func() bool { return p.logged("ERROR", "decision log: cannot be reopened") })
	p.expectGrant(t)
	p.expectEnd(t)
}

// TestHangupWithStdout: without a file to reopen SIGHUP does nothing.
func TestHangupWithStdout(t *testing.T) {
	t.Parallel()
	p, _ := spawn(t, nil)
	p.signal(t, syscall.SIGHUP)
	p.expectGrant(t)
	p.expectEnd(t)
}

// TestHalfALine: after an incomplete line at the end of the decision log, which a killed
// server may leave, records begin on a new line.
func TestHalfALine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "decisions.log")
	if err := os.WriteFile(file, []byte(`{"level":"info","msg":"Deci`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), "--realm", example(t), "--decision-log", file)
	s.ask(t, "bob", "Public board#view")
	s.stop()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) != 2 || !json.Valid([]byte(lines[1])) {
		t.Errorf("got %q, want the record on a line of its own", lines)
	}
}

// TestDecisionLogPipe: a pipe without a reader does not block the start. The server
// warns, serves, and writes to a later reader.
func TestDecisionLogPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := spawn(t, nil, "--decision-log", pipe)
	if !p.logged("WARN", "no process reads this pipe", pipe) {
		t.Errorf("got log %s, want a warning that no process reads the pipe", p.stderr)
	}
	p.expectGrant(t)
	r, err := os.OpenFile(pipe, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var event struct{ Msg string }
	if err := json.NewDecoder(r).Decode(&event); err != nil || event.Msg != "Decision Log" {
		t.Errorf("got %+v, %v; want the record that was decided before", event, err)
	}
	p.expectEnd(t)

	if err := syscall.Mkfifo(pipe+"2", 0o600); err != nil {
		t.Fatal(err)
	}
	unread, _ := spawn(t, nil, "--decision-log", pipe+"2")
	unread.expectEnd(t)
}

// TestDecisionLogCannotBeOpened: the server reports it and does not start.
func TestDecisionLogCannotBeOpened(t *testing.T) {
	t.Parallel()
	_, stderr, code := umpire(t, "serve", "--data", t.TempDir(), "--realm", example(t), "--listen", "127.0.0.1:0", "--admin-listen", "", "--decision-log", t.TempDir())
	if code == 0 || !strings.Contains(stderr, "--decision-log: open ") {
		t.Errorf("got exit %d, %s", code, stderr)
	}
}
