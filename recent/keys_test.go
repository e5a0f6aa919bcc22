package recent_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"example.com/umpire/recent"
)

// A key that is asked for may be a part of a large text, which must not stay in memory with it.
func TestKeysThatAreAskedForAreNotKept(t *testing.T) {
	t.Parallel()
	c, s := recent.New[string, int](2), recent.NewSized[string, int](recent.NewBudget(4))
	for _, key := range []string{"a", "b", "c"} { // a is of the old generation now
		c.Add(key, 1)
		s.Put(key, 1, 1)
	}
	var asked []weak.Pointer[byte]
	ask := func(get func(string) (int, bool)) {
		for _, key := range []string{"a", "b", "c"} {
			body := key + strings.Repeat("x", 1<<20)
			asked = append(asked, weak.Make(unsafe.StringData(body)))
			get(body[:1])
		}
	}
	ask(c.Get)
	ask(s.Get)
	if got := s.Stats(); got.Hits == 0 {
		t.Errorf("nothing was found: %+v", got)
	}
	if _, ok := c.Get("a"); !ok {
		t.Error("a is not found")
	}
	runtime.GC()
	for i, body := range asked {
		if body.Value() != nil {
			t.Errorf("text %d, of which a part was asked for, is in memory", i)
		}
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(s)
}
