package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// A File is the file of the decision log. It can be reopened while it is written: a program
// that rotates logs moves the file away and calls Open. With MaxSize it rotates by itself.
// It may be a named pipe, which is opened as soon as it has a reader.
type File struct {
	Path     string
	MaxSize  int64 // bytes; 0: it does not rotate
	MaxFiles int   // how many rotated files are kept: PATH.1, the newest, to PATH.MaxFiles

	file atomic.Pointer[os.File] // nil until it has been opened

	// syncing is held by Open and Sync, so that Sync does not return between the moment when
	// a new file takes the place of the old one and that when the old one is durable.
	syncing sync.Mutex
}

// ErrNoReader is the error of a named pipe without a reader.
var ErrNoReader = errors.New("no process reads this pipe")

// Open opens the file and closes the one opened before. O_NONBLOCK: opening a pipe would
// otherwise block until it has a reader, and ignore signals meanwhile.
func (l *File) Open() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	f, err := os.OpenFile(l.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("%s: %w", l.Path, ErrNoReader)
	}
	if err != nil {
		return err
	}
	if err := endLine(f); err != nil {
		return errors.Join(err, f.Close())
	}
	old := l.file.Swap(f)
	if old == nil {
		return nil
	}
	return errors.Join(syncRegular(old), old.Close())
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

// Write implements io.Writer. p is whole lines; only one goroutine may write. With MaxSize it
// begins a new file between two lines, so that no file is larger unless one line is.
func (l *File) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		next, err := l.makeRoom(p)
		if err != nil {
			return written, err
		}
		n, err := l.write(next)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// makeRoom returns how much of p is written next. If not even the first line fits, it
// rotates the files.
func (l *File) makeRoom(p []byte) ([]byte, error) {
	if l.MaxSize == 0 {
		return p, nil
	}
	var size int64
	if info, err := os.Stat(l.Path); err == nil {
		size = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	room := l.MaxSize - size
	if int64(len(p)) <= room {
		return p, nil
	}
	if room > 0 {
		if end := bytes.LastIndexByte(p[:room], '\n'); end >= 0 {
			return p[:end+1], nil
		}
	}
	if size > 0 {
		if err := l.rotate(); err != nil {
			return nil, err
		}
		return l.makeRoom(p)
	}
	return p[:bytes.IndexByte(p, '\n')+1], nil // a line that is larger than a file
}

// rotate renames the files and begins a new one. It shifts them up to the first number that
// is free, so that it removes one file at most, also after a rotation that was interrupted.
func (l *File) rotate() error {
	name := func(n int) string { return fmt.Sprintf("%s.%d", l.Path, n) }
	last := 1
	for last < l.MaxFiles {
		if _, err := os.Lstat(name(last)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		last++
	}
	for n := last; n > 1; n-- {
		if err := os.Rename(name(n-1), name(n)); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
	}
	if err := os.Rename(l.Path, name(1)); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return l.Open()
}

func (l *File) write(p []byte) (int, error) {
	for {
		f := l.file.Load()
		if f == nil {
			if err := l.Open(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := f.Write(p)
		if n == 0 && errors.Is(err, os.ErrClosed) && l.file.Load() != f {
			continue // Open closed it meanwhile
		}
		return n, err
	}
}

// Sync returns once what was written survives a power failure.
func (l *File) Sync() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if f := l.file.Load(); f != nil {
		return syncRegular(f)
	}
	return nil
}

// syncRegular syncs a file. A pipe cannot be synced.
func syncRegular(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Sync()
}

// Close implements io.Closer.
func (l *File) Close() error {
	if f := l.file.Load(); f != nil {
		return f.Close()
	}
	return nil
}
