package token

import "testing"

// What is used stays, however much else comes by.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	c := newCache[int, string](3)
	c.add(0, "used")
	if got := c.add(0, "late"); got != "used" {
		t.Errorf("got %q, want what was there first", got)
	}
	for i := 1; i < 50; i++ {
		c.add(i, "once")
		if got, ok := c.get(0); !ok || got != "used" {
			t.Fatalf("after %d others: got %q, %t", i, got, ok)
		}
	}
	if _, ok := c.get(1); ok {
		t.Error("what was used once is there for ever")
	}
}
