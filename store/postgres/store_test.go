package postgres

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

var at = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// server has the databases of these tests.
var server pgtest.Server

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

// newDatabase returns the URL of a database with the schema and nothing in it.
func newDatabase(t testing.TB) string {
	t.Helper()
	return server.Database(t, "empty", func(url string) error {
		s, err := Open(context.Background(), Config{URL: url})
		if err != nil {
			return err
		}
		return s.Close()
	})
}

func openTemp(t testing.TB, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{URL: newDatabase(t)}
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// allCaches keeps rows of all kinds in memory.
func allCaches(c *Config) {
	c.Caches = memory.Caches{Memory: 4 << 20, Sessions: true, Users: true, Resources: true, Shares: true}
}

// TestStore also checks the plans of all statements that the contract makes the store send, and that changes of what grants
// rest on are counted.
func TestStore(t *testing.T) {
	t.Parallel()
	sent := &recorder{}
	t.Cleanup(func() {
		if !t.Failed() && wholeContract() {
			checkPlans(t, sent)
		}
	})
	storetest.Run(t, func(t *testing.T) uma.Store { return open(t, Config{URL: newCheckedDatabase(t), tracer: sent}) })
}

// wholeContract reports whether no part of the tests was chosen.
func wholeContract() bool {
	run := flag.Lookup("test.run")
	return run == nil || !strings.Contains(run.Value.String(), "/")
}

func TestStoreCached(t *testing.T) {
	t.Parallel()
	storetest.RunViews(t, func(t *testing.T) uma.Store {
		s := openTemp(t, allCaches)
		t.Cleanup(func() {
			if err := s.CheckCaches(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// smallRealm applies a realm with one client and one user.
func smallRealm(t testing.TB, s *Store) *uma.Snapshot {
	t.Helper()
	_, err := s.ApplyRealm(t.Context(), &uma.RealmChange{
		Realm: uma.Realm{Name: "photoz", Enabled: true, Policy: uma.PolicySettings{ResubmitAfter: time.Hour},
			Issuers: []uma.TrustedIssuer{{Issuer: "https://corp.example", Alias: "corp"}}},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:   []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Now:     at,
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot(t.Context(), "photoz", at)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// mustClose closes something and checks the error. It is for defer.
func mustClose(t testing.TB, close func() error) {
	t.Helper()
	if err := close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestDurableCommits: a database whose commits may be lost is refused.
func TestDurableCommits(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	if _, err := Open(t.Context(), Config{URL: database + "&synchronous_commit=off"}); err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("got error %v", err)
	}
}

// TestIsolation: writes are READ COMMITTED, in transactions and as single statements, whatever the URL says: the guards of
// a commit must see what was committed while they waited.
func TestIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable%20read", "serializable"} {
		s := open(t, Config{URL: newDatabase(t) + "&default_transaction_isolation=" + level})
		const query = `SELECT current_setting('transaction_isolation')`
		var inside, alone string
		err := s.write(t.Context(), func(tx *conn) error { return tx.row(query, nil, &inside) })
		if err := errors.Join(err, s.pool.QueryRow(t.Context(), query).Scan(&alone)); err != nil {
			t.Fatal(err)
		}
		if want := "read committed"; inside != want || alone != want {
			t.Errorf("%s: a transaction is %s, a single statement %s; want %s", level, inside, alone, want)
		}
	}
}
