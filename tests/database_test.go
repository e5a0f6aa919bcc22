package tests

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
	"example.com/umpire/store"
	"example.com/umpire/store/postgres"
	"example.com/umpire/store/postgres/pgtest"
)

// Where a server of a test keeps its rows is decided here: in the SQLite database in its data
// folder, or in the PostgreSQL database of that folder, which then has only the key.

// databases are those of the data folders, if the tests run on PostgreSQL.
var databases = pgtest.Folders{Prepare: func(url string) error {
	s, err := postgres.Open(context.Background(), postgres.Config{URL: url})
	if err != nil {
		return err
	}
	return errors.Join(s.PrepareMonths(context.Background(), time.Now()), s.Close())
}}

// nodeConfig is that of a server, and of what a command does beside it.
func (e *env) nodeConfig(t testing.TB) node.Config {
	t.Helper()
	return node.Config{
		Data: e.Data, Database: databases.URL(t, e.Data), Examine: rollout.InProcess, PublicURL: e.URL, Now: e.Clock.Now, Version: "test",
	}
}

// openStore opens the database of the server with a data folder, beside it or before it starts.
func openStore(t testing.TB, data string, readOnly bool, now func() time.Time) (store.Store, error) {
	t.Helper()
	return store.Open(t.Context(), store.Config{
		Database: databases.URL(t, data), Path: filepath.Join(data, "umpire.db"), ReadOnly: readOnly, Now: now,
	})
}

// databaseOf is the environment of a command that names a data folder: with the URL of the
// database that the folder has, if any.
func databaseOf(t testing.TB, args []string) (environ []string) {
	t.Helper()
	at := slices.Index(args, "--data") + 1
	if at == 0 || at == len(args) {
		return nil
	}
	if url := databases.URL(t, args[at]); url != "" {
		return []string{"UMPIRE_DATABASE=" + url}
	}
	return nil
}

// written is all that the server has written, by where that is: its logs, and what its
// database keeps on disk.
func (e *env) written(t testing.TB) map[string][]byte {
	t.Helper()
	files := []string{"server.log", "decisions.log", "umpire.db", "umpire.db-wal"}
	content := map[string][]byte{}
	if url := databases.URL(t, e.Data); url != "" {
		rows, err := pgtest.Dump(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasPrefix(name, "umpire.db") })
		content["the database"] = rows
	}
	for _, name := range files {
		content[name] = readFile(t, filepath.Join(e.Data, name))
	}
	return content
}
