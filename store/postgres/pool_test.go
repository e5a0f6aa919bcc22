package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
)

// TestFewConnections: fewer connections than a process needs are refused by name; who only reads needs one.
func TestFewConnections(t *testing.T) {
	t.Parallel()
	url := newDatabase(t) + "&pool_max_conns="
	_, err := Open(t.Context(), Config{URL: url + fmt.Sprint(minConnections-1)})
	if err == nil || !strings.Contains(err.Error(), "pool_max_conns=5") || !strings.Contains(err.Error(), "at least 6") {
		t.Errorf("got error %v", err)
	}
	open(t, Config{URL: url + "1", ReadOnly: true})
}

// TestFailoverWithFewConnections: the connections of all writes that can be under way are lost at their commits, while a
// view has the only other one. Each write is told that it happened.
func TestFailoverWithFewConnections(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	proxy, url := pgtest.NewProxy(t, database)
	s, direct := open(t, Config{URL: fmt.Sprint(url, "?pool_max_conns=", minConnections)}), open(t, Config{URL: database})
	if err := s.Commit(t.Context(), record("before")); err != nil {
		t.Fatal(err)
	}
	holdViews(t, s, 1)
	waitUntil(t, "the process has said that it is alive, which changes the same rows", func() (said bool) {
		err := direct.pool.QueryRow(t.Context(), `SELECT min(seen - fence) > 200 FROM writer WHERE process = $1`, s.slots.process).Scan(&said)
		return err == nil && said
	})
	result := make(chan error, writers+1)
	err := direct.write(t.Context(), func(tx *conn) error {
		_, err := tx.exec(`UPDATE writer SET seen = seen WHERE process = $1`, s.slots.process) // all slots
		go func() { result <- s.Commit(t.Context(), record("the record")) }()
		for n := range writers {
			go func() { result <- s.Revoke(t.Context(), 1, fmt.Sprint("token ", n), at) }()
		}
		waitUntil(t, "all writes wait for the end of this transaction", func() bool { return waiting(t, tx) == writers+1 })
		proxy.Cut()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range cap(result) {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// holdViews opens views that have read something, until the test ends.
func holdViews(t *testing.T, s *Store, n int) {
	t.Helper()
	for range n {
		v, err := s.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mustClose(t, v.Close) })
		if _, err := v.TokenState(context.Background(), 1, "a token", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNewMonthWithOneConnection: a settlement with a transaction of its own, of the first record of a month, needs no second
// connection beside that of its transaction.
func TestNewMonthWithOneConnection(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.connections, c.patience = 2, 3*time.Second })
	holdViews(t, s, 1)
	st := record("the record")
	st.Upgraded = "an RPT"
	if err := s.Commit(t.Context(), st); err != nil {
		t.Error(err)
	}
}
