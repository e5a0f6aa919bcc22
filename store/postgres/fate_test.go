package postgres

import (
	"strings"
	"sync/atomic"
	"testing"

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
			s, direct := open(t, Config{URL: url + "?pool_max_conns=2"}), open(t, Config{URL: database})
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
