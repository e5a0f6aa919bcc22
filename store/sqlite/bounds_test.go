package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// manyResources makes a store of a resource server with many resources and hundreds of
// scopes.
func manyResources(t *testing.T, resources int) (s *Store, server uma.Key) {
	t.Helper()
	s = openTemp(t, nil)
	server = smallRealm(t, s).Clients["api"].Key
	err := s.write(t.Context(), func(tx *conn) error {
		for _, statement := range []string{
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			 INSERT INTO resource (id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris,
				scopes, owner_managed, attributes, origin, drifted, version)
			 SELECT printf('r%05d', i), ?2, 'api-uuid', 1, printf('n%05d', i), printf('n%05d', i), '', 't', 't', '', '[]',
				json_array('view', printf('s%d', i % 100)), 1, '{}', 'file', 0, i FROM n`,
			`INSERT INTO resource_part (rowid, server, name, type) SELECT key, '#' || ?2 || '#', name_folded, type FROM resource LIMIT ?1`,
			`INSERT INTO resource_scope (server, scope, name, id, resource)
			 SELECT ?2, x.value, r.name, r.id, r.key FROM resource r, json_each(r.scopes) x LIMIT 2 * ?1`,
			`INSERT INTO scope (server, name, id, origin) SELECT DISTINCT ?2, scope, scope, 'file' FROM resource_scope LIMIT ?1`,
		} {
			if _, err := tx.exec(statement, resources, int64(server)); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, server
}

// However many resources there are, a search reads a few hundred in one transaction,
// gives up when none of thousands match, and reads no more resources of each scope than
// it returns.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	const many = maxMisses + perHit + 2*findPage
	s, server := manyResources(t, many)
	for name, tc := range map[string]struct {
		f      uma.ResourceFilter
		first  int
		max    int
		want   int
		vague  bool
		pieces int
	}{
		"a page":                         {max: 10, want: 10, pieces: 1},
		"a page far on":                  {first: many - 10, max: 10, want: 10, pieces: 2},
		"beyond the end":                 {first: math.MaxInt, max: 10, pieces: 2},
		"of scopes":                      {f: uma.ResourceFilter{Scope: "s"}, max: 10, want: 10, pieces: 1},
		"of scopes, in vain":             {f: uma.ResourceFilter{Scope: "s", Type: "zz"}, max: 1, vague: true, pieces: 20},
		"of a scope, in vain":            {f: uma.ResourceFilter{Scope: "view", Type: "zz"}, max: 1, vague: true, pieces: 20},
		"of a short type":                {f: uma.ResourceFilter{Type: "zz"}, max: 1, vague: true, pieces: 20},
		"of a short name":                {f: uma.ResourceFilter{Name: "%"}, max: 1, vague: true, pieces: 20},
		"of an owner, a short name":      {f: uma.ResourceFilter{Owner: "api-uuid", Name: "%"}, max: 1, vague: true, pieces: 20},
		"one that there is":              {f: uma.ResourceFilter{Name: "9", Type: "t"}, max: 1, want: 1, pieces: 1},
		"one more than there is":         {f: uma.ResourceFilter{Name: "00001", Type: "t"}, max: 2, want: 1, pieces: 1},
		"of a scope that there is not":   {f: uma.ResourceFilter{Scope: "none"}, max: 1, pieces: 1},
		"few, found by an exact scope":   {f: uma.ResourceFilter{Scope: "s99"}, max: -1, want: many / 100, pieces: 1},
		"by a part that all of them are": {f: uma.ResourceFilter{Type: "t"}, max: 600, want: 600, pieces: 3},
	} {
		n := 0
		err := s.FindResources(t.Context(), server, tc.f, tc.first, tc.max, func(*uma.Resource) error { n++; return nil })
		if n != tc.want || errors.Is(err, uma.ErrVague) != tc.vague || err != nil && !tc.vague {
			t.Errorf("%s: got %d and error %v, want %d and vague %t", name, n, err, tc.want, tc.vague)
		}
		l := newListing(server, tc.f, tc.first)
		m := &meter{t: t}
		left := tc.max
		if left < 0 {
			left = math.MaxInt
		}
		pieces := 0
		for err = nil; err == nil && left > 0 && !l.done; pieces++ {
			err = s.read(t.Context(), func(c *conn) error {
				m.c = c
				m.looked()
				page, err := l.next(c, left)
				left -= len(page)
				if pages := m.looked(); pages > 20*findPage {
					t.Errorf("%s: one transaction read %d pages of the file", name, pages)
				}
				return err
			})
		}
		if pieces > tc.pieces {
			t.Errorf("%s: got %d transactions, want at most %d", name, pieces, tc.pieces)
		}
	}
}

// endless is a statement that only an interruption ends.
const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`

// When a client disconnects, its read ends, even during a statement, and the connection
// is used for the next read.
func TestStatementsEndWithTheContext(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	for range 2 * readers {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		err := s.read(ctx, func(c *conn) error {
			_, err := c.exists(endless)
			return err
		})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want that of the context", err)
		}
	}
	if _, err := s.Generation(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := v.UserByName(context.WithoutCancel(ctx), 1, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("a view whose context has ended: got %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// A view reads no more bytes than maxReading, even if resources were registered before
// their attributes were bounded.
func TestViewBoundsTheBytesItReads(t *testing.T) {
	t.Parallel()
	s, server := manyResources(t, 100)
	err := s.write(t.Context(), func(tx *conn) error {
		_, err := tx.exec(`UPDATE resource SET attributes = json_object('a', json_array(printf('%.*c', 1000000, 'x')))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, v.Close)
	found, err := v.Select(t.Context(), server, uma.Selection{Owner: "api-uuid"}, 20)
	if len(found) != 20 || err != nil {
		t.Errorf("20 MB: got %d, %v", len(found), err)
	}
	if _, err = v.Select(t.Context(), server, uma.Selection{Owner: "api-uuid"}, 20); !errors.Is(err, uma.ErrTooMuch) {
		t.Errorf("20 MB more: got %v, want %v", err, uma.ErrTooMuch)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err = s.View(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, v.Close)
	owned, err := v.OwnedResources(t.Context(), 1, "api-uuid", "", 0, 1000)
	if len(owned) != 100 || err != nil {
		t.Errorf("a list of an account: got %d, %v; which has no attributes", len(owned), err)
	}
}
