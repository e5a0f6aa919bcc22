package rollout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"example.com/umpire/engine"
)

// A policy that is exported has no file outside of the folder.
func TestExportFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	if err := ExportFiles(dir, map[string]string{"../x.rego": "package x\n"}); err == nil {
		t.Error("a file was written outside of the folder")
	}
	if _, err := os.Stat(filepath.Join(dir, "..", "x.rego")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := ExportFiles(dir, map[string]string{"a/b/x.rego": "package x\n"}); err != nil {
		t.Error(err)
	}
	src, err := Source(dir)
	if err != nil || engine.ContentOf(src.Files) != engine.ContentOf(map[string]string{"a/b/x.rego": "package x\n"}) {
		t.Errorf("got %v, %v", src.Files, err)
	}
}
