package main

import "testing"

// TestThreadsOfAQuota: a container's CPU quota limits the threads; without one there are
// threads to spare for the writer.
func TestThreadsOfAQuota(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ runtimes, processors, want int }{
		{1, 2, 1}, {2, 16, 2}, {3, 4, 3}, {1, 1, 4}, {2, 2, 4}, {4, 4, 4}, {16, 16, 16},
	} {
		if got := threads(tc.runtimes, tc.processors); got != tc.want {
			t.Errorf("of %d processors, of which the runtime takes %d: got %d threads, want %d", tc.processors, tc.runtimes, got, tc.want)
		}
	}
}
