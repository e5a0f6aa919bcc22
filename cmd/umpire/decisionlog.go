package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// A logFile is the file of the decision log. It can be reopened while it is written: a
// program that rotates it moves it away and sends SIGHUP. It may be a pipe, which is
// opened as soon as it has a reader.
type logFile struct {
	path string
	file atomic.Pointer[os.File] // nil as long as it could not be opened
}

// errNoReader is the error of a pipe that nobody reads.
var errNoReader = errors.New("nobody reads this pipe")

// open opens the file in place of the open one. It does not block, as opening a pipe
// otherwise would until there is a reader, even on signals.
func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("%s: %w", l.path, errNoReader)
	}
	if err == nil {
		err = endLine(f)
	}
	if err != nil {
		return err
	}
	if old := l.file.Swap(f); old != nil {
		return old.Close()
	}
	return nil
}

// endLine ends a partial line, which a killed server or a full disk left, so that the
// next record begins a new line.
func endLine(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	written, err := os.Open(f.Name())
	if err != nil {
		return err
	}
	defer written.Close()
	var last [1]byte
	if _, err := written.ReadAt(last[:], info.Size()-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err = f.WriteString("\n")
	return err
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	for {
		f := l.file.Load()
		if f == nil {
			if err := l.open(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := f.Write(p)
		if n == 0 && errors.Is(err, os.ErrClosed) && l.file.Load() != f {
			continue // it was reopened meanwhile
		}
		return n, err
	}
}

// Close implements io.Closer.
func (l *logFile) Close() error {
	if f := l.file.Load(); f != nil {
		return f.Close()
	}
	return nil
}

// openDecisionLog opens what --decision-log names; nil stands for no log.
func (e *env) openDecisionLog(ctx context.Context, path string, log *slog.Logger) (io.Writer, func() error, error) {
	none := func() error { return nil }
	switch path {
	case "":
		return nil, none, nil
	case "-":
		return e.stdout, none, nil
	}
	l := &logFile{path: path}
	switch err := l.open(); {
	case errors.Is(err, errNoReader):
		log.WarnContext(ctx, "decision log: has no reader yet; its records wait in the database", "err", err)
	case err != nil:
		return nil, none, fmt.Errorf("--decision-log: %w", err)
	}
	return l, l.Close, nil
}

// serveSignals handles SIGPIPE and SIGHUP until the returned function is called, also
// while the server stops. When the reader of stdout or stderr ends, Go's runtime would
// end the program by SIGPIPE; ignored, the write fails like one to a full disk. SIGHUP
// reopens the decision log.
func serveSignals(ctx context.Context, decisionLog io.Writer, log *slog.Logger) (stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			file, ok := decisionLog.(*logFile)
			if !ok {
				continue // stdout is not ours to open
			}
			if err := file.open(); err != nil {
				log.ErrorContext(ctx, "decision log: not reopened; the old file is still written", "err", err)
				continue
			}
			log.InfoContext(ctx, "decision log: reopened", "file", file.path)
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
	}
}
