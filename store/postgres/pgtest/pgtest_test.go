package pgtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRemoveAbandoned: a cluster whose test was killed is removed, and none that runs or has just stopped.
func TestRemoveAbandoned(t *testing.T) {
	t.Parallel()
	temp, now := t.TempDir(), time.Now()
	for name, c := range map[string]struct {
		running bool
		written time.Time
		stays   bool
	}{
		"killed":       {false, now.Add(-2 * time.Hour), false},
		"just stopped": {false, now.Add(-time.Minute), true},
		"running":      {true, now.Add(-2 * time.Hour), true},
	} {
		dir := filepath.Join(temp, clusterPrefix+name)
		log, pid := filepath.Join(dir, "log"), filepath.Join(dir, "data", "postmaster.pid")
		if err := os.MkdirAll(filepath.Dir(pid), 0o700); err != nil {
			t.Fatal(err)
		}
		files := []string{log}
		if c.running {
			files = append(files, pid)
		}
		for _, file := range files {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(log, c.written, c.written); err != nil {
			t.Fatal(err)
		}
		removeAbandoned(temp, now)
		if _, err := os.Stat(dir); (err == nil) != c.stays {
			t.Errorf("%s: got %v, want that it stays: %v", name, err, c.stays)
		}
	}
}
