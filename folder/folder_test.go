package folder_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/folder"
)

func TestSecure(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before fs.FileMode // 0: not there
		files  []string
		after  fs.FileMode
		notice string
		err    string
	}{
		"new":                      {0, nil, 0o700, "", ""},
		"its own":                  {0o700, []string{"umpire.db"}, 0o700, "", ""},
		"empty, open to all":       {0o777, nil, 0o700, "had mode 0777 and has 0700", ""},
		"as systemd makes it":      {0o755, []string{"umpire.db", "umpire.db-wal", "umpire.key", "umpire.lock", "lost+found"}, 0o700, "had mode 0755 and has 0700", ""},
		"with files of others":     {0o755, []string{"umpire.db", ".profile"}, 0o755, "0700 is better", ""},
		"shared, open to all":      {0o777, []string{"theirs"}, 0o777, "", "chmod 700"},
		"shared, open to all else": {0o702, []string{"theirs"}, 0o702, "", "chmod 700"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if tc.before != 0 {
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, tc.before)); err != nil {
				t.Fatal(err)
			}
		}
		for _, file := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		notice, err := folder.Secure(dir)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got error %v, want %q", name, err, tc.err)
		}
		if !strings.Contains(notice, tc.notice) || (notice == "") != (tc.notice == "") {
			t.Errorf("%s: got notice %q, want %q", name, notice, tc.notice)
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != tc.after {
			t.Errorf("%s: got mode %v, %v, want %04o", name, info.Mode(), err, tc.after)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path+"-b", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+"-b", 0o666); err != nil {
		t.Fatal(err)
	}
	if err := folder.Keep(path, "-a", "-b"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-b"} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want 0600", file, info, err)
		}
	}
	if _, err := os.Stat(path + "-a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of another suffix was made: %v", err)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if who, err := folder.Holder(dir); who != "" || err != nil {
		t.Errorf("a new folder: got %q, %v", who, err)
	}
	hold, err := folder.Take(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	me := fmt.Sprintf("process %d on ", os.Getpid())
	if who, err := folder.Holder(dir); !strings.HasPrefix(who, me) || !strings.HasSuffix(who, "since 2026-01-02T03:04:05Z") || err != nil {
		t.Errorf("got %q, %v, want %q", who, err, me)
	}
	if _, err := folder.Take(dir, now); err == nil || !strings.Contains(err.Error(), dir+" is in use by "+me) {
		t.Errorf("taken twice: got %v", err)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	if who, err := folder.Holder(dir); who != "" || err != nil {
		t.Errorf("given back: got %q, %v", who, err)
	}
	if hold, err = folder.Take(dir, now); err != nil {
		t.Fatal(err)
	}
	if err := hold.Release(); err != nil {
		t.Error(err)
	}
}

func TestAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := errors.New("broken")
	err := folder.Alone(t.Context(), dir, func() error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := folder.Alone(ctx, dir, func() error { t.Error("two at once"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that the second waits", err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the call", err)
	}
	if err := folder.Alone(t.Context(), dir, func() error { return nil }); err != nil {
		t.Errorf("afterwards: got %v", err)
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	if free, err := folder.Free(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("got %d, %v", free, err)
	}
	if _, err := folder.Free(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("of what is not there: got no error")
	}
}
