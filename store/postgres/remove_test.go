package postgres

import (
	"fmt"
	"testing"

	"example.com/umpire/uma"
)

// addCrowd adds that many requests and parties of a policy to each resource.
func addCrowd(t *testing.T, s *Store, requests, parties int) {
	t.Helper()
	run(t, s,
		command{query: `INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state,
				created, decided, version)
			SELECT r.id || '-' || n, r.server, r.key, r.id, r.name, r.owner, 'user-' || n, 'view', '',
				CASE n % 2 WHEN 1 THEN 'pending' ELSE 'granted' END, 0, 0, 1 FROM resource r, generate_series(1, $1::int) n`, args: []any{requests}},
		command{query: `INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles,
				groups, clients, strategy, size, version, audience)
			SELECT r.id, r.server, r.key, r.id, r.owner, r.name, r.name, '', '{view}', '{}', '{friend}', '{}', '{}', '', 0, 1, 1
			FROM resource r WHERE $1::int > 0`, args: []any{parties}},
		command{query: `INSERT INTO share_party (resource, party, share) SELECT resource, 'r:' || n, key FROM share, generate_series(1, $1::int) n`,
			args: []any{parties}})
}

// left counts the rows of resources, also of deleted ones, and the dropped resources.
func left(t *testing.T, s *Store) (rows, dropped int) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) error {
		return c.row(`SELECT (SELECT count(*) FROM request) + (SELECT count(*) FROM share_party) + (SELECT count(*) FROM share),
			(SELECT count(*) FROM dropped)`, nil, &rows, &dropped)
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, dropped
}

// album makes a resource with requests and parties, and returns its server.
func album(t *testing.T, s *Store, requests, parties int) uma.Key {
	t.Helper()
	server := smallRealm(t, s).Clients["api"].Key
	err := s.CreateResource(t.Context(), &uma.Resource{ID: "album", Server: server, Owner: "alice-id", Name: "Album",
		Scopes: []uma.Scope{"view"}, OwnerManaged: true}, newIDs("scope"))
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
		{0, 0, false}, {manyRows, 0, false}, {manyRows, manyRows, false},
		{manyRows + 1, 0, true}, {1, manyRows + 1, true}, {10 * manyRows, 10 * manyRows, true},
	} {
		s := openTemp(t, nil)
		server := album(t, s, tc.requests, tc.parties)
		wrote := 0
		err := s.write(t.Context(), func(tx *conn) error {
			r, self, err := lockResource(tx, server, "album")
			if err != nil {
				return err
			}
			err = removeResource(tx, r, self)
			wrote = tx.wrote
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := tc.requests + tc.parties + 20; wrote > want || tc.later && wrote > 20 {
			t.Errorf("%+v: %d rows were changed", tc, wrote)
		}
		rows, dropped := left(t, s)
		if tc.later != (dropped == 1) || !tc.later && rows != 0 {
			t.Errorf("%+v: %d rows and %d dropped resources are left", tc, rows, dropped)
		}
		swept, err := s.Sweep(t.Context(), at)
		if err != nil || swept != rows+dropped {
			t.Errorf("%+v: got %d swept and error %v, want %d", tc, swept, err, rows+dropped)
		}
		if rows, dropped := left(t, s); rows+dropped != 0 {
			t.Errorf("%+v: %d rows and %d dropped resources are left by the sweep", tc, rows, dropped)
		}
	}
}

// Each command of the sweep deletes a batch. A resource stays dropped as long as it has rows, which
// are not seen until they are deleted.
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
				if seen := rowsOf(t, s, `SELECT id FROM live_request`); len(seen) > 0 {
					t.Errorf("%d requests are seen", len(seen))
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
	addCrowd(t, s, manyRows, 0)
	last, most := many*manyRows, 0
	file.Resources = nil
	file.Progress = func(int, int) {
		n, _ := left(t, s)
		last, most = n, max(most, last-n)
	}
	report, err := s.ApplyRealm(t.Context(), file)
	if err != nil || len(report.Removed) != many {
		t.Errorf("got %d removed and error %v, want %d", len(report.Removed), err, many)
	}
	if rows, dropped := left(t, s); rows+dropped > 0 {
		t.Errorf("%d rows and %d dropped resources are left", rows, dropped)
	}
	if most > applyRows+droppedAtOnce*manyRows {
		t.Errorf("%d rows were deleted in one transaction, want about %d", most, applyRows)
	}
}
