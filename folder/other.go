//go:build !linux && !darwin && !freebsd

package folder

import (
	"math"
	"os"
)

// On other systems files have no modes, there is no flock, and the free space is unknown.

const modes = false

func tryLock(*os.File) (bool, error) { return true, nil }

// Free returns how many bytes this process may still write to the file system of a path.
func Free(string) (int64, error) { return math.MaxInt64, nil }

// IsGroups reports whether the group of a file is one of this process's groups.
func IsGroups(os.FileInfo) bool { return false }
