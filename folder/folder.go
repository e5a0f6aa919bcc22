// Package folder looks after the data folder: its permissions, the lock of the process
// that uses it, and the free space. It does not know the data.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LockFile is the file in the folder that a server locks.
const LockFile = "umpire.lock"

// Secure makes the folder with mode 0700, or restricts the permissions of one that exists.
// A folder of this user with nothing but files of Umpire gets mode 0700. Any other keeps
// its mode, because a home directory or a folder of a service manager must stay open to
// others; if everybody may write to it, that is an error. The notice, if not empty, says
// what was changed or should be.
func Secure(dir string) (notice string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	mode := info.Mode().Perm()
	if mode&0o077 == 0 || !modes {
		return "", nil
	}
	ours, err := onlyOurs(dir)
	if err != nil {
		return "", err
	}
	if ours && os.Chmod(dir, mode&0o700) == nil {
		return fmt.Sprintf("the data folder had mode %04o and has %04o now: nobody else may enter it", mode, mode&0o700), nil
	}
	if mode&0o002 != 0 {
		return "", fmt.Errorf("the data folder %s has mode %04o, so that everybody may replace what is in it: "+
			"chmod 700 it, or name a folder of its own in it", dir, mode)
	}
	return fmt.Sprintf("the data folder has mode %04o, so that others may enter it: a folder of its own with mode 0700 is better", mode), nil
}

// onlyOurs reports whether all files in a folder are Umpire's.
func onlyOurs(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "umpire.") && !strings.HasPrefix(e.Name(), ".umpire-") && e.Name() != "lost+found" {
			return false, nil
		}
	}
	return true, nil
}

// Keep makes a file if it does not exist. It removes the permissions of the group and of
// others from it, and from the files whose names are its own with one of the suffixes. It
// does not open an existing file: closing it would release SQLite's locks of this process.
func Keep(path string, suffixes ...string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, suffix := range append(suffixes, "") {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if mode&0o077 == 0 || !modes {
			continue
		}
		// If another user owns the file, this process may need the group's permissions.
		if err := os.Chmod(path+suffix, mode&0o700); err != nil && mode&0o007 != 0 {
			return fmt.Errorf("others may use it: %w", err)
		}
	}
	return nil
}

// A Hold is a server's lock on the folder. The operating system releases it when the
// process ends, even if it is killed.
type Hold struct{ file *os.File }

// Take locks the folder for this process, a server, or returns an error that names the
// process with the lock.
func Take(dir string, now time.Time) (*Hold, error) {
	path := filepath.Join(dir, LockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f)
	if err == nil && !taken {
		err = fmt.Errorf("%s is in use by %s: stop it, or name another folder with --data", dir, holder(path))
	}
	if err == nil {
		host, _ := os.Hostname() // for humans: empty if unknown
		err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintf("process %d on %s, since %s\n", os.Getpid(), host, now.UTC().Format(time.RFC3339))))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Hold{f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// holder returns what the process with the lock wrote about itself.
func holder(path string) string {
	text, err := os.ReadFile(path)
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name
	}
	return "another process"
}

// Release unlocks the folder. The file stays, because a process that waits for the lock
// has it open.
func (h *Hold) Release() error {
	return errors.Join(h.file.Truncate(0), h.file.Close())
}

// Holder returns the process with the lock, "" if there is none.
func Holder(dir string) (string, error) {
	path := filepath.Join(dir, LockFile)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // which also releases a lock that was free
	free, err := tryLock(f)
	if err != nil || free {
		return "", err
	}
	return holder(path), nil
}

// Alone calls f while no other process is in the same call for the folder.
func Alone(ctx context.Context, dir string, f func() error) error {
	lock, err := os.Open(dir) // of the folder itself, so that no file is left behind
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // which releases the lock
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		free, err := tryLock(lock)
		if err != nil {
			return err
		}
		if free {
			return f()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for another process that prepares %s: %w", dir, ctx.Err())
		}
	}
}
