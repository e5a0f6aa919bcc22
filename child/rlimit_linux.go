//go:build linux && !race

package child

import "syscall"

// slack is memory that Go's runtime takes before it is used: it asks for 64 MiB at a time.
const slack = 192 << 20

// limitMemory has the system refuse memory that watchMemory would see too late.
func limitMemory(bytes int64) error {
	limit := syscall.Rlimit{Cur: uint64(bytes + slack), Max: uint64(bytes + slack)}
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &limit)
}
