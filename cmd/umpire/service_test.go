package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
)

const fromService = "opa: {services: {registry: {url: 'https://registry.invalid', credentials: {bearer: {token: registry-s3cret}}}}, bundles: {photoz: {}}},"

// TestPoliciesOfAService: commands ask no service. They check the settings, say that the policies
// are the server's to examine, and take the bundle or folder beside the realm file.
func TestPoliciesOfAService(t *testing.T) {
	t.Parallel()
	file, data := example(t, "bundle: ./policies,", fromService), t.TempDir()
	folder := filepath.Join(filepath.Dir(file), "policies")
	const source = "service registry, resource bundles/photoz"
	stdout, stderr, code := umpire(t, "realm", "check", file)
	if code != 0 || !strings.Contains(stderr, "the policies come from "+source+": they are examined when a server takes them") {
		t.Errorf("realm check: exit %d, %q, %q", code, stdout, stderr)
	}
	for _, command := range []string{"check", "lint", "test"} {
		stdout, stderr, code := umpire(t, "policy", command, file)
		if code == 0 || !strings.Contains(stderr, "the policies of realm photoz come from "+source+", which this command does not ask: name the policy folder, or the bundle file that `umpire policy download` gets") {
			t.Errorf("policy %s: exit %d, %q, %q", command, code, stdout, stderr)
		}
	}
	for _, command := range []string{"check", "lint"} {
		ok(t, "policy", command, folder, "--realm", file)
	}
	if got := ok(t, "realm", "apply", "--data", data, "--dry-run", file); strings.Contains(got, "registry-s3cret") {
		t.Error("a dry run shows the token")
	}
	ok(t, "realm", "apply", "--data", data, file)
	if again := ok(t, "realm", "apply", "--data", data, file); again != "realm photoz: no changes\n" {
		t.Errorf("a second time: got %q", again)
	}
	changed := example(t, "bundle: ./policies,", strings.Replace(fromService, "s3cret", "other", 1))
	if got := ok(t, "realm", "apply", "--data", data, changed); !strings.Contains(got, "realm photoz") || strings.Contains(got, "registry-other") {
		t.Errorf("another token: got %q", got)
	}
	if got := ok(t, "policy", "status", "--data", data); !strings.Contains(got, "photoz") || strings.Contains(got, "registry-other") {
		t.Errorf("policy status: got %q", got)
	}
}

// TestPolicyDownload: the bundle of a service is written as it is, to be examined.
func TestPolicyDownload(t *testing.T) {
	t.Parallel()
	var built bytes.Buffer
	policies := filepath.Join(filepath.Dir(example(t)), "policies")
	if err := compile.New().WithPaths(policies).WithAsBundle(true).WithOutput(&built).WithRegoVersion(ast.RegoV1).Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	content := built.Bytes()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer registry-s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(service.Close)
	here := strings.Replace(fromService, "https://registry.invalid", service.URL, 1)
	file, to := example(t, "bundle: ./policies,", here), filepath.Join(t.TempDir(), "photoz.tar.gz")
	got := ok(t, "policy", "download", file, "--to", to)
	if want := fmt.Sprintf("%s: %d bytes of service registry, resource bundles/photoz\n", to, len(content)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if written, err := os.ReadFile(to); err != nil || !bytes.Equal(written, content) {
		t.Errorf("got %d bytes, %v", len(written), err)
	}
	ok(t, "policy", "check", to, "--realm", file)
	if _, stderr, code := umpire(t, "policy", "download", file, "--to", to); code == 0 || !strings.Contains(stderr, "file exists") {
		t.Errorf("to a file that exists: exit %d, %s", code, stderr)
	}
	for words, file := range map[string]string{
		"has no policy.opa.bundles": example(t),
		"answered 401 Unauthorized": example(t, "bundle: ./policies,", strings.Replace(here, "s3cret", "other", 1)),
	} {
		to := filepath.Join(t.TempDir(), "none.tar.gz")
		_, stderr, code := umpire(t, "policy", "download", file, "--to", to)
		if _, err := os.Stat(to); code == 0 || !strings.Contains(stderr, words) || err == nil || strings.Contains(stderr, "registry-other") {
			t.Errorf("exit %d, %s; want %q, and no file", code, stderr, words)
		}
	}
}

// TestOPASettingsAreChecked: mistakes in OPA's configuration have their lines.
func TestOPASettingsAreChecked(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{
		"bundles: {photoz: {}}":            "policy.opa.bundles: want one bundle",
		"{photoz: {}}":                     "policy.opa.bundles.photoz.trigger: unknown key",
		"bearer: {token: registry-s3cret}": "policy.opa.services.registry.credentials.oauth2.token_url: is missing",
	} {
		next := map[string]string{
			"bundles: {photoz: {}}": "bundles: {}", "{photoz: {}}": "{photoz: {trigger: manual}}",
			"bearer: {token: registry-s3cret}": "oauth2: {client_id: c, client_secret: registry-s3cret}",
		}[old]
		file := example(t, "bundle: ./policies,", strings.Replace(fromService, old, next, 1))
		_, stderr, code := umpire(t, "realm", "check", file)
		if code != exitNotPassed || !strings.Contains(stderr, want) || !strings.Contains(stderr, "realm.yaml:") || strings.Contains(stderr, "s3cret") {
			t.Errorf("%s: exit %d, %q, want %q", next, code, stderr, want)
		}
	}
}
