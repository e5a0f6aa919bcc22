package bundles_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/umpire/bundles"
)

// watch returns a function that waits for the next change of dir.
func watch(t *testing.T, dir string) (next func(what string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		bundles.Watch(ctx, dir, func() {
			select {
			case changes <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not seen", what)
		}
	}
}

func TestWatch(t *testing.T) {
	defer goleak.VerifyNone(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "policies")
	write(t, dir, "a.rego", "package a")
	t.Run("changes", func(t *testing.T) {
		next := watch(t, dir)
		next("the beginning")

		write(t, dir, "a.rego", "package a # longer")
		next("a write")

		write(t, parent, "a.rego~", "package a # another")
		if err := os.Rename(filepath.Join(parent, "a.rego~"), filepath.Join(dir, "a.rego")); err != nil {
			t.Fatal(err)
		}
		next("a file put in place of another")

		write(t, dir, "deep/er/b.rego", "package b")
		next("a new folder")

		write(t, dir, "deep/er/b.rego", "package b # longer")
		next("a write in the new folder")

		if err := os.Remove(filepath.Join(dir, "a.rego")); err != nil {
			t.Fatal(err)
		}
		next("a removal")

		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		next("the folder's removal")

		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		next("the folder's return")
	})
}

// A release is rolled out by moving the link that names the folder.
func TestWatchMovedLink(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	write(t, parent, "one/a.rego", "package a # 1")
	write(t, parent, "two/a.rego", "package a # 2")
	current := filepath.Join(parent, "current")
	link(t, "one", current)
	next := watch(t, current)
	next("the beginning")
	link(t, "two", current+".new")
	if err := os.Rename(current+".new", current); err != nil {
		t.Fatal(err)
	}
	next("the link's move")
	write(t, parent, "two/a.rego", "package a # 2, longer")
	next("a write where the link leads now")
}

// An archive or rsync puts another file of the same size and time in its place.
func TestWatchSameSizeSameTime(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	when := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(dir, content string) {
		t.Helper()
		write(t, dir, "a.rego", content)
		if err := os.Chtimes(filepath.Join(dir, "a.rego"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	put(dir, "package a # 1")
	next := watch(t, dir)
	next("the beginning")
	put(dir, "package a # 2")
	next("an edit in place")
	put(elsewhere, "package a # 3")
	if err := os.Rename(filepath.Join(elsewhere, "a.rego"), filepath.Join(dir, "a.rego")); err != nil {
		t.Fatal(err)
	}
	next("a file put in place of another")
}

// A write behind a link to a folder inside is seen.
func TestWatchLinkedFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, ".data/lib/a.rego", "package lib # 1")
	link(t, ".data/lib", filepath.Join(dir, "lib"))
	next := watch(t, dir)
	next("the beginning")
	write(t, dir, ".data/lib/a.rego", "package lib # 2")
	next("a write behind the link")
}

// A bundle file is watched as a folder is: an archive of the same size and time, also in
// place of the one before, a link that is moved, and a file that goes and comes back.
func TestWatchBundleFile(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	when := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(dir, content string) {
		t.Helper()
		write(t, dir, "p.tar.gz", content)
		if err := os.Chtimes(filepath.Join(dir, "p.tar.gz"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "p.tar.gz")
	put(dir, "bundle 1")
	current := filepath.Join(dir, "current.tar.gz")
	link(t, "p.tar.gz", current)
	next := watch(t, current)
	next("the beginning")
	put(dir, "bundle 2")
	next("an edit in place")
	put(elsewhere, "bundle 3")
	move(filepath.Join(elsewhere, "p.tar.gz"), name)
	next("a file put in place of another")
	move(name, name+".away")
	next("the file's removal")
	move(name+".away", name)
	next("the file's return")
	write(t, dir, "other/p.tar.gz", "bundle 3")
	link(t, "other/p.tar.gz", current+".new")
	move(current+".new", current)
	next("the link's move")
	if err := os.Remove(filepath.Join(dir, "other", "p.tar.gz")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "other/p.tar.gz/a.rego", "package a")
	next("a folder in place of the file")
}
