//go:build race

package tests

// raceEnabled says that the race detector watches, which makes everything some
// ten times as slow.
const raceEnabled = true
