package copier_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"example.com/umpire/store/copier"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/store/storetest"
)

var at = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// filled returns the path of an SQLite database with rows of every kind.
func filled(t *testing.T) string {
	t.Helper()
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "umpire.db") }

// source opens an SQLite database to be copied, until the test ends.
func source(t *testing.T, path string) copier.Source {
	t.Helper()
	s, err := sqlite.OpenSource(path, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sqliteTarget calls f with an SQLite database to copy into.
func withTarget(t *testing.T, path string, f func(to copier.Target)) {
	t.Helper()
	to, err := sqlite.OpenTarget(context.WithoutCancel(t.Context()), path, at)
	if err != nil {
		t.Fatal(err)
	}
	f(to)
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}

func silent(copier.Step) {}
