package sqlite

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A read-only store reads what a running server writes, and writes nothing.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	path := filepath.Join(filepath.Dir(pathOf(t, s)), "umpire.db")
	for _, running := range []bool{true, false} {
		if !running {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ro, err := Open(t.Context(), Config{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatalf("running %v: %v", running, err)
		}
		if names, err := ro.RealmNames(t.Context()); err != nil || len(names) != 1 {
			t.Errorf("running %v: got realms %v and error %v", running, names, err)
		}
		if err := ro.SaveTicket(t.Context(), 1, ticket("t")); err == nil {
			t.Errorf("running %v: a write succeeded", running)
		}
		if ro.QueueLen() != 0 {
			t.Error("a read-only store has a queue")
		}
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A copy of the data folder that nobody can write is read completely, including the
// write-ahead log, with or without its index.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s) // in the log
	closed, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	read := func(suffix string) []byte {
		t.Helper()
		text, err := os.ReadFile(s.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for what, tc := range map[string]struct {
		files  map[string][]byte
		realms int
	}{
		"closed":                 {map[string][]byte{"": closed}, 0},
		"with its log":           {map[string][]byte{"": read(""), "-wal": read("-wal")}, 1},
		"with its log and index": {map[string][]byte{"": read(""), "-wal": read("-wal"), "-shm": read("-shm")}, 1},
	} {
		dir := t.TempDir()
		for suffix, text := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, "umpire.db"+suffix), text, 0o400); err != nil {
				t.Fatal(err)
			}
		}
		readOnly(t, dir)
		ro, err := Open(t.Context(), Config{Path: filepath.Join(dir, "umpire.db"), ReadOnly: true})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		names, err := ro.RealmNames(t.Context())
		if err != nil || len(names) != tc.realms {
			t.Errorf("%s: got realms %v and error %v, want %d", what, names, err, tc.realms)
		}
		if err := ro.Close(); err != nil {
			t.Error(err)
		}
	}
}

// readOnly makes a folder read-only until the test ends. Modes do not stop root: for
// root the folder is mounted read-only.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // else the folder stays
		return
	}
	for _, args := range [][]string{{"--bind", dir, dir}, {"-o", "remount,ro,bind", dir}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("root may write everywhere, and nothing can be mounted here: %v: %s", err, out)
		}
		if args[0] == "--bind" {
			t.Cleanup(func() { _ = exec.Command("umount", dir).Run() }) // else the folder stays
		}
	}
}
