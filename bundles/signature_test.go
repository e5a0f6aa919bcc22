package bundles_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"

	"example.com/umpire/bundles"
)

func TestSignedFolder(t *testing.T) {
	t.Parallel()
	for algorithm, s := range signers() {
		files := policies()
		files[".signatures.json"] = s.sign(t, files, nil)
		b, err := bundles.Read(folder(files), s.accept("team", ""))
		if err != nil {
			t.Errorf("%s: got %v", algorithm, err)
			continue
		}
		if got, want := slices.Sorted(maps.Keys(b.Files)), []string{"data.yaml", "facts/data.json", "photo.rego"}; !slices.Equal(got, want) {
			t.Errorf("%s: files: got %v, want %v", algorithm, got, want)
		}
	}
}

// What was not verified is compared with the policy in force, which has no tests.
func TestSignatureErrorHasTheFilesOfTheBundle(t *testing.T) {
	t.Parallel()
	b, err := bundles.Read(folder(policies()), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bundles.Read(folder(policies()), signers()["HS256"].accept("team", ""))
	if unsigned, ok := errors.AsType[*bundles.SignatureError](err); !ok || !maps.Equal(unsigned.Files, b.Files) {
		t.Errorf("got %v", err)
	}
}

// OPA signs every file of a folder, and takes the dot from names such as .regal/config.yaml.
func TestSignedFolderWithOtherFiles(t *testing.T) {
	t.Parallel()
	s := signers()["ES256"]
	signed := with(with(policies(), "regal/config.yaml", "rules: {}\n"), "README.md", "Read me.\n")
	signed = with(signed, ".2026_11_28/photo.rego", "package x\n")
	files := with(policies(), ".signatures.json", s.sign(t, signed, nil))
	files[".regal/config.yaml"] = "rules: {}\n"
	files["notes.md"] = "written later\n"
	if _, err := bundles.Read(folder(files), s.accept("team", "")); err != nil {
		t.Errorf("got %v", err)
	}
}

// Files that match signing.exclude_files need no signature, but others do.
func TestSignedFolderExcludes(t *testing.T) {
	t.Parallel()
	s := signers()["HS256"]
	files := with(policies(), ".signatures.json", s.sign(t, policies(), nil))
	files["facts/data.json"], files["facts/data.yaml"] = `{"limit": 20}`, "more: 1\n"
	o := s.accept("team", "")
	o.Keys.Exclude = []string{"facts/data.*"}
	if _, err := bundles.Read(folder(files), o); err != nil {
		t.Errorf("got %v", err)
	}
	o.Keys.Exclude = []string{"data.*", "["}
	if _, err := bundles.Read(folder(files), o); err == nil {
		t.Error("got no error for a file in a folder that the pattern does not name")
	}
}

// A volume of a ConfigMap has links to a folder whose name begins with two dots.
func TestSignedConfigMap(t *testing.T) {
	t.Parallel()
	s := signers()["RS256"]
	signed := map[string]string{"photo.rego": policies()["photo.rego"], "data.yaml": "a: 1\n", ".manifest": "{}"}
	signed[".signatures.json"] = s.sign(t, signed, nil)
	dir := t.TempDir()
	for name, content := range signed {
		write(t, dir, filepath.Join("..2026_11_28_12_00_00.123", name), content)
		link(t, filepath.Join("..data", name), filepath.Join(dir, name))
	}
	link(t, "..2026_11_28_12_00_00.123", filepath.Join(dir, "..data"))
	if _, err := bundles.ReadDir(dir, s.accept("team", "")); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestSignedFolderRefused(t *testing.T) {
	t.Parallel()
	s := signers()["ES256"]
	files := policies()
	signature := s.sign(t, files, nil)
	signed := with(files, ".signatures.json", signature)
	claim := func(name, value string) map[string]string {
		return with(files, ".signatures.json", s.sign(t, files, map[string]string{name: value}))
	}
	accept := s.accept("team", "")
	several := s.accept("team", "")
	several.Keys.PublicKeys["other"] = several.Keys.PublicKeys["team"]
	weak := s.signList(t, []bundle.FileInfo{bundle.NewFile("photo.rego", "00", "MD5")}, nil)
	broken := s.accept("team", "")
	broken.Keys.PublicKeys["team"].Key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
	for name, c := range map[string]struct {
		files   map[string]string
		options bundles.Options
		file    string // below policies/
		want    string
	}{
		"unsigned":        {files, accept, ".signatures.json", "is missing, but the realm has keys"},
		"policy changed":  {with(signed, "photo.rego", files["photo.rego"]+"grant contains \"edit\"\n"), accept, "photo.rego", "is not the file that was signed"},
		"data changed":    {with(signed, "facts/data.json", `{"limit": 10, "blocked": []}`), accept, "facts/data.json", "is not the file that was signed"},
		"other manifest":  {with(signed, ".manifest", `{"roots": ["x"]}`), accept, ".manifest", "is not the file that was signed"},
		"no manifest":     {without(signed, ".manifest"), accept, ".manifest", "is signed and missing"},
		"odd manifest":    {with(signed, ".manifest", `{"roots": [""], "roots": ["a"]}`), accept, ".manifest", "cannot be read"},
		"test changed":    {with(signed, "photo_test.rego", "package photo_test\n"), accept, "photo_test.rego", "is not the file that was signed"},
		"policy missing":  {without(signed, "photo.rego"), accept, "photo.rego", "is signed and missing"},
		"data missing":    {without(signed, "facts/data.json"), accept, "facts/data.json", "is signed and missing"},
		"policy hidden":   {with(without(signed, "photo.rego"), ".photo.rego", files["photo.rego"]), accept, "photo.rego", "is signed and missing"},
		"policy added":    {with(signed, "more.rego", "package uma.policies.more\n"), accept, "more.rego", "is not in the signature"},
		"data added":      {with(signed, "more/data.yaml", "a: 1\n"), accept, "more/data.yaml", "is not in the signature"},
		"empty":           {with(files, ".signatures.json", ""), accept, ".signatures.json", "is not a signature by OPA"},
		"none":            {with(files, ".signatures.json", `{"signatures": []}`), accept, ".signatures.json", "want one signature, not 0"},
		"two":             {with(files, ".signatures.json", `{"signatures": ["a.b.c", "a.b.c"]}`), accept, ".signatures.json", "want one signature, not 2"},
		"no JWT":          {with(files, ".signatures.json", `{"signatures": ["e30.e30"]}`), accept, ".signatures.json", "want a JWT"},
		"another plugin":  {with(files, ".signatures.json", strings.Replace(signature, "{", `{"plugin": "none", `, 1)), accept, ".signatures.json", "is not signed with the key"},
		"too large":       {with(files, ".signatures.json", signature+strings.Repeat(" ", 4<<20)), accept, ".signatures.json", "more than 4 MiB"},
		"expired":         {claim("exp", fmt.Sprint(noon.Unix())), accept, ".signatures.json", "expired at 2026-11-28T12:00:00Z"},
		"another scope":   {claim("scope", `"read"`), s.accept("team", "write"), ".signatures.json", `is signed for the scope "read", but the key "team" is for "write"`},
		"no scope":        {signed, s.accept("team", "write"), ".signatures.json", `is signed for the scope "", but the key "team" is for "write"`},
		"a scope":         {claim("scope", `"read"`), accept, ".signatures.json", `is signed for the scope "read", but the key "team" is for ""`},
		"unknown key":     {claim("keyid", `"mallory"`), accept, ".signatures.json", `names the key "mallory", but the realm has team`},
		"no key named":    {signed, several, ".signatures.json", "does not name its key, and the realm has several: want one of other, team"},
		"another key":     {with(files, ".signatures.json", newES256(t).sign(t, files, nil)), accept, ".signatures.json", `is not signed with the key "team", or was changed`},
		"algorithm":       {signed, signers()["RS256"].accept("team", ""), ".signatures.json", `is signed by "ES256", but the key "team" is for RS256`},
		"public as HMAC":  {with(files, ".signatures.json", signer{"HS256", s.public, ""}.sign(t, files, nil)), accept, ".signatures.json", `is signed by "HS256", but the key "team" is for ES256`},
		"algorithm none":  {with(files, ".signatures.json", `{"signatures": ["eyJhbGciOiJub25lIn0.e30."]}`), accept, ".signatures.json", `is signed by "none"`},
		"a weak hash":     {with(map[string]string{"photo.rego": files["photo.rego"]}, ".signatures.json", weak), accept, "photo.rego", "is signed by a hash of MD5"},
		"an unusable key": {signed, broken, ".signatures.json", `the key "team" in policy.opa.keys is no public key in PEM`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundles.Read(folder(c.files), c.options)
			refused, ok := errors.AsType[*bundles.SignatureError](err)
			if !ok {
				t.Fatalf("got %v, want a SignatureError", err)
			}
			m := refused.Mistakes[0]
			if got, want := m.File, filepath.Join("policies", c.file); got != want {
				t.Errorf("file: got %s, want %s", got, want)
			}
			if !strings.Contains(m.Text, c.want) || !strings.HasSuffix(m.Text, "sign the folder, by `cd policies && opa sign --signing-key KEY --bundle .`") {
				t.Errorf("got %q, want one with %q and the remedy", m.Text, c.want)
			}
			for _, key := range c.options.Keys.PublicKeys {
				if strings.Contains(err.Error(), strings.TrimSpace(key.Key)) || strings.Contains(err.Error(), "MFkw") {
					t.Errorf("the error has the key: %v", err)
				}
			}
		})
	}
}

// newES256 returns a signer that nobody knows.
func newES256(t *testing.T) signer {
	t.Helper()
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(e)
	return signer{"ES256", pemOf("EC PRIVATE KEY", private, err), ""}
}

// A signature is of the value of a data file. Text that OPA reads as that value and Umpire
// as another is refused.
func TestSignedDataThatOPAReadsOtherwise(t *testing.T) {
	t.Parallel()
	s := signers()["HS256"]
	files := map[string]string{"data.yaml": "limit: 0.12345678901234567891\n"}
	files[".signatures.json"] = s.sign(t, files, nil)
	_, err := bundles.Read(folder(files), s.accept("team", ""))
	if err == nil || !strings.Contains(err.Error(), "data.yaml: has values that OPA reads otherwise") {
		t.Errorf("got %v", err)
	}
}

// What cannot be parsed is reported with its line, as without a signature.
func TestSignedFolderMistakes(t *testing.T) {
	t.Parallel()
	s := signers()["HS256"]
	files := policies()
	files[".signatures.json"] = s.sign(t, files, nil)
	for name, c := range map[string][2]string{
		"policy": {"photo.rego", "policies/photo.rego: is not the file that was signed"},
		"data":   {"facts/data.json", "policies/facts/data.json:2: "},
	} {
		_, err := bundles.Read(folder(with(files, c[0], "{\n1")), s.accept("team", ""))
		if err == nil || !strings.HasPrefix(err.Error(), c[1]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSignedArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range policies() {
		write(t, dir, name, content)
	}
	for algorithm, s := range signers() {
		archive := s.build(t, dir, "team")
		read := func(archive []byte, o bundles.Options) error {
			_, err := bundles.ReadArchive(bytes.NewReader(archive), o)
			return err
		}
		if err := read(archive, s.accept("team", "")); err != nil {
			t.Errorf("%s: got %v", algorithm, err)
		}
		for name, c := range map[string]struct {
			archive []byte
			options bundles.Options
			want    string
		}{
			"unsigned": {build(t, dir, nil), s.accept("team", ""), ".signatures.json: is missing"},
			"repacked": {repack(t, archive, func(name, body string) (string, bool) {
				return strings.ReplaceAll(body, `"view"`, `"edit"`), true
			}), s.accept("team", ""), "photo.rego: is not the file that was signed"},
			"data repacked": {repack(t, archive, func(name, body string) (string, bool) {
				return strings.ReplaceAll(body, `"mallory"`, ``), true
			}), s.accept("team", ""), "data.json: is not the file that was signed"},
			"a file less":    {repack(t, archive, func(name, body string) (string, bool) { return body, !strings.HasSuffix(name, "photo.rego") }), s.accept("team", ""), "photo.rego: is signed and missing"},
			"no signature":   {repack(t, archive, func(name, body string) (string, bool) { return body, name != "/.signatures.json" }), s.accept("team", ""), ".signatures.json: is missing"},
			"another key id": {archive, s.accept("other", ""), `names the key "team", but the realm has other`},
		} {
			err := read(c.archive, c.options)
			if _, ok := errors.AsType[*bundles.SignatureError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: got %v, want %s", algorithm, name, err, c.want)
			}
		}
	}
}

// A signed policy in a folder that begins with a dot is read from a bundle file, so that it
// must be there.
func TestSignedArchiveWithoutHiddenPolicy(t *testing.T) {
	t.Parallel()
	s := signers()["HS256"]
	signature := s.sign(t, map[string]string{"a.rego": "package a\n", ".b/b.rego": "package b\n"}, nil)
	archive := pack(t, file("a.rego", "package a\n"), file(".signatures.json", signature))
	_, err := bundles.ReadArchive(bytes.NewReader(archive), s.accept("team", ""))
	if err == nil || !strings.Contains(err.Error(), ".b/b.rego: is signed and missing") {
		t.Errorf("got %v", err)
	}
}

// build makes a signed bundle of a folder by OPA's builder.
func (s signer) build(t *testing.T, dir, keyID string) []byte {
	t.Helper()
	return build(t, dir, func(c *compile.Compiler) {
		c.WithBundleSigningConfig(bundle.NewSigningConfig(s.private, s.algorithm, "")).WithBundleVerificationKeyID(keyID)
	})
}

// repack changes the files of an archive, and leaves the signature as it is.
func repack(t *testing.T, archive []byte, change func(name, body string) (string, bool)) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return pack(t, entries...)
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if text, keep := change(h.Name, string(body)); keep {
			entries = append(entries, file(h.Name, text))
		}
	}
}

// An error names at most some of the files.
func TestSignedFolderOfManyFiles(t *testing.T) {
	t.Parallel()
	s := signers()["HS256"]
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("p%03d.rego", i)] = "package p\n"
	}
	files[".signatures.json"] = s.sign(t, nil, nil)
	_, err := bundles.Read(folder(files), s.accept("team", ""))
	if refused, ok := errors.AsType[*bundles.SignatureError](err); !ok || len(refused.Mistakes) != 21 || !strings.Contains(err.Error(), "80 more files") {
		t.Errorf("got %v", err)
	}
}

// FuzzSignatures reads a folder with any signature: it is refused unless it is the right one.
func FuzzSignatures(f *testing.F) {
	s := signers()["HS256"]
	files := policies()
	right := s.sign(f, files, nil)
	for _, seed := range []string{
		right, "", "{}", `{"signatures": ["e30.e30.e30"]}`, strings.Repeat("[", 10000),
		strings.Replace(right, "{", `{"plugin": "_default", `, 1),
		s.sign(f, files, map[string]string{"exp": "99999999999"}), s.sign(f, files, map[string]string{"exp": "1"}),
		s.sign(f, map[string]string{"../photo.rego": "x", "": "y"}, nil),
	} {
		f.Add(seed)
	}
	accept := s.accept("team", "")
	f.Fuzz(func(t *testing.T, signature string) {
		_, err := bundles.Read(folder(with(files, ".signatures.json", signature)), accept)
		if _, refused := errors.AsType[*bundles.SignatureError](err); err != nil && !refused {
			t.Errorf("got %v, want a SignatureError", err)
		}
	})
}
