package sinks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/sinks"
)

func write(t *testing.T, f *sinks.File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("got %d, %v; want %d", n, err, len(text))
	}
}

// A file that is full is renamed. No line is cut, no file but the oldest is lost.
func TestFileRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f := &sinks.File{Path: path, MaxSize: 30, MaxFiles: 2}
	t.Cleanup(func() { f.Close() })
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("line %04d\n", i)) // three fit
	}
	write(t, f, all[0])
	write(t, f, strings.Join(all[1:8], ""))
	expect := func(want map[string][]string) {
		t.Helper()
		found, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			content, err := os.ReadFile(name)
			if got := slices.Collect(strings.Lines(string(content))); err != nil || !slices.Equal(got, want[name]) {
				t.Errorf("%s: got %q, %v; want %q", name, got, err, want[name])
			}
		}
		if len(found) != len(want) {
			t.Errorf("got files %v, want %d", found, len(want))
		}
	}
	expect(map[string][]string{path: all[6:8], path + ".1": all[3:6], path + ".2": all[0:3]})
	write(t, f, strings.Join(all[8:10], ""))
	expect(map[string][]string{path: all[9:10], path + ".1": all[6:9], path + ".2": all[3:6]})

	// A rotation that was killed after its first step goes on.
	if err := os.Rename(path+".1", path+".2"); err != nil {
		t.Fatal(err)
	}
	write(t, f, strings.Join(all[10:13], ""))
	expect(map[string][]string{path: all[12:13], path + ".1": all[9:12], path + ".2": all[6:9]})

	long := strings.Repeat("x", 50) + "\n"
	write(t, f, long+all[13])
	expect(map[string][]string{path: all[13:14], path + ".1": {long}, path + ".2": all[12:13]})
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
}

// A file that another program moved away is written on until it is opened again.
func TestFileMovedAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f := &sinks.File{Path: path, MaxSize: 30, MaxFiles: 2}
	t.Cleanup(func() { f.Close() })
	write(t, f, "one\n")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	write(t, f, "two\n")
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	write(t, f, "three\n")
	for name, want := range map[string]string{path + ".moved": "one\ntwo\n", path: "three\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}
