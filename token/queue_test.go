package token_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

// attempts wait one after another for a Hasher that is busy. They are named in the
// order in which they had their turn, and in which they were sent away.
func attempts(t *testing.T, from ...uma.Attempt) (order, sentAway []uma.Attempt) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t)
		leave := token.Occupy(h)
		var mu sync.Mutex
		for _, a := range from {
			go func() {
				err := token.Wait(t.Context(), h, a, func() {
					mu.Lock()
					order = append(order, a)
					mu.Unlock()
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, uma.ErrBusy):
					sentAway = append(sentAway, a)
				case err != nil:
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		if got := h.Waiting(); got != len(from)-len(sentAway) {
			t.Errorf("got %d waiting, want %d", got, len(from)-len(sentAway))
		}
		leave()
		synctest.Wait()
		if got := h.Waiting(); got != 0 {
			t.Errorf("got %d waiting in the end", got)
		}
	})
	return order, sentAway
}

// guesses are attempts at the passwords of as many users from one address.
func guesses(n, users int, address string) []uma.Attempt {
	var all []uma.Attempt
	for i := range n {
		all = append(all, uma.Attempt{User: fmt.Sprintf("user %d", i%users), Address: address})
	}
	return all
}

func repeat(n int, a uma.Attempt) []uma.Attempt { return slices.Repeat([]uma.Attempt{a}, n) }

// TestGuessesKeepNobodyWaiting: a sign-in waits for one guess of each address that
// guesses and, at an address that guesses, for one of each user; no number of guesses
// from other addresses keeps it out.
func TestGuessesKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	alice := uma.Attempt{User: "alice", Address: "198.51.100.1"}
	known := uma.Attempt{User: "alice", Address: alice.Address, Known: true}
	aliceElsewhere := uma.Attempt{User: "alice", Address: "203.0.113.9"}
	mallory := uma.Attempt{User: "mallory", Address: "203.0.113.9", Known: true}
	tests := []struct {
		name    string
		guesses []uma.Attempt
		alice   uma.Attempt
		want    int // how many are served before her
	}{
		{"one user from one address", guesses(50, 1, "203.0.113.9"), alice, 1},
		{"one user from her address", guesses(50, 1, alice.Address), alice, 1},
		{"many users from another address", guesses(50, 50, "203.0.113.9"), alice, 1},
		{"her own name from another address", repeat(50, aliceElsewhere), alice, 1},
		{"her own and many names from another address", append(repeat(10, aliceElsewhere), guesses(40, 40, "203.0.113.9")...), alice, 1},
		{"her own name from three addresses", slices.Concat(
			repeat(20, aliceElsewhere), repeat(20, uma.Attempt{User: "alice", Address: "a"}), repeat(20, uma.Attempt{User: "alice", Address: "b"}),
		), alice, 3},
		{"many users from her address, where she is known", guesses(50, 50, alice.Address), known, 0},
		{"a user who is known in a loop", repeat(50, mallory), alice, 1},
		{"a user who is known in a loop, and she is known", repeat(50, mallory), known, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			order, sentAway := attempts(t, append(tc.guesses, tc.alice)...)
			if got := slices.Index(order, tc.alice); got < 0 || got > tc.want {
				t.Errorf("she was served as number %d, want %d at most (%d were sent away)", got, tc.want, len(sentAway))
			}
		})
	}
}

// TestWhoIsSentAway: the newest request of the user with the most at the address with
// the most, the one that has just come included.
func TestWhoIsSentAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		from []uma.Attempt
		want []uma.Attempt
	}{
		{"none while there is room", guesses(32, 1, "x"), nil},
		{"of one user, the newest", guesses(33, 1, "x"), guesses(1, 1, "x")},
		{"of the address with the most, the newest",
			append(guesses(32, 32, "x"), guesses(2, 1, "y")...),
			[]uma.Attempt{{User: "user 31", Address: "x"}, {User: "user 30", Address: "x"}}},
		{"the users of other addresses do not count",
			slices.Concat(guesses(14, 14, "x"), guesses(10, 1, "y"), guesses(8, 1, "z"), guesses(1, 1, "w")),
			[]uma.Attempt{{User: "user 13", Address: "x"}}},
		{"of the user with the most there",
			slices.Concat(guesses(20, 1, "x"), repeat(12, uma.Attempt{User: "bob", Address: "x"}), repeat(1, uma.Attempt{User: "carol", Address: "x"})),
			guesses(1, 1, "x")},
		{"nobody for an address that would have as many",
			append(guesses(16, 16, "x"), guesses(17, 17, "y")...),
			[]uma.Attempt{{User: "user 16", Address: "y"}}},
	}
	for _, tc := range tests {
		if _, got := attempts(t, tc.from...); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestQueueIsBounded: a fixed number waits of those who signed in from their address
// before, and as many others.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	var many []uma.Attempt
	for i := range 50 {
		many = append(many, uma.Attempt{User: fmt.Sprintf("u%d", i), Address: fmt.Sprintf("a%d", i)})
	}
	known := slices.Clone(many)
	for i := range known {
		known[i].Known = true
	}
	order, sentAway := attempts(t, append(many, known...)...)
	if want := append(many[32:], known[32:]...); len(order) != 64 || !slices.Equal(sentAway, want) {
		t.Errorf("got %d served and %v sent away, want 64 and %v", len(order), sentAway, want)
	}
}

// TestSentAwayAndGone: a request that is sent away and given up at the same time had no
// turn to pass on.
func TestSentAwayAndGone(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t)
		leave := token.Occupy(h)
		for range 32 {
			go func() {
				if err := token.Wait(t.Context(), h, uma.Attempt{}, func() {}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		for range 50 {
			err := token.Wait(gone, h, uma.Attempt{}, func() { t.Error("had a turn") })
			if !errors.Is(err, uma.ErrBusy) && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		synctest.Wait()
		if got := h.Waiting(); got != 32 {
			t.Errorf("got %d waiting, want 32: none had a turn yet", got)
		}
		leave()
		synctest.Wait()
	})
}

// TestWhoGivesUpPassesItsTurnOn: a waiter that gives up leaves its place to the next.
func TestWhoGivesUpPassesItsTurnOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t)
		leave := token.Occupy(h)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if err := token.Wait(ctx, h, uma.Attempt{}, func() {}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}()
		served := false
		synctest.Wait()
		go func() {
			if err := token.Wait(t.Context(), h, uma.Attempt{}, func() { served = true }); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		leave()
		synctest.Wait()
		if !served {
			t.Error("the second was never served")
		}
	})
}
