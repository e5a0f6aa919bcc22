package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A remote runs commands over the admin API of a server.
type remote struct {
	*server
	token string // file
}

// remotely makes a token for the only realm of a server.
func (s *server) remotely(t testing.TB, can string) *remote {
	t.Helper()
	r := &remote{s, filepath.Join(t.TempDir(), "token")}
	write(t, r.token, ok(t, "admin", "token", "create", "--data", s.data, "--can", can, "--name", can+"-"+filepath.Base(filepath.Dir(r.token))))
	return r
}

func (r *remote) args(args ...string) []string {
	return append(args, "--server", r.admin, "--token-file", r.token)
}

// same checks that a command prints the same from the database and over the admin API, and
// returns that.
func (r *remote) same(t *testing.T, args ...string) string {
	t.Helper()
	local, localErr, localCode := umpire(t, append(args, "--data", r.data)...)
	over, overErr, overCode := umpire(t, r.args(args...)...)
	if over != local || overErr != localErr || overCode != localCode {
		t.Errorf("umpire %s: over the admin API\n%s%s(exit %d), locally\n%s%s(exit %d)",
			strings.Join(args, " "), over, overErr, overCode, local, localErr, localCode)
	}
	return over
}

// TestPoliciesOverServer: the commands that read policies print the same over the admin API.
func TestPoliciesOverServer(t *testing.T) {
	t.Parallel()
	file := example(t)
	s := serve(t, t.TempDir(), "--realm", file)
	r := s.remotely(t, "read")
	s.decides(t, "the folder's policy", 200)
	for i := range 3 {
		candidate := policyFolder(t, file, func(dir string) {
			write(t, filepath.Join(dir, "more.rego"), "package lib.more\n\nx := "+strings.Repeat("1", i+1)+"\n")
		})
		ok(t, "policy", "activate", candidate, "--data", s.data, "--note", "tabs\tand <tags>")
	}
	ok(t, "policy", "activate", policyFolder(t, file, closed(t)), "--data", s.data, "--confirm", "1h")
	for _, command := range []string{"status", "history"} {
		for _, more := range [][]string{nil, {"-o", "json"}, {"--realm", "photoz"}} {
			if out := r.same(t, append([]string{"policy", command}, more...)...); !strings.Contains(out, userName()) {
				t.Errorf("got %s", out)
			}
		}
	}
}

// TestServerFlags: a token goes only to the server that is named, and over plain HTTP only
// within this machine.
func TestServerFlags(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--realm", example(t))
	r := s.remotely(t, "read")
	open, empty := filepath.Join(t.TempDir(), "open"), filepath.Join(t.TempDir(), "empty")
	write(t, empty, "\n")
	write(t, open, "umpire_admin_x")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v1/token" {
			http.Redirect(w, req, "/stolen", http.StatusFound)
			return
		}
		t.Errorf("a request to %s", req.URL.Path)
	}))
	t.Cleanup(elsewhere.Close)
	status := func(args ...string) []string { return append([]string{"policy", "status"}, args...) }
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{status("--server", "http://192.0.2.1:8081", "--token-file", r.token), exitUsage, "want https"},
		{status("--server", "ftp://localhost", "--token-file", r.token), exitUsage, "want https"},
		{status("--server", "localhost:8081", "--token-file", r.token), exitUsage, "--server"},
		{status("--server", "https://user:secret@localhost", "--token-file", r.token), exitUsage, "--server"},
		{status("--server", s.admin), exitUsage, "--token-file is missing"},
		{status("--token-file", r.token), exitUsage, "--server is missing"},
		{status("--server", s.admin, "--token-file", open), exitUsage, "chmod 600"},
		{status("--server", s.admin, "--token-file", empty), exitUsage, "has no token"},
		{status("--server", s.admin, "--token-file", filepath.Dir(empty)), exitUsage, "not a regular file"},
		{status("--server", s.admin, "--token-file", r.token, "--ca-file", empty), exitUsage, "no certificate"},
		{status("--server", s.admin, "--token-file", r.token, "--data", s.data), exitUsage, "--data and --server"},
		{status("--server", s.admin, "--token-file", r.token, "--realm", "other"), exitFailed, "the token is for realm photoz"},
		{status("--server", s.url, "--token-file", r.token), exitFailed, "is it the admin listener"},
		{status("--server", elsewhere.URL, "--token-file", r.token), exitFailed, "redirect"},
		{status("--server", "http://127.0.0.1:1", "--token-file", r.token), exitFailed, "--server"},
	} {
		if _, stderr, code := umpire(t, test.args...); code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("umpire %s: got exit %d and %q, want %d and one about %q", strings.Join(test.args, " "), code, stderr, test.code, test.want)
		}
	}
	ok(t, "admin", "token", "revoke", decode[[]tokenRow](t, ok(t, "admin", "token", "list", "--data", s.data, "-o", "json"))[0].ID, "--data", s.data)
	if _, stderr, code := umpire(t, r.args("policy", "status")...); code != exitFailed || !strings.Contains(stderr, "--token-file: the token is not known, was revoked or has expired") {
		t.Errorf("got exit %d and %q", code, stderr)
	}
}

// TestServerTLS: with https, the certificate of the server is checked.
func TestServerTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--realm", example(t))
	r := s.remotely(t, "read")
	s.decides(t, "the folder's policy", 200)
	proxy := tlsProxy(t, s.admin)
	r.admin = proxy.url
	if _, stderr, code := umpire(t, r.args("policy", "status")...); code != exitFailed || !strings.Contains(stderr, "certificate") {
		t.Errorf("got exit %d and %q, want one about the certificate", code, stderr)
	}
	r.same(t, "policy", "status", "--ca-file", proxy.ca)
}

// A proxy ends TLS in front of a server. ca is the file of its certificate.
type proxy struct{ url, ca string }

func tlsProxy(t *testing.T, target string) proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(u))
	t.Cleanup(p.Close)
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return proxy{p.URL, ca}
}
