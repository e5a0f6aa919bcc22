package bundles_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"

	"example.com/umpire/bundles"
)

// build makes a bundle of a folder by OPA's builder.
func build(t testing.TB, dir string, options func(*compile.Compiler)) []byte {
	t.Helper()
	var out bytes.Buffer
	c := compile.New().WithPaths(dir).WithAsBundle(true).WithOutput(&out).WithRegoVersion(ast.RegoV1)
	if options != nil {
		options(c)
	}
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pack makes an archive of entries. The body of an entry has the size in its header, or is
// all of body.
func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := e.header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.body))
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o600
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type entry struct {
	header tar.Header
	body   string
}

func file(name, body string) entry { return entry{tar.Header{Name: name}, body} }

func readArchive(archive []byte) (*bundles.Bundle, error) {
	o := opts
	o.Folder = "p.tar.gz"
	return bundles.ReadArchive(bytes.NewReader(archive), o)
}

// A bundle that `opa build` makes of a folder has the policies, the tests and the data of the
// folder. The builder puts the path of the folder before the names of policies.
func TestReadArchiveOfOPA(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".work", "policies") // in a folder with a dot
	write(t, dir, "album.rego", "package uma.policies.album\n\n# METADATA\n# labels: {team: photoz}\ngrant contains \"view\" if data.lib.open\n")
	write(t, dir, "two.rego", "package lib.two\n\nimport rego.v2\n\nx := 1\n")
	write(t, dir, "album_test.rego", "package album_test\n\ntest_album if true\n")
	write(t, dir, "lib/data.yaml", "open: true\n")
	write(t, dir, "uma/facts/data.json", `{"type_alias": {"a": "<b>"}, "big": 12345678901234567890123}`)
	folder, err := bundles.ReadDir(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]func(*compile.Compiler){
		"by default":       nil,
		"with a revision":  func(c *compile.Compiler) { c.WithRevision("v7") },
		"not as a bundle":  func(c *compile.Compiler) { c.WithAsBundle(false) },
		"with other roots": func(c *compile.Compiler) { c.WithRoots("uma", "lib", "album_test") },
	} {
		b, err := readArchive(build(t, dir, options))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := packages(b.Modules), packages(folder.Modules); !slices.Equal(got, want) {
			t.Errorf("%s: got policies %v, want %v", name, got, want)
		}
		if got, want := packages(b.Tests), packages(folder.Tests); !slices.Equal(got, want) {
			t.Errorf("%s: got tests %v, want %v", name, got, want)
		}
		want := map[string]any{
			"lib": folder.Data["lib/data.yaml"]["lib"], "uma": folder.Data["uma/facts/data.json"]["uma"],
		}
		if got := b.Data["data.json"]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got data %v, want %v", name, got, want)
		}
		for path, module := range b.Modules {
			if strings.HasSuffix(path, "album.rego") && (len(module.Annotations) != 1 || module.Annotations[0].Labels["team"] != "photoz") {
				t.Errorf("%s: %s lost its labels:\n%s", name, path, b.Files[path])
			}
			if strings.HasPrefix(path, "/") {
				t.Errorf("%s: %s is not relative", name, path)
			}
		}
	}
}

func packages(modules map[string]*ast.Module) (names []string) {
	for _, m := range modules {
		names = append(names, m.Package.String())
	}
	slices.Sort(names)
	return names
}

// An archive of tar or git has entries of folders, ./ before names, and a comment.
func TestReadArchiveOfTar(t *testing.T) {
	t.Parallel()
	b, err := readArchive(pack(t,
		entry{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "a commit"}}, ""},
		entry{tar.Header{Name: "./", Typeflag: tar.TypeDir}, ""},
		file("./album.rego", "package uma.policies.album\n"),
		entry{tar.Header{Name: "lib/", Typeflag: tar.TypeDir}, ""},
		entry{tar.Header{Name: "lib/", Typeflag: tar.TypeDir}, ""},
		file("lib/data.yml", "a: 1\n"), file("lib/dta.json", "{}"), file("README.md", ""), file(".signatures.json", "{}"),
		file("album_test.rego", "package album_test\n"), file(".regal/config.yaml", "rules: {}\n"),
	))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(b.Files)), []string{"album.rego", "lib/data.yml"}; !slices.Equal(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
	if len(b.Tests) != 1 || !slices.Equal(b.Unread, []string{"lib/dta.json"}) {
		t.Errorf("got %d tests, unread %v", len(b.Tests), b.Unread)
	}
}

// Everything that two programs may unpack differently, or that Umpire cannot run, is refused
// with its name. All mistakes are reported together.
func TestReadArchiveRefuses(t *testing.T) {
	t.Parallel()
	const album = "package uma.policies.album\n"
	manifest := func(text string) []entry {
		return []entry{file("/data.json", "{}"), file("/album.rego", album), file("/.manifest", text)}
	}
	for name, c := range map[string]struct {
		entries []entry
		want    []string // each is in the error; none: accepted
	}{
		"a path that leads out": {[]entry{file("../album.rego", album), file("a/../../b.rego", album)}, []string{
			`p.tar.gz: "../album.rego" is not the path of a file inside the bundle`, `"a/../../b.rego" is not the path`,
		}},
		"paths in other words":   {[]entry{file("//a.rego", album), file("a/./b.rego", album), file(`..\c.rego`, album)}, []string{`"//a.rego" is not`, `"a/./b.rego" is not`, `"..\\c.rego" is not`}},
		"a path with a new line": {[]entry{file("a\nb.rego", album)}, []string{`"a\nb.rego" is not the path`}},
		"links": {[]entry{
			{tar.Header{Name: "a.rego", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""},
			{tar.Header{Name: "b.rego", Typeflag: tar.TypeLink, Linkname: "album.rego"}, ""},
			{tar.Header{Name: "c.txt", Typeflag: tar.TypeFifo}, ""},
		}, []string{"a.rego: is a link", "b.rego: is a link", "c.txt: is a link"}},
		"global headers":        {[]entry{{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x.rego"}}, ""}}, []string{"p.tar.gz/x.rego: is a link"}},
		"a path twice":          {[]entry{file("/album.rego", album), file("./album.rego", album)}, []string{"album.rego: is in the archive twice"}},
		"files of the library":  {[]entry{file("/umpire/sharing.rego", "package uma.sharing\n"), file("umpire/x_test.rego", album)}, []string{"umpire/sharing.rego: the folder umpire", "umpire/x_test.rego: the folder umpire"}},
		"too long":              {[]entry{file(strings.Repeat(strings.Repeat("a", 200)+"/", 6)+"data.json", "{}")}, []string{"its path is longer than 1024 bytes"}},
		"too deep":              {[]entry{file(strings.Repeat("a/", 101)+"data.json", "{}")}, []string{"is in more than 100 folders"}},
		"Wasm":                  {[]entry{file("/policy.wasm", "\x00asm")}, []string{"policy.wasm: policies that are compiled to Wasm are not supported"}},
		"Wasm in the manifest":  {manifest(`{"wasm": [{"entrypoint": "a/b", "module": "/policy.wasm"}]}`), []string{".manifest: policies that are compiled to Wasm"}},
		"a delta":               {[]entry{file("/patch.json", `{"data": []}`)}, []string{"patch.json: a delta bundle"}},
		"Rego v0":               {manifest(`{"rego_version": 0}`), []string{".manifest: rego_version 0 (Rego v0) is not supported"}},
		"Rego v0 for a file":    {manifest(`{"rego_version": 1, "file_rego_versions": {"/album.rego": 0}}`), []string{".manifest: rego_version 0 (Rego v0) is not supported"}},
		"Rego v2 for all":       {manifest(`{"rego_version": 2}`), []string{".manifest: rego_version 2 is not supported"}},
		"a repeated key":        {manifest("{\"roots\": [\"\"],\n\"roots\": [\"lib\"]}"), []string{`.manifest:2: "roots" is there twice`}},
		"a manifest of no type": {manifest(`{"roots": "lib"}`), []string{".manifest: json: cannot unmarshal"}},
		"manifests elsewhere":   {[]entry{file("a/.manifest", "{}"), file("x.manifest", "{}"), file(".manifest.pb", "")}, []string{"a/.manifest: want the manifest", "x.manifest: want", ".manifest.pb: want"}},
		"no roots declared":     {manifest(`{"roots": [""]}`), nil},
		"roots that cover":      {manifest(`{"roots": ["lib", "/uma/policies/"]}`), nil},
		"null":                  {manifest(`{"roots": null}`), nil},
		"no roots at all":       {manifest(`{"roots": []}`), []string{"album.rego:1: package uma.policies.album is outside of the roots in .manifest"}},
		"roots of another":      {manifest(`{"roots": ["uma/pol"]}`), []string{"album.rego:1: package uma.policies.album is outside"}},
		"roots and tests":       {append(manifest(`{"roots": ["uma/policies/album"]}`), file("a_test.rego", "package album_test\n")), []string{"a_test.rego:1: package album_test is outside"}},
		"roots and data": {[]entry{
			file("data.json", `{"uma": {"facts": {"a": 1, "b": 1}}, "lib": 1}`), file("lib/x/data.json", "{}"), file(".manifest", `{"roots": ["uma/facts/a", "lib/y"]}`),
		}, []string{"p.tar.gz/data.json: data.lib is outside of the roots", "lib/x/data.json: data.lib.x is outside"}},
		"mistakes in files": {[]entry{file("a.rego", "package a\n\nx := \n"), file("data.json", "{\n1}")}, []string{"p.tar.gz/a.rego:4: ", "p.tar.gz/data.json:2: "}},
	} {
		_, err := readArchive(pack(t, c.entries...))
		if err == nil && len(c.want) > 0 {
			t.Errorf("%s: accepted", name)
			continue
		}
		if err != nil && len(c.want) == 0 {
			t.Errorf("%s: got %v", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in\n%v", name, want, err)
			}
		}
	}
}

// The bundles that OPA's own tools make, and Umpire cannot run.
func TestReadArchiveRefusesOfOPA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "album.rego", "package album\n\nallow { input.x }\n")
	v0 := build(t, dir, func(c *compile.Compiler) { c.WithRegoVersion(ast.RegoV0) })
	if _, err := readArchive(v0); err == nil || !strings.Contains(err.Error(), "rego_version 0 (Rego v0) is not supported") || strings.Contains(err.Error(), "album.rego") {
		t.Errorf("v0: got %v", err)
	}
	var delta bytes.Buffer
	err := bundle.NewWriter(&delta).Write(bundle.Bundle{Patch: bundle.Patch{Data: []bundle.PatchOperation{{Op: "remove", Path: "/lib"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readArchive(delta.Bytes()); err == nil || !strings.Contains(err.Error(), "a delta bundle") {
		t.Errorf("delta: got %v", err)
	}
}

// An archive is read to its end: a damaged, cut or continued one is refused.
func TestReadArchiveDamaged(t *testing.T) {
	t.Parallel()
	whole := pack(t, file("album.rego", "package uma.policies.album\n# "+strings.Repeat("text ", 50)+"\n"))
	if _, err := readArchive(whole); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if _, err := readArchive(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
	for n := len(whole) - 8; n < len(whole); n++ { // checksum and length
		damaged := slices.Clone(whole)
		damaged[n] ^= 1
		if _, err := readArchive(damaged); err == nil || !strings.Contains(err.Error(), "damaged or incomplete: gzip: invalid checksum") {
			t.Errorf("a changed byte %d of %d: got %v", n, len(whole), err)
		}
	}
	for name, rest := range map[string][]byte{"text": []byte("more"), "another archive": whole} {
		if _, err := readArchive(slices.Concat(whole, rest)); err == nil {
			t.Errorf("%s behind the archive is accepted", name)
		}
	}
	if _, err := readArchive([]byte("package a")); err == nil || !strings.Contains(err.Error(), "p.tar.gz: want a tar archive that is compressed by gzip") {
		t.Errorf("no archive: got %v", err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, strings.Repeat("no tar", 1000)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	if _, err := readArchive(zipped.Bytes()); err == nil {
		t.Error("what is not tar is accepted")
	}
}

// A small file that unpacks to much is refused when the limit is reached, also in files that
// are not read.
func TestReadArchiveBombs(t *testing.T) {
	for name, c := range map[string]struct {
		write func(w *tar.Writer, zeros []byte) error
		want  string
	}{
		"one file": {func(w *tar.Writer, zeros []byte) error { return zeroFiles(w, "x.txt", 1, 96, zeros) }, "more than 64 MiB"},
		"data":     {func(w *tar.Writer, zeros []byte) error { return zeroFiles(w, "data.json", 1, 96, zeros) }, "more than 64 MiB"},
		"files":    {func(w *tar.Writer, zeros []byte) error { return zeroFiles(w, "x%d.txt", 32, 3, zeros) }, "more than 64 MiB"},
		"entries":  {func(w *tar.Writer, zeros []byte) error { return zeroFiles(w, "x%d.txt", 10_001, 0, zeros) }, "more than 10000 entries"},
		"a policy": {func(w *tar.Writer, zeros []byte) error { return zeroFiles(w, "x.rego", 1, 9, zeros) }, "x.rego: more than 8 MiB"},
	} {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		w := tar.NewWriter(z)
		if err := c.write(w, make([]byte, 1<<20)); err != nil || w.Close() != nil || z.Close() != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readArchive(out.Bytes())
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %d bytes: got %v, want %s", name, out.Len(), err, c.want)
		}
		if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 512 {
			t.Errorf("%s: took %d MiB", name, got)
		}
	}
}

// A sparse file has its holes in the header: they are no bytes of the archive.
func TestReadArchiveSparse(t *testing.T) {
	t.Parallel()
	const size = "1099511627776"
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	body := "1\n" + size + "\n0\n"
	body += strings.Repeat("\x00", 512-len(body))
	err := w.WriteHeader(&tar.Header{Name: "data.json", Size: int64(len(body)), Mode: 0o600, PAXRecords: map[string]string{
		"XNU.sparse.major": "1", "XNU.sparse.minor": "0", "XNU.sparse.name": "data.json", "XNU.sparse.realsize": size,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	// The writer refuses the names of these records.
	if _, err := z.Write(bytes.ReplaceAll(out.Bytes(), []byte("XNU.sparse"), []byte("GNU.sparse"))); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	if _, err := readArchive(zipped.Bytes()); err == nil || err.Error() != "p.tar.gz: more than 64 MiB" {
		t.Errorf("got %v", err)
	}
}

func zeroFiles(w *tar.Writer, name string, files, mib int, zeros []byte) error {
	for i := range files {
		each := name
		if strings.Contains(name, "%d") {
			each = fmt.Sprintf(name, i)
		}
		if err := w.WriteHeader(&tar.Header{Name: each, Size: int64(mib) << 20, Mode: 0o600}); err != nil {
			return err
		}
		for range mib {
			if _, err := w.Write(zeros); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadPath takes a folder, a bundle file and links to them, and nothing else.
func TestReadPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "policies/album.rego", "package uma.policies.album\n")
	write(t, dir, "p.tar.gz", string(build(t, filepath.Join(dir, "policies"), nil)))
	link(t, "p.tar.gz", filepath.Join(dir, "current"))
	for _, name := range []string{"policies", "p.tar.gz", "current"} {
		b, err := bundles.ReadPath(filepath.Join(dir, name), opts)
		if err != nil || len(b.Modules) != 1 {
			t.Errorf("%s: got %+v, %v", name, b, err)
		}
	}
	if _, err := bundles.ReadPath(filepath.Join(dir, "none.tar.gz"), opts); err == nil {
		t.Error("a missing file is accepted")
	}
	if _, err := bundles.ReadPath(os.DevNull, opts); err == nil || !strings.Contains(err.Error(), "neither a folder nor a bundle file") {
		t.Errorf("a device: got %v", err)
	}
}

// Every file is a bundle or an error.
func FuzzReadArchive(f *testing.F) {
	f.Add(pack(f, file("/data.json", `{"lib": {"a": 1}}`), file("/album.rego", "package lib\n"), file("/.manifest", `{"roots": ["lib"]}`)))
	f.Add(pack(f, entry{tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: ".."}, ""}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		b, err := readArchive(archive)
		if (b == nil) == (err == nil) {
			t.Errorf("got %v, %v", b, err)
		}
	})
}
