package postgres

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// generic makes statements keep the plan that they would have after some calls, whatever their
// arguments are.
func generic(c *Config) {
	u, err := url.Parse(c.URL)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set("plan_cache_mode", "force_generic_plan")
	u.RawQuery = q.Encode()
	c.URL = u.String()
}

// shelves makes a store of two resource servers with many resources of their own: of the type album,
// except the last three, which are vaults. The owner carol has three more, the last of all.
func shelves(t *testing.T, many int, change func(*Config)) (s *Store, server, other uma.Key) {
	t.Helper()
	s = openTemp(t, change)
	c := &uma.RealmChange{Realm: uma.Realm{Name: "photoz"}, Clients: []*uma.Client{
		{ID: "api", UUID: "api-uuid", ResourceServer: true}, {ID: "other", UUID: "other-uuid", ResourceServer: true}}}
	if _, err := s.ApplyRealm(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot(t.Context(), "photoz", at)
	if err != nil {
		t.Fatal(err)
	}
	server, other = snapshot.Clients["api"].Key, snapshot.Clients["other"].Key
	store := func(from, to int) {
		t.Helper()
		for _, at := range []uma.Key{server, other} {
			all := shelf(at, many)
			scopes := []uma.ScopeRow{{ID: "view", Name: "view"}}
			for i := range 100 {
				scopes = append(scopes, uma.ScopeRow{ID: fmt.Sprint(i), Name: all[i].Scopes[1]})
			}
			err := s.write(t.Context(), func(tx *conn) error {
				return insertResources(tx, at, all[from:to], insertScopes(at, scopes, uma.FromFile))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	store(0, many-6)
	if _, err := s.pool.Exec(t.Context(), `ANALYZE resource, resource_scope, resource_uri`); err != nil {
		t.Fatal(err)
	}
	store(many-6, many) // of which the statistics say nothing
	return s, server, other
}

func shelf(server uma.Key, many int) (all []*uma.Resource) {
	for i := range many {
		r := &uma.Resource{ID: uma.ResourceID(fmt.Sprintf("r%05d", i)), Server: server, Owner: "api-uuid", Name: fmt.Sprintf("Album %05d", i), Type: "album",
			Scopes: []uma.Scope{"view", uma.Scope(fmt.Sprint("s", i%100))}, URIs: []string{"/album"}, Origin: uma.FromAPI}
		if i >= many-6 {
			r.Type = "vault"
		}
		if i >= many-3 {
			r.Owner, r.Type = "carol", "album"
		}
		all = append(all, r)
	}
	return all
}

// rowsRead returns how many rows of tables the connection has read by now.
func rowsRead(t *testing.T, c *conn) (n int) {
	t.Helper()
	err := c.row(`SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_xact_user_tables`, nil, &n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// However many resources there are, and whatever most of them are, a selection reads those that it
// returns.
func TestSelectionsAreBounded(t *testing.T) {
	t.Parallel()
	const many = 6000
	s, server, _ := shelves(t, many, generic)
	for name, tc := range map[string]struct {
		q    uma.Selection
		want int
	}{
		"owner":             {uma.Selection{Owner: "carol"}, 3},
		"owner of most":     {uma.Selection{Owner: "api-uuid"}, 20},
		"owner and type":    {uma.Selection{Owner: "carol", Type: "album"}, 3},
		"no such type":      {uma.Selection{Owner: "carol", Type: "vault"}, 0},
		"type":              {uma.Selection{Type: "vault"}, 3},
		"type of most":      {uma.Selection{Type: "album"}, 20},
		"type, not own":     {uma.Selection{Type: "album", NotOwner: "api-uuid"}, 3},
		"scope":             {uma.Selection{AnyScope: []uma.Scope{"view"}}, 20},
		"scopes":            {uma.Selection{AnyScope: []uma.Scope{"view", "s1", "none"}}, 20},
		"scope, for owners": {uma.Selection{AnyScope: []uma.Scope{"view"}, Registered: uma.ForOwner}, 3},
		"scope, by owners":  {uma.Selection{AnyScope: []uma.Scope{"view"}, Registered: uma.ByOwner}, 0},
		"uri":               {uma.Selection{URI: "/album"}, 20},
	} {
		err := s.read(t.Context(), func(c *conn) error {
			before := rowsRead(t, c)
			found, err := selectResources(c, server, tc.q, 20)
			if len(found) != tc.want {
				t.Errorf("%s: got %d resources, want %d", name, len(found), tc.want)
			}
			if n := rowsRead(t, c) - before; n > 100 {
				t.Errorf("%s: %d rows were read", name, n)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A search reads some hundred resources in one transaction, and gives up when none of thousands match.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	const many = maxMisses + perHit + 2*walkPage
	s, server, _ := shelves(t, many, generic)
	for name, tc := range map[string]struct {
		f      uma.ResourceFilter
		first  int
		max    int
		want   int
		vague  bool
		pieces int
	}{
		"a page":                        {max: 10, want: 10, pieces: 1},
		"a page far on":                 {first: many - 10, max: 10, want: 10, pieces: 2},
		"beyond the end":                {first: math.MaxInt, max: 10, pieces: 2},
		"of an owner":                   {f: uma.ResourceFilter{Owner: "carol"}, max: 10, want: 3, pieces: 1},
		"of scopes":                     {f: uma.ResourceFilter{Scope: "s"}, max: 10, want: 10, pieces: 1},
		"of scopes, in vain":            {f: uma.ResourceFilter{Scope: "s", Type: "zz"}, max: 1, vague: true, pieces: 10},
		"of a scope, in vain":           {f: uma.ResourceFilter{Scope: "view", Type: "zz"}, max: 1, vague: true, pieces: 5},
		"of a short type":               {f: uma.ResourceFilter{Type: "zz"}, max: 1, vague: true, pieces: 10},
		"of a short name":               {f: uma.ResourceFilter{Name: "%"}, max: 1, vague: true, pieces: 10},
		"of an owner, a short name":     {f: uma.ResourceFilter{Owner: "api-uuid", Name: "%"}, max: 1, vague: true, pieces: 10},
		"one that there is":             {f: uma.ResourceFilter{Name: "9", Type: "al"}, max: 1, want: 1, pieces: 1},
		"of a scope that there is not":  {f: uma.ResourceFilter{Scope: "none"}, max: 1, pieces: 1},
		"few, found by an exact scope":  {f: uma.ResourceFilter{Scope: "s99"}, max: -1, want: many / 100, pieces: 1},
		"by a part that most of it are": {f: uma.ResourceFilter{Type: "album"}, max: 600, want: 600, pieces: 4},
		"by a rare part":                {f: uma.ResourceFilter{Name: fmt.Sprintf("%05d", many-1)}, max: -1, want: 1, pieces: 2},
		"by a rare part of a type":      {f: uma.ResourceFilter{Type: "aul"}, max: -1, want: 3, pieces: 2},
		"by a part that there is not":   {f: uma.ResourceFilter{Name: "zebra"}, max: -1, pieces: 2},
		"by a part without letters":     {f: uma.ResourceFilter{Name: "%__"}, max: -1, vague: true, pieces: 10},
	} {
		n := 0
		err := s.FindResources(t.Context(), server, tc.f, tc.first, tc.max, func(*uma.Resource) error { n++; return nil })
		if n != tc.want || errors.Is(err, uma.ErrVague) != tc.vague || err != nil && !tc.vague {
			t.Errorf("%s: got %d and error %v, want %d and vague %t", name, n, err, tc.want, tc.vague)
		}
		if got := pieces(t, s, server, name, tc.f, tc.first, tc.max); got > tc.pieces {
			t.Errorf("%s: got %d transactions, want at most %d", name, got, tc.pieces)
		}
	}
}

// pieces returns how many transactions a search takes, none of which may read much.
func pieces(t *testing.T, s *Store, server uma.Key, name string, f uma.ResourceFilter, first, left int) (n int) {
	t.Helper()
	if left < 0 {
		left = math.MaxInt
	}
	l := &listing{server: server, filter: f, first: first}
	var err error
	for ; err == nil && left > 0 && !l.done; n++ {
		err = s.read(t.Context(), func(c *conn) error {
			before := rowsRead(t, c)
			page, err := l.next(c, left)
			if err != nil {
				return err
			}
			left -= len(page)
			if read := rowsRead(t, c) - before; read > 20*findPage {
				t.Errorf("%s: one transaction read %d rows", name, read)
			}
			return nil
		})
	}
	return n
}

// A part of more names than maxPartHits is found in all of them, in order, also if the first names do
// not have it. Those at another resource server make no difference.
func TestPartOfManyNames(t *testing.T) {
	t.Parallel()
	const many = maxPartHits + 1000
	s, server, other := shelves(t, many, nil)
	var more []*uma.Resource
	for i := range many {
		more = append(more, &uma.Resource{ID: uma.ResourceID(fmt.Sprint("z", i)), Server: server, Owner: "api-uuid",
			Name: fmt.Sprintf("Zebra %05d", i), Type: "100%_'s", Origin: uma.FromAPI})
	}
	if err := s.write(t.Context(), func(tx *conn) error { return insertResources(tx, server, more) }); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		filter uma.ResourceFilter
		want   int
	}{
		{uma.ResourceFilter{Name: "album"}, many},
		{uma.ResourceFilter{Name: "zebra"}, many},
		{uma.ResourceFilter{Type: "100%_'"}, many},
		{uma.ResourceFilter{Type: "100_%"}, 0},
		{uma.ResourceFilter{Name: "zebra", Type: "vault"}, 0},
		{uma.ResourceFilter{Name: "ZEBRA 0000", Type: "%_'"}, 10},
		{uma.ResourceFilter{Name: "00007"}, 2},
	} {
		n, last := 0, ""
		err := s.FindResources(t.Context(), server, tc.filter, 0, -1, func(r *uma.Resource) error {
			if r.Name <= last {
				t.Errorf("%+v: %s comes after %s", tc.filter, r.Name, last)
			}
			n, last = n+1, r.Name
			return nil
		})
		if err != nil || n != tc.want {
			t.Errorf("%+v: got %d and error %v, want %d", tc.filter, n, err, tc.want)
		}
	}
	err := s.read(t.Context(), func(c *conn) error {
		before := rowsRead(t, c)
		for part, want := range map[string]int{"zebra 00": 0, "album 000": 100} {
			places, found, err := placesNamed(c, []uma.Key{other}, part, "")
			if err != nil || !found || len(places) != want {
				t.Errorf("%s: got %d, %t, %v, want %d", part, len(places), found, err, want)
			}
		}
		if n := rowsRead(t, c) - before; n > 1000 {
			t.Errorf("%d rows were read, of another server", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A statement that takes too long ends, and the transaction goes on as it was.
func TestBrieflyEnds(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	err := s.read(t.Context(), func(c *conn) error {
		var before, after [2]string
		const settings = `SELECT current_setting('statement_timeout'), current_setting('enable_indexscan')`
		if err := c.row(settings, nil, &before[0], &before[1]); err != nil {
			return err
		}
		for _, tc := range []struct {
			query  string
			inTime bool
		}{{`SELECT pg_sleep(60)::text`, false}, {`SELECT 'quick'`, true}} {
			inTime, err := c.briefly(20*time.Millisecond, func() error {
				_, err := texts[string](c, tc.query)
				return err
			})
			if err != nil || inTime != tc.inTime {
				t.Errorf("%s: got %t, %v", tc.query, inTime, err)
			}
		}
		if err := c.row(settings, nil, &after[0], &after[1]); err != nil {
			return err
		}
		if before != after {
			t.Errorf("got the settings %q, want %q", after, before)
		}
		if _, err := c.briefly(time.Second, func() error { return errEnough }); !errors.Is(err, errEnough) {
			t.Errorf("got error %v, want that of f", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
