package sqlite

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

// Each cache alone, and all without one: what is read of a row that is kept agrees with what is
// read from the database.
func TestStorePartlyCached(t *testing.T) {
	t.Parallel()
	for name, caches := range map[string]memory.Caches{
		"sessions": {Sessions: true}, "all but sessions": {Users: true, Resources: true, Shares: true},
		"users": {Users: true}, "all but users": {Sessions: true, Resources: true, Shares: true},
		"resources": {Resources: true}, "all but resources": {Sessions: true, Users: true, Shares: true},
		"shares": {Shares: true}, "all but shares": {Sessions: true, Users: true, Resources: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caches.Memory = 1 << 20
			storetest.RunCached(t, func(t *testing.T) uma.Store {
				return openTemp(t, func(c *Config) { c.Caches = caches })
			})
		})
	}
}

// openFilled opens a store with n rows of each kind, and reads each, so that it is kept in memory.
func openFilled(t *testing.T, n, limit int) *Store {
	t.Helper()
	clock := &testClock{}
	s := openTemp(t, func(c *Config) {
		cached(c)
		c.Caches.Memory, c.Now = limit, clock.now
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change := &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz", Enabled: true},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}}, Now: at,
	}
	name := func(what string, i int) string { return fmt.Sprint(what, "-", i) }
	for i := range n {
		change.Users = append(change.Users, &uma.User{ID: name("user", i), Username: name("name", i), Enabled: true, Roles: []string{"user", name("role", i)},
			Groups: []string{name("/group", i)}, Claims: map[string]any{"email": name("email", i), "level": i, "list": []any{name("a", i)}}})
	}
	_, err := s.ApplyRealm(t.Context(), change)
	must(err)
	snapshot, err := s.Snapshot(t.Context(), "photoz", at)
	must(err)
	realm, api := snapshot.Realm.Key, snapshot.Clients["api"].Key
	var first *uma.Resource
	ids := 0
	newID := func() string { ids++; return name("id", ids) }
	for i := range n {
		r := &uma.Resource{ID: uma.ResourceID(name("r", i)), Server: api, Owner: "user-0", Name: name("Album", i), Type: "album", OwnerManaged: true,
			Scopes: []uma.Scope{"view", uma.Scope(name("scope", i))}, URIs: []string{name("/albums/", i)}, Attributes: map[string][]string{"k": {name("v", i)}}}
		must(s.CreateResource(t.Context(), r, newID))
		if first == nil {
			first = r
		}
		must(s.StartSession(t.Context(), realm, &uma.Session{ID: name("s", i), User: name("user", i), Client: "api", Started: at, Expires: at.Add(time.Hour)},
			&uma.RefreshToken{Hash: uma.Digest(name("refresh", i)), SessionID: name("s", i), Expires: at.Add(time.Hour)}))
	}
	must(s.CreateShare(t.Context(), &uma.Share{ID: "p", Kind: uma.ByPolicy, Server: api, Resource: first.Key, Owner: "user-0", Name: "p",
		Scopes: []uma.Scope{"view"}, Roles: []string{"user"}, Strategy: rows.Unanimous}))
	for i := range n {
		_, err := uma.Read(t.Context(), s, func(v uma.View) (bool, error) {
			if _, err := v.TokenState(t.Context(), realm, name("jti", i), name("s", i)); err != nil {
				return false, err
			}
			if _, err := v.Resource(t.Context(), api, uma.ResourceID(name("r", i))); err != nil {
				return false, err
			}
			shares, _, err := v.Between(t.Context(), &uma.Party{ID: name("user", i), Roles: []string{"user"}}, []uma.Key{first.Key}, at)
			if len(shares) != 1 {
				t.Errorf("got %d shares", len(shares))
			}
			return true, err
		})
		must(err)
	}
	return s
}

// However many rows are read, those that are kept have no more bytes than they may.
func TestCachesAreBounded(t *testing.T) {
	t.Parallel()
	const limit, n = 64 << 10, 100
	s := openFilled(t, n, limit)
	total := 0
	for name, stats := range s.CacheStats() {
		total += stats.Bytes
		if stats.Bytes == 0 || stats.Entries >= n {
			t.Errorf("%s: got %+v", name, stats)
		}
	}
	if total > limit || total < limit/4 { // a generation has up to half of it
		t.Errorf("%d bytes are kept, of %d", total, limit)
	}
}

// The rows of each kind have no more than twice the bytes that are counted. The test is not
// parallel: nothing else may allocate.
func TestCachesCountBytes(t *testing.T) {
	const n = 300
	s := openFilled(t, n, 16<<20)
	heap := func() int {
		runtime.GC()
		runtime.GC() // what a pool had
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	stats := s.CacheStats()
	for name, forget := range map[string]func(){
		"sessions": s.memory.Sessions.Clear, "users": s.memory.Users.Clear,
		"resources": s.memory.Resources.Clear, "shares": s.memory.Shares.Clear,
	} {
		before := heap()
		forget()
		used, counted := before-heap(), stats[name].Bytes
		t.Logf("%s: %d bytes, counted %d", name, used, counted)
		if stats[name].Entries != n || counted < used/2 || used < counted/8 {
			t.Errorf("%s: %d entries have %d bytes, counted %d", name, stats[name].Entries, used, counted)
		}
	}
}
