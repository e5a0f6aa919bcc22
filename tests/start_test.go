package tests

import "testing"

// start runs a whole server on a real socket with a real SQLite file in
// t.TempDir() and the given realm, and stops it when the test ends.
func start(t testing.TB, opts ...func(*options)) *env {
	t.Helper()
	newOptions(t, opts).write(t)
	t.Fatal("not wired")
	return nil
}
