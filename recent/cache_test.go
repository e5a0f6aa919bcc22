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
