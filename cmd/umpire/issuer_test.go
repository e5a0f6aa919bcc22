package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trusting writes a realm file with an issuer at a URL, and returns its path.
func trusting(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "realm.yaml")
	write(t, file, "realm: shop\nissuers: [{issuer: '"+url+"', alias: example, audiences: [umpire], algorithms: [EdDSA],\n"+
		"  jwks: {keys: [{kty: OKP, crv: Ed25519, kid: k, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}}]\n")
	return file
}

// TestIssuerRename: an alias is moved by this command alone. A realm file that gives it to
// another URL is refused with the command to run.
func TestIssuerRename(t *testing.T) {
	t.Parallel()
	const here, there = "https://login.example.com", "https://login.example.com/eu"
	data, old, next := t.TempDir(), trusting(t, here), trusting(t, there)
	ok(t, "realm", "apply", "--data", data, old)

	fails := func(want string, code int, args ...string) {
		t.Helper()
		if stdout, stderr, got := umpire(t, slices.Concat(args, []string{"--data", data})...); got != code || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
		}
	}
	rename := "umpire issuer rename example " + there + " --realm shop"
	fails("the alias example belongs to the issuer "+here, 1, "realm", "apply", next)
	fails("`"+rename+"`", 1, "realm", "apply", next)
	fails("`"+rename+"`", 1, "realm", "apply", "--dry-run", next)
	text, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "realm.yaml")
	write(t, other, strings.Replace(string(text), "alias: example", "alias: corp", 1))
	fails("keep it instead of corp", 1, "realm", "apply", other)

	args := strings.Fields(strings.TrimPrefix(rename, "umpire "))
	fails("URL is missing", 2, "issuer", "rename", "example", "--realm", "shop")
	fails("--realm is missing", 2, args[:4]...)
	fails(`there is no realm "shopp"`, 2, slices.Concat(args[:5], []string{"shopp"})...)
	fails(`no issuer with the alias "exampel"`, 2, "issuer", "rename", "exampel", there, "--realm", "shop")
	fails("want an absolute https URL", 2, "issuer", "rename", "example", "http://login.example.com", "--realm", "shop")
	fails("common stands for the tenants of everybody", 2, "issuer", "rename", "example", "https://login.example.com/common/v2.0", "--realm", "shop")
	if got := ok(t, append(args, "--data", data)...); !strings.Contains(got, "apply a realm file") {
		t.Errorf("got %q", got)
	}
	if got := decode[renamedIssuer](t, ok(t, append(args, "--data", data, "-o", "json")...)); got != (renamedIssuer{"shop", "example", there}) {
		t.Errorf("got %+v", got)
	}
	fails("the alias example belongs to the issuer "+there, 1, "realm", "apply", old)
	ok(t, "realm", "apply", "--data", data, next)
}
