package main

import (
	"path/filepath"
	"strings"
	"testing"
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
		if code == 0 || !strings.Contains(stderr, "the policies of realm photoz come from "+source+", which commands do not ask") {
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
