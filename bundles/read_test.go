package bundles_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/bundles"
)

var opts = bundles.Options{Parser: ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1}}

func folder(files map[string]string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func TestRead(t *testing.T) {
	t.Parallel()
	b, err := bundles.Read(folder(map[string]string{
		"album.rego":              "package uma.policies.album\n",
		"deep/er/board.rego":      "package uma.policies.board\n",
		"album_test.rego":         "package album_test\n",
		"data.json":               `{"lib": {"limit": 10}}`,
		"uma/facts/data.yaml":     "type_alias: {a: b}\n",
		"README.md":               "not read",
		"other.json":              "not read",
		".git/config.rego":        "not read",
		".hidden.rego":            "not read",
		"deep/.hidden/again.rego": "not read",
	}), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(b.Files)), []string{"album.rego", "data.json", "deep/er/board.rego", "uma/facts/data.yaml"}; !slices.Equal(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(b.Modules)), []string{"album.rego", "deep/er/board.rego"}; !slices.Equal(got, want) {
		t.Errorf("modules: got %v, want %v", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(b.Tests)), []string{"album_test.rego"}; !slices.Equal(got, want) {
		t.Errorf("tests: got %v, want %v", got, want)
	}
	if got, want := b.Data["uma/facts/data.yaml"], (map[string]any{"uma": map[string]any{"facts": map[string]any{"type_alias": map[string]any{"a": "b"}}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("data: got %v, want %v", got, want)
	}
}

// All mistakes are reported together, each with its line.
func TestReadMistakes(t *testing.T) {
	t.Parallel()
	_, err := bundles.Read(folder(map[string]string{
		"a.rego":      "package a\n\nx := \n",
		"b.rego":      "package b\n\n\nallow if { true\n",
		"data.json":   "{\n  \"lib\": 1,\n}",
		"c/data.yaml": "a: 1\nb: [\n",
		"d/data.json": "[]",
		"f/data.json": "null",
		"deep.rego":   "package d\n\nx := " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		strings.Repeat(strings.Repeat("l", 200)+"/", 6) + "long.rego": "package l",
		"g_test.rego":   "package g\n\nnot rego",
		"empty.rego":    "",
		"enormous.rego": "package e\n" + strings.Repeat("# a comment\n", 1<<20),
	}), opts)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"a.rego:4: ", "b.rego:5: ", "data.json:3: ", "c/data.yaml:3: ", "d/data.json:1: ", "f/data.json:1: not an object",
		"deep.rego:3: nested more than 2000", "g_test.rego:3: ", "empty.rego:1: ", "enormous.rego: more than 8 MiB",
		"/long.rego: its path is longer than 1024 bytes",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestReadTooMuch(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i := range 10_001 {
		files[strings.Repeat("x", 1+i%100)+strings.Repeat("y", i/100)+".rego"] = "package x"
	}
	if _, err := bundles.Read(folder(files), opts); err == nil || !strings.Contains(err.Error(), "10000 files") {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// A folder as Kubernetes mounts it: files are links to a hidden folder, which is
// a link itself.
func TestReadDirLinksInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "..2026_11_22/album.rego", "package album")
	link(t, "..2026_11_22", filepath.Join(dir, "..data"))
	link(t, "..data/album.rego", filepath.Join(dir, "album.rego"))
	outer := filepath.Join(t.TempDir(), "current")
	link(t, dir, outer)
	b, err := bundles.ReadDir(outer, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Files, (map[string]string{"album.rego": "package album"}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A volume with an item in a sub-folder: the folder is a link, too. A link to a folder
// that contains it is not followed.
func TestReadDirLinkedFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "..2026_11_22/lib/hours/data.yaml", "closed: [sun]\n")
	link(t, "..2026_11_22", filepath.Join(dir, "..data"))
	link(t, "..data/lib", filepath.Join(dir, "lib"))
	b, err := bundles.ReadDir(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"lib": map[string]any{"hours": map[string]any{"closed": []any{"sun"}}}}
	if got := b.Data["lib/hours/data.yaml"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	write(t, dir, "a/a.rego", "package lib.a")
	link(t, "../a", filepath.Join(dir, "a", "again"))
	link(t, "..", filepath.Join(dir, "a", "all"))
	_, err = bundles.ReadDir(dir, opts)
	for _, want := range []string{"a/again: a link to a folder that contains it", "a/all: a link to a folder that contains it"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

// A folder counts each time that a link leads to it.
func TestReadDirManyWays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 6 {
		for _, name := range []string{"v", "x", "y", "z"} {
			if err := os.MkdirAll(filepath.Join(dir, ".d", strconv.Itoa(i)), 0o700); err != nil {
				t.Fatal(err)
			}
			link(t, "../"+strconv.Itoa(i+1), filepath.Join(dir, ".d", strconv.Itoa(i), name))
		}
	}
	write(t, dir, ".d/6/a.txt", "")
	link(t, ".d/0", filepath.Join(dir, "first"))
	if _, err := bundles.ReadDir(dir, opts); err == nil || !strings.Contains(err.Error(), "more than 1000 folders") {
		t.Errorf("got %v", err)
	}
}

func TestReadDirLinksOutside(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	write(t, secret, "secret.rego", "package secret")
	dir := t.TempDir()
	write(t, dir, "inside/album.rego", "package album")
	link(t, filepath.Join(secret, "secret.rego"), filepath.Join(dir, "absolute.rego"))
	link(t, "../"+filepath.Base(secret)+"/secret.rego", filepath.Join(dir, "relative.rego"))
	link(t, secret, filepath.Join(dir, "folder"))
	link(t, "..", filepath.Join(dir, "above"))
	link(t, "nowhere", filepath.Join(dir, "gone.rego"))
	_, err := bundles.ReadDir(dir, opts)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"absolute.rego: ", "relative.rego: ", "folder: ", "above: ", "gone.rego: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestReadDirMissing(t *testing.T) {
	t.Parallel()
	if _, err := bundles.ReadDir(filepath.Join(t.TempDir(), "none"), opts); err == nil {
		t.Error("got no error")
	}
}
