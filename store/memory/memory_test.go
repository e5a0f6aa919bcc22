package memory

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
)

var start = time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)

// A testClock stands still until it is moved.
type testClock struct{ nanos atomic.Int64 }

func (c *testClock) now() time.Time          { return start.Add(time.Duration(c.nanos.Load())) }
func (c *testClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

var everything = Caches{Memory: 1 << 20, Sessions: true, Users: true, Resources: true, Shares: true}

// looked returns a Memory that keeps everything, whose driver has just looked.
func looked(t *testing.T) (*Memory, *testClock) {
	t.Helper()
	clock := &testClock{}
	m := New(everything, clock.now)
	if m.Current() != 0 {
		t.Error("rows come from memory before the first look")
	}
	m.Looked(m.Clock(), AllKinds)
	return m, clock
}

// keepResource keeps a resource as a view that has read it from the database.
func keepResource(t *testing.T, m *Memory, r *uma.Resource) ResourceKey {
	t.Helper()
	v, key := m.View(), ResourceKey{Server: 1, ID: r.ID}
	if _, ok := Recall(t.Context(), &v, v.Resources, key); ok {
		t.Errorf("%s is in memory", r.ID)
	}
	before := v.State()
	if err := v.Match(before); err != nil {
		t.Fatal(err)
	}
	Keep(&v, v.Resources, key, r, key.Bytes()+ResourceBytes(r))
	if err := v.End(); err != nil {
		t.Error(err)
	}
	return key
}

// recalls reports whether a new view has the row from memory.
func recalls(t *testing.T, m *Memory, key ResourceKey) bool {
	t.Helper()
	v := m.View()
	_, ok := Recall(t.Context(), &v, v.Resources, key)
	return ok
}

// While any of several commits is under way, views read the database alone and keep nothing.
// What one of them changed is no longer valid when the last has settled, in whatever order they
// settle; the rest is.
func TestCommitsUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string][]Kinds{"first first": {UserRows, ShareRows}, "last first": {ShareRows, UserRows}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := looked(t)
			key := keepResource(t, m, &uma.Resource{ID: "r"})
			before := m.Current()
			m.Committing(UserRows)
			m.Committing(ShareRows)
			for _, kinds := range settle {
				if recalls(t, m, key) || m.Current() != 0 {
					t.Error("a row comes from memory while a commit is under way")
				}
				v := m.View()
				v.Begin()
				Keep(&v, v.Resources, ResourceKey{ID: "other"}, &uma.Resource{}, 0)
				if err := v.Match(v.State()); err != nil || v.Epoch() != 0 {
					t.Errorf("got epoch %d, %v", v.Epoch(), err)
				}
				m.Settled(kinds)
			}
			if m.Current() <= before || !recalls(t, m, key) || recalls(t, m, ResourceKey{ID: "other"}) {
				t.Errorf("the epoch was %d and is %d; a row is lost or one was kept", before, m.Current())
			}
			for kinds, want := range map[Kinds]bool{UserRows: false, ShareRows: false, SessionRows | ResourceRows: true, AllKinds: false, 0: true} {
				if got := m.Unchanged(kinds, before); got != want {
					t.Errorf("unchanged %05b: got %v, want %v", kinds, got, want)
				}
			}
			if !m.Unchanged(AllKinds, m.Current()) {
				t.Error("something was changed after the present epoch")
			}
		})
	}
}

// A view whose snapshot may be on either side of a commit reads the database alone, or is torn if
// it has read from memory. Afterwards it matches unless those rows were changed.
func TestCommitsAroundSnapshots(t *testing.T) {
	t.Parallel()
	begin := func(m *Memory) { m.Committing(UserRows) }
	beginTwo := func(m *Memory) { m.Committing(UserRows); m.Committing(ResourceRows) }
	settle := func(m *Memory) { m.Settled(UserRows) }
	both := func(m *Memory) { m.Committing(UserRows); m.Settled(UserRows) }
	resource := func(m *Memory) { m.Committing(ResourceRows); m.Settled(ResourceRows) }
	nothing := func(*Memory) {}
	for name, tc := range map[string]struct {
		before, within func(m *Memory) // the snapshot
		known          bool            // the epoch of a view that has read nothing
		torn           bool            // a view that has read a resource
	}{
		"none":                         {nothing, nothing, true, false},
		"of other rows, before":        {both, nothing, true, false},
		"of the rows, before":          {resource, nothing, true, true},
		"begins within":                {nothing, begin, false, true},
		"ends within":                  {begin, settle, false, true},
		"begins and ends within":       {nothing, both, false, true},
		"goes on":                      {begin, nothing, false, true},
		"one of two ends within":       {beginTwo, settle, false, true},
		"one of two ended before":      {func(m *Memory) { beginTwo(m); settle(m) }, nothing, false, true},
		"another process, before":      {func(m *Memory) { m.Changed(SessionRows) }, nothing, true, false},
		"another process, of the rows": {func(m *Memory) { m.Changed(AllKinds) }, nothing, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := looked(t)
			key := keepResource(t, m, &uma.Resource{ID: "r"})
			fresh, recalling := m.View(), m.View()
			fresh.Begin()
			if _, ok := Recall(t.Context(), &recalling, recalling.Resources, key); !ok {
				t.Fatal("the row is not in memory")
			}
			tc.before(m)
			before := fresh.State()
			tc.within(m)
			if err := fresh.Match(before); err != nil || (fresh.Epoch() != 0) != tc.known {
				t.Errorf("a view that has read nothing: got epoch %d, %v", fresh.Epoch(), err)
			}
			if tc.known && fresh.Epoch() != m.Current() {
				t.Errorf("got epoch %d, want %d", fresh.Epoch(), m.Current())
			}
			err := recalling.Match(before)
			if errors.Is(err, uma.ErrTorn) != tc.torn || errors.Is(recalling.End(), uma.ErrTorn) != tc.torn {
				t.Errorf("a view that has read from memory: got %v, torn %v", err, tc.torn)
			}
			if (recalling.Epoch() == 0) != tc.torn {
				t.Errorf("a view that has read from memory: got epoch %d", recalling.Epoch())
			}
			if _, ok := Recall(t.Context(), &recalling, recalling.Resources, key); ok {
				t.Error("a view that has ended reads from memory")
			}
		})
	}
}

// A view that has begun reads on from memory while others commit what it does not read.
func TestViewReadsOn(t *testing.T) {
	t.Parallel()
	m, _ := looked(t)
	key := keepResource(t, m, &uma.Resource{ID: "r"})
	v := m.View()
	v.Begin()
	m.Committing(ResourceRows)
	if _, ok := Recall(t.Context(), &v, v.Resources, key); !ok {
		t.Error("the row is not in memory, although the commit has not settled")
	}
	m.Settled(ResourceRows)
	if _, ok := Recall(t.Context(), &v, v.Resources, key); ok {
		t.Error("a row that was changed comes from memory")
	}
	keepResource(t, m, &uma.Resource{ID: "r", Version: 2})
	if _, ok := Recall(t.Context(), &v, v.Resources, key); ok {
		t.Error("a row of a later epoch than that of the view comes from memory")
	}
}

// Rows come from memory as long as somebody has looked for changes of other processes.
func TestLooksAreNeeded(t *testing.T) {
	t.Parallel()
	m, clock := looked(t)
	key := keepResource(t, m, &uma.Resource{ID: "r"})
	clock.advance(Trusted)
	if !recalls(t, m, key) {
		t.Error("the look is no longer trusted, too early")
	}
	clock.advance(1)
	if recalls(t, m, key) {
		t.Error("a row comes from memory, long after the last look")
	}
	began := m.Clock()
	clock.advance(LookEvery)
	m.Looked(began, UserRows)
	if !recalls(t, m, key) {
		t.Error("after a look that found a change of other rows, the row is lost")
	}
	clock.advance(-time.Minute)
	if recalls(t, m, key) {
		t.Error("a look in the future is trusted")
	}
	m.Looked(m.Clock(), AllKinds)
	if recalls(t, m, key) || m.Current() == 0 {
		t.Error("a row that may have changed comes from memory, or nothing ever will")
	}
}

// Nothing is kept without caches, and their methods may be called.
func TestNoMemory(t *testing.T) {
	t.Parallel()
	m := New(Caches{Memory: 1 << 20}, time.Now)
	m.Committing(AllKinds)
	m.Settled(AllKinds)
	m.Looked(m.Clock(), AllKinds)
	v := m.View()
	v.Begin()
	err := v.Match(v.State())
	Keep(&v, v.Users, UserKey{}, &uma.User{}, 0)
	_, ok := Recall(t.Context(), &v, v.Users, UserKey{})
	v.Users.Clear()
	if m != nil || ok || err != nil || v.Epoch() != 0 || v.End() != nil || len(m.Stats()) != 0 || m.Current() != 0 {
		t.Errorf("got %+v, %v, %v", v, ok, err)
	}
	if one := New(Caches{Memory: 1 << 20, Users: true}, time.Now); one.Users == nil || one.Shares != nil || len(one.Stats()) != 1 {
		t.Errorf("got %v, want users alone", one.Stats())
	}
}

// Somebody who changes a row in memory is found out, unless it is no longer read.
func TestCheck(t *testing.T) {
	t.Parallel()
	m, _ := looked(t)
	keepResource(t, m, &uma.Resource{ID: "r"})
	read := func(k ResourceKey) (*uma.Resource, error) { return &uma.Resource{ID: k.ID, Name: "other"}, nil }
	if err := Check(m.Resources, read); err == nil || !strings.Contains(err.Error(), "ID:r") {
		t.Errorf("got %v, want an error that names the row", err)
	}
	m.Changed(ResourceRows)
	if err := Check(m.Resources, read); err != nil {
		t.Error(err)
	}
}
