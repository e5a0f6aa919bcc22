//go:build !linux

package pgtest

import (
	"os/exec"
	"syscall"
)

// How the postmaster ends: at once, to recover when it starts again, or in order; both without waiting
// for its clients.
const (
	stopAtOnce = syscall.SIGQUIT
	stopFast   = syscall.SIGINT
)

// A user is one that programs are run as: here the present one, which must not be root.
type user struct{}

func notRoot() (*user, error) { return nil, nil }

func (u *user) own(string) error { return nil }

func (u *user) run(*exec.Cmd) {}

// startOnThread starts the postmaster.
func (c *Cluster) startOnThread(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	c.server = cmd
	go func() {
		c.exit = cmd.Wait()
		close(c.ended)
	}()
	return nil
}
