package main

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/umpire/bundles"
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

// progress is what a command prints that takes more than a second.
var progress = regexp.MustCompile(`(?m)^\d+ decisions replayed\n`)

// same checks that a command prints the same from the database and over the admin API, and
// returns that.
func (r *remote) same(t *testing.T, args ...string) string {
	t.Helper()
	local, localErr, localCode := umpire(t, append(args, "--data", r.data)...)
	over, overErr, overCode := umpire(t, r.args(args...)...)
	localErr, overErr = progress.ReplaceAllString(localErr, ""), progress.ReplaceAllString(overErr, "")
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

// TestRolloutOverServer: a policy is activated and rolled back over the admin API with the
// same results as beside the database, in the name of the token.
func TestRolloutOverServer(t *testing.T) {
	t.Parallel()
	file := example(t)
	s := serve(t, t.TempDir(), "--realm", file)
	r, reader := s.remotely(t, "policy"), s.remotely(t, "read")
	s.decides(t, "the folder's policy", 200)
	candidate := policyFolder(t, file, closed(t))
	policy := func(args ...string) []string { return r.args(append([]string{"policy"}, args...)...) }

	local := decode[activatedRow](t, ok(t, "policy", "activate", candidate, "--data", s.data, "-o", "json"))
	s.decides(t, "the policy that was activated locally", 403)
	back := decode[activatedRow](t, ok(t, policy("rollback", "-o", "json")...))
	if back.Revision != local.Previous || back.Previous != local.Revision {
		t.Errorf("got %+v after %+v", back, local)
	}
	s.decides(t, "the policy from before", 200)
	bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
	packed, err := os.Create(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bundles.Pack(candidate, "", packed), packed.Close()); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{candidate, bundle, local.Revision[:8]} {
		if got := decode[activatedRow](t, ok(t, policy("activate", what, "--note", "reviewed by carol", "-o", "json")...)); got.Revision != local.Revision {
			t.Errorf("%s: got revision %s, want %s as locally", what, got.Revision, local.Revision)
		}
		s.decides(t, "the policy that was uploaded", 403)
		ok(t, policy("rollback", "--revoke")...)
		s.decides(t, "the policy from before", 200)
	}
	ok(t, policy("activate", candidate, "--confirm", "1h")...)
	if status := decode[[]statusRow](t, r.same(t, "policy", "status", "-o", "json")); status[0].Policy.ConfirmBy == nil {
		t.Errorf("got %+v", status)
	}
	ok(t, policy("confirm")...)
	if row := decode[periodRow](t, ok(t, policy("release", "-o", "json")...)); row.Pinned || row.Revision != local.Revision {
		t.Errorf("got %+v", row)
	}
	rows := decode[[]periodRow](t, r.same(t, "policy", "history", "-o", "json"))
	name := "token policy-" + filepath.Base(filepath.Dir(r.token))
	if row := rows[0]; row.By != name || row.Source != "upload of "+candidate || !strings.Contains(row.Note, "confirmed by "+name) {
		t.Errorf("got %+v", row)
	}
	if row := rows[len(rows)-4]; row.By != name || row.Note != "reviewed by carol" {
		t.Errorf("got %+v", row)
	}

	broken := policyFolder(t, file, func(dir string) { write(t, filepath.Join(dir, "broken.rego"), "package lib.broken\n\nx := \n") })
	link := policyFolder(t, file, func(dir string) {
		if err := os.Symlink("/etc", filepath.Join(dir, "etc")); err != nil {
			t.Fatal(err)
		}
	})
	undefined := policyFolder(t, file, func(dir string) { write(t, filepath.Join(dir, "broken.rego"), "package lib.broken\n\nx := y\n") })
	for _, refused := range []string{broken, link, undefined, t.TempDir()} {
		if r.same(t, "policy", "activate", refused) != "" {
			t.Errorf("%s was activated", refused)
		}
	}
	for _, wrong := range [][]string{{"activate", "none"}, {"activate", candidate, "--confirm", "1s"}, {"confirm"}, {"activate", candidate, "--note", strings.Repeat("x", 2000)}} {
		r.same(t, append([]string{"policy"}, wrong...)...)
	}
	for _, command := range [][]string{{"activate", candidate}, {"activate", local.Revision}, {"rollback"}, {"release"}, {"confirm"}} {
		if _, stderr, code := umpire(t, reader.args(append([]string{"policy"}, command...)...)...); code != exitFailed || !strings.Contains(stderr, "the token can read") {
			t.Errorf("%s with a token that can read: got exit %d and %q", command[0], code, stderr)
		}
	}
	if after := decode[[]periodRow](t, r.same(t, "policy", "history", "-o", "json")); len(after) != len(rows) {
		t.Errorf("got %d periods, want the %d from before", len(after), len(rows))
	}
	uses := ok(t, "admin", "uses", "--data", s.data, "--limit", "1000")
	for _, want := range []string{"upload of " + candidate + ": revision " + local.Revision + " is in force", "insufficient_right", "refused"} {
		if !strings.Contains(uses, want) {
			t.Errorf("the uses have no %q", want)
		}
	}
}

// TestDecisionsOverServer: decisions are listed, shown and explained over the admin API as
// beside the database.
func TestDecisionsOverServer(t *testing.T) {
	t.Parallel()
	s := decided(t)
	r := s.remotely(t, "read")
	list := func(args ...string) []string { return append([]string{"decisions", "list"}, args...) }
	all := decode[[]decisionRow](t, r.same(t, list("-o", "json")...))
	if len(all) != 3 {
		t.Fatalf("got %+v", all)
	}
	id := all[0].ID
	for _, args := range [][]string{
		list(), list("--limit", "2"), list("--user", "bob", "-o", "json"), list("--resource", "Public board", "--outcome", "denied"),
		list("--since", all[1].Time.Format(time.RFC3339), "-o", "json"), list("--until", "2020-01-01"), list("--rule", all[2].Rules[0]),
		list("--user", "nobody"), list("--rule", "none/none"), list("--request-id", "none"), list("--revision", "none"), list("--client", "none"),
		list("--outcome", "fine"),
		{"decisions", "show", id}, {"decisions", "show", id, "-o", "json"}, {"decisions", "show", id, "--sources"},
		{"decisions", "show", id, "--sources", "-o", "json"}, {"decisions", "show", "none"}, {"decisions", "show", "../policy"},
		{"decisions", "explain", id}, {"decisions", "explain", id, "-o", "json"}, {"decisions", "explain", id, "--now", "--trace"},
		{"decisions", "explain", all[1].ID, "--trace", "-o", "json"}, {"decisions", "explain", "none"},
	} {
		r.same(t, args...)
	}
	for _, args := range [][]string{list("--follow"), {"decisions", "explain", id, "--file", "-"}, {"decisions", "explain", id, "--candidate", id}} {
		if _, _, code := umpire(t, r.args(args...)...); code != exitUsage {
			t.Errorf("%q: got exit %d", args, code)
		}
	}
}

// TestImpactOverServer: a server says the same about the impact of a policy as a database.
func TestImpactOverServer(t *testing.T) {
	t.Parallel()
	s := decided(t)
	r := s.remotely(t, "read")
	file := example(t)
	candidate := policyFolder(t, file, closed(t))
	broken := policyFolder(t, file, func(dir string) { write(t, filepath.Join(dir, "broken.rego"), "package lib.broken\n\nx := \n") })
	active := decode[[]statusRow](t, r.same(t, "policy", "status", "-o", "json"))[0].Policy.Revision
	impact := func(args ...string) []string {
		return append([]string{"policy", "impact", "--realm", "photoz"}, args...)
	}
	report := decode[map[string]any](t, r.same(t, impact("--candidate", candidate, "-o", "json")...))
	if report["newly_refused"] != 3.0 || report["baseline"] != active || report["replayed"] != 3.0 {
		t.Errorf("got %v", report)
	}
	for _, args := range [][]string{
		impact("--candidate", active, "-o", "json"),
		impact("--candidate", candidate, "--baseline", "recorded", "--limit", "1", "--since", "1h", "--max-refused", "0", "-o", "json"),
		impact("--candidate", candidate, "--since", "2100-01-01", "-o", "json"),
		impact("--candidate", broken, "-o", "json"), impact("--candidate", t.TempDir(), "-o", "json"),
	} {
		r.same(t, args...)
	}
	lines := impact("--candidate", candidate, "-o", "jsonl")
	over, _, code := umpire(t, r.args(lines...)...)
	if local := ok(t, append(lines, "--data", s.data)...); over != local || code != 0 || strings.Count(over, "\n") != 3 {
		t.Errorf("over the admin API\n%s(exit %d), locally\n%s", over, code, local)
	}
	if out := ok(t, r.args(impact("--candidate", candidate)...)...); !strings.Contains(out, "3 newly refused") {
		t.Errorf("got %s", out)
	}
	for _, more := range []string{"--reach", "--file=-"} {
		if _, _, code := umpire(t, r.args(impact("--candidate", candidate, more)...)...); code != exitUsage {
			t.Errorf("%s: got exit %d", more, code)
		}
	}
}
