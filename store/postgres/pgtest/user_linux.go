package pgtest

import (
	"errors"
	"os"
	"os/exec"
	osuser "os/user"
	"runtime"
	"strconv"
	"syscall"
)

// How the postmaster ends: at once, to recover when it starts again, or in order; both without waiting
// for its clients.
const (
	stopAtOnce = syscall.SIGQUIT
	stopFast   = syscall.SIGINT
)

// A user is one that programs are run as: PostgreSQL refuses to run as root. nil is the present one.
type user struct{ uid, gid uint32 }

// notRoot returns nil unless the present user is root.
func notRoot() (*user, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(found.Gid, 10, 32)
		if err == nil && err2 == nil {
			return &user{uint32(uid), uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// own gives a folder to the user.
func (u *user) own(dir string) error {
	if u == nil {
		return nil
	}
	return os.Chown(dir, int(u.uid), int(u.gid))
}

// run makes a command run as the user. It ends with the thread that starts it.
func (u *user) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if u != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid}
	}
}

// startOnThread starts the postmaster from a thread that lives as long as it: so it ends with this
// program, whatever ends that.
func (c *Cluster) startOnThread(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = stopAtOnce
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.exit = cmd.Wait()
			close(c.ended)
		}
	}()
	c.server = cmd
	return <-started
}
