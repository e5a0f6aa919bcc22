package realm_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/realm"
	"example.com/umpire/uma"
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
	for _, seed := range []string{"", "realm: r", "- - -", "{{{", "realm: [r]\nclients: {}", "? {a: b}\n: c", "a: &a [*a]", "realm: r\nusers: [[]]", "\x00",
		"realm: r\nclients: [{id: c, jwks: {keys: [{kty: RSA, n: AQ, e: AQAB, kid: a}, {kty: EC, crv: P-256, x: AA, y: AA}, {kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, use: sig, key_ops: [verify]}]}}]",
		"realm: r\nissuers: [{issuer: 'https://[::1]:8/%7b?#', alias: a, clients: {'*': a}, map: {subject: {access_token: a.b, id_token: [a]}, groups: {from: [a], only: [/a]}}}]",
	} {
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
		if err == nil {
			for i := range spec.Realm.Issuers {
				checkTrusted(t, &spec.Realm.Issuers[i])
			}
		}
		if strings.Contains(errText(err), "SECRET") && !bytes.Contains(content, []byte("SECRET")) {
			t.Errorf("a secret is quoted: %v", err)
		}
	})
}

// checkTrusted: whatever a file says, an issuer has what restricts it. An empty setting would
// mean any.
func checkTrusted(t *testing.T, i *uma.TrustedIssuer) {
	t.Helper()
	bearer := slices.Contains(i.Accept, uma.UseBearer)
	switch {
	case !strings.HasPrefix(i.Issuer, "https://") && !strings.HasPrefix(i.Issuer, "http://"), strings.ContainsAny(i.Issuer, "{}?#"):
		t.Errorf("took the URL %q", i.Issuer)
	case i.Alias == "" || strings.ContainsAny(i.Alias, "/ ") || i.Alias != strings.ToLower(i.Alias):
		t.Errorf("took the alias %q", i.Alias)
	case len(i.Algorithms) == 0 || slices.ContainsFunc(i.Algorithms, func(a string) bool { return a == "" || strings.HasPrefix(a, "HS") || strings.EqualFold(a, "none") }):
		t.Errorf("took the algorithms %q", i.Algorithms)
	case len(i.Accept) == 0 || i.Bind == "" || len(i.Map.Subject.AccessToken) == 0 || len(i.Map.Subject.IDToken) == 0 || len(i.Map.Client) == 0:
		t.Errorf("took %+v", i)
	case len(i.Audiences) == 0 && len(i.Clients) == 0, bearer && (len(i.Audiences) == 0 || len(i.Clients) == 0):
		t.Errorf("took an issuer whose tokens are for anybody: %+v", i)
	case slices.Contains(i.Audiences, ""), slices.Contains(slices.Collect(maps.Values(i.Clients)), ""), i.Leeway < 0 || i.Leeway > 5*time.Minute:
		t.Errorf("took %+v", i)
	case len(i.Map.Groups.From) > 0 && i.Map.Groups.Prefix == "" && len(i.Map.Groups.Only) == 0:
		t.Errorf("took groups without a prefix: %+v", i.Map.Groups)
	}
}
