package main

import (
	"runtime"
	"testing"
)

// The Go runtime knows a container's quota and follows it, until a program sets
// the number of threads itself.
func TestThreadsAreTheRuntimesOwn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	tune(func(string) string { return "" })
	if got := runtime.GOMAXPROCS(0); got != 1 {
		t.Errorf("got %d threads, want those there were", got)
	}
}
