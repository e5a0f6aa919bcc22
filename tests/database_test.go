package tests

import (
	"path/filepath"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
	"example.com/umpire/store"
)

// Where a server of a test keeps its rows is decided here, and for one in a process of its own by
// command: in the SQLite database in its data folder.

// nodeConfig is that of a server, and of what a command does beside it.
func (e *env) nodeConfig() node.Config {
	return node.Config{Data: e.Data, Examine: rollout.InProcess, PublicURL: e.URL, Now: e.Clock.Now, Version: "test"}
}

// openStore opens the database of the server with a data folder, beside it or before it starts.
func openStore(t testing.TB, data string, readOnly bool, now func() time.Time) (store.Store, error) {
	t.Helper()
	return store.Open(t.Context(), store.Config{Path: filepath.Join(data, "umpire.db"), ReadOnly: readOnly, Now: now})
}

// written is all that the server has written, by where that is: its logs, and what its
// database keeps on disk.
func (e *env) written(t testing.TB) map[string][]byte {
	t.Helper()
	content := map[string][]byte{}
	for _, name := range []string{"server.log", "decisions.log", "umpire.db", "umpire.db-wal"} {
		content[name] = readFile(t, filepath.Join(e.Data, name))
	}
	return content
}
