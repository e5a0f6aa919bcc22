package postgres

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// record is a settlement of one decision record.
func record(id string) *uma.Settlement {
	return &uma.Settlement{Realm: 1, Now: at, Records: []uma.Record{{ID: id, Time: at, Realm: "photoz", Event: []byte(`{}`)}}}
}

// countRecords returns how many records have an id.
func countRecords(t *testing.T, s *Store, id string) (n int64) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) error {
		return c.row(`SELECT count(*) FROM decision WHERE id = $1`, []any{id}, &n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCommitsOfUnknownFate cuts the connection at a commit. Whether the database had the commit or
// not, and also if it gets it later, the record is stored once, and the caller is told so.
func TestCommitsOfUnknownFate(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]func(toDatabase bool) pgtest.Fate{
		"the database never gets it": func(toDatabase bool) pgtest.Fate {
			if toDatabase {
				return pgtest.Cut
			}
			return pgtest.Pass
		},
		"the answer is lost": func(toDatabase bool) pgtest.Fate {
			if toDatabase {
				return pgtest.Pass
			}
			return pgtest.Cut
		},
		"the database gets it later": func(toDatabase bool) pgtest.Fate {
			if toDatabase {
				return pgtest.Hold
			}
			return pgtest.Pass
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := newDatabase(t)
			proxy, url := pgtest.NewProxy(t, database)
			s, direct := open(t, Config{URL: url, connections: 2}), open(t, Config{URL: database})
			for range 4 { // all connections know the statements
				if err := s.Commit(t.Context(), record("before")); err != nil {
					t.Fatal(err)
				}
			}
			var met atomic.Bool
			proxy.Watch(func(bytes []byte, toDatabase bool) pgtest.Fate {
				if met.Load() || toDatabase && !strings.Contains(string(bytes), "the record") {
					return pgtest.Pass
				}
				what := fate(toDatabase)
				if what != pgtest.Pass {
					met.Store(true)
				}
				return what
			})
			if err := s.Commit(t.Context(), record("the record")); err != nil {
				t.Error(err)
			}
			if !met.Load() {
				t.Fatal("the connection was not cut")
			}
			if err := proxy.Release(); err != nil {
				t.Fatal(err)
			}
			if n := countRecords(t, direct, "the record"); n != 1 {
				t.Errorf("the record is stored %d times", n)
			}
		})
	}
}

// TestDoubtfulChange: a change whose fate could not be found out in time, and which is committed later, is
// seen although rows are kept in memory.
func TestDoubtfulChange(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	proxy, url := pgtest.NewProxy(t, database)
	s := open(t, Config{URL: url, Caches: memory.Caches{Memory: 1 << 20, Sessions: true}, patience: 2 * time.Second})
	session := &uma.Session{ID: "a session", User: "alice-id", Started: at, Expires: at.Add(time.Hour)}
	if err := s.StartSession(t.Context(), 1, session, &uma.RefreshToken{Hash: []byte("refresh"), SessionID: session.ID}); err != nil {
		t.Fatal(err)
	}
	revoked := func() bool {
		state, err := uma.Read(t.Context(), s, func(v uma.View) (*uma.TokenState, error) { return v.TokenState(t.Context(), 1, "the token", "") })
		if err != nil {
			t.Fatal(err)
		}
		return state.Revoked
	}
	if err := s.Revoke(t.Context(), 1, "another token", at); err != nil { // the statement is prepared
		t.Fatal(err)
	}
	var held atomic.Bool
	proxy.Watch(func(bytes []byte, toDatabase bool) pgtest.Fate {
		switch {
		case !toDatabase:
		case strings.Contains(string(bytes), "fence + 1"): // nobody finds out what became of it
			return pgtest.Cut
		case strings.Contains(string(bytes), "the token") && !held.Swap(true):
			return pgtest.Hold
		}
		return pgtest.Pass
	})
	if err := s.Revoke(t.Context(), 1, "the token", at.Add(time.Hour)); !errors.Is(err, uma.ErrBusy) {
		t.Fatalf("got error %v, want one that the fate is unknown", err)
	}
	if revoked() {
		t.Fatal("the token is revoked although the database does not know yet")
	}
	if err := proxy.Release(); err != nil { // it is committed now
		t.Fatal(err)
	}
	proxy.Watch(nil)
	for end := time.Now().Add(5 * time.Second); !revoked(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the change is not seen")
		}
	}
}
