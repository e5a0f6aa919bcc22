package sinks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/sinks"
)

// A smallDisk is full after so many bytes.
type smallDisk struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left")

func (d *smallDisk) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.Buffer.Write(p)
	}
	n, _ := d.Buffer.Write(p[:d.room])
	d.room = 0
	return n, errFull
}

// Wherever a disk is full, each record has a line in the end. It has two only if nothing but
// the newline of the first was missing.
func TestLinesOnFullDisk(t *testing.T) {
	t.Parallel()
	all, ids := records(3)
	whole := &smallDisk{room: 1 << 20}
	if done, _, err := sinks.NewLines(whole).Deliver(t.Context(), all); done != 3 || err != nil {
		t.Fatalf("got %d, %v", done, err)
	}
	for first := range whole.Len() {
		disk := &smallDisk{room: first}
		to := sinks.NewLines(disk)
		delivered := 0
		for _, more := range []int{0, 1, 500, 1 << 20} {
			disk.room += more
			done, _, err := to.Deliver(t.Context(), all[delivered:])
			if errors.Is(err, errFull) != (delivered+done < len(all)) {
				t.Fatalf("first %d bytes: got %d records of %d, %v", first, done, len(all)-delivered, err)
			}
			if delivered += done; delivered == len(all) {
				break
			}
		}
		var got []string
		for line := range strings.Lines(disk.String()) {
			var event struct {
				ID string `json:"decision_id"`
			}
			if json.Unmarshal([]byte(line), &event) == nil && strings.HasSuffix(line, "\n") {
				got = append(got, event.ID)
			}
		}
		if twice := len(got) - len(ids); twice > 1 || !slices.Equal(slices.Compact(got), ids) {
			t.Fatalf("first %d bytes: got %v, want %v", first, got, ids)
		}
	}
}

// A slowDisk can be written, and has what was written for good after Sync.
type slowDisk struct {
	smallDisk
	broken atomic.Bool
}

func (d *slowDisk) Sync() error {
	if d.broken.Load() {
		return errors.New("I/O error")
	}
	return nil
}

// The cursor does not move before records are durable. A failure is logged once, and its end.
func TestCursorWaitsForSync(t *testing.T) {
	timed(t, func(f *fixture) {
		disk := &slowDisk{smallDisk: smallDisk{room: 1 << 20}}
		disk.broken.Store(true)
		to := sinks.NewLines(disk)
		w := wanted("s", nil)
		w.Open = func() (sinks.Destination, error) { return to, nil }
		var log bytes.Buffer
		f.log = slog.New(slog.NewTextHandler(&log, nil))
		f.start("one", w)
		f.decide(3)
		expect := func(cursor int64, problem string, lines int) {
			f.t.Helper()
			rows, err := f.store.AllSinks(f.t.Context())
			if err != nil || rows[0].Cursor != cursor || rows[0].Problem != problem {
				f.t.Errorf("got %+v, %v; want the cursor at %d and the problem %q", rows, err, cursor, problem)
			}
			if got := strings.Count(log.String(), "\n"); got != lines {
				f.t.Errorf("got log %s, want %d lines", &log, lines)
			}
		}
		f.pass(10 * time.Second)
		expect(0, "sync: I/O error", 1)
		disk.broken.Store(false)
		f.pass(10 * time.Second)
		expect(3, "", 2)
		if got := strings.Count(disk.String(), "\n"); got != 3 {
			f.t.Errorf("got %d lines, want each record once", got)
		}
		disk.broken.Store(true)
		f.decide(1)
		f.pass(10 * time.Second)
		expect(3, "sync: I/O error", 3)
	})
}
