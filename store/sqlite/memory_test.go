package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

// cached makes a config of a store that keeps rows of all kinds in memory.
func cached(c *Config) {
	c.Caches = memory.Caches{Memory: 1 << 20, Sessions: true, Users: true, Resources: true, Shares: true}
}

func TestStoreCached(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) uma.Store {
		s := openTemp(t, cached)
		t.Cleanup(func() { checkOrphans(t, s) })
		return s
	})
}

// A testClock stands still until it is moved.
type testClock struct{ nanos atomic.Int64 }

func (c *testClock) now() time.Time          { return at.Add(time.Duration(c.nanos.Load())) }
func (c *testClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// beside opens a second store of the same file, as another process has one.
func beside(t *testing.T, s *Store) *Store {
	t.Helper()
	other, err := Open(t.Context(), Config{Path: s.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, other.Close) })
	return other
}

// A cachedStore has a token of alice and a resource of hers, which bob has a share of; all that is
// read of them is in memory.
type cachedStore struct {
	*Store
	t     *testing.T
	clock *testClock
	r     *uma.Resource
	q     *uma.Request
}

func openCached(t *testing.T) *cachedStore {
	t.Helper()
	clock := &testClock{}
	s := openTemp(t, func(c *Config) {
		cached(c)
		c.Now = clock.now
	})
	realm := smallRealm(t, s)
	api := realm.Clients["api"].Key
	c := &cachedStore{Store: s, t: t, clock: clock}
	c.r = &uma.Resource{ID: "r", Server: api, Owner: "alice-id", Name: "Album", Type: "album", Scopes: []uma.Scope{"view"}, OwnerManaged: true}
	c.must(s.CreateResource(t.Context(), c.r, func() string { return "scope-id" }))
	c.q = &uma.Request{ID: "q", Server: api, Resource: c.r.Key, Requester: "bob-id", Scope: "view", State: uma.Granted, Created: at, Decided: at}
	c.must(s.CreateRequest(t.Context(), c.q))
	c.must(s.StartSession(t.Context(), realm.Realm.Key, &uma.Session{ID: "s", User: "alice-id", Client: "api", Started: at, Expires: at.Add(time.Hour)},
		&uma.RefreshToken{Hash: uma.Digest("refresh"), SessionID: "s", Expires: at.Add(time.Hour)}))
	c.want("active active album 1")
	return c
}

func (c *cachedStore) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// said returns what a view says: whether the token and the user are active, roles, the type of the
// resource, how many shares there are, and whether the resource has another name.
func (c *cachedStore) said(ctx context.Context, v uma.View) (string, error) {
	state, err := v.TokenState(ctx, 1, "jti", "s")
	if err != nil {
		return "", err
	}
	r, err := v.Resource(ctx, c.r.Server, c.r.ID)
	if err != nil {
		return "", err
	}
	shares, _, err := v.Between(ctx, &uma.Party{ID: "bob-id"}, []uma.Key{c.r.Key}, at)
	token, user := "active", "active"
	if state.Revoked || state.Session.Ended {
		token = "ended"
	}
	if !state.User.Enabled {
		user = "disabled"
	}
	if roles := strings.Join(state.User.Roles, ","); roles != "" {
		user += " " + roles
	}
	renamed := ""
	if _, nameErr := v.ResourceByName(ctx, c.r.Server, c.r.Owner, c.r.Name); errors.Is(nameErr, uma.ErrNotFound) {
		renamed = " renamed"
	} else if nameErr != nil {
		return "", nameErr
	}
	return fmt.Sprint(token, " ", user, " ", r.Type, " ", len(shares), renamed), err
}

// want reads twice.
func (c *cachedStore) want(want string) {
	c.t.Helper()
	for range 2 {
		got, err := uma.Read(c.t.Context(), c.Store, func(v uma.View) (string, error) { return c.said(c.t.Context(), v) })
		if err != nil || got != want {
			c.t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

// foreignChanges are changes of another process, with what is said afterwards.
var foreignChanges = map[string]struct {
	want   string
	change func(ctx context.Context, c *cachedStore, other *Store) error
}{
	"revoke": {"ended active album 1", func(ctx context.Context, _ *cachedStore, other *Store) error {
		return other.Revoke(ctx, 1, "jti", at.Add(time.Hour))
	}},
	"end a session": {"ended active album 1", func(ctx context.Context, _ *cachedStore, other *Store) error {
		return other.EndSession(ctx, 1, "s")
	}},
	"disable a user": {"active disabled album 1", func(ctx context.Context, _ *cachedStore, other *Store) error {
		return applyAlice(ctx, other, uma.User{})
	}},
	"change a role": {"active active admin album 1", func(ctx context.Context, _ *cachedStore, other *Store) error {
		return applyAlice(ctx, other, uma.User{Enabled: true, Roles: []string{"admin"}})
	}},
	"rename a resource": {"active active album 1 renamed", func(ctx context.Context, c *cachedStore, other *Store) error {
		next := *c.r
		next.Name = "Renamed"
		return other.ReplaceResource(ctx, &next, func() string { return "scope-id" })
	}},
	"change a resource": {"active active picture 1", func(ctx context.Context, c *cachedStore, other *Store) error {
		next := *c.r
		next.Type = "picture"
		return other.ReplaceResource(ctx, &next, func() string { return "scope-id" })
	}},
	"withdraw a share": {"active active album 0", func(ctx context.Context, c *cachedStore, other *Store) error {
		return other.DeleteRequest(ctx, c.r.Server, c.q.ID)
	}},
	"share once more": {"active active album 2", func(ctx context.Context, c *cachedStore, other *Store) error {
		return other.CreateShare(ctx, &uma.Share{ID: "p", Server: c.r.Server, Resource: c.r.Key, Owner: "alice-id", Name: "p",
			Scopes: []uma.Scope{"view"}, Users: []string{"bob-id"}, Strategy: rows.Unanimous})
	}},
}

func applyAlice(ctx context.Context, s *Store, alice uma.User) error {
	alice.ID, alice.Username = "alice-id", "alice"
	_, err := s.ApplyRealm(ctx, &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz", Enabled: true},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:   []*uma.User{&alice}, Now: at,
	})
	return err
}

// A change of another process is seen within a second, also if the writer does not come to look:
// here it is stuck. Afterwards the writer sees the change when it begins the next transaction.
func TestCachesSeeOtherProcesses(t *testing.T) {
	t.Parallel()
	for name, tc := range foreignChanges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openCached(t)
			other := beside(t, c.Store)
			stuck, release := make(chan struct{}), make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- c.submit(t.Context(), &entry{
					run: func(*conn) error { return nil },
					after: func() {
						close(stuck)
						<-release
					},
				})
			}()
			<-stuck
			c.must(tc.change(t.Context(), c, other))
			c.clock.advance(time.Second)
			c.want(tc.want)
			close(release)
			c.must(<-done)
			c.must(c.write(t.Context(), func(*conn) error { return nil }))
			before := c.hits()
			c.want(tc.want)
			if c.hits() == before {
				t.Error("nothing is read from memory after the writer has looked")
			}
		})
	}
}

// hits are those of all caches together.
func (c *cachedStore) hits() (n int64) {
	for _, s := range c.CacheStats() {
		n += s.Hits
	}
	return n
}

// An idle writer looks, too.
func TestIdleWriterLooks(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	other := beside(t, c.Store)
	before := c.memory.Epoch()
	c.must(other.EndSession(t.Context(), 1, "s"))
	for end := time.Now().Add(10 * time.Second); c.memory.Epoch() == before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the epoch is not raised")
		}
	}
	c.want("ended active album 1")
}

// recalling returns a view that has read the resource from memory.
func (c *cachedStore) recalling() uma.View {
	c.t.Helper()
	v, err := c.CachedView(c.t.Context())
	c.must(err)
	_, err = v.Resource(c.t.Context(), c.r.Server, c.r.ID)
	c.must(err)
	return v
}

// A view that has read from memory and finds other rows in the database is torn.
func TestViewIsTorn(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	v := c.recalling()
	epoch := v.Epoch()
	next := *c.r
	next.Type = "picture"
	c.must(c.ReplaceResource(t.Context(), &next, func() string { return "scope-id" }))
	if r, err := v.Resource(t.Context(), c.r.Server, c.r.ID); !errors.Is(err, uma.ErrTorn) {
		t.Errorf("got resource %+v, %v; want %v", r, err, uma.ErrTorn)
	}
	if _, err := v.Ticket(t.Context(), 1, uma.Digest("t"), at); !errors.Is(err, uma.ErrTorn) {
		t.Errorf("got error %v, want %v", err, uma.ErrTorn)
	}
	if v.Epoch() != 0 || epoch == 0 {
		t.Errorf("epochs %d, then %d", epoch, v.Epoch())
	}
	if err := v.Close(); !errors.Is(err, uma.ErrTorn) {
		t.Errorf("close: got %v, want %v", err, uma.ErrTorn)
	}
	c.want("active active picture 1")
}

// A view that has read from memory goes on in the database, if rows of other kinds were changed.
func TestViewGoesOn(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	v := c.recalling()
	epoch := v.Epoch()
	c.must(c.EndSession(t.Context(), 1, "s"))
	if got, err := c.said(t.Context(), v); err != nil || got != "ended active album 1" {
		t.Errorf("got %q, %v", got, err)
	}
	if v.Epoch() <= epoch {
		t.Errorf("the epoch was %d, and is %d after the snapshot", epoch, v.Epoch())
	}
	c.must(v.Close())
}

// While a commit is under way that changes kept rows, nothing comes from memory, and nothing is kept.
func TestNoMemoryDuringCommit(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	c.memory.Committing(memory.ResourceRows)
	before := c.hits()
	c.want("active active album 1")
	v, err := c.CachedView(t.Context())
	c.must(err)
	_, err = v.Resource(t.Context(), c.r.Server, c.r.ID)
	c.must(err)
	if v.Epoch() != 0 || c.hits() != before {
		t.Errorf("epoch %d, %d hits", v.Epoch(), c.hits()-before)
	}
	c.must(v.Close())
	c.memory.Settled(memory.ResourceRows)
	c.want("active active album 1")
	if c.hits() == before {
		t.Error("nothing comes from memory after the commit")
	}
}

// A view whose every row is in memory opens no transaction: it needs no reader.
func TestHitsNeedNoReader(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	for range readers {
		v, err := c.View(t.Context())
		c.must(err)
		defer mustClose(t, v.Close)
	}
	c.want("active active album 1")
}

// A grant is not compared with the database if nothing has changed since it was read, and is if
// anything has, also in the same batch.
func TestRestsAreSpared(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	read := func() *uma.Rests {
		rests := &uma.Rests{Resources: map[uma.Key]int64{}}
		_, err := uma.Read(t.Context(), c.Store, func(v uma.View) (*uma.Resource, error) {
			r, err := v.Resource(t.Context(), c.r.Server, c.r.ID)
			if err == nil {
				rests.Resources[r.Key], rests.Epoch = r.Version, v.Epoch()
			}
			return r, err
		})
		c.must(err)
		realm, err := c.Snapshot(t.Context(), "photoz", at)
		c.must(err)
		rests.Generation = realm.Realm.Generation
		return rests
	}
	check := func(what string, change func(tx *conn) error, rests *uma.Rests, spared bool, want error) {
		t.Helper()
		err := c.write(t.Context(), func(tx *conn) error {
			if err := change(tx); err != nil {
				return err
			}
			if got := tx.memory.spares(tx, 1, rests); got != spared {
				t.Errorf("%s: spared %v, want %v", what, got, spared)
			}
			return checkRests(tx, 1, rests)
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	nothing := func(*conn) error { return nil }
	exec := func(query string) func(tx *conn) error {
		return func(tx *conn) error {
			_, err := tx.exec(query)
			return err
		}
	}
	rests := read()
	check("the first of a generation", nothing, rests, false, nil)
	check("the second", nothing, rests, true, nil)
	check("of another generation", nothing, &uma.Rests{Epoch: rests.Epoch, Generation: rests.Generation + 1}, false, uma.ErrMoved)
	check("of an unknown epoch", nothing, &uma.Rests{Generation: rests.Generation}, false, nil)
	check("beside a change of sessions", exec(`UPDATE session SET scope = 'x'`), rests, true, nil)
	check("beside a change of the resource", exec(`UPDATE resource SET version = version + 1`), rests, false, uma.ErrMoved)
	check("after one that was undone", nothing, rests, true, nil)
	check("beside a new user", exec(`INSERT INTO user (realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, origin, version)
		VALUES (1, 'x', 'x', 'x', '', 1, '[]', '{}', '[]', '{}', '', 7)`), rests, true, nil)
	check("beside a change of another realm", exec(`UPDATE realm SET applying = 0`), rests, false, nil)
	check("after that", nothing, rests, false, nil)
	rests = read()
	check("read again", nothing, rests, true, nil)
	c.must(c.DeleteRequest(t.Context(), c.r.Server, c.q.ID))
	check("after a withdrawal", nothing, rests, false, nil)
	rests = read()
	c.must(beside(t, c.Store).EndSession(t.Context(), 1, "s"))
	check("after a commit of another process", nothing, rests, false, nil)
}

// Somebody who changes a row in memory is found out.
func TestCheckCaches(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	c.must(c.CheckCaches(t.Context()))
	v, err := c.CachedView(t.Context())
	c.must(err)
	r, err := v.Resource(t.Context(), c.r.Server, c.r.ID)
	c.must(err)
	c.must(v.Close())
	r.Scopes[0] = "edit"
	if err := c.CheckCaches(t.Context()); err == nil || !strings.Contains(err.Error(), "ID:r") {
		t.Errorf("got %v, want an error about the resource", err)
	}
}
