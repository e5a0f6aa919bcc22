package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"example.com/umpire/uma"
)

// addCrowd adds that many requests and parties of a policy to each resource.
func addCrowd(t *testing.T, s *Store, requests, parties int) {
	t.Helper()
	err := s.write(t.Context(), func(tx *conn) error {
		return runAll(tx, []command{
			{`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
				INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state,
					created, decided, version)
				SELECT printf('%s-%05d', r.id, i), r.server, r.key, r.id, r.name, r.owner, printf('user-%05d', i), 'view', '',
					iif(i % 2, 'pending', 'granted'), 0, 0, 1 FROM resource r, n WHERE ?1 > 0`, []any{requests}},
			{`INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles,
					groups, clients, strategy, version, audience)
				SELECT r.id, r.server, r.key, r.id, r.owner, r.name, r.name, '', '["view"]', '[]', '["friend"]', '[]', '[]', '', 1, 1
				FROM resource r WHERE ? > 0`, []any{parties}},
			{`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
				INSERT INTO share_party (resource, party, share) SELECT resource, printf('r:%05d', i), key FROM share, n`, []any{parties}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// left counts the rows of resources, also of deleted ones, and the dropped resources.
func left(t *testing.T, s *Store) (rows, dropped int64) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) error {
		return c.row(`SELECT (SELECT count(*) FROM request) + (SELECT count(*) FROM share_party) + (SELECT count(*) FROM share) +
			(SELECT count(*) FROM share_part), (SELECT count(*) FROM dropped)`, nil, &rows, &dropped)
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, dropped
}

// changes returns how many rows the writer has changed.
func changes(t *testing.T, s *Store) (n int64) {
	t.Helper()
	err := s.write(t.Context(), func(tx *conn) (err error) {
		n, err = totalChanges(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// album makes a resource with requests and parties, and returns its server.
func album(t *testing.T, s *Store, requests, parties int) uma.Key {
	t.Helper()
	server := smallRealm(t, s).Clients["api"].Key
	last := 0
	err := s.CreateResource(t.Context(), &uma.Resource{ID: "album", Server: server, Owner: "alice-id", Name: "Album",
		Scopes: []uma.Scope{"view"}, OwnerManaged: true}, func() string { last++; return fmt.Sprint(last) })
	if err != nil {
		t.Fatal(err)
	}
	addCrowd(t, s, requests, parties)
	return server
}

// Deleting a resource changes few rows, however many it has; the others are swept. A
// resource with few rows is deleted with them at once.
func TestRemovalIsBounded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		requests, parties int
		later             bool
	}{
		{0, 0, false}, {sweepBatch, 0, false}, {sweepBatch, sweepBatch, false},
		{sweepBatch + 1, 0, true}, {1, sweepBatch + 1, true}, {10 * sweepBatch, 10 * sweepBatch, true},
	} {
		s := openTemp(t, nil)
		server := album(t, s, tc.requests, tc.parties)
		before := changes(t, s)
		if err := s.DeleteResource(t.Context(), server, "album"); err != nil {
			t.Fatal(err)
		}
		if n := changes(t, s) - before; n > 2*sweepBatch+20 || tc.later && n > 20 {
			t.Errorf("%+v: %d rows were changed", tc, n)
		}
		rows, dropped := left(t, s)
		if tc.later != (dropped == 1) || !tc.later && rows != 0 {
			t.Errorf("%+v: %d rows and %d dropped resources are left", tc, rows, dropped)
		}
		swept, err := s.Sweep(t.Context(), at)
		if err != nil || int64(swept) != rows+dropped {
			t.Errorf("%+v: got %d swept and error %v, want %d", tc, swept, err, rows+dropped)
		}
		if rows, dropped := left(t, s); rows+dropped != 0 {
			t.Errorf("%+v: %d rows and %d dropped resources are left by the sweep", tc, rows, dropped)
		}
	}
}

// After a server was killed, a deleted resource is still deleted, and the sweep
// continues.
func TestRemovalOutlivesACrash(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	server := album(t, s, 4*sweepBatch, 2*sweepBatch)
	if err := s.DeleteResource(t.Context(), server, "album"); err != nil {
		t.Fatal(err)
	}
	for swept := range 4 {
		crashed := openTemp(t, func(c *Config) { c.Path = crash(t, s) })
		v, err := crashed.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, gone := v.RealmRequest(t.Context(), 1, "album-00799")
		pending, err1 := v.PendingOf(t.Context(), 1, "alice-id", "", 10)
		n, err2 := v.CountRequests(t.Context(), server, uma.RequestFilter{})
		if err := errors.Join(err1, err2, v.Close()); err != nil || !errors.Is(gone, uma.ErrNotFound) || len(pending)+n > 0 {
			t.Errorf("after %d batches: got %v, %d pending, %d requests, and error %v", swept, gone, len(pending), n, err)
		}
		want := int64((6 - swept) * sweepBatch)
		if rows, dropped := left(t, crashed); rows != want || dropped != 1 {
			t.Errorf("after %d batches: %d rows and %d dropped resources are left, want %d", swept, rows, dropped, want)
		}
		if _, err := crashed.Sweep(t.Context(), at); err != nil {
			t.Error(err)
		}
		if rows, dropped := left(t, crashed); rows+dropped > 0 {
			t.Errorf("after %d batches: %d rows and %d dropped resources are left by the sweep", swept, rows, dropped)
		}
		if err := s.write(t.Context(), func(tx *conn) error { return runAll(tx, droppedRows()[:1]) }); err != nil {
			t.Fatal(err)
		}
	}
}

// Each command of the sweep deletes a batch. A resource stays dropped as long as it has
// rows: it may have been deleted after the command for its rows.
func TestResourceStaysDroppedUntilItsRowsAreSwept(t *testing.T) {
	t.Parallel()
	requests, parties, resources := droppedRows()[0], droppedRows()[1], droppedRows()[2]
	for _, order := range [][]command{{requests, parties}, {parties, requests}} {
		s := openTemp(t, nil)
		server := album(t, s, sweepBatch+1, sweepBatch+1)
		if err := s.DeleteResource(t.Context(), server, "album"); err != nil {
			t.Fatal(err)
		}
		for _, rows := range order {
			for _, most := range []int{sweepBatch, 1} {
				for _, step := range []struct {
					command
					want int
				}{{resources, 0}, {rows, most}} {
					err := s.write(t.Context(), func(tx *conn) error {
						n, err := tx.exec(step.query, step.args...)
						if n != step.want {
							t.Errorf("got %d rows removed, want %d: %s", n, step.want, step.query)
						}
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if _, err := s.Sweep(t.Context(), at); err != nil {
			t.Error(err)
		}
		if rows, dropped := left(t, s); rows+dropped != 0 {
			t.Errorf("%d rows and %d dropped resources are left", rows, dropped)
		}
	}
}

// crash returns the path of the files that the process of the store would leave if it
// were killed now.
func crash(t *testing.T, s *Store) string {
	t.Helper()
	from, to := pathOf(t, s), filepath.Join(t.TempDir(), "umpire.db")
	for _, part := range []string{"", "-wal"} {
		image, err := os.ReadFile(from + part)
		if err == nil {
			err = os.WriteFile(to+part, image, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A realm file that no longer has many resources is applied in transactions of bounded
// size.
func TestPruneIsBounded(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	file := &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz", Enabled: true},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:   []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Prune:   true, Now: at,
	}
	const many = 60
	for i := range many {
		file.Resources = append(file.Resources, uma.ResourceChange{ServerID: "api", OwnerName: "alice", ScopeIDs: []string{"view"},
			Resource: uma.Resource{ID: uma.ResourceID(fmt.Sprint("album-", i)), Name: fmt.Sprint("Album ", i), Scopes: []uma.Scope{"view"}}})
	}
	if _, err := s.ApplyRealm(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	addCrowd(t, s, sweepBatch, 0)
	last, most := changes(t, s), int64(0)
	file.Resources = nil
	file.Progress = func(int, int) {
		n := changes(t, s)
		last, most = n, max(most, n-last)
	}
	report, err := s.ApplyRealm(t.Context(), file)
	if err != nil || len(report.Removed) != many {
		t.Errorf("got %d removed and error %v, want %d", len(report.Removed), err, many)
	}
	if rows, dropped := left(t, s); rows+dropped > 0 {
		t.Errorf("%d rows and %d dropped resources are left", rows, dropped)
	}
	if most > applyRows+2*sweepBatch {
		t.Errorf("%d rows were changed in one transaction, want about %d", most, applyRows)
	}
}
