//go:build !linux && !darwin && !freebsd

package folder

import (
	"math"
	"os"
)

// Elsewhere files have no modes, no locks of this kind, and no number of free bytes.

const modes = false

func tryLock(*os.File) (bool, error) { return true, nil }

// Free is how many bytes this process may still write to the file system of a file.
func Free(string) (int64, error) { return math.MaxInt64, nil }

// IsGroups reports whether a file is of a group of this process.
func IsGroups(os.FileInfo) bool { return false }
