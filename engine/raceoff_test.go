//go:build !race

package engine_test

// raceEnabled says that the race detector watches, which makes everything some
// ten times as slow.
const raceEnabled = false
