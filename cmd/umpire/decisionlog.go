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
// program that rotates logs moves the file away and sends SIGHUP. It may be a named pipe,
// which is opened as soon as it has a reader.
type logFile struct {
	path string
	file atomic.Pointer[os.File] // nil until it has been opened
}

// errNoReader is the error of a named pipe without a reader.
var errNoReader = errors.New("no process reads this pipe")

// open opens the file and closes the one opened before. O_NONBLOCK: opening a pipe would
// otherwise block until it has a reader, and ignore signals meanwhile.
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

// endLine writes a newline after an incomplete line, which a killed server or a full disk
// left, so that the next record begins a new line.
func endLine(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	written, err := os.Open(f.Name())
	if err != nil {
		return err
	}
	var last [1]byte
	_, err = written.ReadAt(last[:], info.Size()-1)
	if err = errors.Join(err, written.Close()); err != nil || last[0] == '\n' {
		return err
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
			continue // open closed it meanwhile
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

// openDecisionLog opens the destination that --decision-log names; nil means no log.
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
		log.WarnContext(ctx, "decision log: the pipe has no reader yet; records are kept in the database and written later", "err", err)
	case err != nil:
		return nil, none, fmt.Errorf("--decision-log: %w", err)
	}
	return l, l.Close, nil
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
			file, ok := decisionLog.(*logFile)
			if !ok {
				continue // stdout cannot be reopened
			}
			if err := file.open(); err != nil {
				log.ErrorContext(ctx, "decision log: cannot be reopened; records are still written to the old file", "err", err)
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
