package recent_test

import (
	"testing"

	"pgregory.net/rapid"

	"example.com/umpire/recent"
)

func TestSizedKeepsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	c := recent.NewSized[int, string](20)
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

// A Sized never holds more than its limit, and returns nothing that was not put last.
func TestSizedIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 50).Draw(t, "limit")
		c := recent.NewSized[int, int](limit)
		last := map[int]int{}
		for i := range rapid.IntRange(1, 100).Draw(t, "operations") {
			key := rapid.IntRange(0, 8).Draw(t, "key")
			if rapid.Bool().Draw(t, "put") {
				bytes := rapid.IntRange(1, 20).Draw(t, "bytes")
				c.Put(key, i, bytes)
				if last[key] = i; bytes > limit/2 {
					delete(last, key)
				}
			} else if got, ok := c.Get(key); ok {
				if want, put := last[key]; !put || got != want {
					t.Fatalf("Get(%d) = %d, want %d, %v", key, got, want, put)
				}
			}
			if got := c.Stats().Bytes; got > limit || got < 0 {
				t.Fatalf("%d bytes, limit %d", got, limit)
			}
		}
	})
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
