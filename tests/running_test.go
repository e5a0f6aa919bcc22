package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/server"
	"example.com/umpire/uma"
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
		`umpire_decisions_total\{answered="granted",outcome="granted",realm="photoz"\} 1`,
		`umpire_decisions_total\{answered="not_authorized",outcome="denied",realm="photoz"\} 1`,
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
	ticket, rpt := boardTicket(t, e), e.uma(t, bob, "permission", "Public board#view").str("access_token")
	for _, sent := range []string{"a-client.s_own-1", "", strings.Repeat("x", 65), "two words", `"quoted"`, "<script>",
		ticket, "t." + ticket, rpt[:64], rpt[:30], "x." + rpt[:40]} {
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

// TestLogNamesDecisions: the line of a request that decided names its decision record,
// or, of several, what they have in common. By the request's id they are found, too.
func TestLogNamesDecisions(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	line := func(res *response) map[string]any {
		t.Helper()
		lines := e.accessLog(t, res.header.Get("X-Request-Id"))
		if len(lines) != 1 {
			t.Fatalf("got %d lines of log, want 1", len(lines))
		}
		return lines[0]
	}
	for _, permission := range []string{"Public board#view", "Admin area"} { // granted, refused
		var got map[string]any
		r, _ := onlyRecord(t, db, func() { got = line(e.uma(t, bob, "permission", permission)) })
		if got["decision_id"] != r.ID || got["decisions"] != nil {
			t.Errorf("%s: got %v, want decision_id %s", permission, got, r.ID)
		}
	}
	var got map[string]any
	records := recordsOf(t, db, func() {
		got = line(e.uma(t, bob, "permission", "Public board#view", "permission", "Mixed", "response_mode", "permissions"))
	})
	if len(records) != 2 || got["batch_decision_id"] != records[0].Batch || got["decisions"] != 2.0 || got["decision_id"] != nil {
		t.Errorf("got %v, want batch_decision_id %s of 2 decisions", got, records[0].Batch)
	}
	found, err := db.FindDecisions(t.Context(), uma.DecisionFilter{Request: got["request_id"].(string)}, 10)
	if err != nil || len(found) != 2 || found[0].Batch != records[0].Batch {
		t.Errorf("by request: got %d records, %v, want 2", len(found), err)
	}
	if got := line(e.get(t, resourceSet, e.service(t, "photoz-api"))); got["decision_id"] != nil || got["decisions"] != nil {
		t.Errorf("a request that decides nothing: got %v", got)
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
		{"a permission request", request{method: "POST", url: permission, as: e.service(t, "photoz-api"), body: "[" + big + "]", headers: map[string]string{"Content-Type": "application/json"}}, 413},
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

// TestDrain: a server with --drain that is told to stop says so at /readyz, and goes on serving new
// connections meanwhile; then it ends.
func TestDrain(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t), "--drain", "3s")
	bob := p.as(t, "bob", "photoz-app")
	if res := p.admin(t, "/readyz"); res.status != 200 {
		t.Fatalf("before: got %s", res)
	}
	told := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within1s(t, "503 at /readyz", func() bool {
		res := p.admin(t, "/readyz")
		return res.status == 503 && strings.Contains(string(res.raw), "stopping")
	})
	if res := p.admin(t, "/healthz"); res.status != 200 {
		t.Errorf("/healthz: got %s, want 200", res)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatalf("a new connection while the server drains: %v", err)
	}
	conn.Close()
	if rpt := p.uma(t, bob, "permission", "Public board#view").str("access_token"); rpt == "" {
		t.Error("no RPT while the server drains")
	}
	if state := p.end(t, 0); !state.Success() {
		t.Errorf("got %s, want exit 0", state)
	}
	if took := time.Since(told); took < 3*time.Second {
		t.Errorf("it ended after %s", took)
	}
}

// TestDrainEmptiesPools: a connection that a proxy keeps is ended by an answer, while the server that was
// told to stop still serves. So the proxy sends nothing on it that is lost when the server closes what is idle.
func TestDrainEmptiesPools(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t), "--drain", "3s")
	token := p.token(t, "bob", "photoz-app")
	body := url.Values{"grant_type": {umaGrant}, "audience": {"photoz-api"}, "permission": {"Public board#view"}}.Encode()
	var conn net.Conn
	var answers *bufio.Reader
	connect := func() {
		t.Helper()
		var err error
		if conn, err = net.Dial("tcp", strings.TrimPrefix(p.URL, "http://")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		answers = bufio.NewReader(conn)
	}
	ask := func() (closes bool) {
		t.Helper()
		req, err := http.NewRequest("POST", p.base()+tokenPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+token)
		if err := req.Write(conn); err != nil {
			t.Fatalf("the connection was cut: %v", err)
		}
		res, err := http.ReadResponse(answers, req)
		if err != nil {
			t.Fatalf("the connection was cut: %v", err)
		}
		raw, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || !bytes.Contains(raw, []byte("access_token")) {
			t.Fatalf("got %s %s, %v", res.Status, raw, err)
		}
		return res.Close
	}
	connect()
	for range 3 {
		if ask() {
			t.Fatal("a connection is not kept")
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for !ask() { // a client that sends all the time
	}
	if res := p.admin(t, "/readyz"); res.status != 503 {
		t.Errorf("/readyz when the connection ends: got %s, want 503", res)
	}
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer that ends the connection: got %v, want its end", err)
	}
	connect()
	if !ask() {
		t.Error("a new connection is kept while the server stops")
	}
	if state := p.end(t, 0); !state.Success() {
		t.Errorf("got %s, want exit 0", state)
	}
}
