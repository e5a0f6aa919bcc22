package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A server is `umpire serve` in this process.
type server struct {
	data           string
	url, admin     string
	stdout, stderr *buffer
	stop           func() (code int)
}

// serve starts a server and waits until it logs its addresses.
func serve(t testing.TB, data string, flags ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{data: data, stdout: &buffer{}, stderr: &buffer{}}
	done := make(chan int, 1)
	args := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, flags...)
	environ := environment(t, args)
	go func() { done <- run(ctx, args, environ, s.stdout, s.stderr) }()
	s.stop = sync.OnceValue(func() int {
		cancel()
		return <-done
	})
	t.Cleanup(func() { s.stop() })
	eventually(t, "a server that listens", func() bool {
		line, found := serving(s.stderr.String())
		s.url, s.admin = line.URL, "http://"+line.Admin
		return found
	})
	return s
}

// ready waits until the server has activated its first policy.
func (s *server) ready(t testing.TB) {
	t.Helper()
	eventually(t, "an active policy", func() bool { return strings.Contains(s.stderr.String(), `"policy activated"`) })
}

// A servingLine is what a server logs when it is ready.
type servingLine struct{ Msg, URL, Listen, Admin string }

func serving(log string) (servingLine, bool) {
	for text := range strings.Lines(log) {
		var line servingLine
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "serving" {
			return line, true
		}
	}
	return servingLine{}, false
}

// metrics returns those of an admin listener.
func metrics(t testing.TB, admin string) string {
	t.Helper()
	res, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// post sends a form to the token endpoint of the realm and reads the answer.
func (s *server) post(t testing.TB, bearer string, form url.Values) (int, map[string]any) {
	t.Helper()
	header := map[string]string{}
	if bearer != "" {
		header["Authorization"] = "Bearer " + bearer
	}
	return s.form(t, "/protocol/openid-connect/token", header, form)
}

// form sends a form to an endpoint of the realm and reads the answer.
func (s *server) form(t testing.TB, path string, header map[string]string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/realms/photoz"+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return res.StatusCode, body
}

// ask requests a permission of photoz-api for a user.
func (s *server) ask(t testing.TB, user, permission string) (status int) {
	t.Helper()
	_, signIn := s.post(t, "", url.Values{"grant_type": {"password"}, "client_id": {"photoz-web"}, "username": {user}, "password": {user}})
	token, _ := signIn["access_token"].(string)
	status, _ = s.post(t, token, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:uma-ticket"}, "audience": {"photoz-api"}, "permission": {permission}, "response_mode": {"decision"},
	})
	return status
}

// TestServe: a server starts, decides, writes decisions to stdout and its log to stderr, and
// stops on request.
func TestServe(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--realm", example(t))
	if status := s.ask(t, "bob", "Public board#view"); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
	res, err := http.Get(s.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("/readyz: got %d, want 200", res.StatusCode)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("got exit %d, want 0\n%s", code, s.stderr)
	}
	lines := strings.Split(strings.TrimSpace(s.stdout.String()), "\n")
	if line := decode[map[string]any](t, lines[0]); len(lines) != 1 || line["type"] != "openpolicyagent.org/decision_logs" || line["msg"] != "Decision Log" {
		t.Errorf("got %q on stdout, want one line of decision log", lines)
	}
	for text := range strings.Lines(s.stderr.String()) {
		if line := decode[map[string]any](t, text); line["level"] == "ERROR" {
			t.Errorf("got %s in the log", text)
		}
	}
}

// TestServeRealms: several files create several realms; --default-realm answers paths
// without a realm.
func TestServeRealms(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--realm", example(t), "--realm", example(t, "realm: photoz", "realm: other"), "--default-realm", "other", "--decision-log", "")
	res, err := http.Get(s.url + "/.well-known/uma2-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[map[string]any](t, string(raw))["issuer"]; got != s.url+"/realms/other" {
		t.Errorf("got issuer %v, want that of the default realm", got)
	}
	s.ask(t, "bob", "Public board#view")
	s.stop()
	if s.stdout.String() != "" {
		t.Errorf("got %s on stdout, want no decision log", s.stdout)
	}
	// A realm whose file is no longer named stays.
	if keys := decode[[]keyRow](t, ok(t, "keys", "list", "--data", data, "-o", "json")); len(keys) != 2 {
		t.Errorf("got keys %v, want one for each realm", keys)
	}
	again := serve(t, data)
	if status := again.ask(t, "bob", "Public board#view"); status != 200 {
		t.Errorf("started without files: got %d, want 200", status)
	}
}

// TestSignals: SIGINT and SIGTERM stop the server with exit code 0.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := programOf(ctx, t, "serve", "--data", t.TempDir(), "--realm", example(t), "--listen", "127.0.0.1:0", "--admin-listen", "")
		var stderr buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a process that listens", func() bool {
			line, found := serving(stderr.String())
			return found && line.Admin == "none"
		})
		if err := cmd.Process.Signal(signal); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", signal, err, &stderr)
		}
	}
}

// TestDemo: the demo shows the whole walk.
func TestDemo(t *testing.T) {
	t.Parallel()
	out := ok(t, "demo", "--exit")
	expectInOrder(t, out,
		"authorization server  http://127.0.0.1:",
		"> GET http://127.0.0.1", "/album/1", "< 401", `< WWW-Authenticate: UMA realm="photoz", as_uri="http://127.0.0.1`, `ticket="`,
		"> POST", "> ticket=", "< 200", "record ", "granted  rules: ", "photoz/friends-view",
		"< 200",
		"> POST", "/album/1/comments", "< 401", "< 403", "request_submitted", "record ", "partial  rules: ", "ask-owner",
		"> GET", "granted=false", "< 200", "> PUT", `"granted":true`, "< 204",
		"> POST", "/album/1/comments", "< 401", "> rpt=", "< 200", "record ", "shared", "< 201",
		"> DELETE", "< 401", "< 403", "record ", "denied", "only its owner deletes an album",
	)
	if m := regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]{20,}`).FindString(out); m != "" {
		t.Errorf("a whole token is shown: %s", m)
	}
	folder := regexp.MustCompile(`realm file +(\S+)/photoz/realm.yaml`).FindStringSubmatch(out)
	if folder == nil {
		t.Fatalf("got %s, want the realm file named", out)
	}
	if _, err := os.Stat(folder[1]); !os.IsNotExist(err) {
		t.Errorf("the folder of the demo is still there: %v", err)
	}
}

func expectInOrder(t testing.TB, text string, want ...string) {
	t.Helper()
	rest := text
	for _, w := range want {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Fatalf("got\n%s\nwant %q after\n%s", text, w, text[:len(text)-len(rest)])
		}
		rest = after
	}
}

// TestDemoStays: without --exit the servers keep running, and the output has commands to
// try, which a shell finds wherever the program is.
func TestDemoStays(t *testing.T) {
	t.Parallel()
	for example, want := range map[string][]string{
		"photoz": {"AS=http://127.0.0.1:", "SITE=http://127.0.0.1:", "curl -i $SITE/album/1", `sed 's/.*"access_token":"\([^"]*\)".*/\1/'`},
		"clinic": {"EMPLOYER=http://127.0.0.1:", "LAB=http://127.0.0.1:", "curl -s $LAB/results/weber", " party list --realm clinic --data /"},
	} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stdout, stderr buffer
			done := make(chan int, 1)
			go func() { done <- run(ctx, []string{"demo", example}, os.Getenv, &stdout, &stderr) }()
			eventually(t, "the end of the story", func() bool { return strings.Contains(stdout.String(), " decisions list --data /") })
			out := stdout.String()
			for _, line := range want {
				if !strings.Contains(out, line) {
					t.Errorf("got %s, want %q in it", out[max(0, len(out)-1500):], line)
				}
			}
			if program := regexp.MustCompile(`(?m)^  (\S+) decisions list`).FindStringSubmatch(out)[1]; !filepath.IsAbs(program) {
				t.Errorf("got %s, want this program by its path", program)
			}
			for _, m := range regexp.MustCompile(`[A-Z]+=(http://\S+)`).FindAllStringSubmatch(out, -1) {
				res, err := http.Get(m[1])
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode >= 500 {
					t.Errorf("%s: got %d", m[0], res.StatusCode)
				}
			}
			cancel()
			if code := <-done; code != 0 || stderr.String() != "" {
				t.Errorf("got exit %d, %s", code, &stderr)
			}
		})
	}
}

// TestServeFolderInUse: a second server on a data folder stops with an error that names the
// first; commands work while the server runs.
func TestServeFolderInUse(t *testing.T) {
	t.Parallel()
	databases.OnlySQLite(t, "one server for a database")
	s := serve(t, t.TempDir(), "--realm", example(t))
	_, stderr, code := umpire(t, "serve", "--data", s.data, "--listen", "127.0.0.1:0", "--admin-listen", "")
	if code != exitFailed || !strings.Contains(stderr, fmt.Sprintf("lock the data folder: %s is in use by process %d", s.data, os.Getpid())) {
		t.Errorf("got exit %d and %q, want the process that has the folder", code, stderr)
	}
	ok(t, "realm", "apply", "--data", s.data, example(t))
	ok(t, "keys", "list", "--data", s.data)
	if code := s.stop(); code != 0 {
		t.Errorf("got exit %d, want 0\n%s", code, s.stderr)
	}
	if code := serve(t, s.data).stop(); code != 0 {
		t.Errorf("started again: got exit %d, want 0", code)
	}
}

// TestKeyFromTheEnvironment: the key-encryption key can be in the environment instead of a
// file.
func TestKeyFromTheEnvironment(t *testing.T) {
	t.Parallel()
	const secret = "0f0e0d0c0b0a09080706050403020100000102030405060708090a0b0c0d0e0f"
	e := &env{getenv: func(name string) string { return map[string]string{"UMPIRE_KEY": secret}[name] }}
	if got, err := e.key(); err != nil || got != secret {
		t.Errorf("got %v", err)
	}
	e.keyFile = "umpire.key"
	if got, err := e.key(); err == nil || got != "" || strings.Contains(err.Error(), secret) {
		t.Errorf("with a file: got %v, want a mistake", err)
	}
	data := t.TempDir()
	database := databases.URL(t, data)
	for _, tc := range []struct {
		key  string
		code int
	}{{secret, 0}, {"nothing", exitFailed}, {strings.Repeat("a", 64), exitFailed}, {secret, 0}} {
		var stdout, stderr buffer
		root := newRoot(&env{stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(name string) string {
			return map[string]string{"UMPIRE_KEY": tc.key, "UMPIRE_DATA": data, "UMPIRE_DATABASE": database}[name]
		}})
		root.SetArgs([]string{"realm", "apply", example(t)})
		err := root.ExecuteContext(t.Context())
		if (err == nil) != (tc.code == 0) {
			t.Errorf("got %v", err)
		}
		if err != nil && strings.Contains(err.Error(), tc.key) || strings.Contains(stdout.String()+stderr.String(), tc.key) {
			t.Errorf("the key is told: %v %s %s", err, stdout.String(), stderr.String())
		}
	}
	if _, err := os.Stat(filepath.Join(data, "umpire.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file was made: %v", err)
	}
}
