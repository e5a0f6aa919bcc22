package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/server"
)

// admin asks the admin listener.
func (e *env) admin(t testing.TB, path string) *response {
	t.Helper()
	return e.do(t, request{method: "GET", url: e.Admin + path})
}

// TestAdminListener: health, readiness and metrics are on a listener of their
// own, and on no other.
func TestAdminListener(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-app")
	e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	e.uma(t, bob, "permission", "Admin area")
	e.do(t, request{method: "GET", url: e.URL + "/somewhere/else"})

	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if res := e.admin(t, path); res.status != 200 || string(res.raw) != want {
			t.Errorf("%s: got %s, want 200 %q", path, res, want)
		}
		if res := e.do(t, request{method: "GET", url: e.URL + path}); res.status != 404 {
			t.Errorf("%s on the public listener: got %s, want 404", path, res)
		}
	}
	if res := e.do(t, request{method: "GET", url: e.URL + "/metrics"}); res.status != 404 {
		t.Errorf("/metrics on the public listener: got %d, want 404", res.status)
	}
	if res := e.do(t, request{method: "GET", url: e.Admin + "/realms/photoz"}); res.status != 404 {
		t.Errorf("a realm on the admin listener: got %s, want 404", res)
	}

	metrics := string(e.admin(t, "/metrics").raw)
	for _, line := range []string{
		`umpire_http_request_duration_seconds_count\{method="POST",route="/realms/:realm/protocol/openid-connect/token",status="200"\} 2`,
		`umpire_http_request_duration_seconds_count\{method="POST",route="/realms/:realm/protocol/openid-connect/token",status="403"\} 1`,
		`umpire_http_request_duration_seconds_count\{method="GET",route="other",status="404"\} \d`,
		`umpire_decisions_total\{outcome="granted",realm="photoz"\} 1`,
		`umpire_decisions_total\{outcome="denied",realm="photoz"\} 1`,
		`umpire_policy_evaluation_duration_seconds_count\{realm="photoz"\} 2`,
		`umpire_store_commit_duration_seconds_count \d+`,
		`umpire_store_batch_size_count \d+`,
		`umpire_store_queue_length 0`,
		`umpire_policy_info\{realm="photoz",revision="[0-9a-f]{64}"\} 1`,
		`go_goroutines \d+`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(metrics) {
			t.Errorf("metrics have no line %s", line)
		}
	}
	if strings.Contains(metrics, "somewhere") || strings.Contains(metrics, "bob") {
		t.Error("metrics have a label that clients make up")
	}
}

// accessLog is the lines of log about requests with an id.
func (e *env) accessLog(t testing.TB, id string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range bytes.Lines(readFile(t, filepath.Join(e.Data, "server.log"))) {
		var entry map[string]any
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if entry["request_id"] == id {
			found = append(found, entry)
		}
	}
	return found
}

// TestRequestID: a request has an id: in its answer, its one line of log and its
// decision records.
func TestRequestID(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	ask := func(id string) (*response, map[string]any) {
		t.Helper()
		var res *response
		_, event := onlyRecord(t, db, func() {
			res = e.do(t, request{
				method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "permission", "Admin area", "audience", "photoz-api"),
				headers: map[string]string{"X-Request-Id": id},
			})
		})
		return res, event
	}
	for _, sent := range []string{"a-client.s_own-1", "", strings.Repeat("x", 65), "two words", `"quoted"`, "<script>"} {
		res, event := ask(sent)
		id := res.header.Get("X-Request-Id")
		if kept := id == sent; kept != (sent == "a-client.s_own-1") || id == "" {
			t.Errorf("sent %q: got %q back", sent, id)
		}
		if got := at(event, "input", "context", "request_id"); got != id {
			t.Errorf("got request_id %v on record, want %q", got, id)
		}
		lines := e.accessLog(t, id)
		if len(lines) != 1 {
			t.Fatalf("got %d lines of log for request %q, want 1", len(lines), id)
		}
		for name, want := range map[string]any{
			"method": "POST", "route": "/realms/:realm/protocol/openid-connect/token", "status": 403.0, "realm": "photoz",
			"client": "photoz-app", "refused": "access_denied", "ip": "127.0.0.1", "level": "INFO",
		} {
			if lines[0][name] != want {
				t.Errorf("log: got %s %v, want %v", name, lines[0][name], want)
			}
		}
	}
}

// TestLimits: what is too large is refused before it is understood, and spends
// nothing.
func TestLimits(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-app")
	ticket := boardTicket(t, e)
	big := strings.Repeat("x", 2<<20)
	tests := []struct {
		name   string
		send   request
		status int
	}{
		{"a form", request{method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "ticket", ticket, "x", big)}, 413},
		{"a resource", request{method: "POST", url: resourceSet, as: e.service(t, "photoz-api"), json: map[string]any{"name": big}}, 413},
		{"a permission request", request{method: "POST", url: permission, as: e.service(t, "photoz-api"), body: "[" + big + "]"}, 413},
		{"a header", request{method: "POST", url: tokenPath, as: bearer(big), form: form("grant_type", umaGrant, "ticket", ticket)}, 431},
		{"a parameter", request{method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "ticket", ticket, "x", big[:5000])}, 400},
		{"many parameters", request{method: "POST", url: tokenPath, as: bob, form: many(form("grant_type", umaGrant, "ticket", ticket), 200)}, 400},
	}
	for _, tc := range tests {
		res, err := attempt(e.newRequest(t, tc.send))
		if err != nil { // the server may hang up on what it will not read
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if res.status != tc.status || res.str("error") == "" && tc.status != 431 { // that is net/http's own
			t.Errorf("%s: got %s, want %d and an error", tc.name, res, tc.status)
		}
	}
	e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")

	// No client holds a connection by being slow. The times are read rather than
	// waited for.
	s := server.Listener(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{"ReadHeaderTimeout": s.ReadHeaderTimeout, "ReadTimeout": s.ReadTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout} {
		if d <= 0 || d > 5*time.Minute {
			t.Errorf("got %s %s", name, d)
		}
	}
}

func many(p pairs, n int) pairs {
	for i := range n {
		p = append(p, [2]string{fmt.Sprintf("p%d", i), "v"})
	}
	return p
}

// TestGracefulShutdown: a server that is told to stop answers what is under way,
// writes what is left to be written, and ends well.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t))
	bob := p.as(t, "bob", "photoz-app")
	ticket := boardTicket(t, p.env)

	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	body := form("grant_type", umaGrant, "ticket", ticket).encode()
	fmt.Fprintf(conn, "POST /realms/photoz%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		tokenPath, bob.bearer, len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want 100 Continue: the server reads the body", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within1s(t, "the closed listener", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body)
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatalf("what was under way: %v", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !bytes.Contains(raw, []byte("access_token")) {
		t.Errorf("what was under way: got %s %s, %v", res.Status, raw, err)
	}
	if state := p.end(t, 0); !state.Success() {
		t.Errorf("got %s, want exit 0", state)
	}
	log := readFile(t, filepath.Join(p.Data, "decisions.log"))
	if !bytes.Contains(log, []byte(ticketID(ticket))) {
		t.Errorf("the decision log lacks the last decision: %s", log)
	}
}

// A running node is a server of a test that looks behind it.
type running struct {
	*env
	node *node.Node
	stop func() error
}

// run is start, with the node and its end in the test's hands.
func run(t testing.TB, change func(*node.Config)) *running {
	t.Helper()
	o := newOptions(t, nil)
	public, admin := listen(t), listen(t)
	e := &env{URL: "http://" + public.Addr().String(), Admin: "http://" + admin.Addr().String(), Data: o.Data, Realm: "photoz", Clock: o.Clock, tokens: map[string]*signIn{}}
	cfg := node.Config{
		Data: e.Data, PublicURL: e.URL, Now: o.Clock.Now, Version: "test",
		Log: slog.New(slog.NewJSONHandler(logFile(t, e.Data, "server.log"), nil)),
	}
	change(&cfg)
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), o.write(t), os.Getenv); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, public, admin) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		stop() //nolint:errcheck // a test that wants it well has looked
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &running{e, n, stop}
}

// TestStoreFails: without its store a server refuses, and never grants.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	r := run(t, func(*node.Config) {})
	bob, pat := r.as(t, "bob", "photoz-app"), r.service(t, "photoz-api")
	rpt := r.uma(t, bob, "permission", "Public board#view").str("access_token")
	ticket := boardTicket(t, r.env)
	if err := r.node.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, res := range map[string]*response{
		"the UMA grant":         r.uma(t, bob, "ticket", ticket),
		"a named permission":    r.uma(t, bob, "permission", "Public board#view", "response_mode", "decision"),
		"a sign-in":             r.post(t, tokenPath, basic("photoz-app"), "grant_type", "password", "username", "bob", "password", "bob"),
		"introspection":         r.post(t, introspect, basic("photoz-api"), "token", rpt),
		"a permission request":  r.send(t, "POST", permission, pat, perm{Resource: "Public board"}),
		"a list of resources":   r.get(t, resourceSet, pat),
		"a new resource":        r.send(t, "POST", resourceSet, pat, map[string]any{"name": "New"}),
		"a realm never seen":    r.in("other").get(t, "", credentials{}),
		"a stored request":      r.get(t, requests, pat),
		"a user's own claims":   r.get(t, "/protocol/openid-connect/userinfo", bob),
		"revocation of a token": r.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", rpt),
	} {
		if res.status != 500 && res.status != 503 || res.str("error") == "" || res.str("access_token") != "" {
			t.Errorf("%s: got %s, want server_error", name, res)
		}
		if strings.Contains(string(res.raw), "store") || strings.Contains(string(res.raw), "sql") {
			t.Errorf("%s: got %s, want nothing of the trouble itself", name, res)
		}
	}
	if res := r.admin(t, "/readyz"); res.status != 503 {
		t.Errorf("/readyz: got %s, want 503", res)
	}
	if res := r.admin(t, "/healthz"); res.status != 200 {
		t.Errorf("/healthz: got %s, want 200", res)
	}
	if !r.logged(t, "the store is closed", `"level":"ERROR"`) {
		t.Error("the log does not say what the trouble is")
	}
}

// TestBlockedDecisionLog: nobody reads the decision log. Requests are answered
// all the same, what is not written is stored, and the server can be stopped.
func TestBlockedDecisionLog(t *testing.T) {
	t.Parallel()
	unread, log := io.Pipe()
	defer unread.Close()
	r := run(t, func(c *node.Config) { c.DecisionLog, c.Grace = log, time.Second })
	bob := r.as(t, "bob", "photoz-app")
	for range 20 {
		r.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	if records := recordsAfter(t, r.stored(t), 0); len(records) != 20 {
		t.Errorf("got %d records, want 20", len(records))
	}
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "decision log") {
		t.Errorf("stopped: got %v, want an error about the decision log", err)
	}
}

// failingLog is a full disk, for a while.
type failingLog struct {
	mu   sync.Mutex
	full bool
	buf  bytes.Buffer
}

func (l *failingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return 0, syscall.ENOSPC
	}
	return l.buf.Write(p)
}

func (l *failingLog) lines(full bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
	return bytes.Count(l.buf.Bytes(), []byte("\n"))
}

// TestFailingDecisionLog: what could not be written is written once it can be.
func TestFailingDecisionLog(t *testing.T) {
	t.Parallel()
	log := &failingLog{full: true}
	r := run(t, func(c *node.Config) { c.DecisionLog = log })
	bob := r.as(t, "bob", "photoz-app")
	for range 3 {
		r.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	within1s(t, "the log about the decision log", func() bool { return r.logged(t, "decision log", "no space left") })
	if n := log.lines(false); n != 0 {
		t.Errorf("got %d lines on a full disk", n)
	}
	within1s(t, "the lines", func() bool { return log.lines(false) == 3 })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// TestKeyFiles: without the key that the database is sealed with, a server does
// not start, and says what to do.
func TestKeyFiles(t *testing.T) {
	t.Parallel()
	open := func(data, key string) error {
		n, err := node.Open(t.Context(), node.Config{Data: data, KeyFile: key, PublicURL: "http://localhost", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = n.Close()
		}
		return err
	}
	ours, theirs := t.TempDir(), t.TempDir()
	for _, data := range []string{ours, theirs} {
		if err := open(data, ""); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(ours, "umpire.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the key with mode %v, %v; want 0600", info.Mode(), err)
	}
	loose := filepath.Join(t.TempDir(), "loose.key")
	if err := os.WriteFile(loose, readFile(t, key), 0o644); err != nil { //nolint:gosec // that is what is tested
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key   string
		words []string
	}{
		"another server's":    {filepath.Join(theirs, "umpire.key"), []string{filepath.Join(theirs, "umpire.key"), "UMPIRE_KEY_FILE"}},
		"lost":                {filepath.Join(ours, "lost.key"), []string{filepath.Join(ours, "lost.key"), "backup", "UMPIRE_KEY_FILE"}},
		"others may read it":  {loose, []string{loose, "chmod 600"}},
		"no key":              {filepath.Join(ours, "umpire.db"), []string{filepath.Join(ours, "umpire.db")}},
		"the right one moved": {key, nil},
	} {
		err := open(ours, tc.key)
		if (err == nil) != (tc.words == nil) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, w := range tc.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want %q in it", name, err, w)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(ours, "lost.key")); !os.IsNotExist(err) {
		t.Errorf("a new key was made beside sealed data: %v", err)
	}
}
