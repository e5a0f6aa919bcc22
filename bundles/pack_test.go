package bundles

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A packed folder is read as the folder is.
func TestPack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"album.rego": "package a\n", "deep/er/b.rego": "package b\n", "album_test.rego": "package a_test\n", "data.json": `{"x": 1}`,
		"deep/data.yaml": "y: 2\n", ".hidden.rego": "package hidden\n", ".git/c.rego": "package c\n", "README.md": "read me",
		".manifest": `{"roots": [""], "revision": "7"}`,
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("album.rego", filepath.Join(dir, "link.rego")); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := Pack(dir, "policies", &packed); err != nil {
		t.Fatal(err)
	}
	got, err := ReadArchive(&packed, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := ReadDir(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got.Files, want.Files) || !maps.Equal(got.TestFiles, want.TestFiles) || got.Manifest != want.Manifest || want.Manifest == "" || len(want.Files) != 5 || len(want.TestFiles) != 1 {
		t.Errorf("got %v and %v, want %v and %v", got.Files, got.TestFiles, want.Files, want.TestFiles)
	}

	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := Pack(dir, "policies", io.Discard); err == nil || !strings.Contains(err.Error(), filepath.Join("policies", "out")) {
		t.Errorf("a link out of the folder: got %v", err)
	}
}
