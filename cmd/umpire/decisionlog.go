package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"example.com/umpire/sinks"
)

// logFlags are the flags of the decision log.
type logFlags struct {
	path     string
	maxSize  string
	maxFiles int
	hold     string
}

func (f *logFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.path, "decision-log", "-", "`file` to append decisions to; - for stdout, empty for none (the database has them in any case)")
	fl.StringVar(&f.maxSize, "decision-log-max-size", "", "`size` at which the file of the decision log is renamed and a new one begins, such as 100MB (default: it grows)")
	fl.IntVar(&f.maxFiles, "decision-log-max-files", 10, "largest `number` of renamed files: the oldest is replaced")
	fl.StringVar(&f.hold, "decision-log-hold", "7d", "`time` that old records, which --keep-decisions deletes, wait until the decision log has them; 0s for none")
}

// leastLogSize is the smallest --decision-log-max-size: some records.
const leastLogSize = 1 << 20

// open opens the destination; nil means no log.
func (f *logFlags) open(ctx context.Context, stdout io.Writer, log *slog.Logger) (io.Writer, func() error, error) {
	none := func() error { return nil }
	size, err := f.size()
	if err != nil {
		return nil, none, err
	}
	switch f.path {
	case "":
		return nil, none, nil
	case "-":
		return stdout, none, nil
	}
	l := &sinks.File{Path: f.path, MaxSize: size, MaxFiles: f.maxFiles}
	switch err := l.Open(); {
	case errors.Is(err, sinks.ErrNoReader):
		log.WarnContext(ctx, "decision log: the pipe has no reader yet; records are kept in the database and written later", "err", err)
	case err != nil:
		return nil, none, fmt.Errorf("--decision-log: %w", err)
	}
	return l, l.Close, nil
}

// size returns the size of --decision-log-max-size in bytes, 0 for none.
func (f *logFlags) size() (int64, error) {
	if f.maxFiles < 1 {
		return 0, invalid("--decision-log-max-files: want a positive number, not %d", f.maxFiles)
	}
	if f.maxSize == "" {
		return 0, nil
	}
	if f.path == "" || f.path == "-" {
		return 0, usageError("--decision-log-max-size needs a file: name it with --decision-log")
	}
	size, err := parseSize(f.maxSize)
	if err == nil && size < leastLogSize {
		err = fmt.Errorf("want at least 1MiB, not %q", f.maxSize)
	}
	if err != nil {
		return 0, invalid("--decision-log-max-size: %w", err)
	}
	return size, nil
}

// units of sizes.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// parseSize parses a number of bytes, such as 100MB or 64MiB.
func parseSize(text string) (int64, error) {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			break
		}
		return int64(n) * unit.bytes, nil
	}
	return 0, fmt.Errorf("want a size such as 100MB or 64MiB, not %q", text)
}

// serveSignals handles SIGPIPE and SIGHUP until the returned function is called, also
// while the server stops. Without it the Go runtime ends the program by SIGPIPE when the
// reader of stdout or stderr is gone; if the signal is ignored, the write fails like one to
// a full disk. SIGHUP reopens the decision log.
func serveSignals(ctx context.Context, decisionLog io.Writer, log *slog.Logger) (stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			file, ok := decisionLog.(*sinks.File)
			if !ok {
				continue // stdout cannot be reopened
			}
			if err := file.Open(); err != nil {
				log.ErrorContext(ctx, "decision log: cannot be reopened; records are still written to the old file", "err", err)
				continue
			}
			log.InfoContext(ctx, "decision log: reopened", "file", file.Path)
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
	}
}
