package copier_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/umpire/store/copier"
	"example.com/umpire/store/postgres"
	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

var at = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// server has the PostgreSQL databases of these tests.
var server pgtest.Server

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

// A place is a database: SQLite at a path, or PostgreSQL at a URL.
type place struct{ path, url string }

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "umpire.db") }

// newDatabase returns the URL of a PostgreSQL database with the schema and nothing in it.
func newDatabase(t testing.TB) string {
	t.Helper()
	return server.Database(t, "copier", func(url string) error {
		s, err := postgres.Open(context.Background(), postgres.Config{URL: url})
		if err != nil {
			return err
		}
		return s.Close()
	})
}

// A store is what is opened for a server.
type store interface {
	uma.Store
	Close() error
}

// open opens a database as servers do.
func (p place) open(ctx context.Context) (store, error) {
	if p.url != "" {
		s, err := postgres.Open(ctx, postgres.Config{URL: p.url})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: p.path})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// with opens a database as servers do, calls f, and closes it.
func (p place) with(t testing.TB, f func(s store)) {
	t.Helper()
	s, err := p.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f(s)
	mustClose(t, s)
}

type closer interface{ Close() error }

func mustClose(t testing.TB, c closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// template is an SQLite file with rows of every kind, which is made once.
var template struct {
	once sync.Once
	file []byte
}

// filled returns the path of a copy of it.
func filled(t *testing.T) string {
	t.Helper()
	p := place{path: newPath(t)}
	template.once.Do(func() {
		made := place{path: newPath(t)}
		made.with(t, func(s store) { storetest.Fill(t, s) })
		template.file, _ = os.ReadFile(made.path) // closing it has left no write-ahead log
	})
	if template.file == nil {
		t.Fatal("there is no database with rows of every kind")
	}
	if err := os.WriteFile(p.path, template.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return p.path
}

func (p place) openSource(t testing.TB) copier.Source {
	t.Helper()
	if p.url != "" {
		s, err := postgres.OpenSource(t.Context(), p.url)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, err := sqlite.OpenSource(p.path, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p place) openTarget(t testing.TB) copier.Target {
	t.Helper()
	if p.url != "" {
		s, err := postgres.OpenTarget(t.Context(), p.url)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, err := sqlite.OpenTarget(t.Context(), p.path, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// compare compares two databases.
func compare(t testing.TB, a, b place) error {
	t.Helper()
	x, y := a.openSource(t), b.openSource(t)
	_, err := copier.Compare(t.Context(), x, y, silent)
	mustClose(t, x)
	mustClose(t, y)
	return err
}

// tryCopy copies a database and calls tell after each page.
func tryCopy(ctx context.Context, t testing.TB, from, to place, tell func(copier.Step)) (*copier.Report, error) {
	t.Helper()
	source, target := from.openSource(t), to.openTarget(t)
	report, err := copier.Copy(ctx, source, target, tell)
	mustClose(t, source)
	mustClose(t, target)
	return report, err
}

func mustCopy(t testing.TB, from, to place) *copier.Report {
	t.Helper()
	report, err := tryCopy(t.Context(), t, from, to, silent)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func silent(copier.Step) {}
