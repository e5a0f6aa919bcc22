package tests

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/umpire/store/postgres/pgtest"
)

// TestLaterSchema: a server starts on a schema that a later umpire has extended, serves, and changes nothing of it.
// Once a later umpire raises the minimum, it is not ready and refuses all requests, without being asked to; a
// server that is started then says which versions there are and what to do.
func TestLaterSchema(t *testing.T) {
	t.Parallel()
	databases.OnlyPostgreSQL(t, "two versions of the schema side by side")
	o := newOptions(t, nil)
	files := o.write(t)
	url := databases.URL(t, o.Data)
	later := func(statements ...string) {
		t.Helper()
		if err := pgtest.Exec(t.Context(), url, statements...); err != nil {
			t.Fatal(err)
		}
	}
	later(`ALTER TABLE resource ADD COLUMN colour text`, `CREATE TABLE colour (name text PRIMARY KEY)`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (90, true)`)
	p := spawn(t, o, files)
	bob := p.as(t, "bob", "photoz-app")
	p.uma(t, bob, "ticket", boardTicket(t, p.env)).expectGranted(t, "Public board: view")
	album := p.album(t, "Album")
	p.share(t, album, "bob", "view")
	if res := p.uma(t, bob, "permission", album+"#view", "response_mode", "decision"); res.status != 200 {
		t.Errorf("what is shared: got %s", res)
	}
	// It is migrated neither up nor down.
	later(`SELECT colour FROM resource`, `SELECT name FROM colour`, `SELECT 1 / (max(version_id) = 90)::int FROM goose_db_version`)
	if _, stderr, code := umpire(t, "decisions", "list", "--data", o.Data); code != 0 {
		t.Errorf("a command: exit %d: %s", code, stderr)
	}

	later(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (91, true)`, `SELECT raise_minimum(90)`)
	within1s(t, "503 at /readyz", func() bool {
		res := p.admin(t, "/readyz")
		return res.status == 503 && strings.Contains(string(res.raw), "knows version 90 or later; this one knows 1: replace this server")
	})
	if res := p.uma(t, bob, "permission", "Public board#view"); res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("a request: got %s, want 503 with Retry-After", res)
	}
	if res := p.send(t, "POST", resourceSet, p.service(t, "photoz-api"), map[string]any{"name": "Too late"}); res.status != 503 {
		t.Errorf("a resource: got %s, want 503", res)
	}
	if res := p.admin(t, "/healthz"); res.status != 200 {
		t.Errorf("/healthz: got %s", res)
	}
	within1s(t, "a line of log", func() bool { return p.logged(t, "the store cannot be written", "knows version 90 or later") })
	if state := p.end(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("stopped by SIGTERM: %s", state)
	}
	const want = "the schema has version 91, which needs an umpire that knows version 90 or later; this one knows 1: use a later umpire"
	for _, args := range [][]string{{"serve", "--realm", files[0], "--listen", "127.0.0.1:0", "--admin-listen", ""}, {"decisions", "list"}, {"keys", "list"}} {
		stdout, stderr, code := umpire(t, append(args, "--data", o.Data)...)
		if code != 1 || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("umpire %s: exit %d, want 1 with %q: %s%s", args[0], code, want, stdout, stderr)
		}
	}
	if text := string(readFile(t, filepath.Join(o.Data, "server.log"))); strings.Contains(text, "panic") {
		t.Error("the log has a panic")
	}
}
