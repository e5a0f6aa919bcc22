//go:build race

package main

// raceEnabled says that the race detector watches, which makes evaluations some ten times as
// slow.
const raceEnabled = true
