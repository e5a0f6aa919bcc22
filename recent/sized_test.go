package recent_test

import (
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/recent"
)

func TestSizedKeepsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	c := recent.NewSized[int, string](recent.NewBudget(20))
	c.Put(1, "one", 5)
	c.Put(2, "two", 5)
	c.Put(3, "three", 5) // 1 and 2 are the old generation now
	if _, ok := c.Get(1); !ok {
		t.Error("1 is gone before the bound is reached")
	}
	c.Put(4, "four", 5) // 3 and 1 are the old generation now; 2 is dropped
	if _, ok := c.Get(2); ok {
		t.Error("2 is kept beyond the bound")
	}
	if got, ok := c.Get(1); !ok || got != "one" {
		t.Errorf("Get(1) = %q, %v", got, ok)
	}
	if c.Put(5, "large", 11); c.Stats().Bytes > 20 {
		t.Errorf("%+v: more than the limit", c.Stats())
	}
	if got := c.Stats(); got.Hits != 2 || got.Misses != 1 {
		t.Errorf("%+v, want 2 hits and a miss", got)
	}
	if got := c.All(); len(got) != 3 || got[1] != "one" || got[3] != "three" || got[4] != "four" {
		t.Errorf("All() = %v", got)
	}
	c.Clear()
	if got := c.Stats(); got.Bytes != 0 || got.Entries != 0 {
		t.Errorf("%+v after Clear", got)
	}
}

// Several Sized never hold more than their budget together, and return nothing that was not
// put last.
func TestSizedAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 50).Draw(t, "limit")
		budget := recent.NewBudget(limit)
		caches := []*recent.Sized[int, int]{recent.NewSized[int, int](budget), recent.NewSized[int, int](budget)}
		last := []map[int]int{{}, {}}
		for i := range rapid.IntRange(1, 100).Draw(t, "operations") {
			which := rapid.IntRange(0, 1).Draw(t, "cache")
			c, last := caches[which], last[which]
			key := rapid.IntRange(0, 8).Draw(t, "key")
			switch rapid.IntRange(0, 8).Draw(t, "operation") {
			case 0:
				c.Clear()
				clear(last)
			case 1, 2, 3, 4:
				bytes := rapid.IntRange(1, 20).Draw(t, "bytes")
				c.Put(key, i, bytes)
				if last[key] = i; bytes > limit/2 {
					delete(last, key)
				}
			default:
				got, ok := c.Get(key)
				if want, put := last[key]; ok && (!put || got != want) {
					t.Fatalf("Get(%d) = %d, want %d, %v", key, got, want, put)
				}
			}
			if got := caches[0].Stats().Bytes + caches[1].Stats().Bytes; got > limit || got < 0 {
				t.Fatalf("%d bytes, limit %d", got, limit)
			}
		}
	})
}

// What one Sized does not use another may.
func TestSizedShareTheirBudget(t *testing.T) {
	t.Parallel()
	budget := recent.NewBudget(20)
	idle, busy := recent.NewSized[int, int](budget), recent.NewSized[int, int](budget)
	idle.Put(0, 0, 1)
	for key := range 9 {
		busy.Put(key, key, 1)
	}
	for key := range 9 {
		if _, ok := busy.Get(key); !ok {
			t.Errorf("%d is gone before the budget is used up", key)
		}
	}
	for range 3 {
		busy.Clear()
		for key := range 9 { // Clear has given the bytes back
			busy.Put(key, key, 1)
		}
	}
	for range 30 { // a value that is replaced does not count
		busy.Put(0, 0, 1)
	}
	if _, ok := idle.Get(0); !ok {
		t.Error("what is in the other cache is gone before the budget is used up")
	}
	if _, ok := busy.Get(0); !ok {
		t.Error("0 is gone before the budget is used up")
	}
}

func TestNoSizedFindsNothing(t *testing.T) {
	t.Parallel()
	var c *recent.Sized[int, int]
	c.Put(1, 1, 1)
	if _, ok := c.Get(1); ok || c.Stats() != (recent.Stats{}) {
		t.Error("a nil Sized keeps something")
	}
	c.Clear()
}
