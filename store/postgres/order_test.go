package postgres

import (
	"context"
	"net/url"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/uma"
)

// openCollated opens a store in a database whose texts are ordered as in a dictionary: a before B.
func openCollated(t *testing.T) *Store {
	t.Helper()
	ctx := context.Background()
	at, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(ctx, at.String())
	if err != nil {
		t.Fatal(err)
	}
	at.Path += "_collated"
	name := pgx.Identifier{at.Path[1:]}.Sanitize()
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE template0 LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'en'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
		mustClose(t, func() error { return admin.Close(ctx) })
	})
	return open(t, Config{URL: at.String()})
}

// Transactions write rows in the order of the bytes of their names, also where the database has another: those
// that are ordered here do so.
func TestRowsAreWrittenInOneOrder(t *testing.T) {
	t.Parallel()
	s := openCollated(t)
	smallRealm(t, s)
	for name, tc := range map[string]struct {
		write   func() error
		a, b    string // statements that insert the rows of that name
		written string // the number of rows when all is done
	}{
		"sinks": {func() error {
			generation, err := s.Generation(t.Context())
			if err != nil {
				return err
			}
			return s.KeepSinks(t.Context(), generation, []uma.Sink{{Name: "a", Kind: uma.SinkFile}, {Name: "B", Kind: uma.SinkFile}})
		}, insertSink(`a`), insertSink(`B`), `SELECT count(*)::text FROM sink`},
		"scopes": {func() error {
			file := photos("album")
			file.Resources = nil
			file.Scopes = map[string][]uma.ScopeRow{"api": {{ID: "1", Name: "a"}, {ID: "2", Name: "B"}}}
			_, err := s.ApplyRealm(t.Context(), file)
			return err
		}, insertScope(`a`), insertScope(`B`), `SELECT count(*)::text FROM scope`},
	} {
		first, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Exec(t.Context(), tc.a); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- tc.write() }()
		awaitWaiting(t, s, done)
		second, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = second.Exec(t.Context(), `SET LOCAL lock_timeout = 100`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.Exec(t.Context(), tc.b); stateOf(err) != lockNotAvailable {
			t.Errorf("%s: B is not written before a: got error %v", name, err)
		}
		for _, tx := range []pgx.Tx{second, first} {
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := rowsOf(t, s, tc.written); !slices.Equal(got, []string{"2"}) {
			t.Errorf("%s: got %v rows", name, got)
		}
	}
}

func insertSink(name string) string {
	return `INSERT INTO sink (name, kind, realm, target, hold, holder, cursor, delivered, failed, problem, skipped, cut)
		VALUES ('` + name + `', 'file', '', '', 0, '', 0, 0, 0, '', 0, 0)`
}

func insertScope(name string) string {
	return `INSERT INTO scope (server, name, id, origin) SELECT key, '` + name + `', 'id of ` + name + `', 'api' FROM client`
}

// The rows that a batch rests on have one order, whichever settlement is first.
func TestRestsOfABatchAreSorted(t *testing.T) {
	t.Parallel()
	var batch []*entry
	for _, realm := range []uma.Key{2, 1} {
		for _, value := range []string{"c", "a", "b"} {
			batch = append(batch, &entry{Settlement: &uma.Settlement{Realm: realm, Now: at, Ticket: uma.Digest(value),
				RestsOn: &uma.Rests{User: value, Resources: map[uma.Key]int64{realm: 1, 7: 2}}}})
		}
	}
	got := allRests(batch)
	slices.Reverse(batch)
	for n, rows := range allRests(batch) {
		if !slices.Equal(rows, got[n]) {
			t.Errorf("kind %d: got %v in one order, %v in the other", n, got[n], rows)
		}
		if !slices.IsSortedFunc(rows, seen.compare) {
			t.Errorf("kind %d: got %v", n, rows)
		}
	}
}
