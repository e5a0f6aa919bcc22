package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// Who has seen that a period began waits for its policy; who has not, or has a later one,
// does not.
func TestPrepareWaitsForThePeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := engine.New(engine.Config{})
		use := func(period uma.Key, text string) string {
			c, err := e.Compile(t.Context(), "r", settings, source(t, map[string]string{"x.rego": text}))
			if err != nil {
				t.Fatal(err)
			}
			e.Use(c, period)
			return c.Hash()
		}
		first := use(3, "package lib.x\n")
		for _, seen := range []uma.Key{0, 2, 3} {
			if p, err := e.Prepare(t.Context(), &uma.Realm{Name: "r", Period: seen}); err != nil || p.Revision() != first {
				t.Errorf("period %d: got %v, %v", seen, p, err)
			}
		}
		got := make(chan string)
		go func() {
			p, err := e.Prepare(t.Context(), &uma.Realm{Name: "r", Period: 5})
			if err != nil {
				t.Error(err)
			}
			got <- p.Revision()
		}()
		synctest.Wait()
		use(4, "package lib.y\n")
		synctest.Wait()
		if want := use(5, "package lib.z\n"); <-got != want {
			t.Error("the policy of another period was prepared")
		}
		if _, err := e.Prepare(t.Context(), &uma.Realm{Name: "r", Period: 6}); err == nil {
			t.Error("a policy that is not in force any more was prepared")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Prepare(ctx, &uma.Realm{Name: "r", Period: 6}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
