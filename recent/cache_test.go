package recent_test

import (
	"testing"

	"example.com/umpire/recent"
)

// What is used stays, however much else comes by.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	c := recent.New[int, string](3)
	c.Add(0, "used")
	if got := c.Add(0, "late"); got != "used" {
		t.Errorf("got %q, want what was there first", got)
	}
	for i := 1; i < 50; i++ {
		c.Add(i, "once")
		if got, ok := c.Get(0); !ok || got != "used" {
			t.Fatalf("after %d others: got %q, %t", i, got, ok)
		}
	}
	if _, ok := c.Get(1); ok {
		t.Error("what was used once is there for ever")
	}
}

func TestCachePut(t *testing.T) {
	t.Parallel()
	c := recent.New[int, string](2)
	for _, v := range []string{"first", "second"} {
		c.Put(0, v)
		c.Put(1, v) // now both are old
		c.Put(2, v)
		for key := range 3 {
			if got, ok := c.Get(key); got != v || !ok {
				t.Errorf("%d: got %q, %t, want %q", key, got, ok, v)
			}
		}
	}
}
