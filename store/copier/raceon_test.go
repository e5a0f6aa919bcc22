//go:build race

package copier_test

// raceEnabled says that the race detector watches, which makes SQLite some ten times as slow.
const raceEnabled = true
