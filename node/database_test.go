package node

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nobody is the URL of a database at a port where nothing listens.
const nobody = "postgres://umpire:hunter2@127.0.0.1:1/umpire?connect_timeout=1&sslmode=disable"

// TestDatabaseNeedsNoFolder: a server of a PostgreSQL database has no data folder unless its key
// is there, and has a key that it was told of.
func TestDatabaseNeedsNoFolder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(cfg *Config, data string)
		folder bool // is made
		want   error
	}{
		"no key":                {func(*Config, string) {}, false, errNoKey},
		"a key file":            {func(cfg *Config, data string) { cfg.KeyFile = filepath.Join(data, "no", "such") }, false, nil},
		"a key":                 {func(cfg *Config, _ string) { cfg.Key = strings.Repeat("ab", 32) }, false, nil},
		"a folder":              {func(cfg *Config, data string) { cfg.Data = data }, true, nil},
		"a folder and a key":    {func(cfg *Config, data string) { cfg.Data, cfg.Key = data, strings.Repeat("ab", 32) }, false, nil},
		"a folder and its file": {func(cfg *Config, data string) { cfg.Data, cfg.KeyFile = data, filepath.Join(data, "other.key") }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			cfg := Config{Database: nobody, Serving: true, PublicURL: "http://localhost", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
			c.change(&cfg, data)
			n, err := Open(t.Context(), cfg)
			if err == nil {
				t.Fatalf("got %v without a database", n)
			}
			if c.want != nil != errors.Is(err, errNoKey) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %v and no password", err, c.want)
			}
			files, err := os.ReadDir(data)
			if c.folder != (err == nil) || len(files) > 0 {
				t.Errorf("got the folder with %v, %v, want it empty if at all (%v)", files, err, c.folder)
			}
		})
	}
}
