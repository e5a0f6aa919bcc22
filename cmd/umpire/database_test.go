package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
	"example.com/umpire/store"
	"example.com/umpire/store/postgres"
	"example.com/umpire/store/postgres/pgtest"
)

// nobody is the URL of a database at a port where nothing listens.
const nobody = "postgres://umpire:hunter2@127.0.0.1:1/umpire?connect_timeout=1&sslmode=disable"

// databases are those of the data folders, if the tests run on PostgreSQL: then a folder has only
// the key.
var databases = pgtest.Folders{Prepare: func(url string) error {
	s, err := postgres.Open(context.Background(), postgres.Config{URL: url})
	if err != nil {
		return err
	}
	return errors.Join(s.PrepareMonths(context.Background(), time.Now()), s.Close())
}}

// noDatabase returns a data folder that no command has used: without a file, or with a database
// that is empty.
func noDatabase(t testing.TB, data string) string {
	t.Helper()
	databases.Bare(t, data)
	return data
}

// shownPlace is what an error calls the database of a data folder.
func shownPlace(t testing.TB, data string) string {
	t.Helper()
	if u, err := url.Parse(databases.URL(t, data)); err == nil && u.Path != "" {
		return u.Path
	}
	return data
}

// environment is that of a command: of this process, with the database of the data folder that the
// command names, if any.
func environment(t testing.TB, args []string) func(name string) string {
	t.Helper()
	data, database := os.Getenv("UMPIRE_DATA"), ""
	for i, arg := range args[:max(len(args)-1, 0)] {
		if arg == "--data" {
			data = args[i+1]
		}
	}
	if data != "" {
		database = databases.URL(t, data)
	}
	return func(name string) string {
		if name == "UMPIRE_DATABASE" && database != "" {
			return database
		}
		return os.Getenv(name)
	}
}

// programOf is an invocation in a process of its own.
func programOf(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], args...) //nolint:gosec // the test binary
	cmd.Env = append(os.Environ(), asProgram+"=1", "UMPIRE_DATABASE="+environment(t, args)("UMPIRE_DATABASE"))
	return cmd
}

// stored is what the database of a data folder has on disk.
func stored(t testing.TB, data string) []byte {
	t.Helper()
	if database := databases.URL(t, data); database != "" {
		rows, err := pgtest.Dump(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	file, err := os.ReadFile(filepath.Join(data, "umpire.db"))
	if err != nil {
		t.Fatal(err)
	}
	wal, _ := os.ReadFile(filepath.Join(data, "umpire.db-wal")) // it may have been moved into the file
	return append(file, wal...)
}

// openStore opens the database of a data folder, beside a server or between commands.
func openStore(t *testing.T, data string) (store.Store, error) {
	t.Helper()
	return store.Open(t.Context(), store.Config{Database: databases.URL(t, data), Path: filepath.Join(data, "umpire.db")})
}

// nodeConfig is that of a server with a data folder.
func nodeConfig(t *testing.T, data string) node.Config {
	t.Helper()
	return node.Config{Data: data, Database: databases.URL(t, data), Examine: rollout.InProcess, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// umpireIn runs a command to its end in an environment of its own.
func umpireIn(t *testing.T, environ map[string]string, args ...string) (stderr string, code int) {
	t.Helper()
	var out, errs buffer
	root := newRoot(&env{stdout: &out, stderr: &errs, getenv: func(name string) string { return environ[name] }, now: time.Now})
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(t.Context())
	code = report(&errs, cmd, err)
	return errs.String(), code
}

// TestDatabaseFlag: mistakes in the URL of a database, or beside it, are said without its
// password, and never lead to SQLite in a folder.
func TestDatabaseFlag(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	environ := map[string]string{"UMPIRE_DATABASE": nobody}
	for name, c := range map[string]struct {
		environ map[string]string
		args    []string
		want    string
		code    int
	}{
		"no scheme":           {nil, []string{"keys", "list", "--database", "umpire:hunter2@db.example.com"}, "--database: the URL of the database is not one of PostgreSQL", exitUsage},
		"another database":    {map[string]string{"UMPIRE_DATABASE": "mysql://umpire:hunter2@db.example.com/umpire"}, []string{"keys", "list"}, "--database: the URL", exitUsage},
		"empty":               {environ, []string{"keys", "list", "--database", "", "--data", data}, "--database is empty", exitUsage},
		"a server":            {nil, []string{"decisions", "list", "--database", nobody, "--server", "https://admin.example.com"}, "--database and --server", exitUsage},
		"no replica's scheme": {environ, []string{"keys", "list", "--database-replica", "umpire:hunter2@db.example.com"}, "--database-replica: the URL of the database is not one of PostgreSQL", exitUsage},
		"an empty replica":    {environ, []string{"keys", "list", "--database-replica", ""}, "--database-replica is empty", exitUsage},
		"a replica of SQLite": {map[string]string{"UMPIRE_DATABASE_REPLICA": "postgres://umpire:hunter2@db.example.com/umpire"}, []string{"keys", "list", "--data", data}, "--database-replica is given without --database", exitUsage},
		"a server's replica":  {nil, []string{"decisions", "list", "--database-replica", nobody, "--server", "https://admin.example.com"}, "--database-replica and --server", exitUsage},
		"a backup":            {environ, []string{"backup", "--data", data, filepath.Join(data, "copy.db")}, "pg_basebackup", exitUsage},
		"reading":             {environ, []string{"keys", "list", "--data", data}, "PostgreSQL", exitFailed},
		"writing":             {environ, []string{"decisions", "prune", "--before", "1h", "--data", data}, "PostgreSQL", exitFailed},
		"a server's database": {map[string]string{"UMPIRE_SERVER": "https://127.0.0.1:1"}, []string{"decisions", "list", "--database", nobody}, "PostgreSQL", exitFailed},
		"no key":              {environ, []string{"keys", "rotate", "--realm", "photoz"}, "--key-file", exitFailed},
		"to serve without":    {environ, []string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "", "--decision-log", ""}, "UMPIRE_KEY", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stderr, code := umpireIn(t, c.environ, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
				t.Errorf("got exit %d, want %d, %q and no password:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
	t.Cleanup(func() {
		for _, folder := range []string{data, "data"} {
			if _, err := os.Stat(folder); !os.IsNotExist(err) {
				t.Errorf("%s was made: %v", folder, err)
			}
		}
	})
}
