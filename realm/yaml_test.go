package realm_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"example.com/umpire/realm"
)

func TestNotYAML(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, yaml, want string }{
		{"empty", "", "r.yaml: want exactly one YAML document"},
		{"a comment", "# nothing", "r.yaml: want exactly one YAML document"},
		{"two documents", "realm: a\n---\nrealm: b\n", "r.yaml: want exactly one YAML document"},
		{"text", "realm", "r.yaml:1:1: want an object: key: value"},
		{"syntax", "realm: a: b", "r.yaml:1:9: mapping values are not allowed in this context"},
		{"alias", "realm: r\nusers: [{username: u, password: *SECRET-1}]",
			"r.yaml:2:33: anchors and aliases are not supported; text that begins with & or * needs quotes"},
		{"known alias", "realm: &x r\nprofile: *x",
			"r.yaml:1:8: realm: anchors and aliases are not supported; text that begins with & or * needs quotes\n" +
				"r.yaml:2:10: profile: anchors and aliases are not supported; text that begins with & or * needs quotes"},
		{"merge", "realm: r\n<<: {enabled: false}", "r.yaml:2:1: this key is not text; put it in quotes"},
		{"tag", "realm: !SECRET-1 r", "r.yaml:1:8: realm: want text; a number, true, false or null needs quotes to be text"},
		{"binary", "realm: \xff", "r.yaml: invalid leading UTF-8 octet (value: 255)"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := realm.Parse("r.yaml", []byte(tc.yaml), noEnv)
			if got := errText(err); got != tc.want {
				t.Errorf("got %q\nwant %q", got, tc.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/example.yaml", "testdata/mistakes.yaml", "../tests/testdata/photoz/realm.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, seed := range []string{"", "realm: r", "- - -", "{{{", "realm: [r]\nclients: {}", "? {a: b}\n: c", "a: &a [*a]", "realm: r\nusers: [[]]", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		spec, _, err := realm.Parse("testdata/r.yaml", content, func(string) string { return "SECRET" })
		if (spec == nil) == (err == nil) {
			t.Fatalf("got %+v and %v", spec, err)
		}
		if m, ok := errors.AsType[realm.Mistakes](err); err != nil && (!ok || len(m) == 0) {
			t.Errorf("got %T %v", err, err)
		}
		if err == nil && (spec.Realm.Name == "" || spec.Realm.Policy.Entrypoint == "" || spec.Realm.Lifetimes.Access <= 0) {
			t.Errorf("took %q as %+v", content, spec)
		}
		if strings.Contains(errText(err), "SECRET") && !bytes.Contains(content, []byte("SECRET")) {
			t.Errorf("a secret is quoted: %v", err)
		}
	})
}
