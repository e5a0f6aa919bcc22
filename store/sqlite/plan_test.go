package sqlite

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

// statements is the set of all statements that stores have prepared.
type statements struct {
	mu  sync.Mutex
	all map[string]bool
}

func (s *statements) collect(store *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(c *conn) {
		for query := range c.stmts {
			s.all[query] = true
		}
	}
	var idle []*conn // the indexer may use another
	for range len(store.readers.free) {
		select {
		case <-store.readers.free:
			idle = append(idle, store.readers.get())
		default:
		}
	}
	for _, c := range idle {
		add(c)
		store.readers.put(c)
	}
	_ = store.write(context.Background(), func(tx *conn) error { add(tx); return nil }) // a closed store has none
}

func TestStore(t *testing.T) {
	seen := statements{all: map[string]bool{}}
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) uma.Store {
			s := openTemp(t, nil)
			t.Cleanup(func() {
				seen.collect(s)
				checkOrphans(t, s)
			})
			return s
		})
	})
	for name, index := range map[string]func(s *Store) uma.Store{
		"not indexed":  func(s *Store) uma.Store { return s },
		"half indexed": func(s *Store) uma.Store { return &indexing{Store: s, every: 2} },
		"indexed":      func(s *Store) uma.Store { return &indexing{Store: s, every: 1} },
	} {
		t.Run("records "+name, func(t *testing.T) {
			storetest.RunRecords(t, func(t *testing.T) uma.Store {
				s := openTemp(t, func(c *Config) { c.holdIndex = true })
				t.Cleanup(func() { seen.collect(s) })
				return index(s)
			})
		})
	}
	t.Run("plans", func(t *testing.T) {
		s := openTemp(t, nil)
		smallRealm(t, s)
		if _, err := s.Sweep(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		seen.collect(s)
		checkPlans(t, slices.Sorted(maps.Keys(seen.all)))
	})
	t.Run("indexes", func(t *testing.T) { checkIndexes(t, slices.Sorted(maps.Keys(seen.all))) })
}

// indexing is a store that indexes a record after each commit, or after each second one.
type indexing struct {
	*Store
	every, commits int64
}

func (s *indexing) Commit(ctx context.Context, st *uma.Settlement) error {
	err := s.Store.Commit(ctx, st)
	if err == nil && len(st.Records) > 0 && atomic.AddInt64(&s.commits, 1)%s.every == 0 {
		_, _, err = s.indexSome(ctx, len(st.Records))
	}
	return err
}

// checkOrphans looks for rows of deleted rows, other than those that Sweep deletes.
func checkOrphans(t *testing.T, s *Store) {
	t.Helper()
	err := s.read(context.WithoutCancel(t.Context()), func(c *conn) error { // at the end of a test
		for _, query := range []string{
			`SELECT 1 FROM request WHERE resource NOT IN (SELECT key FROM resource UNION ALL SELECT resource FROM dropped) LIMIT 1`,
			`SELECT 1 FROM request q JOIN resource r ON r.key = q.resource WHERE r.server <> q.server LIMIT 1`,
			`SELECT 1 FROM share_party WHERE share NOT IN (SELECT key FROM share) AND resource NOT IN (SELECT resource FROM dropped) LIMIT 1`,
			`SELECT 1 FROM dropped WHERE resource IN (SELECT key FROM resource) LIMIT 1`,
		} {
			there, err := c.exists(query)
			if there {
				t.Errorf("there are orphans: %s", query)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// intended are the statements that may read a whole table, or all rows of a resource
// server, or sort: small tables, lists that end after a page, and the comparison with a
// realm file.
var intended = []string{
	"FROM realm",
	"FROM revision r",
	"FROM admin_token WHERE ?1",
	"SELECT EXISTS (SELECT 1 FROM sealed) OR EXISTS (SELECT 1 FROM signing_key)",
	"FROM signing_key WHERE realm = ? AND (active OR expires > ?) ORDER BY",
	"AND q.requester = ? AND +q.state = ?", // the few requests of one user for one resource
	"FROM live_request WHERE server = ? LIMIT 1",
	"FROM share WHERE server = ? LIMIT 1",
	"FROM resource WHERE server = ?",
	"CROSS JOIN type_scope ON",           // up to a bound
	"FROM session WHERE ended = 1 LIMIT", // a partial index
	"FROM sink",
	"FROM sqlite_sequence", // a row for each table that has numbers
	"% 2147483647",         // samples, which end after maxSampledRows
}

var (
	walk = regexp.MustCompile(`^SCAN|USE TEMP B-TREE|AUTOMATIC`)

	// Scans that are no problem: virtual tables have indexes of their own; subqueries,
	// steps of a walk (w) and keys of a page (k) are few; so are dropped resources (d).
	harmless = regexp.MustCompile(`^SCAN (\w+ (EXISTS )?VIRTUAL TABLE|\(subquery-\d+\)|CONSTANT ROW|w$|k$|walk$|d$|dropped$|sqlite_schema$)`)

	// A search by realm or resource server alone reads all of its rows. That is accepted
	// for clients, users, scopes and shapes only.
	whole = regexp.MustCompile(`^SEARCH (r|q|u|x|s|n|o|request|share\w*|resource\w*|type_scope|uri_pattern|` +
		`ticket|spent_ticket|session|refresh_token|rpt|revocation) .*\((realm|server)=\?\)$`)
)

// checkPlans checks that every statement of the contract suite finds its rows by an
// index.
func checkPlans(t *testing.T, queries []string) {
	s := openTemp(t, nil)
	if len(queries) < 100 {
		t.Fatalf("the contract suite prepared %d statements only", len(queries))
	}
	for _, query := range queries {
		query = strings.Join(strings.Fields(query), " ")
		if slices.ContainsFunc(intended, func(part string) bool { return strings.Contains(query, part) }) {
			continue
		}
		for _, step := range plan(t, s, query) {
			if walk.MatchString(step) && !harmless.MatchString(step) || whole.MatchString(step) {
				t.Errorf("%s\n\t%s", query, step)
			}
		}
	}
}

// checkIndexes checks that every index is used by a statement of the contract suite:
// each costs time at every write.
func checkIndexes(t *testing.T, queries []string) {
	s := openTemp(t, nil)
	read := map[string]bool{}
	for _, query := range queries {
		for _, step := range plan(t, s, query) {
			if found := usedIndex.FindStringSubmatch(step); found != nil {
				read[found[1]] = true
			}
		}
	}
	err := s.read(t.Context(), func(c *conn) error {
		all, err := texts[string](c, `SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'`)
		for _, index := range all {
			if !read[index] {
				t.Errorf("no statement reads the index %s", index)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

var usedIndex = regexp.MustCompile(`INDEX (\w+)`)

// plan returns the steps of a statement, as SQLite explains them.
func plan(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) error {
		stmt, err := c.db.Prepare("EXPLAIN QUERY PLAN " + query) // all its parameters NULL
		for more := err == nil; more; {
			if more, err = stmt.Step(); more {
				steps = append(steps, stmt.ColumnText(3))
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("explain %s: %v", query, err)
	}
	return steps
}
