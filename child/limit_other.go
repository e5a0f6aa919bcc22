//go:build !linux

package child

import "os/exec"

// endWithParent does nothing: the child reads the end of its stdin.
func endWithParent(*exec.Cmd) {}

// limitMemory does nothing: watchMemory polls.
func limitMemory(int64) error { return nil }
