//go:build linux || darwin || freebsd

package folder

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// modes says that modes of files mean something.
const modes = true

// tryLock locks a file for its open descriptor. It reports false if another has it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// Free is how many bytes this process may still write to the file system of a file.
func Free(path string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	blocks := int64(st.Bavail)
	if os.Geteuid() == 0 {
		blocks = int64(st.Bfree) // what is reserved is root's
	}
	return blocks * int64(st.Bsize), nil
}

// IsGroups reports whether a file is of a group of this process.
func IsGroups(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	groups, err := os.Getgroups()
	return ok && (int(st.Gid) == os.Getegid() || err == nil && slices.Contains(groups, int(st.Gid)))
}
