package node

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A failure of the store is logged once when it begins and once when it ends; a large
// write-ahead log is logged once.
func TestWatchStore(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	n, err := Open(t.Context(), Config{
		Data: filepath.Join(t.TempDir(), "data"), PublicURL: "http://localhost", Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	tick, ctx := make(chan time.Time), t.Context()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		n.watchStore(ctx, tick)
		close(done)
	}()
	turn := func(change func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for range 3 { // the third is taken when the second is over
			tick <- time.Time{}
		}
	}
	nothing := func() error { return nil }
	away := n.database() + ".away"
	turn(nothing)
	turn(func() error { return os.Rename(n.database(), away) })
	turn(func() error { return os.Rename(away, n.database()) })
	wal := n.database() + "-wal"
	info, err := os.Stat(wal)
	if err != nil {
		t.Fatal(err)
	}
	turn(func() error { return os.Truncate(wal, largeWAL+1) }) // it takes no room
	turn(func() error { return os.Truncate(wal, info.Size()) })
	stop()
	<-done
	for text, want := range map[string]int{
		"the store cannot be written": 1, "deleted or replaced": 2, "the store can be written again": 1, "the write-ahead log is large": 1,
		"level=ERROR": 1, "level=WARN": 1,
	} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}
