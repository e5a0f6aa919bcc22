//go:build !linux

package child

import "os/exec"

// endWithParent does nothing: the child reads the end of its stdin.
func endWithParent(*exec.Cmd) {}
