package realm_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("db.secret", "from a file\r\n")
	write("bom.secret", "\ufefffrom a file\n")
	write("empty", "\n")
	write("huge", strings.Repeat("x", 100_000))
	read := func(secret string, env map[string]string) (*uma.RealmSpec, error) {
		write("realm.yaml", "realm: r\nclients: [{id: c, secret: \""+secret+"\"}]\n")
		spec, _, err := realm.Read(filepath.Join(dir, "realm.yaml"), func(name string) string { return env[name] })
		return spec, err
	}

	for secret, want := range map[string]string{
		"plain": "plain", "env:DB": "from the environment", "file:db.secret": "from a file", "file:bom.secret": "from a file",
		"file:" + filepath.Join(dir, "db.secret"): "from a file",
	} {
		spec, err := read(secret, map[string]string{"DB": "from the environment"})
		if err != nil || spec.Clients[0].PlainSecret != want {
			t.Errorf("%s: got %v, %v, want %q", secret, spec, err, want)
		}
	}
	for _, secret := range []string{"", "env:", "env:NONE", "env:A B", "file:", "file:none", "file:empty", "file:huge", "file:."} {
		if _, err := read(secret, nil); !strings.Contains(errText(err), "clients[0].secret: ") {
			t.Errorf("%s: got %v", secret, err)
		}
	}

	// The same file with another secret is another content.
	one, err1 := read("env:DB", map[string]string{"DB": "1"})
	two, err2 := read("env:DB", map[string]string{"DB": "2"})
	again, err3 := read("env:DB", map[string]string{"DB": "1"})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one.Content, two.Content) || !bytes.Equal(one.Content, again.Content) {
		t.Error("Content does not change exactly when a secret changes")
	}
}

func TestBundleFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "realm.yaml")
	if err := os.WriteFile(file, []byte("realm: r\npolicy: {bundle: policies}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := realm.Read(file, noEnv); !strings.Contains(errText(err), "policy.bundle: ") {
		t.Errorf("no folder: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "policies"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := realm.Read(file, noEnv); !strings.Contains(errText(err), "is neither a folder nor a bundle file") {
		t.Errorf("a file: got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "policies")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec, _, err := realm.Read(file, noEnv)
	if err != nil || spec.Realm.Policy.Bundle != filepath.Join(dir, "policies") {
		t.Errorf("got %+v, %v", spec, err)
	}
	var m realm.Mistakes
	if _, _, err := realm.Read(filepath.Join(dir, "none.yaml"), noEnv); err == nil || errors.As(err, &m) {
		t.Errorf("a file that is not there: got %v", err)
	}
}
