package copier_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/store/storetest"
)

// TestCopyThereAndBack: a database with rows of every kind, copied from SQLite to PostgreSQL, from
// there to another PostgreSQL, and back to SQLite, is the same.
func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	first := place{path: filled(t)}
	last := place{path: newPath(t)}
	route := []place{first, {url: newDatabase(t)}, {url: newDatabase(t)}, last}
	for i := range route[1:] {
		for _, table := range mustCopy(t, route[i], route[i+1]).Tables {
			if table.Rows == 0 {
				t.Errorf("there is nothing in %s", table.Name)
			}
		}
	}
	if err := compare(t, first, last); err != nil {
		t.Error(err)
	}
}

// TestCopyWorks: a server goes on with a copy. Rows are found by what is derived from others, and no
// number is given twice.
func TestCopyWorks(t *testing.T) {
	t.Parallel()
	first := place{path: filled(t)}
	database, file := place{url: newDatabase(t)}, place{path: newPath(t)}
	mustCopy(t, first, database)
	mustCopy(t, database, file)
	var want []string
	for _, p := range []place{first, database, file} {
		p.with(t, func(s store) {
			if indexed, ok := s.(*sqlite.Store); ok && p == file {
				if lag, err := indexed.IndexLag(t.Context()); err != nil || lag.Records != 0 {
					t.Errorf("%d records are not indexed, %v", lag.Records, err)
				}
			}
			got := storetest.Found(t, s)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v:\ngot  %q\nwant %q", p, got, want)
			}
		})
	}
}

// TestCopyDerivesColumns: the columns that only PostgreSQL has are in a copy as a server writes them. The
// copy has been in SQLite meanwhile.
func TestCopyDerivesColumns(t *testing.T) {
	t.Parallel()
	first, middle, last := place{url: newDatabase(t)}, place{path: newPath(t)}, place{url: newDatabase(t)}
	first.with(t, func(s store) { storetest.Fill(t, s) })
	mustCopy(t, first, middle)
	mustCopy(t, middle, last)
	for _, query := range []string{
		`SELECT string_agg(format('%s %s', id, resource_server), ', ' ORDER BY key) FROM client`,
		`SELECT string_agg(format('%s %L', id, email), ', ' ORDER BY key) FROM users`,
		`SELECT string_agg(format('%s %s', id, size), ', ' ORDER BY key) FROM share`,
	} {
		got, want := last.text(t, query), first.text(t, query)
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", query, got, want)
		}
	}
}

// text returns the only column of the only row of a query of PostgreSQL.
func (p place) text(t *testing.T, query string) (text string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), p.url)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.QueryRow(t.Context(), query).Scan(&text); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return text
}
