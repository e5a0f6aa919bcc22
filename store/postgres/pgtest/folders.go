package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Variable names the store of tests of whole servers and of commands: sqlite, or postgres.
const Variable = "UMPIRE_TEST_STORE"

// Folders gives the data folders of tests databases, if UMPIRE_TEST_STORE is postgres: where
// SQLite would have its file in the folder, PostgreSQL has a database for it.
type Folders struct {
	Prepare func(url string) error // fills the template of the databases

	server Server
	mu     sync.Mutex
	made   map[string]made // by the path of the folder
}

// A made is a database, and the folder of the test that it was made for, or one above it. The database is
// removed when that is gone: a subtest may be the first to use what belongs to its test.
type made struct{ name, above string }

// Main runs the tests of a package and stops the server: os.Exit(folders.Main(m)). Without a
// PostgreSQL that they were to use it says so, and runs none.
func (f *Folders) Main(m *testing.M) int {
	switch store := os.Getenv(Variable); store {
	case "", "sqlite":
		return m.Run()
	case "postgres":
	default:
		fmt.Fprintf(os.Stderr, "%s: want sqlite or postgres, not %q\n", Variable, store)
		return 2
	}
	f.server.once.Do(f.server.start)
	switch {
	case f.server.err != nil:
		fmt.Fprintln(os.Stderr, "start PostgreSQL:", f.server.err)
		return 1
	case f.server.url == "":
		fmt.Println("skipped: " + howTo)
		return 0
	}
	f.made = map[string]made{}
	code := m.Run()
	if err := errors.Join(f.removeAll(), f.server.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
	}
	return code
}

// Used reports whether the tests use PostgreSQL. It reads the variable again: `go test` takes a result from its
// cache unless a test read it.
func (f *Folders) Used() bool { return os.Getenv(Variable) == "postgres" }

// OnlySQLite skips a test of what only SQLite has.
func (f *Folders) OnlySQLite(t testing.TB, what string) {
	t.Helper()
	if f.Used() {
		t.Skip("SQLite only: " + what)
	}
}

// OnlyPostgreSQL skips a test of what only PostgreSQL has.
func (f *Folders) OnlyPostgreSQL(t testing.TB, what string) {
	t.Helper()
	if !f.Used() {
		t.Skip("PostgreSQL only (UMPIRE_TEST_STORE=postgres): " + what)
	}
}

// URL is that of the database of a data folder, which has the schema; empty if tests use SQLite.
func (f *Folders) URL(t testing.TB, data string) string {
	t.Helper()
	return f.database(t, data, "migrated", f.Prepare)
}

// Bare is URL for a database without a schema, for which a data folder without a file stands.
func (f *Folders) Bare(t testing.TB, data string) string {
	t.Helper()
	return f.database(t, data, "bare", func(string) error { return nil })
}

func (f *Folders) database(t testing.TB, data, template string, prepare func(url string) error) string {
	t.Helper()
	if !f.Used() {
		return ""
	}
	path, err := filepath.Abs(data)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d, ok := f.made[path]; ok {
		return f.at(d.name)
	}
	if err := f.removeUnused(isGone); err != nil {
		t.Fatalf("remove databases: %v", err)
	}
	name, err := f.server.create(template, prepare)
	if err != nil {
		t.Fatalf("make a database: %v", err)
	}
	f.made[path] = made{name, existing(path)}
	return f.at(name)
}

// at is the URL of a database. Servers of tests that wait for their subtests keep no connections that they
// do not use: there are many of them.
func (f *Folders) at(name string) string {
	u, err := url.Parse(f.server.at(name))
	if err != nil {
		return f.server.at(name) // the connection says what is wrong
	}
	query := u.Query()
	query.Set("pool_max_conn_idle_time", "1s")
	query.Set("pool_health_check_period", "1s")
	u.RawQuery = query.Encode()
	return u.String()
}

// removeUnused removes the databases of tests that have ended, by their folders.
func (f *Folders) removeUnused(unused func(folder string) bool) (err error) {
	for path, d := range f.made {
		if unused(d.above) {
			delete(f.made, path)
			err = errors.Join(err, f.server.drop(d.name))
		}
	}
	return err
}

// removeAll removes the databases, unless they go with their cluster.
func (f *Folders) removeAll() error {
	if f.server.cluster != nil {
		return nil
	}
	return f.removeUnused(func(string) bool { return true })
}

func isGone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// existing is a folder, or the nearest above it that exists.
func existing(path string) string {
	for {
		if !isGone(path) || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// Exec runs statements in a database.
func Exec(ctx context.Context, url string, statements ...string) error {
	return with(ctx, url, func(c *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := c.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// with calls f with a connection to a database.
func with(ctx context.Context, url string, f func(c *pgx.Conn) error) (err error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	c, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	return f(c)
}

// Dump returns all rows of a database, as their bytes.
func Dump(ctx context.Context, url string) ([]byte, error) {
	var b bytes.Buffer
	err := with(ctx, url, func(c *pgx.Conn) error {
		found, err := c.Query(ctx, `SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			if _, err := c.PgConn().CopyTo(ctx, &b, `COPY (SELECT * FROM `+table+`) TO STDOUT (FORMAT binary)`); err != nil {
				return fmt.Errorf("copy %s: %w", table, err)
			}
		}
		return nil
	})
	return b.Bytes(), err
}
