package folder

import (
	"fmt"
	"os"
)

// CheckSecret refuses a file with a secret that others than its owner may read, or that is
// not a regular file. Kubernetes mounts a secret for a process that is not root with mode
// 0440 and the group of the pod (fsGroup): that is accepted.
func CheckSecret(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	mounted := info.Mode().Perm() == 0o440 && IsGroups(info)
	if mode := info.Mode().Perm(); modes && mode&0o077 != 0 && !mounted {
		return fmt.Errorf("%s has mode %04o, so others than its owner may use it: chmod 600 it", f.Name(), mode)
	}
	return nil
}
