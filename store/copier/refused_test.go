package copier_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/folder"
	"example.com/umpire/store/copier"
	"example.com/umpire/store/postgres"
	storesqlite "example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// wantRefused checks that a copy is refused.
func wantRefused(t *testing.T, from, to place, want string) {
	t.Helper()
	if _, err := tryCopy(t.Context(), t, from, to, silent); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// exec runs statements in a database beside everything.
func (p place) exec(t *testing.T, statements string) {
	t.Helper()
	if p.url != "" {
		c, err := pgx.Connect(t.Context(), p.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), statements); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	c, err := sqlite.OpenConn(p.path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteScript(c, statements, nil); err != nil {
		t.Error(err)
	}
	mustClose(t, c)
}

// small returns an SQLite database with a realm.
func small(t *testing.T) place {
	t.Helper()
	p := place{path: newPath(t)}
	p.with(t, func(s store) {
		_, err := s.ApplyRealm(t.Context(), &uma.RealmChange{Realm: uma.Realm{Name: "photoz"}, Now: at})
		_, err2 := s.PutSealed(t.Context(), "pepper", []byte(t.Name()))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
	})
	return p
}

func TestCopyIntoWhatIsNotEmpty(t *testing.T) {
	t.Parallel()
	from, used := small(t), small(t)
	wantRefused(t, from, used, "not empty")
	emptied := place{path: newPath(t)} // it gave numbers, and has no rows
	emptied.with(t, func(store) {})
	emptied.exec(t, `UPDATE counter SET value = 1 WHERE name = 'version'`)
	wantRefused(t, from, emptied, "not empty")
	to := place{url: newDatabase(t)}
	mustCopy(t, from, to)
	wantRefused(t, from, to, "not empty")
}

// TestCopyOfAnother: an unfinished copy goes on only with the same source in the same state.
func TestCopyOfAnother(t *testing.T) {
	t.Parallel()
	from, other := small(t), place{path: filled(t)}
	for _, to := range []place{{path: newPath(t)}, {url: newDatabase(t)}} {
		interruptedWhen(t, from, to, func(s copier.Step) bool { return s.Table == "realm" })
		wantRefused(t, other, to, "another database")
		from.exec(t, `UPDATE counter SET value = value + 1 WHERE name = 'version'`)
		wantRefused(t, from, to, "an earlier state of this one")
	}
}

func TestCopyOfAnUnfinishedCopy(t *testing.T) {
	t.Parallel()
	from := small(t)
	middle := place{path: newPath(t)}
	interruptedWhen(t, from, middle, func(s copier.Step) bool { return s.Table == "realm" })
	if _, err := storesqlite.OpenSource(middle.path, at); !errors.Is(err, copier.ErrUnfinished) {
		t.Errorf("SQLite: got error %v, want %v", err, copier.ErrUnfinished)
	}
	if _, err := storesqlite.Open(t.Context(), storesqlite.Config{Path: middle.path, ReadOnly: true}); !errors.Is(err, copier.ErrUnfinished) {
		t.Errorf("SQLite, for reading: got error %v, want %v", err, copier.ErrUnfinished)
	}
	middle = place{url: newDatabase(t)}
	interruptedWhen(t, from, middle, func(s copier.Step) bool { return s.Table == "realm" })
	if _, err := postgres.OpenSource(t.Context(), middle.url); !errors.Is(err, copier.ErrUnfinished) {
		t.Errorf("PostgreSQL: got error %v, want %v", err, copier.ErrUnfinished)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: middle.url, ReadOnly: true}); !errors.Is(err, copier.ErrUnfinished) {
		t.Errorf("PostgreSQL, for reading: got error %v, want %v", err, copier.ErrUnfinished)
	}
}

// TestCopyOfWhatIsUsed: nothing is copied from or to a database that a server uses.
func TestCopyOfWhatIsUsed(t *testing.T) {
	t.Parallel()
	p := small(t)
	hold, err := folder.Take(filepath.Dir(p.path), at)
	if err != nil {
		t.Fatal(err)
	}
	_, err = storesqlite.OpenSource(p.path, at)
	_, err2 := storesqlite.OpenTarget(t.Context(), p.path, at)
	for _, err := range []error{err, err2} {
		if err == nil || !strings.Contains(err.Error(), "in use by") {
			t.Errorf("SQLite: got error %v, want one that names the process", err)
		}
	}
	if err := hold.Release(); err != nil {
		t.Error(err)
	}
	url := newDatabase(t)
	place{url: url}.with(t, func(store) {
		if _, err := postgres.OpenTarget(t.Context(), url); err == nil || !strings.Contains(err.Error(), "uses the database") {
			t.Errorf("into PostgreSQL: got error %v", err)
		}
		s, err := postgres.OpenSource(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, s)
		if err := s.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), "uses the database") {
			t.Errorf("from PostgreSQL: got error %v", err)
		}
	})
	to, err := postgres.OpenTarget(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.OpenTarget(t.Context(), url); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("twice into PostgreSQL: got error %v", err)
	}
	mustClose(t, to)
}

// TestCopyFindsChanges: what was changed in either database since the copy is found, also at its end.
func TestCopyFindsChanges(t *testing.T) {
	t.Parallel()
	first := place{path: filled(t)}
	for name, to := range map[string]place{"SQLite": {path: newPath(t)}, "PostgreSQL": {url: newDatabase(t)}} {
		t.Run(name, func(t *testing.T) {
			mustCopy(t, first, to)
			for _, c := range []struct{ change, want string }{ // each in a table before that of the last
				{`UPDATE sink SET problem = 'other', skipped = 7`, `the row of sink with name "opa/photoz" has another value of: problem, skipped`},
				{`INSERT INTO revocation VALUES (1, 'more', 1)`, `"more" is not in the source`},
				{`DELETE FROM scope WHERE name = 'post'`, `"post" is not in the target`},
			} {
				to.exec(t, c.change)
				err := compare(t, first, to)
				if _, ok := errors.AsType[*copier.Difference](err); !ok || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got error %v, want %q", c.change, err, c.want)
				}
			}
		})
	}
}

// TestCopyWhileTheSourceChanges: a copy of a source that changes meanwhile does not become complete.
func TestCopyWhileTheSourceChanges(t *testing.T) {
	t.Parallel()
	from, to := place{path: filled(t)}, place{path: newPath(t)}
	changed := false
	_, err := tryCopy(t.Context(), t, from, to, func(s copier.Step) {
		if s.Table == "sink" && !changed {
			changed = true
			from.exec(t, `DELETE FROM revocation`)
		}
	})
	if err == nil || !strings.Contains(err.Error(), `"revoked" is not in the source`) {
		t.Errorf("got error %v", err)
	}
	wantUnfinished(t, to)
}

// TestCopyOfDamage: a record or a row that cannot be read ends the copy, which names it.
func TestCopyOfDamage(t *testing.T) {
	t.Parallel()
	for damage, want := range map[string]string{
		`UPDATE decision_log SET fields = x'01ffffff' WHERE seq = 7`: "the record 7: ",
		`UPDATE decision_log SET encoding = 9 WHERE seq = 7`:         "encoding 9",
		`UPDATE resource SET uris = '[1' WHERE name = 'bare'`:        "the row of resource with key",
	} {
		from, to := place{path: filled(t)}, place{path: newPath(t)}
		from.exec(t, damage)
		wantRefused(t, from, to, want)
		wantUnfinished(t, to)
	}
}

// TestCopyOfTexts: PostgreSQL keeps no NUL and no invalid UTF-8. The row is named.
func TestCopyOfTexts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`'a' || char(0)`, `CAST(x'ff' AS TEXT)`} {
		from := small(t)
		from.exec(t, `INSERT INTO revocation VALUES (1, 'jti', 1); INSERT INTO session VALUES (1, 's', 'user', 'web', `+text+`, 1, 1, 0)`)
		wantRefused(t, from, place{url: newDatabase(t)}, `"s": scope has a NUL or invalid UTF-8`)
	}
}
