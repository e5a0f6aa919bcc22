package copier_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"example.com/umpire/store/copier"
)

// interruptedWhen copies until stop says so, and expects that the copy ends with the context.
func interruptedWhen(t *testing.T, from, to place, stop func(copier.Step) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := tryCopy(ctx, t, from, to, func(s copier.Step) {
		if stop(s) {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want %v", err, context.Canceled)
	}
}

// wantUnfinished checks that nobody takes a database with an unfinished copy for a complete one.
func wantUnfinished(t *testing.T, p place) {
	t.Helper()
	if s, err := p.open(t.Context()); !errors.Is(err, copier.ErrUnfinished) {
		t.Errorf("opened by a server: got %v, %v, want %v", s, err, copier.ErrUnfinished)
	}
}

// TestCopyInterrupted: a copy goes on where it was interrupted: in the middle of a table, between
// two tables, and while all rows are compared. Until it is complete, servers refuse the database.
func TestCopyInterrupted(t *testing.T) {
	t.Parallel()
	first := place{path: filled(t)}
	middle, last := place{url: newDatabase(t)}, place{path: newPath(t)}
	for _, way := range []struct{ from, to place }{{first, middle}, {middle, last}} {
		interruptedWhen(t, way.from, way.to, func(s copier.Step) bool { return s.Table == "request" && s.Rows < s.Of })
		wantUnfinished(t, way.to)
		interruptedWhen(t, way.from, way.to, func(s copier.Step) bool { return s.Table == "share" })
		wantUnfinished(t, way.to)
		interruptedWhen(t, way.from, way.to, func(s copier.Step) bool { return s.Table == copier.Number })
		interruptedWhen(t, way.from, way.to, func(s copier.Step) bool { return s.Verb == "compared" })
		wantUnfinished(t, way.to)
		if report := mustCopy(t, way.from, way.to); !report.Resumed {
			t.Error("the copy began anew")
		}
		way.to.with(t, func(store) {})
	}
	if err := compare(t, first, last); err != nil {
		t.Error(err)
	}
}

// In the environment of a process that copies until it is killed.
const copyFrom, copyTo = "UMPIRE_TEST_COPY_FROM", "UMPIRE_TEST_COPY_TO"

// TestCopyUntilKilled is the process of TestCopyKilled.
func TestCopyUntilKilled(t *testing.T) {
	if os.Getenv(copyTo) == "" {
		t.Skip("a part of TestCopyKilled")
	}
	to := place{path: os.Getenv(copyTo)}
	if strings.Contains(to.path, "://") {
		to = place{url: to.path}
	}
	_, _ = tryCopy(t.Context(), t, place{path: os.Getenv(copyFrom)}, to, func(s copier.Step) {
		if s.Table == "request" {
			_, _ = os.Stdout.WriteString("now\n")
			select {} // a page was committed
		}
	})
}

// TestCopyKilled: a copy goes on after its process was killed.
func TestCopyKilled(t *testing.T) {
	t.Parallel()
	from := place{path: filled(t)}
	for _, to := range []place{{path: newPath(t)}, {url: newDatabase(t)}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCopyUntilKilled$")
		cmd.Env = append(os.Environ(), copyFrom+"="+from.path, copyTo+"="+to.path+to.url)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = out.Read(make([]byte, 1))
		killed := cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if err := errors.Join(err, killed); err != nil {
			t.Fatal(err)
		}
		wantUnfinished(t, to)
		if report := mustCopy(t, from, to); !report.Resumed {
			t.Error("the copy began anew")
		}
	}
}
