//go:build linux || darwin || freebsd

package folder

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// modes says whether files have modes.
const modes = true

// tryLock locks an open file. It returns false if it is locked through another descriptor.
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

// Free returns how many bytes this process may still write to the file system of a path.
func Free(path string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	blocks := int64(st.Bavail)
	if os.Geteuid() == 0 {
		blocks = int64(st.Bfree) // root may use the reserved blocks, too
	}
	return blocks * int64(st.Bsize), nil
}

// IsGroups reports whether the group of a file is one of this process's groups.
func IsGroups(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	groups, err := os.Getgroups()
	return ok && (int(st.Gid) == os.Getegid() || err == nil && slices.Contains(groups, int(st.Gid)))
}
