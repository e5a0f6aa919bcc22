package rows

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// Files are compressed if that makes them smaller, and are the same afterwards.
func TestFilesArePacked(t *testing.T) {
	t.Parallel()
	want := &uma.Revision{Sources: map[string]string{"b.rego": strings.Repeat("allow if true\n", 100), "a.rego": "package a", "empty": ""},
		Beside: map[string]string{"a.rego": "another"}}
	files, err := PackFiles(want)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
		if text := want.Sources[f.Path]; !f.Beside && (f.Encoding == gzipFile) != (len(f.Content) < len(text)) {
			t.Errorf("%s: %d bytes of %d in the encoding %d", f.Path, len(f.Content), len(text), f.Encoding)
		}
	}
	if got := strings.Join(paths, " "); got != "a.rego b.rego empty a.rego" || !files[3].Beside || bytes.Equal(files[0].Hash, files[3].Hash) {
		t.Errorf("got %s", got)
	}
	got := &uma.Revision{}
	if err := Unpack(got, files); err != nil || !maps.Equal(got.Sources, want.Sources) || !maps.Equal(got.Beside, want.Beside) {
		t.Errorf("got %+v, %v", got, err)
	}
	files[1].Content = files[1].Content[:20]
	if err := Unpack(got, files); err == nil || !strings.Contains(err.Error(), "b.rego") {
		t.Errorf("got %v for a damaged file", err)
	}
}
